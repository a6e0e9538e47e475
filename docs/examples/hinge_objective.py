"""An objective of your own: costs below the target are free, and every percent above it costs as much accuracy as you say.

  python docs/examples/hinge_objective.py --objective=hinge --penalty_weight=1 --flagfile=quickstart.flags --run_dir=runs/hinge

It serves both architecture optimizers: with REINFORCE `loss` is the negative reward, with the gradient rule the cross-entropy.
"""

from __future__ import annotations

import tensorflow as tf

from tf_proxyless.app import command_line
from tf_proxyless.app import methods
from tf_proxyless.search import objectives


class Hinge(objectives.Objective):
  """loss + weight * max(0, E[cost] / T - 1)."""

  def __init__(self, target: float, weight: float = 1.0):
    """Stores both.

    Args:
      target: T, ms or multiply-adds, as the costs are.
      weight: Loss for a cost of twice the target.
    """
    super().__init__(name='hinge')
    self._target, self._weight = target, weight

  def loss(self, loss: tf.Tensor, expected_cost: tf.Tensor) -> tf.Tensor:
    return loss + self._weight * tf.nn.relu(expected_cost / self._target - 1.0)


def from_flags(values, plan, updates) -> Hinge:
  """The objective with the target and weight of a command line."""
  del updates
  return Hinge(plan.target, 1.0 if values.penalty_weight is None else values.penalty_weight)


methods.add_objective('hinge', ('reinforce', 'gradient'), from_flags)

if __name__ == '__main__':
  from tf_proxyless.search import __main__ as search  # defines the flags, so after the name is known

  command_line.run(search.main)
