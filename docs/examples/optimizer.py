"""An architecture optimizer of your own: REINFORCE whose baseline is the mean reward of the other networks of the same batch.

  python docs/examples/optimizer.py

The baseline has no memory, so that there is nothing to tune and nothing that lags behind while the supernet learns (Kool, van Hoof and
Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", ICLR 2019 workshop). The estimate stays unbiased.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

import tf_proxyless as nas
from tf_proxyless import optimizers

_STREAM = 5  # of random numbers; 1 to 4 are taken


class LeaveOneOut(optimizers.ArchitectureOptimizer):
  """Scores networks on one validation batch and raises the log-probability of those that are better than the others."""

  scores_networks = True

  def __init__(self, parameters: optimizers.Policy, cost_model: nas.CostModel, objective: nas.objectives.Objective,
               score: Callable[[np.ndarray, Any], np.ndarray] | None, learning_rate: float, networks: int):
    """Makes the optimizer.

    Args:
      parameters: What is learned.
      cost_model: Costs of choices.
      objective: Turns accuracy and cost into a reward.
      score: (paths int32 [networks, decisions], batch) -> accuracies [networks] in [0, 1].
      learning_rate: Learning rate of Adam.
      networks: Sampled for each update, at least 2.
    """
    if networks < 2:
      raise ValueError(f'leave_one_out needs at least 2 networks an update, got {networks}')
    super().__init__(parameters, cost_model, objective, learning_rate, 'leave_one_out')
    self._score, self._networks = score, networks

  def update(self, batch: Any = None) -> optimizers.Scored:
    paths = self.parameters.sample(_STREAM, self.updates, self._networks)
    accuracies = np.asarray(self._score(paths.numpy(), batch), np.float32)
    self._learn(paths, tf.constant(accuracies))
    return optimizers.Scored(paths.numpy(), accuracies)

  @tf.function(autograph=False)
  def _learn(self, paths: tf.Tensor, accuracies: tf.Tensor) -> None:
    chosen = tf.one_hot(paths, max(self.cost_model.choice_counts))  # [networks, decisions, choices]
    rewards = self.objective.reward(accuracies, self.cost_model.expected(chosen))
    others = (tf.reduce_sum(rewards) - rewards) / (self._networks - 1.0)

    def loss() -> tuple[tf.Tensor, tf.Tensor]:
      return (-tf.reduce_mean((rewards - others) * self.parameters.log_probability(paths)),
              self.cost_model.expected(self.parameters.probabilities()))

    self._descend(loss)


@dataclasses.dataclass(frozen=True)
class LeaveOneOutConfig(optimizers.OptimizerConfig):
  """Settings of `LeaveOneOut`, with their defaults."""

  networks: int = 10

  LEARNS_FROM = 'reward'
  RATES = optimizers.Reinforce.RATES

  def build(self, policy: optimizers.Policy, cost_model: nas.CostModel, objective: nas.objectives.Objective,
            steps: Any, updates: int) -> LeaveOneOut:
    return LeaveOneOut(policy, cost_model, objective, steps and steps.accuracies, self.rate(updates), self.networks)


def main(run_dir: str = 'runs/optimizer', **settings) -> nas.SearchResult:
  space = nas.spaces.proxyless(resolution=16, classes=10, stem_filters=8, stem_strides=1, first_block_filters=8, stage_filters=(16, 24),
                               stage_blocks=(2, 2), stage_strides=(2, 2), head_filters=64)
  settings = {'batch_size': 128, 'warmup_epochs': 10, 'search_epochs': 20, 'validation_images': 0.2, **settings}
  return nas.search(space, 'digits', cost='macs', target='40%', optimizer=LeaveOneOutConfig(networks=8), run_dir=run_dir, **settings)


if __name__ == '__main__':
  print(main().architecture)
