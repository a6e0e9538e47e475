"""Models for the contest: a background in front that never wins, all else bit for bit; and what it would misread."""

import dataclasses
import functools

import numpy as np
import pytest
import tf_keras as keras

from tests.deploy import classifiers
from tests.deploy import models
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import ovic
from tf_proxyless.deploy import tflite
from tf_proxyless.nn import keras_network
from tf_proxyless.space import ops


@functools.cache
def build(classes: int, biases: bool = True) -> keras.Model:
  *blocks, last = models.small().blocks
  network = dataclasses.replace(models.small(), blocks=(*blocks, dataclasses.replace(last, op=ops.Classifier(classes))))
  model = keras_network.build(network)
  if biases:
    model.layers[-1].bias.assign(np.random.default_rng(0).uniform(-1, 1, classes))
  return model


@pytest.mark.parametrize('io, biases', [('uint8', True), ('int8', False)])
def test_the_background_is_lowest_and_the_others_stay(io, biases):
  images = classifiers.images(32)
  content = export.convert(build(10, biases), 'int8', images, io)
  changed = ovic.add_background(content)
  assert inspection.read(changed).outputs[0].shape == (1, 11)
  for kernels in ('builtin', 'xnnpack'):
    before, after = (evaluation.LiteRtModel(file, kernels)(images) for file in (content, changed))
    np.testing.assert_array_equal(after[:, 1:], before)
    assert (after[:, 0] == np.iinfo(io).min).all()
    assert before.std() > 5


@pytest.fixture(scope='module')
def valid():
  return ovic.add_background(export.convert(build(1000), 'int8', classifiers.images(8)))


def test_a_valid_model(valid):
  assert ovic.validate(valid) is None


def test_a_dense_layer_of_several_scales_is_refused(valid):
  with pytest.raises(ValueError, match='not a model for OVIC: a dense layer of 1001 scales'):
    ovic.validate(models.with_dense_scales(valid, 1001))


def test_pixels_from_minus_1_to_1_are_valid_too():
  images = classifiers.images(8) * 2 - 1
  images[0, 0, 0] = (-1, 0, 1)
  content = tflite.convert(build(1000), 'int8', images, 'uint8')
  ovic.validate(ovic.add_background(content))


def convert(precision: str, io: str, classes: int = 1001, brightness: float = 1.0) -> bytes:
  representative = classifiers.images(4) * np.float32(brightness) if precision == 'int8' else None
  return tflite.convert(build(classes), precision, representative, io)


@pytest.mark.parametrize('arguments, message', [
    (('int8', 'uint8', 1000), r'output of shape \[1, 1000\], must be \[1, 1001\]'),
    (('int8', 'int8'), 'input of int8, must be uint8.*output of int8, must be uint8'),
    (('float32', 'float32'), 'input of float32, must be uint8'),
    (('int8', 'uint8', 1001, 0.5), 'bytes would not be the pixels that were trained on'),
])
def test_what_the_contest_would_misread(arguments, message):
  with pytest.raises(ValueError, match=f'not a model for OVIC: .*{message}'):
    ovic.validate(convert(*arguments))


def test_only_dense_int8_networks_get_a_background():
  with pytest.raises(ValueError, match='to an int8 network'):
    ovic.add_background(export.convert(build(10), 'none'))
  inputs = keras.Input((8, 8, 3))
  pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(10, 3)(inputs))
  content = export.convert(keras.Model(inputs, pooled), 'int8', classifiers.images(4)[:, :8, :8])
  with pytest.raises(ValueError, match='ends with a dense layer'):
    ovic.add_background(content)
