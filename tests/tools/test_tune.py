"""tools/tune.py as a user runs it; its trials are trainings of `python -m tf_proxyless.train`."""

from __future__ import annotations

import fcntl
import functools
import signal
import time

import pytest

from tests.search import runs
from tests.train import runs as train_runs
from tf_proxyless.app import models
from tf_proxyless.app import tuning
from tf_proxyless.app.commands import tune
from tf_proxyless.infra import files
from tf_proxyless.space import io
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

start = functools.partial(runs.start_tool, 'tune')
run = functools.partial(runs.tool, 'tune')


@pytest.mark.parametrize('arguments, message', [
    ((), '--run_dir is required'),
    (('--run_dir=DIR',), 'the flags of train are missing; they stand at the end, after --'),
    (('--run_dir=DIR', '--validation_images=0', '--', '--dataset=digits'), '--validation_images must be a count above 1'),
    (('--run_dir=DIR', '--hyperparameter=learning_rate', '--', '--dataset=digits'), 'a hyper-parameter must be NAME=LOW:HIGH'),
    (('--run_dir=DIR', '--hyperparameter=seed=0:9', '--hyperparameter=seed=0:9', '--', '--dataset=digits'), 'seed cannot be varied, or'),
    (('--run_dir=DIR', '--hyperparameter=run_dir=a|b', '--', '--dataset=digits'), 'run_dir cannot be varied'),
    (('--run_dir=DIR', '--hyperparameter=learning_rat=0:1', '--', '--dataset=digits'),
     "--hyperparameter: 'learning_rat' is no flag of train; did you mean 'learning_rate'"),
    (('--run_dir=DIR', '--trials=1', '--', '--dataset=digits'), '--trials'),
    (('--run_dir=DIR', '--dataset=digits'), 'unknown flag --dataset'),
    (('--run_dir=DIR', '--', '--architecture=proxyless_mobile', '--datset=digits'),
     'trial 0: unknown flag --datset; did you mean --dataset?'),
    (('--run_dir=DIR', '--', '--architecture=nothing.json', '--dataset=digits'), 'trial 0: nothing.json: No such file or directory'),
])
def test_mistakes_of_both_command_lines(tmp_path, arguments, message):
  runs.check_mistake(run(*(argument.replace('DIR', str(tmp_path / 'tuning')) for argument in arguments)), message)
  if (tmp_path / 'tuning' / 'tuning.json').exists():
    assert not tuning.load(tmp_path / 'tuning' / 'tuning.json').trials, 'a mistake is no trial'


def test_another_tuning_is_not_continued(tmp_path):
  trials = (tuning.Trial(0, {}, 'finished', 0.5),)
  known = tuning.Study('train', ('momentum=0:0.9',), ('--dataset=digits', '--validation_images=0.2'), 0, trials)
  tuning.save(known, tmp_path / 'tuning.json')
  result = run(f'--run_dir={tmp_path}', '--hyperparameter=momentum=0:0.9', '--seed=1', '--', '--dataset=digits')
  runs.check_mistake(result, 'holds a tuning with other settings: seed was 0, is now 1')


