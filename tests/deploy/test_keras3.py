"""Keras 3 source: readable, without anything of ours, and the same function on TensorFlow and on JAX.

KERAS3 names a Python that has Keras 3 and JAX, and neither TensorFlow nor this package; CI makes one.
"""

import os
import subprocess

import numpy as np
import pytest
import tf_keras as keras

from tests.deploy import models
from tests.deploy import quantized as quantized_lib
from tests.deploy import test_old_runtimes
from tf_proxyless.deploy import keras3

NORMALIZATION = {'mean': (0.4, 0.5, 0.6), 'std': (0.2, 0.21, 0.25)}
# Arguments: the folder of the source, its name, a file of images, and where the outputs go.
_LOAD = '''
import importlib, importlib.util, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
model = importlib.import_module(sys.argv[2]).load()
np.save(sys.argv[4], np.asarray(model(np.load(sys.argv[3]))))
import keras
assert keras.backend.backend() == 'jax' and not importlib.util.find_spec('tensorflow') and 'tf_proxyless' not in sys.modules
'''


def test_the_source_is_a_line_a_layer():
  model = quantized_lib.network_like_trained(models.small('symmetric'), quantized_lib.digits(32))
  text = keras3.source(model, 'small', class_names=['a', "b'"])
  assert "CLASS_NAMES = ['a', \"b'\"]" in text and 'hard_swish' not in text
  imports = [line for line in text.splitlines() if line.startswith(('import', 'from'))]
  assert imports == ['import pathlib', 'import keras', 'from keras import layers']
  lines = [line.strip() for line in text.splitlines() if '= layers.' in line]
  assert len(lines) == len(model.layers) - 1
  assert lines[:3] == ["x = layers.ZeroPadding2D(name='stem_conv_pad')(images)",
                       "x = layers.Conv2D(filters=8, kernel_size=3, strides=2, use_bias=False, name='stem_conv')(x)",
                       "x = layers.BatchNormalization(momentum=0.9, name='stem_conv_bn')(x)"]
  assert lines[-1] == "logits = layers.Dense(units=5, name='classifier_dense')(x)"
  compile(text, 'small.py', 'exec')


def test_names_from_a_file_stay_text():
  images = keras.Input((4, 4, 3), name='images')
  outputs = keras.layers.Dense(2, name='a_dense')(keras.layers.GlobalAveragePooling2D(name='1if.a-pool')(images))
  text = keras3.source(keras.Model(images, outputs, name='net'), 'x', class_names=['"""', '\n'])
  compile(text, 'x.py', 'exec')
  with pytest.raises(ValueError, match="the layer 'lambda' is no part of a plain network: Lambda"):
    keras3.source(keras.Model(images, keras.layers.Lambda(lambda x: x, name='lambda')(images)), 'x')


@pytest.mark.long
@pytest.mark.parametrize('name', [
    'plain', 'tree', *(pytest.param(name, marks=pytest.mark.by_hand) for name in ('mobile', 'grouped'))])
def test_keras_3_computes_the_same_on_tensorflow_and_jax(name, tmp_path):
  network = test_old_runtimes.NETWORKS[name]()
  images = quantized_lib.digits(network.input_shape[0])
  model = quantized_lib.network_like_trained(network, images, calm=True)
  normalization = NORMALIZATION if name == 'mobile' else None
  keras3.write(model, tmp_path / f'{name}.py', normalization)  # which builds it on TensorFlow
  assert {path.name for path in tmp_path.iterdir()} == {f'{name}.py', f'{name}.weights.h5'}
  python = os.environ.get('KERAS3')
  if not python:
    message = 'KERAS3 is not set: a Python with Keras 3 and JAX'
    pytest.fail(message) if os.environ.get('CI') else pytest.skip(message)
  np.save(tmp_path / 'images.npy', images)
  clean = {**{key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}, 'KERAS_BACKEND': 'jax', 'JAX_PLATFORMS': 'cpu'}
  subprocess.run([python, '-c', _LOAD, tmp_path, name, tmp_path / 'images.npy', tmp_path / 'outputs.npy'], env=clean, check=True)
  taken = (images - np.float32(normalization['mean'])) / np.float32(normalization['std']) if normalization else images
  expected = model(taken, training=False).numpy()
  assert np.abs(np.load(tmp_path / 'outputs.npy') - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.long
def test_what_keras_3_computes_otherwise_is_not_written(tmp_path, monkeypatch):
  model = quantized_lib.network_like_trained(models.small(), quantized_lib.digits(32))
  monkeypatch.setattr(keras3, '_TOLERANCE', 0.0)
  with pytest.raises(ValueError, match='Keras 3 computes something else, by .* of the largest output'):
    keras3.write(model, tmp_path / 'small.py')
  monkeypatch.setattr(keras3, '_WRITER', 'raise ImportError("no Keras")')
  with pytest.raises(ValueError, match='Keras 3 could not build the network: ImportError: no Keras'):
    keras3.write(model, tmp_path / 'small.py')
  assert not list(tmp_path.iterdir())
