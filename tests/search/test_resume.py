"""An interrupted search ends as an uninterrupted one, bit for bit: real processes, killed where it hurts."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf

from tests.search import runs
from tf_proxyless.search import run_directory

OPTIMIZERS = ('reinforce', 'gradient')
# Of runs.TINY, an epoch has 8 steps, and checkpoints are made after the third, the sixth and the last.
CHECKPOINTS_AN_EPOCH = 3
WARMUP, JOINT = 0 * CHECKPOINTS_AN_EPOCH + 2, 3 * CHECKPOINTS_AN_EPOCH + 2  # of the first and the fourth epoch, in their midst


def flags_of(path, data_dir, optimizer):
  return (*runs.TINY, f'--run_dir={path}', f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}')


def finish(flags):
  result = runs.run(*flags)
  assert (result.returncode, result.stderr) == (0, ''), result.stderr
  return result.stdout


def variables(run):
  """Every variable of the newest checkpoint by its name."""
  reader = tf.train.load_checkpoint(run.newest_checkpoint())
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
          if name != '_CHECKPOINTABLE_OBJECT_GRAPH'}


def history(run):
  return [{name: value for name, value in entry.items() if name != 'seconds'} for entry in run.read_history()]


def check_equal(run, whole):
  """Same architecture, history, samples, weights, momenta, alphas, multiplier and so on."""
  assert history(run) == history(whole)
  for name in ('architecture', 'derivation', 'samples', 'search_space', 'identity'):
    assert getattr(run, name).read_bytes() == getattr(whole, name).read_bytes(), name
  found, expected = variables(run), variables(whole)
  assert found.keys() == expected.keys() and len(found) > 50
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)
  assert json.loads(run.status.read_text())['state'] == 'finished'


@pytest.fixture(scope='module')
def whole_runs(tmp_path_factory, data_dir):
  """Uninterrupted runs by optimizer, made when first asked for."""
  made = {}

  def get(optimizer):
    if optimizer not in made:
      run = run_directory.RunDirectory(tmp_path_factory.mktemp('whole') / optimizer)
      finish(flags_of(run.path, data_dir, optimizer))
      made[optimizer] = run
    return made[optimizer]

  return get


def kill_at(flags, run, number):
  """Kills the search once it has made its checkpoint `number`; the next steps are lost."""
  result = runs.stop_when(runs.start(*flags), lambda: runs.checkpoint_number(run) >= number, signal.SIGKILL)
  assert result.returncode == -signal.SIGKILL
  assert not run.architecture.exists()


@pytest.mark.long  # the quick tests have tests/reliability/test_kills.py
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_killed_in_warm_up_and_in_the_joint_phase(tmp_path, data_dir, whole_runs, optimizer):
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, optimizer)
  for number, epochs in ((WARMUP, 0), (JOINT, 3)):
    kill_at(flags, run, number)
    assert epochs <= len(run.read_history()) < 5
  finish(flags)
  check_equal(run, whole_runs(optimizer))


@pytest.mark.long
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_killed_at_every_checkpoint(tmp_path, data_dir, whole_runs, optimizer):
  """Before the first one and between the writing of one file and the next, wherever the signal falls."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, optimizer)
  result = runs.stop_when(runs.start(*flags), run.identity.exists, signal.SIGKILL)
  assert result.returncode == -signal.SIGKILL and run.newest_checkpoint() is None
  for number in (1, 3, 4, 7, 9, 10, 12, 14):
    kill_at(flags, run, number)
  finish(flags)
  check_equal(run, whole_runs(optimizer))


@pytest.mark.long
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
@pytest.mark.parametrize('after', [0, JOINT])
def test_signals_save(tmp_path, data_dir, whole_runs, optimizer, number, code, after):
  """SIGTERM saves and exits with 0, Ctrl-C with 130; the same command continues from that very step."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, optimizer)
  reached = run.split.exists if after == 0 else lambda: runs.checkpoint_number(run) >= after
  result = runs.stop_when(runs.start(*flags), reached, number)
  assert (result.returncode, result.stdout) == (code, ''), result.stderr
  status = json.loads(run.status.read_text())
  assert status['state'] == 'interrupted'
  if after or 'for lack of time' not in result.stderr:  # a busy machine may need more than eight seconds to trace the first step
    assert result.stderr == f'stopped and saved; the same command continues in {run.path}\n'
    saved = variables(run)
    assert [int(saved[f'progress/{name}/.ATTRIBUTES/VARIABLE_VALUE']) for name in ('epoch', 'step')] == [status['epoch'], status['step']]
  finish(flags)
  check_equal(run, whole_runs(optimizer))


@pytest.mark.long
@pytest.mark.parametrize('number, code', [(signal.SIGKILL, -9), (signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_stopped_while_scoring(tmp_path, data_dir, whole_runs, number, code):
  """The gradient rule scores networks after the search; what was scored stays."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, 'gradient')
  whole = whole_runs('gradient')
  header = len(whole.samples.read_bytes().split(b'\n', 1)[0]) + 1
  some = lambda: run.samples.exists() and run.samples.stat().st_size > header
  result = runs.stop_when(runs.start(*flags), some, number)
  assert result.returncode == code, result.stderr
  assert header < run.samples.stat().st_size < whole.samples.stat().st_size
  finish(flags)
  check_equal(run, whole)


@pytest.mark.long
def test_a_finished_run_says_the_same_again(tmp_path, data_dir, whole_runs):
  whole = whole_runs('gradient')
  before = {name: getattr(whole, name).read_bytes() for name in ('architecture', 'samples', 'derivation', 'history')}
  first = finish(flags_of(whole.path, data_dir, 'gradient'))
  assert finish(flags_of(whole.path, data_dir, 'gradient')) == first and str(whole.architecture) in first
  assert before == {name: getattr(whole, name).read_bytes() for name in before}
