"""From the supernet to a plain network: its weights, and batch normalisation statistics, which a supernet does not keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import choice as choice_lib
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema


def inherit(model: keras.Model, supernet: supernet_lib.Supernet, choices: Mapping[str, int] | Sequence[int]) -> None:
  """Copies the weights of the chosen candidates and of the fixed blocks into a plain network, by name.

  Args:
    model: The plain network of `choices`, from `network.build`. Its moving statistics stay as they are.
    supernet: Supernet of the search space that the network was resolved from.
    choices: A genotype, or a path: one choice index a decision, in the order of `schema.walk`.

  Raises:
    KeyError, ValueError: The choices do not fit the space, or the model is not their network.
  """
  path = supernet.path_of(choices)
  network = schema.resolve(supernet.space, schema.genotype(supernet.space, path))
  for traced, layer in zip(network_lib.trace(network), supernet.block_layers):
    if isinstance(layer, choice_lib.Choice):
      layer = layer.candidate(path)
    for (spec, variable), value in zip(keras_network.block_weights(model, traced), layer.weights, strict=True):
      if tuple(variable.shape) != spec.shape:
        raise ValueError(f'{variable.name} has the shape {tuple(variable.shape)}; in the network of these choices it is {spec.shape}')
      begin = choice_lib.part_begin(value.shape, variable.shape)
      variable.assign(tf.slice(value, begin, variable.shape))  # the whole of a weight, unless it is shared


def reestimate_batch_norm(model: keras.Model, batches: Iterable[tf.Tensor]) -> None:
  """Sets all moving means and variances to statistics over images that the model sees.

  Every BatchNormalization, frozen or nested ones too, normalises by its batch while everything else runs as in inference, and
  keeps the moments of all values that reached it. They are those of the pooled images, so the variance holds the variance of
  the batch means: the mean of batch variances alone (what a moving average keeps) falls short by it, the more the smaller the
  batches and the maps are. No Bessel correction, so that one batch makes inference equal training mode on that batch.

  Args:
    model: Any Keras model of one input, run eagerly.
    batches: float images [batch, height, width, channels]; larger batches weigh more.

  Raises:
    ValueError: There are no batches, or no BatchNormalization.
  """
  layers = [layer for layer in model.submodules if isinstance(layer, keras.layers.BatchNormalization)]
  if not layers:
    raise ValueError(f'model {model.name!r} has no BatchNormalization to re-estimate')
  moments = [_Moments() for _ in layers]
  with contextlib.ExitStack() as stack:
    for layer, layer_moments in zip(layers, moments):
      stack.enter_context(_batch_statistics(layer, layer_moments))
    for images in batches:
      model(images, training=False)
  if not any(layer_moments.count for layer_moments in moments):
    raise ValueError('there are no batches to estimate batch normalisation statistics from')
  for layer, layer_moments in zip(layers, moments):
    if layer_moments.count:  # a layer may lie outside the path that the model ran
      layer.moving_mean.assign(layer_moments.mean)
      layer.moving_variance.assign(layer_moments.squares / layer_moments.count)


class _Moments:
  """Count, mean, and sum of squared distances from the mean of all values so far, by channel, in float64."""

  def __init__(self):
    self.count, self.mean, self.squares = 0, 0.0, 0.0

  def add(self, count: int, mean: np.ndarray, variance: np.ndarray) -> None:
    """Adds a batch (Chan, Golub and LeVeque 1983, eq. 2.1)."""
    total = self.count + count
    distance = mean.astype(np.float64) - self.mean
    self.mean = self.mean + distance * count / total
    self.squares = self.squares + count * variance.astype(np.float64) + distance**2 * self.count * count / total
    self.count = total


@contextlib.contextmanager
def _batch_statistics(layer: keras.layers.BatchNormalization, moments: _Moments) -> Iterator[None]:
  """While it lasts, the layer normalises by its batch, without touching a variable, and `moments` follows."""

  def call(inputs, training=None, mask=None):
    x = tf.cast(inputs, tf.float32)
    axis, = layer.axis
    mean, variance = tf.nn.moments(x, [i for i in range(x.shape.rank) if i != axis], keepdims=True)
    moments.add(int(tf.size(x)) // x.shape[axis], np.ravel(mean), np.ravel(variance))
    shape = mean.shape
    gamma, beta = (None if weight is None else tf.reshape(weight, shape) for weight in (layer.gamma, layer.beta))
    return tf.cast(tf.nn.batch_normalization(x, mean, variance, beta, gamma, layer.epsilon), inputs.dtype)

  layer.call = call
  try:
    yield
  finally:
    del layer.call
