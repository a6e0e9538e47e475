"""The over-parameterised network of a search space: fixed blocks, and a mixed operation for each decision."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import choice as choice_lib
from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import op_layer
from tf_proxyless.nn import primitives
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema


class Supernet(keras.Model):
  """All networks of a space with shared weights; `call` runs the one that the gates name.

  Attributes:
    space: The search space.
    mixed_ops: One layer a decision, in the order of `schema.walk`.
    fixed_weights: The weights outside the decisions.
  """

  def __init__(self, space: network_lib.Network, seed: int = 0):
    """Makes the weights of all candidates.

    Args:
      space: A search space whose decisions are the operations of blocks.
      seed: Of the weights' start values.

    Raises:
      ValueError: A decision lies elsewhere.
    """
    super().__init__(name='supernet')
    self.space = space
    self.block_layers = [self._make_layer(traced, space.padding, primitives.block_seed(seed, i))
                         for i, traced in enumerate(network_lib.trace(space))]
    self.mixed_ops = [layer for layer in self.block_layers if isinstance(layer, choice_lib.MixedOp)]
    if len(self.mixed_ops) != len(list(schema.walk(space))):
      raise ValueError(f'space {space.name!r} has decisions below the operations of its blocks, which a supernet cannot hold')
    self.fixed_weights = [weight for layer in self.block_layers if not isinstance(layer, choice_lib.MixedOp)
                          for weight in layer.weights]
    self.built = True

  @staticmethod
  def _make_layer(traced: network_lib.TracedBlock, padding: str, seed: int) -> keras.layers.Layer:
    block = traced.block
    if isinstance(block.op, schema.OneOf):
      return choice_lib.MixedOp(block.candidates, traced.input_shape, block.residual, padding, seed, name=block.name)
    return op_layer.OpLayer(block.op, traced.input_shape, padding, seed, block.residual, name=block.name)

  def sample(self, path: tf.Tensor) -> list[gates_lib.Sampled]:
    """Gates that run one network.

    Args:
      path: int32 [decisions], the choice of each decision.
    """
    return [layer.sample(index) for layer, index in zip(self.mixed_ops, tf.unstack(path, len(self.mixed_ops)))]

  def sample_pair(self, active: tf.Tensor, inactive: tf.Tensor) -> list[gates_lib.Pair]:
    """Gates of two networks, of which `active` acts.

    Args:
      active: int32 [decisions].
      inactive: int32 [decisions].
    """
    return [gates_lib.make_pair(*pair) for pair in zip(self.sample(active), self.sample(inactive))]

  def call(self, inputs, gates: Sequence[gates_lib.Sampled | gates_lib.Pair], training=None):
    """Runs the gated network.

    Args:
      inputs: float [batch, height, width, channels].
      gates: One a decision, from `sample` or `sample_pair`.
      training: Unused: batch normalisation takes batch statistics always.

    Returns:
      float32 logits [batch, classes].
    """
    return tf.cast(self.block_outputs(inputs, gates)[-1], tf.float32)

  def block_outputs(self, inputs, gates: Sequence[gates_lib.Sampled | gates_lib.Pair]) -> list[tf.Tensor]:
    """What each block of the gated network gives; for arguments see `call`."""
    remaining = iter(gates)
    found = [inputs]
    for layer in self.block_layers:
      found.append(layer(found[-1], next(remaining)) if isinstance(layer, choice_lib.MixedOp) else layer(found[-1]))
    return found[1:]
