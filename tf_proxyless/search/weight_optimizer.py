"""Nesterov SGD that touches only the weights that a step used.

A zero gradient would still move a weight through its momentum, and decay would shrink it (official code: unsampled modules are
removed so that they are not over-regularised). So each step gathers the sampled candidates' variables and slots by their handles
and updates those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import itertools
from typing import NamedTuple

import tensorflow as tf

from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import template as template_lib
from tf_proxyless.nn import variable_table
from tf_proxyless.search import loss_scale


class _Form(NamedTuple):
  """What the update of a choice must know of it.

  Attributes:
    groups: See `Choice.weight_groups`.
    parts: The weights of which paths use a part, and where a row says which.
    count: Number of weights.
    packed: Whether the handles of variables and slots are those of packed tables, see `variable_table.VariableTable`.
  """

  groups: tuple[tuple[int, int | None], ...]
  parts: tuple[tuple[int, int], ...]
  count: int
  packed: bool


@functools.cache
def _update(forms: tuple[_Form, ...]):
  """The update shared by all runs of choices of these forms; what a candidate lacks is skipped."""
  signature = [tf.TensorSpec([], tf.bool)] + [tf.TensorSpec([], tf.float32)] * 3
  for form in forms:
    resources = variable_table.specs(form.packed, form.count) * 2
    signature += [tf.TensorSpec([None], tf.int32), *resources, *[tf.TensorSpec(None, tf.float32)] * (2 * form.count)]

  @tf.function(input_signature=signature, autograph=False, experimental_attributes=variable_table.NOT_INLINED)
  def update_choices(when, learning_rate, momentum, weight_decay, *arguments):
    remaining = iter(arguments)
    take = lambda count: list(itertools.islice(remaining, count))
    for form in forms:
      row, = take(1)
      variables, slots = (variable_table.handles(take(1 if form.packed else form.count), row, form.count) for _ in range(2))
      weights = list(zip(variables, slots, take(form.count), take(form.count), range(form.count)))  # with value and gradient
      update_all = functools.partial(_update_weights, form, weights, row, (learning_rate, momentum, weight_decay))
      tf.cond((row[template_lib.RUNS] > 0) & when, update_all, lambda: False)

  return update_choices


def _update_weights(form: _Form, weights, row, rates) -> bool:
  first_of = dict(form.parts)

  def update(members):
    for variable, slot, value, gradient, column in members:
      apply = functools.partial(_apply_part, row[first_of[column]:]) if column in first_of else _apply
      apply(variable, slot, value, gradient, *rates)
    return True

  start = 0
  for size, position in form.groups:
    members = weights[start:start + size]
    start += size
    if position is not None:
      tf.cond(row[position] > 0, functools.partial(update, members), lambda: False)
    else:
      update(members)
  return True


def _apply(variable, slot, value, gradient, learning_rate, momentum, weight_decay) -> None:
  """accum = momentum * accum + g, w -= lr * (g + momentum * accum) with g = gradient + weight_decay * w."""
  tf.raw_ops.ResourceApplyMomentum(
      var=variable, accum=slot, lr=learning_rate, grad=gradient + weight_decay * value, momentum=momentum, use_nesterov=True)


def _apply_part(begin, variable, slot, value, gradient, learning_rate, momentum, weight_decay) -> None:
  """The same for the part of a weight that `value` is, which begins where `begin` says first; the rest stays as it is."""
  accumulated = tf.raw_ops.ReadVariableOp(resource=slot, dtype=tf.float32)
  size = tf.shape(value)
  begin = begin[:tf.size(size)]
  gradient = gradient + weight_decay * value
  accumulated = momentum * tf.slice(accumulated, begin, size) + gradient
  assign = functools.partial(tf.raw_ops.ResourceStridedSliceAssign, begin=begin, end=begin + size, strides=tf.ones_like(size))
  assign(ref=slot, value=accumulated)
  assign(ref=variable, value=value - learning_rate * (gradient + momentum * accumulated))


class SupernetSGD(tf.Module):
  """SGD with Nesterov momentum and L2 decay on all weights (official search: no exceptions), for a supernet.

  Attributes:
    loss_scale: Scale of the loss where the supernet computes in float16, else None.
  """

  def __init__(self, supernet: supernet_lib.Supernet, momentum: float = 0.9, weight_decay: float = 4e-5):
    """Makes one momentum slot for each weight."""
    super().__init__(name='supernet_sgd')
    self._momentum = momentum
    self._weight_decay = weight_decay
    self._supernet = supernet
    self.loss_scale = loss_scale.LossScale() if supernet.precision == 'mixed_float16' else None
    self.fixed_slots = [self._slot(weight) for weight in supernet.fixed_weights]
    # One slot a variable, by candidate.
    self.candidate_slots = [[[self._slot(weight) for weight in layer.weights] for layer in choice.candidates]
                            for choice in supernet.choices]
    self._tables = [variable_table.VariableTable(choice.fill(rows)) if choice.columns else None
                    for choice, rows in zip(supernet.choices, self.candidate_slots)]

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
      gate_gradients: For each choice, gradients with respect to `gates[i].weights`.
      fixed_gradients: Gradients with respect to `supernet.fixed_weights`.
      learning_rate: float32 scalar.
      when: bool scalar; where it is False, no weight changes.
    """
    rates = when, learning_rate, tf.constant(self._momentum), tf.constant(self._weight_decay)
    remaining = zip(self._supernet.choices, self._tables, gates, gate_gradients, strict=True)
    for run in self._supernet.choice_runs:
      forms, arguments = [], []
      for choice, table, gate, gradients in itertools.islice(remaining, len(run)):
        if table is not None:
          forms.append(_Form(choice.weight_groups, choice.parts, len(gate.weights), table.packed))
          sources = [source for each in (choice.table, table) for source in each.source(lambda gate=gate: gate.row)]
          arguments += [gate.row, *sources, *gate.weights, *gradients]
      if forms:
        _update(tuple(forms))(*rates, *arguments)

    fixed, slots = self._supernet.fixed_weights, self.fixed_slots
    if fixed:
      handles = [variable.handle for variable in (*fixed, *slots)]
      values = [weight.read_value() for weight in fixed]
      _update((_Form(((len(fixed), None),), (), len(fixed), packed=False),))(
          *rates, tf.constant([0, 1]), *handles, *values, *fixed_gradients)
