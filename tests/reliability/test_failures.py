"""Searches and trainings whose numbers go wrong, as a user meets them: real processes. The rules themselves: test_numbers.py."""

import json

import numpy as np
from PIL import Image
import pytest

from tests.search import runs as search_runs
from tests.train import runs as train_runs
from tf_proxyless.search import run_directory

pytestmark = pytest.mark.long


def check_failed(run, result, reason):
  """One line, exit code 2, status.json; the same command says it again before it loads anything."""
  search_runs.check_mistake(result, reason)
  status = json.loads(run.status.read_text())
  assert status['state'] == 'failed' and status['repeats'] and reason in status['reason']
  assert f'error: {status["reason"]}\n' == result.stderr


@pytest.mark.parametrize('optimizer, more, reason', [
    ('gradient', '--search_learning_rate=1e30', 'epoch 2, step 1: the loss became'),
    ('reinforce', '--architecture_learning_rate=100', 'epoch 3, step 1: the architecture parameters of blocks/block_1/op lie'),
])
def test_searches_fail_in_one_line_and_only_once(tmp_path, data_dir, optimizer, more, reason):
  flags = (*search_runs.TINY, f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}', f'--run_dir={tmp_path / "run"}')
  run = run_directory.RunDirectory(tmp_path / 'run')
  check_failed(run, search_runs.run(*flags, more), reason)
  history = run.history.read_bytes()
  again = search_runs.run(*flags, more)
  search_runs.check_mistake(again, f'{run.path} failed, and the same settings would fail again: ', reason, f'delete {run.status}')
  assert run.history.read_bytes() == history


def test_images_that_tell_nothing_stop_a_search(tmp_path):
  """Black images of two classes: every network says the same of each."""
  for part, images in (('train', 60), ('test', 4)):
    for label in ('left', 'right'):
      folder = tmp_path / 'black' / part / label
      folder.mkdir(parents=True)
      for i in range(images):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / f'{i}.png')
  flags = (*search_runs.TINY, f'--dataset=folder:{tmp_path / "black"}', '--augmentation=none', '--batch_size=8',
           '--validation_batch_size=16', '--warmup_epochs=1', '--search_epochs=30', '--weight_steps_per_update=1',
           f'--run_dir={tmp_path / "run"}')
  run = run_directory.RunDirectory(tmp_path / 'run')
  check_failed(run, search_runs.run(*flags), 'in each of the last 100 updates all networks scored alike (')
  updates = run.read_history()[-1]['updates']
  assert 100 <= updates < 130


def test_a_search_that_collapses_to_skips_says_so_and_stops(tmp_path, data_dir):
  """An objective that pays for cheapness alone."""
  flags = (*search_runs.TINY, f'--data_dir={data_dir}', '--objective=reward_power', '--reward_exponent=20', '--warmup_epochs=0',
           '--search_epochs=60', '--weight_steps_per_update=1', '--architecture_learning_rate=0.3', f'--run_dir={tmp_path / "run"}')
  result = search_runs.run(*flags)
  warnings = [line for line in result.stderr.splitlines() if 'the search has collapsed to skips: 2 decisions (blocks/block_1/op' in line]
  assert result.returncode == 2 and len(warnings) == 10, result.stderr
  assert 'for 10 epochs; raise --warmup_epochs' in warnings[-1] and warnings[-1].startswith('error: epoch ')


def test_trainings_fail_in_one_line_and_only_once(tmp_path, data_dir):
  architecture = train_runs.architecture(tmp_path / 'tiny.json')
  flags = (*train_runs.TINY, f'--architecture={architecture}', f'--data_dir={data_dir}', f'--run_dir={tmp_path / "run"}',
           '--learning_rate=1e30')
  run = run_directory.RunDirectory(tmp_path / 'run')
  check_failed(run, train_runs.run(*flags), 'epoch 0, before step 4: the loss became')
  search_runs.check_mistake(train_runs.run(*flags), f'{run.path} failed, and the same settings would fail again: epoch 0')
