"""A Keras layer that holds the weights of one operation."""

from __future__ import annotations

from collections.abc import Sequence

import tf_keras as keras

from tf_proxyless.nn import primitives
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
    self.specs = primitives.weight_specs(op, input_shape) if specs is None else tuple(specs)
    for spec in self.specs:
      self.add_weight(
          name=spec.name, shape=spec.shape,
          initializer=lambda shape, dtype=None, spec=spec: primitives.initial_value(spec, seed))

  def call(self, inputs, training=None):
    """Runs the operation on float [batch, height, width, channels], in whose type it computes; `training` changes nothing."""
    outputs = primitives.apply_op(self.op, inputs, self.weights, self._padding)
    return inputs + outputs if self._residual else outputs
