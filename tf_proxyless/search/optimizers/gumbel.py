"""Gumbel-softmax over all candidates: the differentiable search of FBNet (Wu et al., CVPR 2019, arXiv 1812.03443, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import checks
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search.optimizers import base
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

_STREAM = 5  # of random numbers: Gumbel noise


class Gumbel(base.ArchitectureOptimizer):
  """Runs all candidates of every decision, mixed by a Gumbel-softmax of the logits, and descends by the gradient that reaches the logits.

  A mixture costs as many networks in time and memory as there are candidates. The straight-through variant (Jang et al. 2017, arXiv
  1611.01144; of one path as in GDAS, Dong & Yang, CVPR 2019, arXiv 1910.04465) runs the candidate of the largest weight only, as if that
  were 1, and descends by the gradient that reaches it. Deviations from the paper: weights are trained on one sampled network a step, not on
  mixtures; the expected cost is exact, not that of the mixture.
  """

  def __init__(
      self,
      parameters: policy_lib.Policy,
      cost_model: model_lib.CostModel,
      objective: objectives.Objective,
      mixture_gradients: Callable[[np.ndarray, Any], tuple[float, np.ndarray]],
      *,
      learning_rate: float,
      temperatures: tuple[float, float],
      updates: int,
  ):
    """Makes the optimizer.

    Args:
      parameters: What is learned.
      cost_model: Costs of choices.
      objective: Turns cross-entropy and expected cost into a loss.
      mixture_gradients: (weights float32 [decisions, most choices], batch) -> cross-entropy of the mixture, and its gradients with respect
        to the weights; of the straight-through variant see `search.steps.SupernetSteps.sampled_gradients`.
      learning_rate: Learning rate of Adam; the paper's is 0.01.
      temperatures: Temperatures of the first and of the last update, between which it falls exponentially.
      updates: Number of updates of the whole search.
    """
    super().__init__(parameters, cost_model, objective, learning_rate, 'gumbel')
    self._mixture_gradients = mixture_gradients
    self._first, self._decay = temperatures[0], math.log(temperatures[0] / temperatures[1]) / max(updates - 1, 1)

  @property
  def temperature(self) -> tf.Tensor:
    """Of the next update: float32 scalar."""
    return self._first * tf.exp(-self._decay * tf.cast(self.updates, tf.float32))

  def update(self, batch: Any = None) -> None:
    loss, gradients = self._mixture_gradients(self.mix().numpy(), batch)
    choices = np.tile(np.arange(self.parameters.mask.shape[1]), (len(self.cost_model.paths), 1))
    checks.check_gate_gradients(np.asarray(gradients), choices, self.cost_model.paths)
    self._learn(tf.cast(loss, tf.float32), tf.cast(gradients, tf.float32))

  @tf.function(input_signature=[], autograph=False)
  def mix(self) -> tf.Tensor:
    """The weights of the next update's mixture: float32 [decisions, most choices], rows sum to 1."""
    return self._mixture()

  def _mixture(self) -> tf.Tensor:
    mask = self.parameters.mask
    uniform = tf.random.stateless_uniform(mask.shape, self.parameters.seed(_STREAM, self.updates), minval=1e-12)
    logits = self.parameters.log_probabilities() - tf.math.log(-tf.math.log(uniform))
    return tf.nn.softmax(tf.where(mask, logits / self.temperature, -np.inf))

  @tf.function(input_signature=[tf.TensorSpec([], tf.float32), tf.TensorSpec([None, None], tf.float32)], autograph=False)
  def _learn(self, cross_entropy: tf.Tensor, gradients: tf.Tensor) -> None:

    def loss() -> tuple[tf.Tensor, tf.Tensor]:
      mixture = self._mixture()
      moved = mixture - tf.stop_gradient(mixture)  # zero, with the gradient of the mixture
      return cross_entropy + tf.reduce_sum(gradients * moved), self.cost_model.expected(self.parameters.probabilities())

    self._descend(loss)


@dataclasses.dataclass(frozen=True)
class GumbelConfig(base.OptimizerConfig):
  """Settings of the Gumbel-softmax; see `Gumbel`. Temperatures are the paper's: 5 exp(-0.045 epoch) in 90 epochs.

  Attributes:
    straight_through: Whether one path runs instead of all candidates.
  """

  first_temperature: float = 5.0
  last_temperature: float = 0.09
  straight_through: bool = False

  LEARNS_FROM = 'loss'
  SCALE = 3.0
  RATES = ((300, 0.1), (1_000, 0.02), (10_000, 0.01))

  def passes(self, space: network_lib.Network) -> int:
    if self.straight_through:
      return 2
    return 2 * max(len(ops.values_of(place.block.op)) for place in network_lib.places(space))  # forward, and back without kernels

  def check(self, space: network_lib.Network) -> None:
    base.check_one_gate(space, 'mixtures')
    if not 0 < self.last_temperature <= self.first_temperature:
      raise ValueError(f'temperatures must be positive and not rise, got {self.first_temperature:g} to {self.last_temperature:g}')

  def build(self, policy: policy_lib.Policy, cost_model: model_lib.CostModel, objective: objectives.Objective,
            steps: Any, updates: int) -> Gumbel:
    gradients = steps and (steps.sampled_gradients if self.straight_through else steps.mixture_gradients)
    return Gumbel(policy, cost_model, objective, gradients, learning_rate=self.rate(updates),
                  temperatures=(self.first_temperature, self.last_temperature), updates=updates)
