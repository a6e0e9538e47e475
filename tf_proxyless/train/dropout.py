"""Dropout as a pure function of a key, so that a training that was interrupted continues bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

import tensorflow as tf
import tf_keras as keras


@contextlib.contextmanager
def stateless(model: keras.Model, key: tf.Tensor) -> Iterator[None]:
  """While it lasts, every Dropout of the model, wrapped ones too, draws from the key and its place among them.

  Keras's own draws from a state that lies in the compiled function, which no checkpoint holds.

  Args:
    model: Any Keras model.
    key: int64 [2].
  """
  layers = [layer for layer in model.submodules if type(layer) is keras.layers.Dropout]
  for i, layer in enumerate(layers):
    layer.call = _call(layer, tf.stack([key[0] * (len(layers) + 1) + i, key[1]]))
  try:
    yield
  finally:
    for layer in layers:
      del layer.call


def _call(layer: keras.layers.Dropout, key: tf.Tensor):

  def call(inputs, training=None):
    if not training:
      return inputs
    if layer.noise_shape is None:
      return tf.nn.experimental.stateless_dropout(inputs, layer.rate, key)
    sizes = [tf.shape(inputs)[i] if size is None else size for i, size in enumerate(layer.noise_shape)]
    kept = tf.random.stateless_uniform(tf.stack(sizes), key) >= layer.rate  # that function takes no sizes that are not known
    return tf.where(kept, inputs / (1 - layer.rate), tf.zeros([], inputs.dtype))

  return call
