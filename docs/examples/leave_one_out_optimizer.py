"""An architecture optimizer of your own: REINFORCE whose baseline is the mean reward of the other networks of the same batch.

  python docs/examples/leave_one_out_optimizer.py --flagfile=quickstart.flags --run_dir=runs/leave_one_out

The baseline has no memory, so that there is nothing to tune and nothing that lags behind while the supernet learns (Kool, van Hoof and
Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", ICLR 2019 workshop). The estimate stays unbiased.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tf_proxyless.app import command_line
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app.commands import search
from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search.optimizers import base
from tf_proxyless.search.optimizers import reinforce

_STREAM = 5  # of random numbers; 1 to 4 are taken


class LeaveOneOut(base.ArchitectureOptimizer):
  """Scores networks on one validation batch and raises the log-probability of those that are better than the others."""

  scores_networks = True

  def __init__(self, parameters: policy_lib.ArchitectureParameters, cost_model: model_lib.CostModel,
               objective: objectives.Objective, score: Callable[[np.ndarray, Any], np.ndarray] | None, learning_rate: float, networks: int):
    """Makes the optimizer.

    Args:
      parameters: What is learned.
      cost_model: Costs of choices.
      objective: Turns accuracy and cost into a reward.
      score: (paths int32 [networks, decisions], batch) -> accuracies [networks] in [0, 1].
      learning_rate: Of Adam.
      networks: Sampled for each update, at least 2.
    """
    if networks < 2:
      raise ValueError(f'leave_one_out needs at least 2 networks an update, got {networks}')
    super().__init__(parameters, cost_model, objective, learning_rate, 'leave_one_out')
    self._score, self._networks = score, networks

  def update(self, batch: Any = None) -> base.Scored:
    paths = self.parameters.sample(_STREAM, self.updates, self._networks)
    accuracies = np.asarray(self._score(paths.numpy(), batch), np.float32)
    self._learn(paths, tf.constant(accuracies))
    return base.Scored(paths.numpy(), accuracies)

  @tf.function(autograph=False)
  def _learn(self, paths: tf.Tensor, accuracies: tf.Tensor) -> None:
    chosen = tf.one_hot(paths, max(self.cost_model.choice_counts))  # [networks, decisions, choices]
    rewards = self.objective.reward(accuracies, self.cost_model.expected(chosen))
    others = (tf.reduce_sum(rewards) - rewards) / (self._networks - 1.0)
    advantages = rewards - others

    def loss() -> tuple[tf.Tensor, tf.Tensor]:
      log_policy = tf.math.log(tf.where(self.parameters.mask, self.parameters.policy(), 1.0))
      log_probability = tf.einsum('ndc,dc->n', chosen, log_policy)
      return -tf.reduce_mean(advantages * log_probability), self.cost_model.expected(self.parameters.probabilities())

    self._descend(loss)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(base.OptimizerConfig):
  """Settings of `LeaveOneOut`, with their defaults."""

  networks: int = 10

  LEARNS_FROM = 'reward'
  RATES = reinforce.Config.RATES

  def build(self, policy: policy_lib.ArchitectureParameters, cost_model: model_lib.CostModel, objective: objectives.Objective,
            steps: Any, updates: int) -> LeaveOneOut:
    return LeaveOneOut(policy, cost_model, objective, steps and steps.accuracies, self.rate(updates), self.networks)


Config = config_lib.SearchConfig


def main(config: Config) -> int:
  given = config.optimizer
  return search.main(config, problem_lib.Custom(optimizer=OptimizerConfig(given.architecture_learning_rate, given.reinforce_networks)))


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
