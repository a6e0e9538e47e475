"""Whole measurements on this machine, with a benchmark_model whose figures and failures are known."""

import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest

from tests.android_benchmark import measuring

_QUICK = ('--rounds=2', '--timeout_s=2')


@pytest.fixture
def output(tmp_path):
  return tmp_path / 'measurements.json'


@pytest.fixture
def models(tmp_path):
  return measuring.write_models(tmp_path / 'models', **{f'model{index}': f'latency_us={1000 + index}' for index in range(5)})


def test_every_model_is_measured_in_every_round(tmp_path, output):
  models = measuring.write_models(tmp_path / 'models', **{f'model{index}': f'latency_us={1000 + index}' for index in range(24)})
  exit_code, messages = measuring.run(models, output, *_QUICK, '--core_mask=1')
  assert exit_code == 0, messages
  measured = measuring.load(output)
  assert (measured['schema'], measured['version']) == ('android_benchmark/measurements', 1)
  assert {name: figures['median_ms'] for name, figures in measured['models'].items()} == {
      f'model{index}': (1000 + index) / 1000 for index in range(24)}
  assert all(figures['runs'] == 40 for figures in measured['models'].values())
  assert measured['benchmark']['tool'] == 'benchmark_model'
  assert len(measured['benchmark']['sha256']) == 64
  assert measured['settings'] == {'threads': 1, 'core_mask': '1', 'kernels': 'builtin', 'num_runs': 20, 'min_secs': 0.3, 'warmup_secs': 0.1,
                                  'rounds': 2, 'seed': 0, 'max_drift_percent': 3.0}
  assert measured['reference']['model'] == 'model11'
  assert len(measured['reference']['readings_ms']) == 8
  assert measured['failed'] == {} and measured['warnings'] == []
  assert measured['device']['serial'] is None
  assert [path.name for path in sorted(output.parent.iterdir())] == ['measurements.json', 'models']
  assert '4 of 4 blocks' in messages


@pytest.mark.long
def test_models_that_fail_twice_are_named_and_left_out(tmp_path, output):
  fates = ('fails', 'abort', 'segv', 'kill', 'hang', 'truncated')
  failing = {fate: f'behaviour={fate}' for fate in fates}
  models = measuring.write_models(tmp_path / 'models', good='latency_us=7', also='latency_us=8', **failing)
  exit_code, messages = measuring.run(models, output, *_QUICK, '--reference=good')
  assert exit_code == 3
  measured = measuring.load(output)
  assert sorted(measured['models']) == ['also', 'good']
  expected = {'fails': 'exit code 1: ERROR: Failed to allocate tensors!', 'abort': 'SIGABRT: F0000', 'segv': 'SIGSEGV', 'kill': 'SIGKILL',
              'hang': 'did not end within 2 s', 'truncated': 'no line of results'}
  assert sorted(measured['failed']) == sorted(fates)
  for fate, reason in expected.items():
    assert reason in measured['failed'][fate]
    assert f'warning: {fate} failed: ' in messages


def test_a_model_that_fails_once_is_launched_again(tmp_path, output):
  models = measuring.write_models(tmp_path / 'models', good='latency_us=7', wobbly='latency_us=8 behaviour=once')
  exit_code, messages = measuring.run(models, output, *_QUICK, '--reference=good')
  assert exit_code == 0, messages
  measured = measuring.load(output)
  assert len(measured['models']['wobbly']['launches']) == 2
  assert measured['warnings'] == ['wobbly failed once and then ran: exit code 1: ERROR: Failed to allocate tensors!']


def test_when_the_reference_always_fails_another_model_takes_its_place(tmp_path, output):
  models = measuring.write_models(tmp_path / 'models', a='latency_us=7', b='behaviour=abort', c='latency_us=9 seconds=0')
  exit_code, messages = measuring.run(models, output, *_QUICK)
  assert exit_code == 3, messages
  measured = measuring.load(output)
  assert measured['reference']['model'] == 'a'
  assert 'b failed, so a was the reference' in measured['warnings']
  assert [len(figures['launches']) for figures in measured['models'].values()] == [2, 2]


@pytest.mark.parametrize('behaviour, message', [('unconsumed', 'does not know --use_xnnpack=false'), ('fails', 'Failed to allocate')])
def test_when_nothing_runs_it_is_said_at_once_and_nothing_is_kept(tmp_path, output, behaviour, message):
  models = measuring.write_models(tmp_path / 'models', **{name: f'behaviour={behaviour}' for name in 'abc'})
  exit_code, messages = measuring.run(models, output, *_QUICK)
  assert exit_code == 2
  assert message in messages.splitlines()[-1]
  assert measuring.blocks(output) == []
  assert not output.exists()


def _until_blocks(process, count):
  """Waits until so many blocks are reported."""
  for _ in range(count):
    assert 'blocks' in process.stderr.readline()


@pytest.mark.parametrize('number, exit_code', [
    (signal.SIGKILL, -9), *(pytest.param(*end, marks=pytest.mark.long) for end in ((signal.SIGINT, 130), (signal.SIGTERM, 143)))])
