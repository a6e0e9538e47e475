"""A mixed operation: candidates of which only those run that the gates name.

One graph serves all paths. The candidates' resource handles lie in a table [candidates, weights]; a sampled candidate's row is
gathered and read inside the graph, and one body with unknown dimensions, traced once for all blocks of the same geometry, computes
whichever candidate came. So start-up does not grow with the candidates, and neither do activations or compute (docs/performance.md).
"""

from __future__ import annotations

import functools

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import depthwise
from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import op_layer
from tf_proxyless.nn import primitives
from tf_proxyless.nn import variable_table
from tf_proxyless.space import ops


@functools.cache
def _body(geometry: depthwise.Geometry, skippable: bool, residual: bool, frozen: bool, ranks: tuple[int, ...], dtype: str):
  """The computation shared by all mixed operations of one geometry: (runs, x, weights...) -> y.

  Args:
    geometry: Of the depthwise convolution.
    skippable: Whether `runs` may be False, for Zero.
    residual: Whether x is added.
    frozen: Whether gradients reach x only; no filter gradient is computed then.
    ranks: Of the weights.
    dtype: Of everything.
  """
  signature = [tf.TensorSpec([], tf.bool), tf.TensorSpec([None] * 4, dtype)]
  signature += [tf.TensorSpec([None] * (rank - 1) + [1] if rank == 4 and i == len(ranks) - 6 else [None] * rank, dtype)
                for i, rank in enumerate(ranks)]

  @tf.function(input_signature=signature, autograph=False)
  def mixed_op_body(runs, x, *weights):
    if frozen:
      weights = tuple(map(tf.stop_gradient, weights))

    def run():
      y = primitives.mbconv(x, weights, geometry)
      return x + y if residual else y

    def skip():
      return tf.identity(x) if residual else tf.zeros_like(x)

    return tf.cond(runs, run, skip) if skippable else run()

  return mixed_op_body


class MixedOp(keras.layers.Layer):
  """The candidates of one decision and their shortcut, run as the gates say."""

  def __init__(self, candidates: tuple[ops.Op, ...], input_shape: ops.Shape, residual: bool, padding: str, seed: int, **kwargs):
    """Makes all candidates' weights.

    Args:
      candidates: MBConvs of one stride and width, and at most one Zero, in the order of the choice indices.
      input_shape: (height, width, channels).
      residual: Whether the input is added to the output.
      padding: 'same' or 'symmetric'.
      seed: Of the weights' start values.
      **kwargs: Of `keras.layers.Layer`.

    Raises:
      ValueError: Candidates are not of that kind.
    """
    super().__init__(**kwargs)
    convolutions = [op for op in candidates if isinstance(op, ops.MBConv)]
    zeros = [i for i, op in enumerate(candidates) if isinstance(op, ops.Zero)]
    if not convolutions or len(zeros) > 1 or len(convolutions) + len(zeros) != len(candidates):
      raise ValueError(f'{self.name}: candidates must be MBConvs and at most one Zero, got {candidates}')
    if len({(op.expand_ratio == 1) for op in convolutions}) > 1:
      raise ValueError(f'{self.name}: candidates with and without expansion cannot share one graph, got {candidates}')
    self._residual = residual
    self._zero_index = zeros[0] if zeros else None
    self._geometry = primitives.geometry_of(convolutions, input_shape, padding)
    self._output_shape = ops.output_shape(convolutions[0], input_shape)
    self.candidates = [op_layer.OpLayer(op, input_shape, padding, seed + i, name=f'{i}_{ops.short_name(op)}')
                       for i, op in enumerate(candidates)]
    rows = [layer.weights for layer in self.candidates]
    # Zero has no weights; its row repeats another candidate's so that a gather is always in range. It is never used.
    self._table = variable_table.HandleTable([row or rows[i - 1] for i, row in enumerate(rows)])

  def is_live(self, index: tf.Tensor) -> tf.Tensor:
    """Whether the candidate of this index has weights: bool scalar."""
    return tf.constant(True) if self._zero_index is None else tf.not_equal(index, self._zero_index)

  def sample(self, index: tf.Tensor) -> gates_lib.Sampled:
    """Gates that run one candidate.

    Args:
      index: int32 scalar.
    """
    return gates_lib.Sampled(index, self._table.read(index))

  def handles(self, index: tf.Tensor) -> list[tf.Tensor]:
    """Resource handles of the weights of one candidate (int32 scalar `index`), for an optimizer to write to."""
    return self._table.handles(index)

  def _run(self, x: tf.Tensor, gates: gates_lib.Sampled, residual: bool, frozen: bool) -> tf.Tensor:
    ranks = tuple(weight.shape.rank for weight in gates.weights)
    weights = [tf.cast(weight, x.dtype) for weight in gates.weights]
    body = _body(self._geometry, self._zero_index is not None, residual, frozen, ranks, x.dtype.name)
    y = body(self.is_live(gates.index), x, *weights)
    y.set_shape([x.shape[0], *self._output_shape])
    return y

  def call(self, inputs, gates, training=None):
    """Runs what the gates name, with batch normalisation on batch statistics whatever `training` is.

    Args:
      inputs: float [batch, height, width, channels].
      gates: `Sampled`, or `Pair`, whose gradients reach the gates and the input through the active candidate, and no weights.
      training: Unused: batch statistics always.

    Returns:
      float [batch, height, width, filters].
    """
    match gates:
      case gates_lib.Sampled():
        return self._run(inputs, gates, self._residual, frozen=False)
      case gates_lib.Pair():
        active = self._run(inputs, gates.active, residual=False, frozen=True)
        inactive = self._run(tf.stop_gradient(inputs), gates.inactive, residual=False, frozen=True)
        mixed = gates_lib.combine(active, inactive, gates.gates)
        return inputs + mixed if self._residual else mixed
      case _:
        raise TypeError(f'gates must be Sampled or Pair, got {type(gates).__name__}')
