"""How accuracy and cost become one number to learn from.

`constrained` is the default: the published soft forms do not arrive at their target (the most likely network of a simulated search
for 80 ms ended at 100 to 166 ms with them, at 77 to 86 ms with the constraint; docs/research.md).
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

class Objective(tf.Module):
  """Accuracy alone; the base of the others.

  REINFORCE learns from `reward` and adds the policy loss through `loss`; the gradient rule passes its cross-entropy through `loss`.
  """

  @property
  def multiplier(self) -> tf.Tensor:
    """The weight that cost has at present, for the log: float32 scalar."""
    return tf.constant(0.0)

  def reward(self, accuracy: tf.Tensor, cost: tf.Tensor) -> tf.Tensor:
    """Reward of scored networks.

    Args:
      accuracy: float32 [networks], in [0, 1].
      cost: float32 [networks], in the unit of the target.
    """
    del cost
    return accuracy

  def loss(self, loss: tf.Tensor, expected_cost: tf.Tensor) -> tf.Tensor:
    """What the architecture parameters descend, a scalar differentiable in both scalars."""
    del expected_cost
    return loss

  def weigh(self, gradient: tf.Tensor, cost_gradient: tf.Tensor) -> None:
    """Sees what an update descends: gradients by the architecture parameters of `loss(...)` and of the expected cost, of one shape."""

  def aim(self, expected_cost: tf.Tensor) -> tf.Tensor | None:
    """Where the expected cost is moved after an update that left it at `expected_cost`; None leaves it there."""
    del expected_cost

  def step(self, expected_cost: tf.Tensor) -> None:
    """Moves the objective's own state after an update that began at `expected_cost`."""


class Constrained(Objective):
  """Accuracy subject to E[cost] = target T: the policy is projected on the constraint after each update (`Policy.project`).

  What is descended is the Lagrangian, loss + lambda * E[cost] / T, whose multiplier is the running mean of its least-squares estimates:
  lambda += rate * e, with e the number for which the gradient of loss + (lambda + e) * E[cost] / T is orthogonal to that of the cost
  (Nocedal and Wright, Numerical Optimization, section 18.3). So the gradient says which choices are worth their cost, and the projection,
  which knows no rate, keeps the cost. lambda may be negative: larger networks then score worse.
  """

  def __init__(self, target: float, *, scale: float, proportional: float = 1.0, rate: float = 0.003):
    """Starts at lambda = 0.

    Args:
      target: T, in the unit of costs.
      scale: Scale of the loss: 1 for accuracy, about 3 for cross-entropy. The most that e may be, so that one exploding gradient is
        survived.
      proportional: Share of the way to the target that a projection goes; what is more than 1 is 1.
      rate: Share of e by which lambda moves.
    """
    super().__init__(name='constrained')
    self._target, self._scale, self._proportional, self._rate = target, scale, proportional, rate
    self._lambda = tf.Variable(0.0, trainable=False, name='lambda')

  @property
  def multiplier(self) -> tf.Tensor:
    return self._lambda.read_value()

  def loss(self, loss: tf.Tensor, expected_cost: tf.Tensor) -> tf.Tensor:
    return loss + self._lambda * expected_cost / self._target

  def weigh(self, gradient: tf.Tensor, cost_gradient: tf.Tensor) -> None:
    direction = cost_gradient / self._target
    missing = -tf.math.divide_no_nan(tf.reduce_sum(gradient * direction), tf.reduce_sum(direction**2))
    self._lambda.assign_add(self._rate * tf.clip_by_value(missing, -self._scale, self._scale))

  def aim(self, expected_cost: tf.Tensor) -> tf.Tensor:
    return expected_cost + min(self._proportional, 1.0) * (self._target - expected_cost)


class RewardPower(Objective):
  """accuracy * (T / cost) ** exponent (Tan et al. 2019; ProxylessNAS section 3.3.2, exponent 0.1 in the official code)."""

  def __init__(self, target: float, exponent: float = 0.1):
    super().__init__(name='reward_power')
    self._target, self._exponent = target, exponent

  def reward(self, accuracy: tf.Tensor, cost: tf.Tensor) -> tf.Tensor:
    return accuracy * (self._target / cost) ** self._exponent


