"""Nesterov SGD that touches only the weights that a step used.

A zero gradient would still move a weight through its momentum, and decay would shrink it (official code: unsampled modules are
removed so that they are not over-regularised). So each step gathers the sampled candidates' variables and slots by their handles
and updates those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools

import tensorflow as tf

from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import variable_table


@functools.cache
def _update_candidate(count: int):
  """The update shared by all mixed operations of `count` weights a candidate, skipped where Zero was sampled."""
  resources = [tf.TensorSpec([], tf.resource)] * (2 * count)
  tensors = [tf.TensorSpec(None, tf.float32)] * (2 * count)
  scalars = [tf.TensorSpec([], tf.bool)] + [tf.TensorSpec([], tf.float32)] * 3

  @tf.function(input_signature=[*scalars, *resources, *tensors], autograph=False)
  def update_candidate(live, learning_rate, momentum, weight_decay, *rest):
    variables, slots, values, gradients = (rest[i * count:(i + 1) * count] for i in range(4))

    def update():
      for variable, slot, value, gradient in zip(variables, slots, values, gradients):
        _apply(variable, slot, value, gradient, learning_rate, momentum, weight_decay)
      return True

    tf.cond(live, update, lambda: False)

  return update_candidate


def _apply(variable, slot, value, gradient, learning_rate, momentum, weight_decay) -> None:
  """accum = momentum * accum + g, w -= lr * (g + momentum * accum) with g = gradient + weight_decay * w."""
  tf.raw_ops.ResourceApplyMomentum(
      var=variable, accum=slot, lr=learning_rate, grad=gradient + weight_decay * value, momentum=momentum, use_nesterov=True)


class SupernetSGD(tf.Module):
  """SGD with Nesterov momentum and L2 decay on all weights (official search: no exceptions), for a supernet."""

  def __init__(self, supernet: supernet_lib.Supernet, momentum: float = 0.9, weight_decay: float = 4e-5):
    """Makes one momentum slot for each weight."""
    super().__init__(name='supernet_sgd')
    self._momentum = momentum
    self._weight_decay = weight_decay
    self._supernet = supernet
    self.fixed_slots = [self._slot(weight) for weight in supernet.fixed_weights]
    # One slot a variable, by candidate; a row for Zero repeats another candidate's and is never written.
    self.candidate_slots = [[[self._slot(weight) for weight in layer.weights] for layer in mixed_op.candidates]
                            for mixed_op in supernet.mixed_ops]
    self._tables = [variable_table.HandleTable([row or rows[i - 1] for i, row in enumerate(rows)]) for rows in self.candidate_slots]

  @staticmethod
  def _slot(weight: tf.Variable) -> tf.Variable:
    return tf.Variable(tf.zeros(weight.shape, weight.dtype), trainable=False)

  def apply(
      self,
      gates: Sequence[gates_lib.Sampled],
      gate_gradients: Sequence[Sequence[tf.Tensor]],
      fixed_gradients: Sequence[tf.Tensor],
      learning_rate: tf.Tensor,
      when: tf.Tensor,
  ) -> None:
    """Updates the sampled candidates and the fixed blocks, inside the graph of the step.

    Args:
      gates: Those that the step ran.
      gate_gradients: For each decision, gradients with respect to `gates[i].weights`.
      fixed_gradients: Gradients with respect to `supernet.fixed_weights`.
      learning_rate: float32 scalar.
      when: bool scalar; where it is False, no weight changes.
    """
    momentum, weight_decay = tf.constant(self._momentum), tf.constant(self._weight_decay)
    for mixed_op, table, gate, gradients in zip(self._supernet.mixed_ops, self._tables, gates, gate_gradients):
      _update_candidate(len(gate.weights))(
          mixed_op.is_live(gate.index) & when, learning_rate, momentum, weight_decay,
          *mixed_op.handles(gate.index), *table.handles(gate.index), *gate.weights, *gradients)

    def update_fixed():
      for weight, slot, gradient in zip(self._supernet.fixed_weights, self.fixed_slots, fixed_gradients):
        _apply(weight.handle, slot.handle, weight.read_value(), gradient, learning_rate, momentum, weight_decay)
      return True

    tf.cond(when, update_fixed, lambda: False)
