"""A Keras layer that holds the weights of one operation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
import dataclasses
import functools

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import primitives
from tf_proxyless.nn import template as template_lib
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import ops


class OpLayer(keras.layers.Layer):
  """One operation at one place, with batch normalisation on batch statistics."""

  def __init__(self, op: ops.Op, input_shape: ops.Shape, padding: str = 'same', seed: int = 0, residual: bool = False,
               specs: Sequence[layers_lib.WeightSpec] | None = None, **kwargs):
    """Makes the operation's weights.

    Args:
      op: Which operation.
      input_shape: (height, width, channels).
      padding: 'same' or 'symmetric'.
      seed: Seed of the weights' start values, together with their names.
      residual: Whether the input is added to the output.
      specs: The weights, where they are larger than those of this operation; it then works with the first channels of each.
      **kwargs: Of `keras.layers.Layer`.
    """
    super().__init__(autocast=False, **kwargs)
    self.op = op
    self._padding = padding
    self._residual = residual
    self._trace = lambda: layers_lib.trace(op.layers(input_shape), input_shape)
    self.specs = primitives.weight_specs(op, input_shape) if specs is None else tuple(specs)
    for spec in self.specs:
      self.add_weight(
          name=spec.name, shape=spec.shape,
          initializer=lambda shape, dtype=None, spec=spec: primitives.initial_value(spec, seed))

  def call(self, inputs, training=None):
    """Runs the operation on float [batch, height, width, channels], in whose type it computes; `training` changes nothing."""
    return self.run(inputs, self.arguments())

  @functools.cached_property
  def form(self) -> tuple[Hashable, ...]:
    """What a graph must know that runs equal operations of any number of channels: layers with their geometry and number of arguments."""
    layers = []
    for traced in self._trace():
      layer, count = template_lib.without_sizes(traced.layer), len(traced.weights)
      if isinstance(layer, layers_lib.ChannelPad):
        layer, count = dataclasses.replace(layer, filters=0), 1
      layers.append((layer, template_lib.geometry([traced], self._padding), count))
    return (*layers, self._padding, self._residual)

  def arguments(self) -> list[tf.Tensor]:
    """What `run` takes: the values of the weights, and the sizes that do not come with these."""
    weights, found = iter(self.weights), []
    for traced in self._trace():
      if isinstance(traced.layer, layers_lib.ChannelPad):  # for a constant, TensorFlow would make a graph of its own for each call
        found.append(tf.raw_ops.PlaceholderWithDefault(input=tf.constant(traced.layer.filters), shape=[]))
      found += [tf.convert_to_tensor(next(weights)) for _ in traced.weights]
    return found

  def run(self, inputs: tf.Tensor, arguments: Sequence[tf.Tensor]) -> tf.Tensor:
    """Runs the operation of any layer of the same form, of which these are the arguments, on inputs of unknown size."""
    *layers, padding, residual = self.form
    remaining, x = iter(arguments), inputs
    for layer, geometry, count in layers:
      x = primitives.apply(layer, x, [next(remaining) for _ in range(count)], padding, geometry)
    return inputs + x if residual else x
