"""The gradient rule of ProxylessNAS on two sampled paths (section 3.2, Eq. 4)."""

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

_PAIR_STREAM = 3  # of random numbers: which two choices
_ACTIVE_STREAM = 4  # which of the two acts


def renormalise(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
  """Gives a pair its total probability back, so that choices that were not sampled keep theirs exactly.

  Args:
    old: float32 [decisions, 2], the pair's logits before an update.
    new: float32 [decisions, 2], after it.

  Returns:
    `new` shifted by one number a decision so that sum exp is that of `old` (ProxylessNAS section 3.2, last paragraph).
  """
  return new + tf.reduce_logsumexp(old, axis=1, keepdims=True) - tf.reduce_logsumexp(new, axis=1, keepdims=True)


class TwoPath(base.ArchitectureOptimizer):
  """Draws two choices of each decision, and moves their logits by the gradient that reaches their gates.

  Zero is treated exactly: its output is the zero tensor, so its own gate gradient is 0 and the other gate's still exists. (The
  official code loses the whole decision's gradient whenever Zero is sampled.)
  """

  def __init__(
      self,
      parameters: policy_lib.Policy,
      cost_model: model_lib.CostModel,
      objective: objectives.Objective,
      gate_gradients: Callable[[np.ndarray, np.ndarray, Any], tuple[float, np.ndarray]],
      *,
      learning_rate: float,
  ):
    """Makes the optimizer.

    Args:
      parameters: What is learned.
      cost_model: Costs of choices.
      objective: Turns cross-entropy and expected cost into a loss.
      gate_gradients: (active int32 [decisions], inactive int32 [decisions], batch) -> cross-entropy, and its gradients with
        respect to the gates of the two, float32 [decisions, 2].
      learning_rate: Learning rate of Adam; the official 1e-3 is for 100,000 updates.
    """
    super().__init__(parameters, cost_model, objective, learning_rate, 'gradient_rule')
    self._gate_gradients = gate_gradients

  def update(self, batch: Any = None) -> None:
    pairs = self._sample()
    loss, gradients = self._gate_gradients(pairs[:, 0].numpy(), pairs[:, 1].numpy(), batch)
    checks.check_gate_gradients(np.asarray(gradients), pairs.numpy(), self.cost_model.paths)
    self._learn(pairs, tf.cast(loss, tf.float32), tf.cast(gradients, tf.float32))

  @tf.function(input_signature=[], autograph=False)
  def _sample(self) -> tf.Tensor:
    """Two distinct choices of each decision, drawn by the policy without replacement; the active one first, drawn between them."""
    uniform = tf.random.stateless_uniform(
        self.parameters.mask.shape, self.parameters.seed(_PAIR_STREAM, self.updates), minval=1e-12)
    gumbel = -tf.math.log(-tf.math.log(uniform))
    _, pair = tf.math.top_k(tf.where(self.parameters.mask, tf.math.log(self.parameters.sampling_probabilities()) + gumbel, -np.inf), 2)
    logits = tf.gather(self.parameters.alpha, pair, batch_dims=1)
    swap = tf.random.stateless_categorical(logits, 1, self.parameters.seed(_ACTIVE_STREAM, self.updates)) == 1
    return tf.where(swap, tf.reverse(pair, [1]), pair)

  @tf.function(
      input_signature=[tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([], tf.float32), tf.TensorSpec([None, 2], tf.float32)],
      autograph=False)
  def _learn(self, pairs: tf.Tensor, cross_entropy: tf.Tensor, gradients: tf.Tensor) -> None:
    old = tf.gather(self.parameters.alpha, pairs, batch_dims=1)
    probabilities = self.parameters.probabilities()
    costs = tf.gather(self.cost_model.marginal(probabilities), pairs, batch_dims=1)
    expected_cost = self.cost_model.expected(probabilities)

    def loss() -> tuple[tf.Tensor, tf.Tensor]:
      p = tf.nn.softmax(tf.gather(self.parameters.alpha, pairs, batch_dims=1))
      moved = p - tf.stop_gradient(p)  # zero, with the gradient of p: d/d alpha_i sum_j c_j p_j = sum_j c_j p_j (delta_ij - p_i)
      # The expected cost has its exact value, and the gradient of the pair's own (as the official code's), so that it stands to the
      # loss's in one ratio for all decisions; scaled by the pair's probability, E[cost] missed by 6 % where gains were large.
      return cross_entropy + tf.reduce_sum(gradients * moved), expected_cost + tf.reduce_sum(costs * moved)

    def give_back() -> None:
      new = renormalise(old, tf.gather(self.parameters.alpha, pairs, batch_dims=1))
      rows = tf.repeat(tf.range(tf.shape(pairs)[0])[:, None], 2, axis=1)
      self.parameters.alpha.assign(
          tf.tensor_scatter_nd_update(self.parameters.alpha, tf.stack([rows, pairs], axis=-1), new))

    self._descend(loss, give_back)


@dataclasses.dataclass(frozen=True)
class TwoPathConfig(base.OptimizerConfig):
  """Settings of the gradient rule; see `TwoPath`."""

  def passes(self, space: network_lib.Network) -> int:
    return 3  # two forward, one backward

  LEARNS_FROM = 'loss'
  SCALE = 3.0
  RATES = ((3_000, 0.03), (10_000, 0.01), (100_000, 0.001))

  def check(self, space: network_lib.Network) -> None:
    base.check_one_gate(space, 'two paths')

  def build(self, policy: policy_lib.Policy, cost_model: model_lib.CostModel, objective: objectives.Objective,
            steps: Any, updates: int) -> TwoPath:
    return TwoPath(policy, cost_model, objective, steps and steps.gate_gradients, learning_rate=self.rate(updates))