def test_two_at_once_are_refused(tmp_path):
  with open(tmp_path / 'lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    runs.check_mistake(run(f'--run_dir={tmp_path}', '--', '--dataset=digits'), 'is in use by another process')


TRIAL = tuning.Trial(3, {'learning_rate': '0.1'})


def ended(directory, state, **results):
  files.write_json(directory / 'status.json', 'status', state)
  if results:
    files.write_json(directory / 'results.json', models.RESULTS, results)


def test_outcomes(tmp_path):
  (tmp_path / 'output.txt').write_text('warning: x\nerror: flag --batch_size=0: too small\n')
  with pytest.raises(ValueError, match='trial 3: flag --batch_size=0: too small'):
    tune._outcome(TRIAL, tmp_path, 2)
  assert tune._outcome(TRIAL, tmp_path, -9) == tuning.Trial(3, TRIAL.values, 'failed', reason=f'signal 9, see {tmp_path / "output.txt"}')
  assert tune._outcome(TRIAL, tmp_path, 1).reason.startswith('exit code 1')
  ended(tmp_path, {'state': 'interrupted'})
  assert tune._outcome(TRIAL, tmp_path, 0) == TRIAL
  ended(tmp_path, {'state': 'failed', 'reason': 'the loss is NaN'})
  assert tune._outcome(TRIAL, tmp_path, 2) == tuning.Trial(3, TRIAL.values, 'failed', reason='the loss is NaN')
  ended(tmp_path, {'state': 'finished'}, validation_top1=0.75, test_top1=0.5)
  assert tune._outcome(TRIAL, tmp_path, 0) == tuning.Trial(3, TRIAL.values, 'finished', 0.75, 0.5)
  ended(tmp_path, {'state': 'finished'}, test_top1=0.5)
  with pytest.raises(ValueError, match='results.json has no validation_top1'):
    tune._outcome(TRIAL, tmp_path, 0)


@pytest.fixture(scope='module')
def architecture(tmp_path_factory):
  """A file of a network that trains in a second."""
  space = proxyless.proxyless(stage_filters=(8,), stage_blocks=(1,), stage_strides=(1,), stem_filters=8, stem_strides=1,
                              first_block_filters=8, head_filters=16, resolution=8, classes=10)
  genotype = schema.Genotype({path: 0 for path, _ in schema.walk(space)})
  path = tmp_path_factory.mktemp('tune') / 'architecture.json'
  io.save_architecture(io.Architecture(schema.resolve(space, genotype), genotype), path)
  return path


def arguments(architecture, data_dir, directory, trials=3, epochs=2, rates='0.01:0.3:log'):
  return (f'--run_dir={directory}', f'--trials={trials}', '--random_trials=2', f'--hyperparameter=learning_rate={rates}', '--',
          f'--architecture={architecture}', '--dataset=digits', f'--epochs={epochs}', '--batch_size=64', f'--data_dir={data_dir}')


@pytest.mark.long
def test_interrupted_and_continued_equals_uninterrupted(architecture, data_dir, tmp_path):
  whole = run(*arguments(architecture, data_dir, tmp_path / 'whole'))
  assert whole.returncode == 0, whole.stderr
  assert whole.stdout.count('trial ') == 3 and 'with the flags as they are' in whole.stdout
  study = tuning.load(tmp_path / 'whole' / 'tuning.json')
  assert [trial.state for trial in study.trials] == ['finished'] * 3 and study.trials[0].values == {}
  assert study.best.accuracy > study.trials[0].accuracy or study.best.number == 0
  best = (tmp_path / 'whole' / 'best.flags').read_text()
  assert all(f'--{name}={text}' in best.splitlines() for name, text in study.best.values.items())

  parts = arguments(architecture, data_dir, tmp_path / 'parts')
  for number, kind, code in ((1, signal.SIGTERM, 0), (2, signal.SIGINT, 130)):
    history = tmp_path / 'parts' / 'trials' / f'{number:03}' / 'history.jsonl'
    stopped = runs.stop_when(start(*parts), lambda history=history: history.exists() and history.stat().st_size, kind)
    assert stopped.returncode == code, stopped.stderr
    assert 'the same command continues' in stopped.stderr
  assert run(*parts).returncode == 0
  for name in ('tuning.json', 'best.flags'):
    expected = (tmp_path / 'whole' / name).read_text().replace('/whole', '/parts')
    assert (tmp_path / 'parts' / name).read_text() == expected
  more = run(*arguments(architecture, data_dir, tmp_path / 'parts', trials=4))
  assert more.returncode == 0 and more.stdout.count('trial ') == 1


@pytest.mark.long
def test_a_trial_that_outlives_its_tuning_is_not_run_twice(architecture, data_dir, tmp_path):
  command = arguments(architecture, data_dir, tmp_path, trials=2, epochs=12)
  history = tmp_path / 'trials' / '000' / 'history.jsonl'
  runs.stop_when(start(*command), lambda: history.exists() and history.read_text(), signal.SIGKILL)
  deadline = time.monotonic() + 300
  while (continued := run(*command)).returncode and time.monotonic() < deadline:  # the trial saves, which it was asked to, and ends
    runs.check_mistake(continued, 'is in use by a process that outlived process')
  assert continued.returncode == 0, continued.stderr
  assert len((tmp_path / 'trials' / '000' / 'history.jsonl').read_text().splitlines()) == 12


@pytest.mark.long
def test_trials_that_diverge_are_failures_not_the_end(architecture, data_dir, tmp_path):
  result = run(*arguments(architecture, data_dir, tmp_path, trials=6, rates='1e20:1e30:log'))
  states = [trial.state for trial in tuning.load(tmp_path / 'tuning.json').trials]
  assert states == ['finished', 'failed', 'failed', 'failed']
  assert (result.returncode, result.stderr.count('\n')) == (2, 1) and '3 trials in a row failed' in result.stderr
  assert result.stdout.count('failed: ') == 3
  assert (tmp_path / 'best.flags').read_text().count('\n--') == 0


@pytest.mark.by_hand
def test_a_quantization_is_tuned_too(architecture, data_dir, tmp_path):
  trained = train_runs.run(f'--architecture={architecture}', '--dataset=digits', '--epochs=3', '--batch_size=64', '--validation_images=0.2',
                           f'--data_dir={data_dir}', f'--run_dir={tmp_path / "float"}')
  assert trained.returncode == 0, trained.stderr
  result = run('--job=quantize', f'--run_dir={tmp_path / "tuning"}', '--trials=2', '--', f'--model={tmp_path / "float"}', '--epochs=1',
               '--batch_size=64', f'--data_dir={data_dir}')
  assert result.returncode == 0, result.stderr
  study = tuning.load(tmp_path / 'tuning' / 'tuning.json')
  assert [trial.state for trial in study.trials] == ['finished', 'finished'] and 0 < study.best.accuracy <= 1
  assert study.trials[1].values.keys() == {'learning_rate', 'batch_norm_share', 'range_momentum'}
