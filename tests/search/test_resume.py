"""A stopped search saves and then ends as one that was not stopped, bit for bit. Kills: tests/reliability/test_kills.py."""

import json
import signal

import numpy as np
import pytest

from tests.search import runs
from tf_proxyless.search import run_directory

# Of runs.TINY, an epoch has 8 steps, and checkpoints are made after the third, the sixth and the last.
CHECKPOINTS_AN_EPOCH = 3
JOINT = 3 * CHECKPOINTS_AN_EPOCH + 2  # in the middle of the fourth epoch


def flags_of(path, data_dir, optimizer, precision='float32'):
  return (*runs.TINY, f'--run_dir={path}', f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}', f'--precision={precision}')


def finish(flags):
  result = runs.run(*flags)
  assert (result.returncode, result.stderr) == (0, ''), result.stderr
  return result.stdout


def check_equal(run, whole):
  """Same architecture, history, samples, weights, momenta, alphas, multiplier and so on."""
  assert runs.history(run) == runs.history(whole)
  for name in ('architecture', 'derivation', 'samples', 'search_space', 'identity'):
    assert getattr(run, name).read_bytes() == getattr(whole, name).read_bytes(), name
  found, expected = runs.variables(run), runs.variables(whole)
  assert found.keys() == expected.keys() and len(found) > 50
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)
  assert json.loads(run.status.read_text())['state'] == 'finished'


@pytest.fixture(scope='module')
def whole_runs(tmp_path_factory, data_dir):
  """Uninterrupted runs by optimizer and precision, made when first asked for."""
  made = {}

  def get(*kind):
    if kind not in made:
      run = run_directory.RunDirectory(tmp_path_factory.mktemp('whole') / kind[0])
      finish(flags_of(run.path, data_dir, *kind))
      made[kind] = run
    return made[kind]

  return get


@pytest.mark.long
@pytest.mark.parametrize('number, code, after, kind', [
    (signal.SIGTERM, 0, JOINT, ('reinforce', 'float32')), (signal.SIGINT, 130, 0, ('reinforce', 'float32')),
    pytest.param(signal.SIGTERM, 0, JOINT, ('gradient', 'mixed_float16'), marks=pytest.mark.by_hand)])
def test_signals_save(tmp_path, data_dir, whole_runs, kind, number, code, after):
  """SIGTERM saves and exits with 0, Ctrl-C with 130; the same command continues from that very step."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, *kind)
  reached = run.split.exists if after == 0 else lambda: runs.checkpoint_number(run) >= after
  result = runs.stop_when(runs.start(*flags), reached, number)
  assert (result.returncode, runs.results(result)) == (code, []), result.stderr
  status = json.loads(run.status.read_text())
  assert status['state'] == 'interrupted'
  if after or 'for lack of time' not in result.stderr:  # a busy machine may need more than eight seconds to trace the first step
    assert result.stderr == f'stopped and saved; the same command continues in {run.path}\n'
    saved = runs.variables(run)
    assert [int(saved[f'progress/{name}/.ATTRIBUTES/VARIABLE_VALUE']) for name in ('epoch', 'step')] == [status['epoch'], status['step']]
  finish(flags)
  check_equal(run, whole_runs(*kind))


@pytest.mark.long
def test_a_finished_run_says_the_same_again(tmp_path, data_dir, whole_runs):
  kind = 'reinforce', 'float32'
  whole = whole_runs(*kind)
  before = {name: getattr(whole, name).read_bytes() for name in ('architecture', 'samples', 'derivation', 'history')}
  first = finish(flags_of(whole.path, data_dir, *kind))
  assert finish(flags_of(whole.path, data_dir, *kind)) == first and str(whole.architecture) in first
  assert before == {name: getattr(whole, name).read_bytes() for name in before}
