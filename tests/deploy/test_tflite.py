"""Conversion: the same function as the Keras model's, in integers throughout where int8 is asked for."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests import suites
from tests.deploy import classifiers
from tests.deploy import models
from tf_proxyless.deploy import tflite


build = functools.cache(classifiers.build)


@pytest.fixture(scope='module', params=['same', 'symmetric'])
def model(request):
  return build(request.param)


@pytest.fixture(scope='module')
def images():
  return np.random.default_rng(2).random((8, 32, 32, 3), dtype=np.float32)


def test_float32_computes_what_the_model_computes(model, images):
  content = tflite.convert(model, 'float32')
  expected = model(images).numpy()
  assert expected.std() > 0.05
  np.testing.assert_allclose(models.run(content, images), expected, atol=1e-5 * np.abs(expected).max())
  assert models.io_dtypes(content) == ('float32', 'float32')


@pytest.mark.long
def test_float16_halves_the_file_and_computes_nearly_the_same(images):
  model = build()
  content = tflite.convert(model, 'float16')
  expected = model(images).numpy()
  np.testing.assert_allclose(models.run(content, images), expected, atol=5e-3 * np.abs(expected).max())
  assert models.dtypes(content) == {'float16', 'float32', 'int32'} and models.io_dtypes(content) == ('float32', 'float32')
  assert len(content) < 0.75 * len(tflite.convert(model, 'float32'))


@pytest.mark.parametrize('io', suites.few(['uint8', 'int8', 'float32'], 1))
def test_int8_is_close_and_of_integers(model, images, io):
  content = tflite.convert(model, 'int8', images, io)
  expected = model(images).numpy()
  error = models.run(content, images) - expected
  assert np.sqrt(np.mean(error**2)) < 0.1 * expected.std()
  assert models.io_dtypes(content) == (io, io)
  assert models.dtypes(content) - {'int8', 'int32', io} == set()


def test_weights_are_quantized_by_channel(model, images):
  runner = models.interpreter(tflite.convert(model, 'int8', images, 'int8'))
  depthwise = [op['inputs'][1] for op in runner._get_ops_details() if op['op_name'] == 'DEPTHWISE_CONV_2D']
  scales = [detail['quantization_parameters']['scales'] for detail in runner.get_tensor_details() if detail['index'] in depthwise]
  assert sorted(len(np.unique(scale)) for scale in scales) == [8, 24, 48, 48, 48]


def test_the_batch_is_one_and_equal_arguments_give_equal_bytes(images):
  model = build()
  content = tflite.convert(model, 'int8', images[:1], 'int8')
  assert content == tflite.convert(model, 'int8', images[:1], 'int8')
  source = models.interpreter(content).get_input_details()[0]
  assert source['shape'].tolist() == source['shape_signature'].tolist() == [1, 32, 32, 3]
  assert models.interpreter(content).get_signature_list() == {}


def test_nothing_is_printed(images, capfd):
  tflite.convert(build(), 'int8', images[:1], 'int8')
  assert capfd.readouterr() == ('', '')


def test_what_a_failure_printed_is_shown(capfd):
  with pytest.raises(ZeroDivisionError), tflite._quiet():
    print('the reason', file=sys.stderr)
    raise ZeroDivisionError
  assert 'the reason' in capfd.readouterr().err


@pytest.mark.parametrize('precision, shape, dtype, io, message', [
    ('int4', None, None, 'float32', "precision must be one of float32, float16, int8, got 'int4'"),
    ('float16', (1, 32, 32, 3), np.float32, 'float32', 'representative images are for int8, not for float16'),
    ('float32', None, None, 'uint8', "io of a model in float32 must be one of float32, got 'uint8'"),
    ('int8', (1, 32, 32, 3), np.float32, 'int16', "io of a model in int8 must be one of float32, int8, uint8, got 'int16'"),
    ('int8', None, None, 'int8', 'int8 needs representative images, or a model from quantization-aware training'),
    ('int8', (1, 16, 16, 3), np.float32, 'int8', r'float32 images \[samples, 32, 32, 3\], got float32 \[1, 16, 16, 3\]'),
    ('int8', (0, 32, 32, 3), np.float32, 'int8', r'got float32 \[0, 32, 32, 3\]'),
    ('int8', (1, 32, 32, 3), np.float64, 'int8', r'got float64 \[1, 32, 32, 3\]'),
])
def test_what_is_refused(precision, shape, dtype, io, message):
  representative = None if shape is None else np.zeros(shape, dtype)
  with pytest.raises(ValueError, match=message):
    tflite.convert(build(), precision, representative, io)


def test_operations_that_tflite_lacks_are_named(capfd):
  inputs = keras.Input((4, 4, 3))
  x = keras.layers.Lambda(tf.math.erfinv)(keras.layers.Lambda(tf.math.digamma)(inputs))
  with pytest.raises(ValueError, match='^the model cannot be converted; TFLite lacks Digamma, Erfinv$'):
    tflite.convert(keras.Model(inputs, x), 'float32')
  assert capfd.readouterr() == ('', '')


def test_open_sizes_are_refused():
  inputs = keras.Input((None, None, 3))
  model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
  with pytest.raises(ValueError, match=r'fixed input shape, got \(None, None, 3\)'):
    tflite.convert(model, 'float32')
