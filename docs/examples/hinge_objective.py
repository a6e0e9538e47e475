"""An objective of your own: costs below the target are free, and every percent above it costs as much accuracy as you say.

  python docs/examples/hinge_objective.py --penalty_weight=1 --flagfile=quickstart.flags --run_dir=runs/hinge

It serves both architecture optimizers: with REINFORCE `loss` is the negative reward, with the gradient rule the cross-entropy.
"""

from __future__ import annotations

import dataclasses
import sys

import tensorflow as tf

from tf_proxyless.app import command_line
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app.commands import search
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


@dataclasses.dataclass(frozen=True)
class HingeConfig(objectives.Config):
  """Settings of `Hinge`, with their defaults."""

  weight: float = 1.0

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> Hinge:
    return Hinge(target, self.weight)


Config = config_lib.SearchConfig


def main(config: Config) -> int:
  weight = config.objective.penalty_weight
  return search.main(config, problem_lib.Custom(objective=HingeConfig() if weight is None else HingeConfig(weight)))


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
