"""Dropout by a key: the same for the same key, of values or of whole images."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests.space import spaces
from tf_proxyless.nn import keras_network
from tf_proxyless.space import schema
from tf_proxyless.train import dropout

KEYS = [tf.constant(key, tf.int64) for key in ([1, 2], [1, 2], [2, 2])]


def outputs(model, images, key):
  with dropout.stateless(model, key):
    return tf.function(lambda images: model(images, training=True), autograph=False)(images).numpy()


@pytest.mark.parametrize('noise_shape, alike', [(None, False), ((None, 1, 1, 1), True)])
def test_a_key_decides(noise_shape, alike):
  inputs = keras.Input((5, 5, 3))
  model = keras.Model(inputs, keras.layers.Dropout(0.5, noise_shape)(inputs))
  first, again, other = (outputs(model, np.ones((40, 5, 5, 3), np.float32), key) for key in KEYS)
  np.testing.assert_array_equal(first, again)
  assert set(np.unique(first)) == {0.0, 2.0} and not np.array_equal(first, other)
  assert (first == first[:, :1, :1, :1]).all() == alike


def test_networks_with_drops_are_trained_so():
  network = schema.resolve(spaces.tree(), schema.genotype(spaces.tree(), (2, 1, 3)))
  model = keras_network.build(network, drops=keras_network.Drops(path=0.2, cell=0.4))
  images = np.random.default_rng(0).uniform(size=(8, *network.input_shape)).astype(np.float32)
  first, again, other = (outputs(model, images, key) for key in KEYS)
  np.testing.assert_array_equal(first, again)
  assert np.isfinite(first).all() and not np.array_equal(first, other)
