"""Scaling of the loss, so that gradients in float16 neither vanish nor overflow (Micikevicius et al. 2018, arXiv 1710.03740)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_FIRST, _MOST = 2.0**15, 2.0**24
_STEPS = 2_000  # without an overflow, after which a larger factor is tried; as Keras has it


class LossScale(tf.Module):
  """A factor of the loss, halved when gradients overflow, and doubled after 2,000 weight steps in which they did not.

  Attributes:
    factor: float32, a power of two and at least 1, by which gradients can be divided exactly.
    steps: int32, weight steps since it changed.
  """

  def __init__(self):
    super().__init__(name='loss_scale')
    # Of several devices each has its own, and all change alike, by gradients that are the same.
    alike = dict(trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
                 aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
    self.factor = tf.Variable(_FIRST, name='factor', **alike)
    self.steps = tf.Variable(0, name='steps', **alike)

  def update(self, finite: tf.Tensor | bool) -> None:
    """After a step whose gradients were finite, or overflowed."""
    grows = finite & (self.steps + 1 >= _STEPS)
    factor = tf.where(finite, tf.where(grows, 2.0 * self.factor, self.factor), 0.5 * self.factor)
    self.factor.assign(tf.clip_by_value(factor, 1.0, _MOST))
    self.steps.assign(tf.where(finite & ~grows, self.steps + 1, 0))


def all_finite(gradients: Any) -> tf.Tensor:
  """Whether all numbers of some float32 tensors, in any structure, are finite: bool scalar."""
  return tf.math.is_finite(tf.add_n([tf.reduce_sum(gradient) for gradient in tf.nest.flatten(gradients)]))
