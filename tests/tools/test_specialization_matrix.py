"""tools/specialization_matrix.py: mistakes as a user sees them, and the whole path on a tiny space with everything but the clock real."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from tests.search import runs

ROOT = pathlib.Path(__file__).parents[2]

# Small and short: what it finds means nothing. But networks of such different size that noise cannot reverse their order.
TINY = (
    '--dataset=digits', '--validation_images=0.2', '--resolution=8', '--stem_filters=8', '--stem_strides=1',
    '--first_block_filters=8', '--stage_filters=8', '--stage_blocks=6', '--stage_strides=1', '--head_filters=16',
    '--latency_table=host', '--target_latency_fraction=0.5', '--batch_size=128', '--validation_batch_size=100', '--warmup_epochs=1',
    '--search_epochs=2', '--weight_steps_per_update=2', '--table_rounds=1', '--rounds=1', '--min_secs=0.01', '--training_seeds=1',
    '--training_epochs=1')


def matrix(*arguments, limit_s=120):
  return subprocess.run([sys.executable, str(ROOT / 'tools' / 'specialization_matrix.py'), *map(str, arguments)], capture_output=True,
                        text=True, env=runs.environment(), timeout=limit_s)


def test_mistakes(tmp_path):
  runs.check_mistake(matrix(), '--work_dir is required')
  runs.check_mistake(matrix(f'--work_dir={tmp_path}'), 'is --flagfile=specialization.flags missing?')
  runs.check_mistake(matrix(f'--work_dir={tmp_path}', *TINY, '--target_macs=1e6'), 'exactly one of')
  runs.check_mistake(matrix(f'--work_dir={tmp_path}', '--target_latency_fraction=0.5'), '--dataset is required')


def test_results_of_other_settings_are_not_mixed(tmp_path):
  (tmp_path / 'settings.json').write_text(json.dumps({
      'schema': 'tf_proxyless/specialization_matrix_settings', 'version': 1, 'settings': {'training_epochs': 7}}))
  runs.check_mistake(matrix(f'--work_dir={tmp_path}', *TINY), 'holds results of other settings', "epochs was None, is now 1")


@pytest.mark.long
def test_the_whole_path(tmp_path, data_dir):
  arguments = (*TINY, f'--work_dir={tmp_path}', f'--data_dir={data_dir}')
  result = matrix(*arguments, '--json', limit_s=900)
  assert result.returncode == 0, result.stderr
  found = json.loads(result.stdout)
  runtimes = ['float_xnnpack', 'int8_builtin', 'int8_xnnpack']
  assert [network['runtime'] for network in found['networks']] == runtimes == list(found['budgets_ms'])
  for network in found['networks']:
    assert 0 < network['accuracies'][0] < 1 and len(network['accuracies']) == 1
    assert set(network['cells']) == set(runtimes)
    own = network['cells'][network['runtime']]
    assert 0 < own['predicted_ms'] <= found['budgets_ms'][network['runtime']] and own['measured_ms'] > 0
  assert [verdict['runtime'] for verdict in found['verdicts']] == runtimes
  assert found['conclusion'].startswith('specialisation is')
  files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.json') if path.name not in ('matrix.json', 'settings.json')}
  again = matrix(*arguments)
  assert again.returncode == 0 and again.stdout.splitlines()[3].startswith('searched for')
  assert {path: path.stat().st_mtime_ns for path in files} == files, 'nothing is made again'


def test_runtimes_have_their_own_flags(tmp_path):
  from tf_proxyless.app import config as config_lib
  from tf_proxyless.app import flags
  from tools.experiments import specialization_runs

  settings = specialization_runs.Settings(tmp_path, flags.from_flagfile(TINY[:-5], config_lib.SearchConfig), 1, 0.1, 1, 1, 1, 0.1, 1e-3)
  found = {runtime: specialization_runs.search_config(settings, runtime) for runtime in specialization_runs.RUNTIMES}
  targets = [config.target for config in found.values()]
  assert len({config.run_dir for config in found.values()}) == len({target.latency_table for target in targets}) == 3
  assert {(target.expected_precision, target.expected_kernels) for target in targets} == set(specialization_runs.RUNTIMES.values())
  assert {target.target_latency_fraction for target in targets} == {0.5}
