"""Weights from the supernet, and batch normalisation statistics that the pooled images have."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests.nn import spaces
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import transfer
from tf_proxyless.space import schema

PATH = (0, 6, 5, 2)


@pytest.fixture(scope='module')
def supernet():
  return spaces.supernet(spaces.tiny())


def _plain(supernet, path=PATH):
  model = keras_network.build(spaces.resolve(supernet.space, path))
  transfer.inherit(model, supernet, path)
  return model


def _statistics(model):
  return {weight.name: weight.numpy() for weight in model.non_trainable_weights}


def test_weights_are_those_of_the_chosen_candidates(supernet):
  model = _plain(supernet)
  expected = {}
  decision = 0
  for block, layer in zip(supernet.space.blocks, supernet.block_layers):
    if layer in supernet.choices:
      layer = layer.candidates[PATH[decision]]
      decision += 1
    for spec, value in zip(layer.specs, layer.weights, strict=True):
      expected[f'{block.name}_{spec.name}:0'] = value.numpy()
  assert {weight.name for weight in model.trainable_weights} == set(expected)
  for weight in model.trainable_weights:
    np.testing.assert_array_equal(weight, expected[weight.name])


def test_a_genotype_is_as_good_as_a_path(supernet):
  genotype = schema.Genotype({name: index for (name, _), index in zip(schema.walk(supernet.space), PATH)})
  model = keras_network.build(schema.resolve(supernet.space, genotype))
  transfer.inherit(model, supernet, genotype)
  for a, b in zip(model.get_weights(), _plain(supernet).get_weights(), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('built, inherited, error', [
    (PATH, (0, 6, 5), ValueError), (PATH, (0, 6, 5, 7), ValueError), (PATH, (1, 6, 5, 2), ValueError),
    (PATH, (0, 1, 5, 2), ValueError), (PATH, {'blocks/block_1/op': 0}, KeyError)])
def test_choices_of_another_network_are_refused(supernet, built, inherited, error):
  model = keras_network.build(spaces.resolve(supernet.space, built))
  with pytest.raises(error):
    transfer.inherit(model, supernet, inherited)


def test_one_batch_makes_inference_equal_training_mode(supernet):
  model = _plain(supernet)
  images, _ = spaces.batch(supernet.space, count=8)
  before = model(images, training=False).numpy()
  transfer.reestimate_batch_norm(model, [images])
  after = model(images, training=False).numpy()
  expected = supernet(images, supernet.sample(tf.constant(PATH))).numpy()
  np.testing.assert_allclose(after, expected, atol=2e-5 * np.abs(expected).max())
  assert np.abs(before - expected).max() > 0.01


def test_first_layer_has_the_moments_of_the_pooled_images(supernet):
  model = _plain(supernet)
  images = np.concatenate([spaces.batch(supernet.space, count=5)[0], 3.0 + spaces.batch(supernet.space, count=2)[0]])
  transfer.reestimate_batch_norm(model, (tf.constant(part) for part in np.split(images, [3, 5])))
  bn = model.get_layer('stem_conv_bn')
  values = keras.Model(model.inputs, bn.input)(images).numpy().astype(np.float64)
  np.testing.assert_allclose(bn.moving_mean, values.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(bn.moving_variance, values.var((0, 1, 2)), rtol=1e-4)


def test_equal_batches_count_as_one_and_larger_ones_weigh_more(supernet):
  images, _ = spaces.batch(supernet.space, count=6)
  other, _ = spaces.batch(supernet.space, count=6, seed=1)
  model = _plain(supernet)
  results = []
  for batches in ([images], [images] * 3, [images, other], [images, images, other], [tf.concat([images, images], 0), other]):
    transfer.reestimate_batch_norm(model, batches)
    results.append(_statistics(model))
  for name, value in results[0].items():
    np.testing.assert_allclose(results[1][name], value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(results[4][name], results[3][name], rtol=1e-4, atol=1e-5)
  assert any(np.abs(results[2][name] - results[3][name]).max() > 1e-3 for name in results[0])


def test_nothing_else_changes(supernet):
  images, _ = spaces.batch(supernet.space)
  model = _plain(supernet)
  config, weights = model.get_config(), [weight.numpy() for weight in model.trainable_weights]
  transfer.reestimate_batch_norm(model, [images])
  assert model.get_config() == config
  for weight, value in zip(model.trainable_weights, weights, strict=True):
    np.testing.assert_array_equal(weight, value)
  bn = model.get_layer('stem_conv_bn')
  mean = bn.moving_mean.numpy()
  shifted = model(images + 1.0, training=True)  # the layers follow batches by their own rule again
  batch_mean = tf.reduce_mean(keras.Model(model.inputs, bn.input)(images + 1.0), [0, 1, 2])
  np.testing.assert_allclose(bn.moving_mean, 0.9 * mean + 0.1 * batch_mean, rtol=1e-4, atol=1e-5)
  assert np.isfinite(shifted).all()


def test_a_failure_leaves_statistics_and_layers_as_they_were(supernet):
  images, _ = spaces.batch(supernet.space)
  model = _plain(supernet)
  before, output = _statistics(model), model(images).numpy()
  with pytest.raises(ValueError, match='incompatible with the layer'):
    transfer.reestimate_batch_norm(model, [images, images[:, :, :, :1]])
  with pytest.raises(ValueError, match='there are no batches'):
    transfer.reestimate_batch_norm(model, iter(()))
  for name, value in _statistics(model).items():
    np.testing.assert_array_equal(value, before[name])
  np.testing.assert_array_equal(model(images), output)


def test_any_keras_model_with_batch_norm():
  random = np.random.default_rng(0)
  inner = keras.Sequential([keras.layers.Dense(3, use_bias=False), keras.layers.BatchNormalization(scale=False)])
  frozen = keras.layers.BatchNormalization(axis=1, center=False, trainable=False)
  model = keras.Sequential([keras.layers.Input((2, 4)), keras.layers.Dropout(0.5), inner, frozen])
  batches = random.standard_normal((3, 8, 2, 4)).astype(np.float32)
  transfer.reestimate_batch_norm(model, batches)
  hidden = inner.layers[0](np.concatenate(batches)).numpy()
  np.testing.assert_allclose(inner.layers[1].moving_mean, hidden.mean((0, 1)), atol=1e-6)
  np.testing.assert_allclose(inner.layers[1].moving_variance, hidden.var((0, 1)), rtol=1e-5)
  assert frozen.moving_mean.shape == (2,) and frozen.moving_mean.numpy().any()
  with pytest.raises(ValueError, match='has no BatchNormalization'):
    transfer.reestimate_batch_norm(keras.Sequential([keras.layers.Dense(2)]), batches)


