"""tools/specialization_matrix.py: verdicts, mistakes as a user sees them, and the whole path on a tiny space."""

import functools
import json

import pytest

from tests.search import runs
from tools import specialization_matrix

# Small and short: what it finds means nothing. But networks of such different size that noise cannot reverse their order.
TINY = (
    '--dataset=digits', '--validation_images=0.2', '--resolution=8', '--stem_filters=8', '--stem_strides=1',
    '--first_block_filters=8', '--stage_filters=8', '--stage_blocks=6', '--stage_strides=1', '--head_filters=16',
    '--target_latency_fraction=0.5', '--batch_size=128', '--validation_batch_size=100', '--warmup_epochs=1',
    '--search_epochs=2', '--weight_steps_per_update=2', '--table_rounds=1', '--rounds=1', '--min_secs=0.01', '--training_seeds=1',
    '--training_epochs=1')


matrix = functools.partial(runs.tool, 'specialization_matrix')


@pytest.mark.parametrize('accuracies, times, outcome, within', [
    ({'a': [0.80, 0.81], 'b': [0.90, 0.91]}, {'a': 9.0, 'b': 11.0}, 'holds', ['a']),
    ({'a': [0.80, 0.81], 'b': [0.70, 0.71]}, {'a': 9.0, 'b': 9.0}, 'holds', ['a', 'b']),
    ({'a': [0.80, 0.81], 'b': [0.90, 0.91]}, {'a': 9.0, 'b': 9.0}, 'fails', ['a', 'b']),
    ({'a': [0.80, 0.81], 'b': [0.80, 0.81]}, {'a': 9.0, 'b': 9.0}, 'tie', ['a', 'b']),
    ({'a': [0.90, 0.91], 'b': [0.70, 0.71]}, {'a': 11.0, 'b': 9.0}, 'fails', ['b']),
])
def test_verdicts(accuracies, times, outcome, within):
  found = specialization_matrix.judge('a', accuracies, times, budget_ms=10.0)
  assert (found['outcome'], found['within']) == (outcome, within)


def test_mistakes(tmp_path):
  runs.check_mistake(matrix(), '--work_dir is required')
  runs.check_mistake(matrix(f'--work_dir={tmp_path}', '--dataset=digits'), 'is --flagfile=specialization.flags missing?')
  runs.check_mistake(matrix(f'--work_dir={tmp_path}', '--dataset=digits', '--designer=genetic'), '--designer=genetic: what is compared')


@pytest.mark.by_hand
def test_the_whole_path(tmp_path, data_dir):
  arguments = (*TINY, f'--work_dir={tmp_path}', f'--data_dir={data_dir}')
  result = matrix(*arguments, '--json', limit_s=900)
  assert result.returncode == 0, result.stderr
  found = json.loads(result.stdout[result.stdout.index('{\n  "budgets_ms"'):])
  runtimes = list(specialization_matrix.RUNTIMES)
  assert [verdict['runtime'] for verdict in found['verdicts']] == runtimes
  for runtime in runtimes:
    assert 0 < found['predicted_ms'][runtime][runtime] <= found['budgets_ms'][runtime]
    assert all(ms > 0 for ms in found['measured_ms'][runtime].values()) and 0 < found['accuracies'][runtime][0] < 1
  tables = {path: path.stat().st_mtime_ns for path in (tmp_path / 'tables').glob('*.json')}
  again = matrix(*arguments, limit_s=300)
  assert again.returncode == 0 and 'int8_builtin: ' in again.stdout
  assert {path: path.stat().st_mtime_ns for path in tables} == tables, 'nothing is measured again'
