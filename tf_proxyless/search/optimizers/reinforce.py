"""REINFORCE on sampled networks (ProxylessNAS section 3.3.2; Williams 1992)."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import checks
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search.optimizers import base
from tf_proxyless.space import network as network_lib

_STREAM = 2  # of random numbers: networks to score


class Reinforce(base.ArchitectureOptimizer):
  """Scores networks on one validation batch and raises the log-probability of those above the baseline.

  The expected cost enters through its exact gradient, not through samples; rewards of the published forms hold the cost themselves.
  """

  scores_networks = True

  def __init__(
      self,
      parameters: policy_lib.Policy,
      cost_model: model_lib.CostModel,
      objective: objectives.Objective,
      score: Callable[[np.ndarray, Any], np.ndarray],
      *,
      learning_rate: float,
      networks: int = 10,
      baseline_momentum: float = 0.95,
  ):
    """Starts with no baseline; the first update's mean reward becomes it.

    Args:
      parameters: What is learned.
      cost_model: Costs of choices.
      objective: Turns accuracy and cost into a reward.
      score: (paths int32 [networks, decisions], batch) -> accuracies [networks] in [0, 1].
      learning_rate: Learning rate of Adam.
      networks: Sampled for each update (official 10).
      baseline_momentum: b <- momentum * b + (1 - momentum) * mean reward, after use. The official code's "decay 0.99" is the
        weight of the new value, which makes the baseline nearly the last mean (reference: TuNAS 0.95).
    """
    super().__init__(parameters, cost_model, objective, learning_rate, 'reinforce')
    if networks < 1:
      raise ValueError(f'networks must be at least 1, got {networks}')
    if not 0.0 <= baseline_momentum < 1.0:
      raise ValueError(f'baseline_momentum must be in [0, 1), got {baseline_momentum}')
    self._score = score
    self._networks = networks
    self._baseline_momentum = baseline_momentum
    self.baseline = tf.Variable(0.0, trainable=False, name='baseline')

  def update(self, batch: Any = None) -> base.Scored:
    paths = self._sample()
    accuracies = np.asarray(self._score(paths.numpy(), batch), np.float32)
    checks.check_rewards(accuracies, paths.numpy())
    self._learn(paths, tf.constant(accuracies))
    return base.Scored(paths.numpy(), accuracies)

  @tf.function(input_signature=[], autograph=False)
  def _sample(self) -> tf.Tensor:
    return self.parameters.sample(_STREAM, self.updates, self._networks)

  @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)], autograph=False)
  def _learn(self, paths: tf.Tensor, accuracies: tf.Tensor) -> None:
    chosen = tf.one_hot(paths, max(self.cost_model.choice_counts))  # [networks, decisions, choices]
    rewards = self.objective.reward(accuracies, self.cost_model.expected(chosen))
    mean = tf.reduce_mean(rewards)
    baseline = tf.where(self.updates > 0, self.baseline, mean)
    advantages = rewards - baseline
    self.baseline.assign(self._baseline_momentum * baseline + (1.0 - self._baseline_momentum) * mean)

    def loss() -> tuple[tf.Tensor, tf.Tensor]:
      return -tf.reduce_mean(advantages * self.parameters.log_probability(paths)), self.cost_model.expected(self.parameters.probabilities())

    self._descend(loss)


@dataclasses.dataclass(frozen=True)
class ReinforceConfig(base.OptimizerConfig):
  """Settings of REINFORCE; see `Reinforce`."""

  networks: int = 10
  baseline_momentum: float = 0.95

  def passes(self, space: network_lib.Network) -> int:
    return self.networks

  LEARNS_FROM = 'reward'
  RATES = ((300, 0.05), (1_000, 0.0125), (3_000, 0.0085), (10_000, 0.005), (100_000, 0.001))

  def build(self, policy: policy_lib.Policy, cost_model: model_lib.CostModel, objective: objectives.Objective,
            steps: Any, updates: int) -> Reinforce:
    return Reinforce(policy, cost_model, objective, steps and steps.accuracies, learning_rate=self.rate(updates), networks=self.networks,
                     baseline_momentum=self.baseline_momentum)
