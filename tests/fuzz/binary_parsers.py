"""Archives, models and arrays, most of which need TensorFlow."""

from __future__ import annotations

import functools
import os
import pathlib
import tempfile

import numpy as np

from tests.fuzz import harness
from tests.fuzz.harness import put
from tf_proxyless.infra import safe_zip


def _arrays(content: bytes, folder: pathlib.Path) -> None:
  for array in safe_zip.read_arrays(put(content, folder, 'arrays.npz')).values():
    assert array.dtype.kind in 'biufSU' and array.nbytes < 2**26


def _saved_arrays() -> bytes:
  def save(values, path):
    np.savez(path, **values)

  values = {'a': np.arange(12, dtype=np.float32).reshape(3, 4), 'b': np.array([b'x', b'yz']), 'c': np.array('{"a": 1}'),
            'd': np.zeros((0, 3))}
  return harness.written(save, values, 'arrays.npz')


@functools.cache
def _split_parts():
  """A source of a folder of two classes, and its splits: by files, and by places in files."""
  from tf_proxyless.data import records
  from tf_proxyless.data import sources
  from tf_proxyless.data import splits

  ids = np.array([b'a/%d.png' % i for i in range(9)] + [b'b/%d.png' % i for i in range(9)])
  labels = np.repeat([0, 1], 9)
  found = records.Files('/nowhere', ids, labels)
  source = sources.Source('folder:x', ('a', 'b'), 18, 0, (None, None, None), '/nowhere', lambda part: found)
  split = splits.make(source, 4, seed=1)
  placed = records.TfRecords('/nowhere', ('x-0', 'x-1'), ids, labels, np.repeat([0, 1], 9).astype(np.int32), np.arange(18, dtype=np.int64))
  other = splits.Split(source.name, 1, placed, split.training, split.validation)
  return source, [harness.written(lambda split, path: splits.save(split, str(path)), each, 'split.npz') for each in (split, other)]


def _split(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.data import splits

  source, _ = _split_parts()
  found = splits.load(str(put(content, folder, 'split.npz')), source)
  assert len(found.training) + len(found.validation) == 18 and set(np.unique(found.records.labels)) <= {0, 1}
  if hasattr(found.records, 'files'):
    assert all(os.path.dirname(name) == '' for name in found.records.files)
    assert all(0 <= shard < len(found.records.files) for shard in found.records.shard)


@functools.cache
def _keras_model() -> bytes:
  import tf_keras as keras

  inputs = keras.Input((8, 8, 3))
  outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs)))
  return harness.written(lambda model, path: model.save(path, save_format='keras'), keras.Model(inputs, outputs), 'model.keras')


def _keras_file(content: bytes, folder: pathlib.Path) -> None:
  safe_zip.check_keras(put(content, folder, 'model.keras'))


@functools.cache
def _tflite_models() -> list[bytes]:
  import tensorflow as tf
  import tf_keras as keras

  from tf_proxyless.deploy import metadata

  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'model.keras')
    path.write_bytes(_keras_model())
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(path, compile=False))
    plain = converter.convert()
  return [plain, metadata.add(plain, 'x', 'y', ['cat', 'dog'])]


def _tflite(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.deploy import inspection

  found = inspection.read(content)
  assert found.inputs and found.outputs


def _labels(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.deploy import metadata

  assert all(label == label.strip('\n') for label in metadata.read_labels(content))


@functools.cache
def _quantized():
  """A model of which weights are read, and its file."""
  import tf_keras as keras

  from tf_proxyless.deploy import qat

  inputs = keras.Input((8,))
  model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
  return model, harness.written(lambda model, path: qat.save_weights(model, path), model, 'weights.npz')


def _weights(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.deploy import qat

  qat.load_weights(_quantized()[0], put(content, folder, 'weights.npz'))


PARSERS = (
    harness.Parser('arrays', ('tf_proxyless.infra.safe_zip',), 'zip', lambda: [_saved_arrays()], _arrays),
)
TENSORFLOW_PARSERS = (
    harness.Parser('split', ('tf_proxyless.data.splits',), 'zip', lambda: _split_parts()[1], _split),
    harness.Parser('.keras', ('tf_proxyless.infra.safe_zip', 'tf_proxyless.app.models', 'tf_proxyless.zoo'), 'zip',
                   lambda: [_keras_model()],
                   _keras_file),
    harness.Parser('.tflite', ('tf_proxyless.deploy.inspection',), 'binary', _tflite_models, _tflite),
    harness.Parser('labels of a .tflite', ('tf_proxyless.deploy.metadata',), 'binary', _tflite_models, _labels),
    harness.Parser('weights of a quantized network', ('tf_proxyless.deploy.qat',), 'zip', lambda: [_quantized()[1]], _weights),
)
