"""A user's mistakes: one line that says what to do and exit code 2, before TensorFlow is loaded where that can be."""

import dataclasses
import json
import re

import pytest

from tests import forks
from tests.search import runs
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import resources
from tf_proxyless.search import run_directory

# The main itself in a process in which importing TensorFlow fails.
_WITHOUT_TENSORFLOW = '''
import os, sys
sys.modules['tensorflow'] = None
from tf_proxyless.app import commands
from tf_proxyless.app.commands import search  # before it is somebody else's process
if '--as-nobody' in sys.argv:
  sys.argv.remove('--as-nobody')
  if os.getuid() == 0:
    os.setuid(65534)
commands.run('search')
'''

PIXEL_1 = resources.latency_table('pixel1_tflite_float')
MOBILE = ('--dataset=imagenet2012', f'--latency_table={PIXEL_1}', '--target_latency_ms=80')  # the default space


def refuse(tmp_path, *arguments, environment=None):
  """Runs the main where TensorFlow cannot be imported."""
  command = ['-c', _WITHOUT_TENSORFLOW, f'--run_dir={tmp_path / "run"}', *arguments]
  return forks.run(*command, cwd=tmp_path, env=environment, kind='light')


def test_a_table_for_another_runtime(tmp_path):
  result = refuse(tmp_path, *MOBILE, '--expected_precision=int8', '--expected_device=Pixel 2')
  runs.check_mistake(result, 'is for another runtime', "device 'Pixel 1' instead of 'Pixel 2'", "precision 'float32' instead of 'int8'")


@pytest.mark.parametrize('flags, messages', [
    (['--nonsense=1'], ['unknown flag --nonsense; --help lists those that there are']),
    (['--target_latency=80'], ['unknown flag --target_latency; did you mean --target_latency_ms']),
    (['stray'], ["unexpected argument 'stray'"]),
    (['--flagfile=absent.flags'], ['absent.flags', 'quickstart.flags']),
    (['--dataset='], ['--dataset is required']),
    (['--run_dir='], ['--run_dir is required']),
    (['--target_macs=1e4'], ['--target_macs=10000 is below the smallest network of the space', '30880']),
    (['--dataset=fashion_mnist', '--target_macs=1e4'], ['is below the smallest network of the space', '21664']),  # one channel
    (['--dataset=fashion_mnist', '--channels=3', '--target_macs=1e4'], ['30880']),
    (['--channels=2'], ['--channels=2: must be one of 1, 3']),
    (['--target_macs=-1'], ['--target_macs must be a positive number, got -1']),
    (['--target_macs=nan'], ['--target_macs=nan']),
    (['--target_latency_fraction=0.5'], ['exactly one of --target_latency_ms, --target_energy_mj, --target_latency_fraction, '
                                         '--target_macs, got 2']),
    (['--target_latency_ms=80'], ['exactly one of --target_latency_ms, --target_energy_mj, --target_latency_fraction, --target_macs']),
    (['--resolution=30', '--stem_strides=4'], ['resolution must be a positive multiple of the total stride 4, got 30', '28 or 32']),
    (['--stage_filters=8,x'], ['--stage_filters=8,x: must be integers with commas between them']),
    (['--stage_filters=8,8'], ['stage_filters, stage_blocks and stage_strides must have one entry a stage']),
    (['--batch_size=0'], ['--batch_size=0']),
    (['--validation_images=0'], ['--validation_images must be a count above 1, or a fraction between 0 and 1, got 0']),
    (['--validation_images=10.5'], ['--validation_images must be', 'got 10.5']),
    (['--architecture_optimizer=evolution'], ['--architecture_optimizer=evolution', 'reinforce', 'gradient']),
    (['--objective=penalty_log'], ['--objective=penalty_log serves --architecture_optimizer=gradient, gumbel or straight_through, '
                                   'not reinforce, which goes with constrained, reward_power or reward_absolute']),
    (['--objective=penalty_lag'], ['--objective=penalty_lag: must be one of constrained, ', "; did you mean 'penalty_log'"]),
    (['--objective=reward_power', '--architecture_optimizer=gradient'], ['--objective=reward_power serves', 'not gradient']),
    (['--latency_table=pixel1_tflite_float'], ['--latency_table is for a latency, not for --target_macs']),
    (['--momentum=1'], ['flag --momentum=1: must be a number, at least 0, below 1']),
])
def test_flags(tmp_path, flags, messages):
  runs.check_mistake(refuse(tmp_path, *runs.TINY, *flags), *messages)
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('flags, messages', [
    (['--target_latency_ms=29.5'], ['--target_latency_ms=29.5 is below the smallest network of the space, 29.6']),
    (['--target_latency_ms=-80'], ['--target_latency_ms must be a positive number, got -80']),
    (['--latency_table=pixel1_tflite_flaot'], ['pixel1_tflite_flaot', "did you mean 'pixel1_tflite_float.json'?"]),
    (['--latency_table=hos'], ["latency table 'hos' is neither a file nor one of those shipped", "did you mean 'host'?"]),
    (['--latency_table=pixel2_int8_estimat_lpirc'], ["did you mean 'pixel2_int8_estimate_lpirc'"]),
    (['--latency_table='], ['--target_latency_ms needs a --latency_table']),
    (['--width_multiplier=1.4'], ["latency table 'pixel1_tflite_float' lacks 70 of the 70 entries that 'proxyless' needs"]),
])
def test_latencies(tmp_path, flags, messages):
  runs.check_mistake(refuse(tmp_path, *MOBILE, *flags), *messages)


