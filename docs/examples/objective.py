"""An objective of your own: costs below the target are free, those above it are punished in proportion.

  python docs/examples/objective.py

It serves both optimizers: with REINFORCE `loss` is the negative reward, with two paths the cross-entropy.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

import tf_proxyless as nas


class Hinge(nas.objectives.Objective):
  """loss + weight * max(0, E[cost] / T - 1)."""

  def __init__(self, target: float, weight: float):
    """Stores the target T, in the unit of the costs, and the loss for a cost of twice the target."""
    super().__init__(name='hinge')
    self._target, self._weight = target, weight

  def loss(self, loss: tf.Tensor, expected_cost: tf.Tensor) -> tf.Tensor:
    return loss + self._weight * tf.nn.relu(expected_cost / self._target - 1.0)


@dataclasses.dataclass(frozen=True)
class HingeConfig(nas.objectives.Config):
  """Settings of `Hinge`, with their defaults."""

  weight: float = 1.0

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> Hinge:
    return Hinge(target, self.weight)


def main(run_dir: str = 'runs/objective', **settings) -> nas.SearchResult:
  space = nas.spaces.proxyless(resolution=16, classes=10, stem_filters=8, stem_strides=1, first_block_filters=8, stage_filters=(16, 24),
                               stage_blocks=(2, 2), stage_strides=(2, 2), head_filters=64)
  settings = {'batch_size': 128, 'warmup_epochs': 10, 'search_epochs': 20, 'validation_images': 0.2, **settings}
  return nas.search(space, 'digits', cost='macs', target='40%', objective=HingeConfig(weight=2.0), run_dir=run_dir, **settings)


if __name__ == '__main__':
  print(main().architecture)