class RewardAbsolute(Objective):
  """accuracy - weight * |cost / T - 1| (TuNAS, Bender et al. 2020, with weight 0.10)."""

  def __init__(self, target: float, weight: float = 0.1):
    super().__init__(name='reward_absolute')
    self._target, self._weight = target, weight

  def reward(self, accuracy: tf.Tensor, cost: tf.Tensor) -> tf.Tensor:
    return accuracy - self._weight * tf.abs(cost / self._target - 1.0)


class PenaltyLog(Objective):
  """weight * loss * (log E[cost] / log T) ** exponent (official mul#log, weight 0.2, exponent 0.3)."""

  def __init__(self, target: float, smallest_cost: float, weight: float = 0.2, exponent: float = 0.3):
    """Refuses costs around 1, where the logarithm changes sign: below 1 unit it rewards slowness, across it it is NaN."""
    super().__init__(name='penalty_log')
    if not min(target, smallest_cost) > 1.0:
      raise ValueError(f'penalty_log needs costs above 1, got a target of {target} and a smallest network of {smallest_cost}; '
                       'use the constrained objective')
    self._target, self._weight, self._exponent = target, weight, exponent

  def loss(self, loss: tf.Tensor, expected_cost: tf.Tensor) -> tf.Tensor:
    return self._weight * loss * (tf.math.log(expected_cost) / math.log(self._target)) ** self._exponent


class PenaltyLinear(Objective):
  """loss + weight * (E[cost] - T) / T (ProxylessNAS section 3.3.1, as the official add#linear, weight 0.1)."""

  def __init__(self, target: float, weight: float = 0.1):
    super().__init__(name='penalty_linear')
    self._target, self._weight = target, weight

  def loss(self, loss: tf.Tensor, expected_cost: tf.Tensor) -> tf.Tensor:
    return loss + self._weight * (expected_cost - self._target) / self._target


@dataclasses.dataclass(frozen=True)
class Config:
  """Settings of an objective; a subclass has all its defaults and builds it. This one is accuracy alone.

  Attributes:
    SERVES: What optimizers that learn by it learn from: 'reward', 'loss', or both.
  """

  SERVES: ClassVar[tuple[str, ...]] = ('reward', 'loss')

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> Objective:
    """Makes the objective.

    Args:
      target: Budget, in the unit of costs.
      smallest_cost: Cost of the cheapest network.
      scale: Weight of a constraint that suits the optimizer.
      updates: Architecture updates of the whole search.
    """
    return Objective()


@dataclasses.dataclass(frozen=True)
class ConstrainedConfig(Config):
  """Settings of `Constrained`, which needs none; a scale of None is the optimizer's, a rate of None the default."""

  proportional: float = 1.0
  rate: float | None = None
  scale: float | None = None

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> Constrained:
    rate = {} if self.rate is None else {'rate': self.rate}
    return Constrained(target, scale=scale if self.scale is None else self.scale, proportional=self.proportional, **rate)


@dataclasses.dataclass(frozen=True)
class RewardPowerConfig(Config):
  """Settings of `RewardPower`."""

  exponent: float = 0.1

  SERVES = ('reward',)

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> RewardPower:
    return RewardPower(target, self.exponent)


@dataclasses.dataclass(frozen=True)
class RewardAbsoluteConfig(Config):
  """Settings of `RewardAbsolute`."""

  weight: float = 0.1

  SERVES = ('reward',)

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> RewardAbsolute:
    return RewardAbsolute(target, self.weight)


@dataclasses.dataclass(frozen=True)
class PenaltyLogConfig(Config):
  """Settings of `PenaltyLog`."""

  weight: float = 0.2
  exponent: float = 0.3

  SERVES = ('loss',)

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> PenaltyLog:
    return PenaltyLog(target, smallest_cost, self.weight, self.exponent)


@dataclasses.dataclass(frozen=True)
class PenaltyLinearConfig(Config):
  """Settings of `PenaltyLinear`."""

  weight: float = 0.1

  SERVES = ('loss',)

  def build(self, target: float, smallest_cost: float, scale: float, updates: int) -> PenaltyLinear:
    return PenaltyLinear(target, self.weight)
