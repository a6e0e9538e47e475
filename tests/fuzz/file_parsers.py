"""Files that people write or that runs and tools leave: networks, tables, cards, run directories, arrays, models."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import os
import pathlib
import tempfile

import numpy as np

from tests.fuzz import harness
from tests.fuzz.harness import parser
from tests.fuzz.harness import put
from tests.fuzz.harness import saved
from tests.fuzz.harness import to_json
from tests.report.document import report_runs
from tests.space import official_configs
from tests.space import spaces as coupled
from tf_proxyless.app import architectures
from tf_proxyless.app import comparison
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flagfiles
from tf_proxyless.app import flags
from tf_proxyless.measure import model_card
from tf_proxyless.app import models
from tf_proxyless.app import score_networks
from tf_proxyless.app import tuning
from tf_proxyless.app.commands import calibrate_table
from tf_proxyless.app.commands import describe
from tf_proxyless.app.commands import quickstart
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import safe_zip
from tf_proxyless.measure import measurements
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.document import samples as report_samples
from tf_proxyless.search.predictors import base as predictors_lib
from tf_proxyless.search.predictors import file as predictor_file
from tf_proxyless.search.predictors import gaussian_process
from tf_proxyless.search.predictors import mlps
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published
from tf_proxyless.space import schema

RUNTIME = table_lib.Runtime('Pixel 2', 'int8', 'builtin', threads=1, soc='msm8998', core_mask='10', date='2026-01-02')
_IDENTITY = {'dataset': 'digits', 'seed': 1, 'space': 'ab', 'validation_images': 0.2, 'objective': None}
_NAMES = ('architecture.json', 'derivation.json', 'flags.txt', 'history.jsonl', 'latency_table.json', 'latency_table_proof.json',
          'samples.bin', 'search_space.json', 'status.json')
_FORMATS = {'.json': 'json', '.txt': 'text', '.jsonl': 'json lines', '.bin': 'binary'}


@functools.cache
def run_files() -> dict[str, bytes]:
  """Content by name of the files of a finished search."""
  with tempfile.TemporaryDirectory() as folder:
    run = report_runs.write(pathlib.Path(folder), epochs=3, batches=3)
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}


def _file(name: str):
  return lambda: [run_files()[name]]


def _body(kind: str, **body: object) -> bytes:
  return to_json({'schema': f'tf_proxyless/{kind}', 'version': 1, **body})


def network() -> network_lib.Network:
  """A small network."""
  return schema.resolve(report_runs.SPACE, {path: 1 for path, _ in schema.walk(report_runs.SPACE)})


# --- Networks, tables, cards


@parser('JSON', 'json', lambda: [b'{"a": [1, 2.5, "x", null, true], "b": {"c": {}}}'])
def _json(content: bytes, folder: pathlib.Path) -> None:
  to_json(files.parse_json(content))


def _architectures() -> list[bytes]:
  tree = schema.resolve(coupled.tree(), schema.genotype(coupled.tree(), (2, 1, 3)))
  small = official_configs.SMALL
  configs = [official_configs.tree_config(schema.resolve(small, schema.genotype(small, [i % 7 for i in range(24)]))),
             official_configs.blocks_config(published.network('proxyless_cpu'))]
  return [*_file('architecture.json')(), *(saved(io.save_architecture, io.Architecture(network, {}))
                                           for network in (published.network('proxyless_mobile'), tree)), *map(to_json, configs)]


@parser('architecture', 'json', _architectures, quick=40)
def _architecture(content: bytes, folder: pathlib.Path) -> None:
  found = harness.read_twice(folder / 'architecture.json', content, io.load_architecture, io.save_architecture)
  describe.to_text(describe.describe(found.network, {}), {})
  architectures.digest(found)
  architectures.adapt(found, 'x', found.network.classes, resolution=64)


@parser('search space', 'json', _file('search_space.json'), quick=40)
def _search_space(content: bytes, folder: pathlib.Path) -> None:
  found = harness.read_twice(folder / 'space.json', content, io.load_search_space, io.save_search_space)
  model_lib.from_macs(found)
  schema.cardinality(found)


def _predictors() -> list[bytes]:
  """Of both kinds, on few networks."""
  space = coupled.COUPLED['widths']()
  decisions = schema.decisions(space)
  rng = np.random.default_rng(0)
  paths = np.array([[rng.integers(len(decision.choices)) for decision in decisions] for _ in range(24)])
  paths = np.array([schema.canonical(decisions, path) for path in paths])
  found = []
  for kind in (gaussian_process.GaussianProcess, mlps.MLPs):
    predictor = kind(decisions, paths, 0.5 + 0.1 * rng.random(len(paths)))
    held_out = predictors_lib.HeldOut(*(tuple(predictor.values.tolist()) for _ in range(3)))
    found.append(saved(lambda value, path: predictor_file.save(value[0], space, value[1], path), (predictor, held_out)))
  return found


@parser('predictor', 'json', _predictors, quick=15)
def _predictor(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'predictor.json')
  predictor_file.load_held_out(folder / 'predictor.json')
  predictor, _ = predictor_file.load(folder / 'predictor.json', coupled.COUPLED['widths']())
  mean, deviation = predictor.predict(predictor.paths)
  assert mean.shape == deviation.shape == predictor.values.shape


def _tables() -> list[bytes]:
  energy = dataclasses.replace(report_runs.make_table(), unit='mJ')
  return [run_files()['latency_table.json'], saved(table_lib.save, energy, 'table.json')]


@parser('latency table', 'json', _tables, quick=40)
def _latency_table(content: bytes, folder: pathlib.Path) -> None:
  found = harness.read_twice(folder / 'table.json', content, table_lib.load, table_lib.save)
  assert found.sha256 and found.provenance
  if not found.missing(network_lib.op_signatures(network())):
    tables = {found.unit: found}
    describe.to_text(describe.describe(network(), tables), tables)


@parser('official YAML', 'text', lambda: [saved(official_yaml.save, report_runs.make_table(), 'table.yaml')])
def _yaml(content: bytes, folder: pathlib.Path) -> None:
  found = official_yaml.load(put(content, folder, 'table.yaml'), 'x', RUNTIME)
  with harness.accepted():
    table_lib.save(found, folder / 'again.json')
    assert table_lib.load(folder / 'again.json') == found


@parser('validation of a table', 'json', _file('latency_table_proof.json'))
def _validation(content: bytes, folder: pathlib.Path) -> None:
  to_json([row.error_percent for row in validation_lib.load_rows(put(content, folder, 'proof.json'))])


def _card() -> model_card.ModelCard:
  predicted = model_card.Prediction(1.0, 'host', 'ab' * 32, 'measured', RUNTIME)
  measured = model_card.Measurement(latency_ms=1.25, p5_ms=1.2, p95_ms=1.5, runs=100, rounds=5, drift_percent=0.4, runtime=RUNTIME,
                                    predicted=predicted)
  return model_card.ModelCard(
      'small', {'blocks/block_1/op': 5}, network(), 1_234_567, 8900, 'int8', 'qat', 45678, 'ab' * 32,
      model_card.Tensor((1, 32, 32, 3), 'uint8', 1 / 255, 0), model_card.Tensor((1, 5), 'uint8', 0.1, 90), {'CONV_2D': 11}, 5, False,
      {'numpy': '2'}, {'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}, 'digits', 360, {'float': 0.99, 'qat': 0.985, 'tflite': 0.98},
      {'tflite': 1.0}, {'qat': 0.98, 'ptq': 0.97}, 0.995, 2.0, 1.0, predicted, (measured,))


@parser('model card', 'json', lambda: [saved(model_card.save, _card())])
def _model_card(content: bytes, folder: pathlib.Path) -> None:
  model_card.describe(harness.read_twice(folder / 'card.json', content, model_card.load, model_card.save))


@parser('hyper-parameter', 'text', lambda: [b'learning_rate=0.01:0.4:log', b'epochs=5:30:integer', b'optimizer=sgd|rmsprop'])
def _hyperparameter(content: bytes, folder: pathlib.Path) -> None:
  tuning.parse(content.decode('utf-8', 'replace'))


@parser('flagfile', 'text', lambda: [b'# A run.\n--dataset=digits\n--target_macs=5e5  # MACs\n--flagfile=quickstart.flags\n--nox\n'])
def _flagfile(content: bytes, folder: pathlib.Path) -> None:
  flagfiles.expand([f'--flagfile={put(content, folder, "some.flags")}'])


@parser('flags of a run', 'text', lambda: [b'--dataset=digits\n--target_macs=500000\n--seed=1\n--resolution=32\n'])
def _run_flags(content: bytes, folder: pathlib.Path) -> None:
  flags.read(put(content, folder, 'flags.txt'), config_lib.SearchConfig)


# --- Run directories


def _run(folder: pathlib.Path) -> run_directory.RunDirectory:
  run = run_directory.RunDirectory(folder)
  run.checkpoints.mkdir(exist_ok=True)
  (run.checkpoints / 'ckpt-1.index').touch()
  return run


@parser('identity of a run', 'json', lambda: [_body('run_identity', identity=_IDENTITY)])
def _identity(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'identity.json')
  _run(folder).check(_IDENTITY)


@parser('status of a run', 'json', lambda: [_body('status', state='finished', epochs=5), _body('status', state='failed', reason='x')])
def _status(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'status.json')
  assert _run(folder).read_status()['state'] in run_directory.STATES


@parser('history', 'json lines', _file('history.jsonl'))
def _history(content: bytes, folder: pathlib.Path) -> None:
  run = run_directory.RunDirectory(folder)
  run.history.write_bytes(content)
  entries = run.read_history()
  with harness.accepted():
    run.rewind_history(2)
    assert run.read_history() == [entry for entry in entries if entry['epoch'] < 2]


@parser('scored networks', 'binary', _file('samples.bin'))
def _samples(content: bytes, folder: pathlib.Path) -> None:
  path = put(content, folder, 'samples.bin')
  file, found = evaluations_lib.load(path)
  with harness.accepted():
    file.truncate(len(found))
    file.append(found[-1:])
    assert len(evaluations_lib.load(path)[1]) == len(found) + min(1, len(found))


@parser('derivation', 'json', _file('derivation.json'))
def _derivation(content: bytes, folder: pathlib.Path) -> None:
  to_json(report_samples.candidates(report_samples.load_derivation(put(content, folder, 'derivation.json'))))


_FRONT = lambda: [_body('front', by='evidence', unit='macs', warnings=['small batches'], points=[
    {'limit': 2e5, 'cost': 1.5e5, 'architecture': '200000_macs.json', 'estimate': 0.5, 'standard_error': 0.01}])]


@parser('front', 'json', _FRONT)
def _front(content: bytes, folder: pathlib.Path) -> None:
  to_json(report_samples.load_front(put(content, folder, 'front.json')))


def _report(name: str, content: bytes, folder: pathlib.Path) -> None:
  """Whatever one file holds, there is a report, and it can be written."""
  run = folder / 'run'
  run.mkdir(exist_ok=True)
  for other, data in run_files().items():
    (run / other).write_bytes(content if other == name else data)
  to_json(document_lib.document(run))


for _name in _NAMES:
  parser(f'report of {_name}', _FORMATS[pathlib.Path(_name).suffix], _file(_name), quick=2)(functools.partial(_report, _name))


_LOCKS = lambda: [b'{"host": "a", "pid": 12, "started": "then"}\n']


@parser('lock', 'json', _LOCKS)
def _lock(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, locking.NAME)
  locking.take(folder).close()


@parser("another's lock", 'json', _LOCKS, refuses=True)
def _held_lock(content: bytes, folder: pathlib.Path) -> None:
  with open(put(content, folder, locking.NAME), 'r+b') as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    locking.take(folder)


_RESULTS = _body(
    'training_results', test_top1=0.9, test_top5=1.0, test_loss=0.25, test_images=360, validation_top1=0.9, validation_top5=1.0,
    validation_loss=0.3, validation_images=100, float_test_top1=0.95, calibrated_test_top1=0.5, epochs=5, dataset='digits',
    class_names=['0', '1', '2'], resolution=32, seed=0, seconds=12.5, versions={'numpy': '2'},
    preprocessing={'augmentation': 'basic', 'color_jitter': None, 'input_range': [0.0, 1.0], 'input_normalization': None})


@parser('results', 'json', lambda: [_RESULTS])
def _results(content: bytes, folder: pathlib.Path) -> None:
  found = models.read_results(put(content, folder, 'results.json'))
  assert 0 <= found.get('float_test_top1', 0) <= 1 and all(len(name.splitlines()) < 2 for name in found.get('class_names', ()))


@parser('stages of the quickstart', 'json', lambda: [_body('stages', finished={'search': ['-m', 'x'], 'train': ['x', '--y=1']})])
def _stages(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, 'stages.json')
  quickstart.Pipeline(folder)


@parser('times of a comparison', 'json', lambda: [_body('comparison_times', seconds={'searches/25_percent_reinforce_0': 12.5})])
def _times(content: bytes, folder: pathlib.Path) -> None:
  assert all(seconds >= 0 for seconds in comparison.read_times(put(content, folder, 'times.json')).values())


@parser('scores of networks', 'json', lambda: [_body('network_scores', accuracies={'networks/0123456789ab.json': 0.5})])
def _scores(content: bytes, folder: pathlib.Path) -> None:
  assert all(accuracy >= 0 for accuracy in score_networks.read(put(content, folder, 'scores.json')).values())


# --- Measurements


def _measured() -> bytes:
  """What android_benchmark writes about one network."""
  launch = {'mean_ms': 1.5, 'median_ms': 1.25, 'p5_ms': 1.0, 'p95_ms': 2.0, 'std_ms': 0.25, 'min_ms': 1.0, 'runs': 20}
  settings = {'threads': 1, 'core_mask': None, 'kernels': 'builtin', 'num_runs': 20, 'min_secs': 0.3, 'warmup_secs': 0.1, 'rounds': 2,
              'seed': 0, 'max_drift_percent': 3.0}
  return to_json({
      'schema': 'android_benchmark/measurements', 'version': 1, 'settings': settings, 'started': 'then', 'finished': 'now', 'seconds': 12.5,
      'reference': {'model': 'proxyless_mobile', 'median_ms': 1.25, 'drift_percent': 0.5, 'drift_before_repeats_percent': 0.5,
                    'repeated_blocks': 0, 'readings_ms': [1.25, 1.25]},
      'models': {'proxyless_mobile': {'sha256': 'ab' * 32, **launch, 'launches': [{'round': 0, **launch}]}},
      'failed': {}, 'health': [], 'warnings': [],
      'device': {'model': 'Pixel 2', 'serial': 'FA7AX1A00123', 'soc': 'msm8998', 'system': 'Android 11', 'cores': 8},
      'benchmark': {'tool': 'benchmark_model', 'version': None, 'sha256': 'ab' * 32}})


@parser('measurements', 'json', lambda: [_measured()])
def _measurements(content: bytes, folder: pathlib.Path) -> None:
  found = measurements.read(put(content, folder, 'measurements.json'))
  f'{found["reference"]["drift_percent"]:.1f}'
  for values in found['models'].values():
    table_lib.LatencyStats('measured', **{key: values[key] for key in ('median_ms', 'p5_ms', 'p95_ms', 'mean_ms', 'std_ms', 'runs')})


@parser('measurements to calibrate with', 'json', lambda: [_measured()], errors=(ValueError, KeyError, OSError))
def _calibration(content: bytes, folder: pathlib.Path) -> None:
  runtime = table_lib.Runtime('Pixel 2', 'int8', 'builtin', threads=1)
  found = calibrate_table.read_measurements(put(content, folder, 'measurements.json'), runtime)
  assert all(item.latency_ms > 0 for item in found)


@parser('measured networks, CSV', 'text', lambda: [b'# mine\nproxyless_mobile, 78.5\nproxyless_cpu,94\n'],
        errors=(ValueError, KeyError, OSError))
def _csv(content: bytes, folder: pathlib.Path) -> None:
  found = calibrate_table.read_csv(put(content, folder, 'measured.csv'))
  assert all(0 < item.latency_ms < 1e12 for item in found)


# --- Arrays and models


def _numpy_file() -> bytes:
  arrays = {'a': np.arange(12, dtype=np.float32).reshape(3, 4), 'b': np.array([b'x', b'yz']), 'c': np.array('{"a": 1}')}
  return saved(lambda values, path: np.savez(path, **values), arrays, 'arrays.npz')


@parser('arrays', 'zip', lambda: [_numpy_file()], quick=50)
def _arrays(content: bytes, folder: pathlib.Path) -> None:
  for array in safe_zip.read_arrays(put(content, folder, 'arrays.npz')).values():
    assert array.dtype.kind in 'biufSU' and array.nbytes < 2**26


@functools.cache
def _split_source():
  """A dataset of two classes, and two splits of it: by file names, and by places in record files."""
  from tf_proxyless.data import records
  from tf_proxyless.data import sources
  from tf_proxyless.data import splits

  ids = np.array([b'%s/%d.png' % (name, i) for name in (b'a', b'b') for i in range(9)])
  labels = np.repeat([0, 1], 9)
  found = records.Files('/nowhere', ids, labels)
  source = sources.Source('folder:/x', ('a', 'b'), 18, 0, (None, None, None), '/nowhere', lambda part: found)
  split = splits.make(source, 4, seed=1)
  placed = records.TfRecords('/nowhere', ('x-0', 'x-1'), ids, labels, np.repeat([0, 1], 9).astype(np.int32), np.arange(18, dtype=np.int64))
  other = splits.Split(source.name, 1, placed, split.training, split.validation)
  return source, [saved(lambda value, path: splits.save(value, str(path)), each, 'split.npz') for each in (split, other)]


@parser('split', 'zip', lambda: _split_source()[1])
def _split(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.data import splits

  found = splits.load(str(put(content, folder, 'split.npz')), _split_source()[0])
  assert len(found.training) + len(found.validation) == 18 and set(np.unique(found.records.labels)) <= {0, 1}
  if hasattr(found.records, 'files'):
    assert all(os.path.dirname(name) == '' for name in found.records.files)
    assert all(0 <= shard < len(found.records.files) for shard in found.records.shard)


@functools.cache
def keras_model() -> bytes:
  """A .keras file."""
  import tf_keras as keras

  inputs = keras.Input((8, 8, 3))
  outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs)))
  return saved(lambda model, path: model.save(path, save_format='keras'), keras.Model(inputs, outputs), 'model.keras')


@parser('.keras', 'zip', lambda: [keras_model()])
def _keras_file(content: bytes, folder: pathlib.Path) -> None:
  safe_zip.check_keras(put(content, folder, 'model.keras'))


@functools.cache
def _tflite_models() -> list[bytes]:
  import tensorflow as tf
  import tf_keras as keras

  from tf_proxyless.deploy import metadata

  with tempfile.TemporaryDirectory() as folder:
    model = keras.models.load_model(put(keras_model(), pathlib.Path(folder), 'model.keras'), compile=False)
  plain = tf.lite.TFLiteConverter.from_keras_model(model).convert()
  return [plain, metadata.add(plain, 'x', 'y', ['cat', 'dog'])]


@parser('.tflite', 'binary', _tflite_models)
def _tflite(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.deploy import inspection

  found = inspection.read(content)
  assert found.inputs and found.outputs


@parser('labels of a .tflite', 'binary', _tflite_models)
def _labels(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.deploy import metadata

  assert all(label == label.strip('\n') for label in metadata.read_labels(content))


@functools.cache
def _quantized():
  """A model, and the file of its weights."""
  import tf_keras as keras

  from tf_proxyless.deploy import qat

  inputs = keras.Input((8,))
  model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
  return model, saved(qat.save_weights, model, 'weights.npz')


@parser('weights of a quantized network', 'zip', lambda: [_quantized()[1]])
def _weights(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.deploy import qat

  qat.load_weights(_quantized()[0], put(content, folder, 'weights.npz'))


@parser('TF_CONFIG', 'json', lambda: [
    to_json({'cluster': {'chief': ['a:1'], 'worker': ['b:1', 'c:1']}, 'task': {'type': 'worker', 'index': 0}})])
def _tf_config(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.infra import cluster as cluster_lib

  os.environ['TF_CONFIG'] = content.decode('utf-8', 'replace').replace('\0', '')
  try:
    cluster_lib.read_tf_config()
  finally:
    del os.environ['TF_CONFIG']