def test_all_missing_entries_are_listed(tmp_path):
  table = table_lib.load(PIXEL_1)
  missing = [entry.signature for entry in table.entries[10:40:7]]
  entries = tuple(entry for entry in table.entries if entry.signature not in missing)
  table_lib.save(dataclasses.replace(table, entries=entries), tmp_path / 'table.json')
  result = refuse(tmp_path, *MOBILE, f'--latency_table={tmp_path / "table.json"}')
  runs.check_mistake(result, f'lacks {len(missing)} of the', *map(str, missing))


@pytest.mark.parametrize('content, message', [
    (PIXEL_1.read_text()[:2000], 'not JSON, or truncated'),
    ('[' * 100_000 + ']' * 100_000, 'nested deeper than 32 levels'),
    ('{"schema": "tf_proxyless/architecture", "version": 1}', 'schema and version must be'),
])
def test_tables_that_are_none(tmp_path, content, message):
  (tmp_path / 'table.json').write_text(content, encoding='latin-1')
  runs.check_mistake(refuse(tmp_path, *MOBILE, '--latency_table=table.json'), 'table.json', message)


def test_a_run_directory_below_a_file(tmp_path):
  (tmp_path / 'file').write_text('')
  runs.check_mistake(refuse(tmp_path, *runs.TINY, f'--run_dir={tmp_path / "file" / "run"}'), str(tmp_path / 'file'))


@pytest.mark.parametrize('below', ['', 'run'])
def test_a_run_directory_without_permission(tmp_path, below):
  (tmp_path / 'locked').mkdir()
  for path in (tmp_path / 'locked', *list(tmp_path.parents)[:2]):
    path.chmod(0o555)
  try:
    result = refuse(tmp_path, *runs.TINY, f'--run_dir={tmp_path / "locked" / below}', '--as-nobody', environment=runs.environment())
  finally:
    for path in (tmp_path / 'locked', *list(tmp_path.parents)[:2]):
      path.chmod(0o700)
  runs.check_mistake(result, str(tmp_path / 'locked'), 'ermission denied')


def test_another_run(tmp_path):
  """A run that has a checkpoint refuses other settings, all of which are named; one that has none begins anew."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  run.create()
  run.claim({'seed': 1})
  result = refuse(tmp_path, *runs.TINY)
  assert "import of tensorflow halted" in result.stderr  # that far
  (run.checkpoints / 'ckpt-3.index').write_bytes(b'')
  runs.check_mistake(refuse(tmp_path, *runs.TINY), 'seed was 1, is now 0', 'batch_size was None, is now 128', 'choose another --run_dir')
  run.identity.write_text('{}')
  runs.check_mistake(refuse(tmp_path, *runs.TINY), str(run.identity))


@pytest.mark.parametrize('flag, message', [
    ('--dataset=digitz', 'digitz'),
    pytest.param('--batch_size=5000', 'batch_size must be an integer from 1 to 1150', marks=pytest.mark.long),
    pytest.param('--validation_images=5000', 'leaves nothing to train on', marks=pytest.mark.long),
])
def test_mistakes_that_the_dataset_tells(tmp_path, data_dir, flag, message):
  result = runs.run(*runs.TINY, f'--run_dir={tmp_path / "run"}', f'--data_dir={data_dir}', flag)
  runs.check_mistake(result, message)
  assert not list((tmp_path / 'run').glob('checkpoints/*'))


@pytest.mark.long
def test_a_target_above_the_largest_network_is_one_line(tmp_path, data_dir):
  """In a directory where a mistaken command came first."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  run.create()
  run.claim({'batch_size': 10**6})
  result = runs.run(*runs.TINY, f'--run_dir={run.path}', f'--data_dir={data_dir}', '--target_macs=1e6', '--warmup_epochs=1',
                    '--search_epochs=2')
  assert result.returncode == 0, result.stderr
  assert result.stderr.count('\n') == 1 and 'the target 1.00 M MACs is not below the largest network, 0.43 M MACs' in result.stderr
  assert json.loads(run.status.read_text())['state'] == 'finished'
  assert run.architecture.exists()


@pytest.mark.parametrize('flags, message', [
    (['--batch_size=1700'], 'error: batch_size must be an integer from 1 to 1077, the number of training images, got 1700'),
    pytest.param(['--validation_batch_size=400'], 'the number of validation images, got 400; set --validation_batch_size, or enlarge',
                 marks=pytest.mark.long),
    pytest.param(['--warmup_epochs=1', '--search_epochs=1'], 'error: the architecture would never be updated: 1 search epochs of 8 steps',
                 marks=pytest.mark.long),
    (['--search_space=fbnet_v2', '--resolution=32', '--architecture_optimizer=gradient'], 'two paths need decisions .*; use reinforce'),
])
def test_what_the_images_cannot_do_is_said_before_operations_are_measured(flags, message, tmp_path):
  result = runs.run('--dataset=digits', '--validation_images=360', '--batch_size=128', '--validation_batch_size=200',
                    '--latency_table=host', '--target_latency_fraction=0.5', f'--cache_dir={tmp_path / "cache"}',
                    f'--run_dir={tmp_path / "run"}', '--resolution=32', *flags)
  assert result.returncode == 2 and re.search(message, result.stderr.splitlines()[-1])
  assert 'measuring' not in result.stderr and not (tmp_path / 'cache').exists()
