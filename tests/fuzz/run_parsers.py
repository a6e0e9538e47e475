"""What runs keep in their directories, and read when they continue."""

from __future__ import annotations

import json
import pathlib

from tests.fuzz import harness
from tests.fuzz.harness import put
from tf_proxyless.app import models
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import run_directory
from tf_proxyless.measure import measurements
from tools.experiments import specialization_runs

calibrate_latency_table = harness.tool('calibrate_latency_table')
quickstart = harness.tool('quickstart')

_IDENTITY = {'dataset': 'digits', 'seed': 1, 'space': 'ab', 'validation_images': 0.2, 'objective': None}


def _body(kind: str, **body) -> bytes:
  return json.dumps({'schema': f'tf_proxyless/{kind}', 'version': 1, **body}).encode()


def _run(folder: pathlib.Path) -> run_directory.RunDirectory:
  run = run_directory.RunDirectory(folder)
  run.checkpoints.mkdir(exist_ok=True)
  (run.checkpoints / 'ckpt-1.index').touch()
  return run


def _identity(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'identity.json')
  _run(folder).check(_IDENTITY)


def _status(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'status.json')
  assert _run(folder).read_status()['state'] in run_directory.STATES


def _history(content: bytes, folder: pathlib.Path) -> None:
  path = put(content, folder, 'history.jsonl')
  run = run_directory.RunDirectory(folder)
  entries = run.read_history()
  sum(entry['seconds'] for entry in entries)
  with harness.accepted():
    run.rewind_history(2)
    again = run.read_history()
  assert again == [entry for entry in entries if entry['epoch'] < 2]
  path.unlink()


def _results(content: bytes, folder: pathlib.Path) -> None:
  found = models.read_results(put(content, folder, 'results.json'))
  assert 0 <= found.get('float_test_top1', 0) <= 1 and all(len(name.splitlines()) < 2 for name in found.get('class_names', ()))


def _stages(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'stages.json')
  quickstart.Pipeline(folder).plan([quickstart.Stage('search', ('-m', 'tf_proxyless.search'), 1.0)])


def _measurements(content: bytes, folder: pathlib.Path) -> None:
  found = measurements.read(put(content, folder, 'measurements.json'))
  f'{found["reference"]["drift_percent"]:.1f}'
  for figures in found['models'].values():
    table_lib.LatencyStats('measured', **{key: figures[key] for key in ('median_ms', 'p5_ms', 'p95_ms', 'mean_ms', 'std_ms', 'runs')})


def _calibration(content: bytes, folder: pathlib.Path) -> None:
  runtime = table_lib.Runtime('Pixel 2', 'int8', 'builtin', threads=1)
  measured = calibrate_latency_table.read_measurements(put(content, folder, 'measurements.json'), runtime)
  assert all(item.latency_ms > 0 for item in measured)


def _training(content: bytes, folder: pathlib.Path) -> None:
  assert 0 <= specialization_runs.read_training(put(content, folder, 'x_0.json')) <= 1


def _measured(content: bytes, folder: pathlib.Path) -> None:
  found, drift_percent = specialization_runs.read_measured(put(content, folder, 'x.json'), ('proxyless_mobile',))
  assert found['proxyless_mobile'] > 0 and drift_percent >= 0


def _settings(content: bytes, folder: pathlib.Path) -> None:
  specialization_runs.check_same(put(content, folder, 'settings.json'), _IDENTITY)


def measured() -> dict:
  """What android_benchmark writes of one network."""
  launch = {'mean_ms': 1.5, 'median_ms': 1.25, 'p5_ms': 1.0, 'p95_ms': 2.0, 'std_ms': 0.25, 'min_ms': 1.0, 'runs': 20}
  health = {'time': 'then', 'battery_percent': 87.0, 'battery_temperature_c': 29.1, 'thermal_status': 0, 'cpu_temperature_c': None,
            'cpu_khz': [300000, 300000], 'load': None}
  return {
      'schema': 'android_benchmark/measurements', 'version': 1,
      'settings': {'threads': 1, 'core_mask': None, 'kernels': 'builtin', 'num_runs': 20, 'min_secs': 0.3, 'warmup_secs': 0.1, 'rounds': 2,
                   'seed': 0, 'max_drift_percent': 3.0},
      'started': 'then', 'finished': 'now', 'seconds': 12.5,
      'reference': {'model': 'proxyless_mobile', 'median_ms': 1.25, 'drift_percent': 0.5, 'drift_before_repeats_percent': 0.5,
                    'repeated_blocks': 0, 'readings_ms': [1.25, 1.25]},
      'models': {'proxyless_mobile': {'sha256': 'ab' * 32, **launch, 'launches': [{'round': 0, **launch}, {'round': 1, **launch}]}},
      'failed': {}, 'health': [health], 'warnings': [],
      'device': {'model': 'Pixel 2', 'serial': 'FA7AX1A00123', 'soc': 'msm8998', 'system': 'Android 11', 'cores': 8},
      'benchmark': {'tool': 'benchmark_model', 'version': None, 'sha256': 'ab' * 32}}


