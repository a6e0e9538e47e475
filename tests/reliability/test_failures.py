"""Searches and trainings whose numbers go wrong, as a user meets them: real processes. The rules themselves: test_numbers.py."""

import json

import pytest

from tests.search import runs as search_runs
from tests.train import runs as train_runs
from tf_proxyless.app import config
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.search import run_directory

pytestmark = pytest.mark.long


def check_failed(run, result, reason):
  """One line, exit code 2, status.json; the same command says it again before it loads anything."""
  search_runs.check_mistake(result, reason, work_began=True)
  status = json.loads(run.status.read_text())
  assert status['state'] == 'failed' and status['repeats'] and reason in status['reason']
  names = {*options.options(config.SearchConfig), *options.options(config.TrainConfig)}
  assert f'error: {flags.names_as_flags(status["reason"], names)}\n' == result.stderr


@pytest.mark.parametrize('optimizer, more, reason', [
    ('gradient', '--search_learning_rate=1e30', 'epoch 2, step 1: the loss became'),
    ('reinforce', '--architecture_learning_rate=100', 'epoch 3, step 1: the architecture parameters of blocks/block_1/op lie'),
])
def test_searches_fail_in_one_line_and_only_once(tmp_path, data_dir, optimizer, more, reason):
  arguments = (*search_runs.TINY, f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}', f'--run_dir={tmp_path / "run"}')
  run = run_directory.RunDirectory(tmp_path / 'run')
  check_failed(run, search_runs.run(*arguments, more), reason)
  history = run.history.read_bytes()
  again = search_runs.run(*arguments, more)
  search_runs.check_mistake(again, f'{run.path} failed, and the same settings would fail again: ', reason, f'delete {run.status}')
  assert run.history.read_bytes() == history


def test_trainings_fail_in_one_line_and_only_once(tmp_path, data_dir):
  architecture = train_runs.architecture(tmp_path / 'tiny.json')
  arguments = (*train_runs.TINY, f'--architecture={architecture}', f'--data_dir={data_dir}', f'--run_dir={tmp_path / "run"}',
               '--learning_rate=1e30')
  run = run_directory.RunDirectory(tmp_path / 'run')
  check_failed(run, train_runs.run(*arguments), 'epoch 0, before step 4: the loss became')
  search_runs.check_mistake(train_runs.run(*arguments), f'{run.path} failed, and the same settings would fail again: epoch 0')