def test_what_was_measured_before_the_end_is_not_measured_again(models, output, number, exit_code):
  process = measuring.start(models, output, '--rounds=6')
  _until_blocks(process, 2)
  process.send_signal(number)
  messages = process.communicate(timeout=60)[1]
  assert process.returncode == exit_code
  assert 'Traceback' not in messages
  before = measuring.blocks(output)
  assert len(before) >= 2
  code, messages = measuring.run(models, output, '--rounds=6')
  assert code == 0
  assert f'continuing after {len(before)} blocks' in messages
  measured = measuring.load(output)
  assert measured['health'][:len(before)] == [{'time': block['time'], **block['health']} for block in before]
  assert len(measured['health']) == 6
  assert not pathlib.Path(f'{output}.partial').exists()


def test_the_same_command_at_once_after_a_termination_waits_for_its_end(models, output):
  process = measuring.start(models, output, '--rounds=6')
  _until_blocks(process, 1)
  process.terminate()
  code, messages = measuring.run(models, output, '--rounds=6')
  assert code == 0, messages
  assert 'continuing after' in messages
  process.communicate(timeout=60)


def test_other_measurements_are_not_continued(models, output):
  process = measuring.start(models, output, '--rounds=3')
  _until_blocks(process, 1)
  process.kill()
  process.communicate()
  (models / 'model3.tflite').write_text('latency_us=1')
  exit_code, messages = measuring.run(models, output, '--rounds=3', '--kernels=xnnpack')
  assert exit_code == 2
  assert 'models.model3' in messages and "settings.kernels 'builtin' instead of 'xnnpack'" in messages


@pytest.mark.parametrize('flags, message', [
    (('--device=tv',), "'adb:SERIAL', got 'tv'"),
    (('--models=nowhere',), "there is no folder 'nowhere'"),
    (('--models=/',), "there is no .tflite file in '/'"),
    (('--benchmark_binary=nowhere',), "there is no file 'nowhere'"),
    (('--output=nowhere/m.json',), "there is no folder 'nowhere'"),
    (('--reference=model99',), "there is no model 'model99'"),
    (('--core_mask=0x10',), 'core_mask must be hexadecimal'),
    (('--core_mask=80000000',), 'has not the cores of the mask 80000000'),
    (('--rounds=0',), '--rounds must be at least 1'),
    (('--min_secs=nan',), 'min_secs must be at least 0'),
    (('--kernels=gpu',), "invalid choice: 'gpu'"),
    (('--host_runner=x',), 'not allowed with argument --benchmark_binary'),
    (('--max_drift=1',), 'unrecognized arguments: --max_drift; did you mean --max_drift_percent?'),
    (('--zzz',), 'error: unrecognized arguments: --zzz'),
])
def test_mistakes_are_told_in_one_line(models, output, flags, message):
  exit_code, messages = measuring.run(models, output, *flags)
  assert exit_code == 2
  assert message in messages.splitlines()[-1]
  assert 'Traceback' not in messages


def test_a_binary_for_another_processor_is_told_before_anything_is_measured(models, output, tmp_path):
  binary = tmp_path / 'benchmark_model'
  binary.write_bytes(b'\x7fELF\x02\x01\x01' + bytes(57))
  binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
  exit_code, messages = measuring.run(models, output, f'--benchmark_binary={binary}')
  assert exit_code == 2
  assert 'benchmark_model does not run on host' in messages
  assert messages.strip().isprintable()


# A program with the interface of our host runner, that launches the benchmark_model of these tests for each model.
_RUNNER = '''
import subprocess, sys
flags = [flag for flag in sys.argv[1:] if not flag.startswith('--graph')]
[graphs] = [flag for flag in sys.argv[1:] if flag.startswith('--graph')]
print('INFO: Tool: [runner on Something 1.2]')
if graphs.startswith('--graphs='):
  for path in open(graphs.removeprefix('--graphs=')).read().split():
    print('=== begin', path, flush=True)
    done = subprocess.run([sys.argv[0].replace('runner.py', 'benchmark_model'), '--graph=' + path, *flags], stderr=subprocess.STDOUT)
    if done.returncode < 0:
      sys.exit(128 - done.returncode)
    print('=== end', path, 'exit=%d' % done.returncode, flush=True)
'''


@pytest.fixture
def runner(tmp_path):
  (tmp_path / 'runner.py').write_text(_RUNNER)
  (tmp_path / 'benchmark_model').symlink_to(measuring.BINARY)
  return f'--host_runner={sys.executable} {tmp_path}/runner.py'


def _run_with(runner, models, output, *flags):
  command = measuring.command(models, output, runner, *flags)
  done = subprocess.run(command, env={**os.environ, 'PYTHONPATH': str(measuring.ROOT)}, capture_output=True, text=True, timeout=60)
  return done.returncode, done.stderr


@pytest.mark.long
def test_a_runner_measures_many_models_in_a_process_and_its_crashes_cost_one(tmp_path, output, runner):
  fates = ('fails', 'abort', 'hang')
  failing = {fate: f'behaviour={fate}' for fate in fates}
  models = measuring.write_models(tmp_path / 'models', good='latency_us=7', also='latency_us=8', **failing)
  exit_code, messages = _run_with(runner, models, output, *_QUICK, '--reference=good')
  assert exit_code == 3, messages
  measured = measuring.load(output)
  assert measured['benchmark'] == {'tool': 'runner', 'version': 'Something 1.2', 'sha256': None}
  assert {name: figures['median_ms'] for name, figures in measured['models'].items()} == {'good': 0.007, 'also': 0.008}
  assert 'Failed to allocate' in measured['failed']['fails']
  assert 'SIGABRT' in measured['failed']['abort']
  assert 'did not end within 2 s' in measured['failed']['hang']