def _by_hand() -> bytes:
  models = {'proxyless_cpu': {'median_ms': 94.0}}
  found = {'device': {'model': 'Pixel 2'}, 'settings': {'kernels': 'builtin', 'threads': 1}, 'models': models}
  return json.dumps({'schema': 'android_benchmark/measurements', 'version': 1, **found}).encode()


def _history_lines() -> bytes:
  entries = [{'epoch': -1, 'phase': 'calibration', 'test_top1': 0.5, 'seconds': 0.0}]
  probabilities = {'blocks/a/op': [0.25, 0.75]}
  entries += [{'epoch': epoch, 'phase': 'search', 'loss': 0.5, 'accuracy': 0.75, 'probabilities': probabilities, 'seconds': 1.5}
              for epoch in range(4)]
  return b''.join(json.dumps(entry).encode() + b'\n' for entry in entries)


_RESULTS = _body(
    'training_results', test_top1=0.9, test_top5=1.0, test_loss=0.25, test_images=360, validation_top1=0.9, validation_top5=1.0,
    validation_loss=0.3, validation_images=100, float_test_top1=0.95, calibrated_test_top1=0.5, epochs=5, dataset='digits',
    class_names=['0', '1', '2'], resolution=32, seed=0, seconds=12.5, versions={'numpy': '2'},
    preprocessing={'augmentation': 'basic', 'color_jitter': None, 'input_range': [0.0, 1.0], 'input_normalization': None})

PARSERS = (
    harness.Parser('identity of a run', ('tf_proxyless.infra.run_directory',), 'json', lambda: [_body('run_identity', identity=_IDENTITY)],
                   _identity),
    harness.Parser('status of a run', ('tf_proxyless.infra.run_directory', 'tools.tune'), 'json',
                   lambda: [_body('status', state='finished', epochs=5), _body('status', state='failed', reason='x')], _status),
    harness.Parser('history', ('tf_proxyless.infra.run_directory',), 'json lines', lambda: [_history_lines()], _history),
    harness.Parser('results', ('tf_proxyless.app.models', 'tools.tune', 'tools.quantize', 'tools.export_tflite'), 'json',
                   lambda: [_RESULTS], _results),
    harness.Parser('stages', ('tools.quickstart',), 'json', lambda: [
        _body('stages', finished={'search': ['-m', 'tf_proxyless.search'], 'train found': ['-m', 'x', '--y=1']})], _stages),
    harness.Parser('measurements', ('tf_proxyless.measure.measurements', 'tf_proxyless.measure.table_builder'), 'json',
                   lambda: [json.dumps(measured()).encode()], _measurements),
    harness.Parser('measurements to calibrate with', ('tools.calibrate_latency_table',), 'json',
                   lambda: [json.dumps(measured()).encode(), _by_hand()], _calibration, (ValueError, KeyError, OSError)),
    harness.Parser('training of a matrix', ('tools.experiments.specialization_runs',), 'json', lambda: [
        _body('specialization_matrix_training', network={'name': 'x'}, seed=0, test_accuracy=0.9, history=[{'loss': 0.5}])], _training),
    harness.Parser('measurements of a matrix', ('tools.experiments.specialization_runs',), 'json', lambda: [
        _body('specialization_matrix_measurements', measurements=measured())], _measured),
    harness.Parser('settings of a matrix', ('tools.experiments.specialization_runs',), 'json', lambda: [
        _body('specialization_matrix_settings', settings=_IDENTITY)], _settings),
)
