"""What all architecture optimizers have in common; the search loop knows no more of them than this."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

_WEIGHT_STREAM = 1  # of random numbers: paths of weight steps


@dataclasses.dataclass(frozen=True)
class Scored:
  """Networks that an update scored on one validation batch.

  Attributes:
    paths: int32 [networks, decisions].
    accuracies: float32 [networks], in [0, 1].
  """

  paths: np.ndarray
  accuracies: np.ndarray


class ArchitectureOptimizer(tf.Module):
  """Samples gates for weight steps, and learns architecture parameters from validation batches.

  All state is in variables, so that a checkpoint of this object holds it.

  Attributes:
    scores_networks: Whether `update` returns networks that it scored. If not, some are scored after the search, for derivation.
  """

  scores_networks = False

  def __init__(self, parameters: policy_lib.Policy, cost_model: model_lib.CostModel,
               objective: objectives.Objective, learning_rate: float, name: str):
    """Adam has beta1 = 0: with momentum, choices that were not sampled would move."""
    super().__init__(name=name)
    self.parameters = parameters
    self.cost_model = cost_model
    self.objective = objective
    self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name='updates')
    self._adam = keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.999, epsilon=1e-8, jit_compile=False)
    self._adam.build([parameters.alpha])
    self._project()

  def _project(self) -> None:
    """Moves the policy to where the objective wants the expected cost: before the warm-up, which trains networks of that cost, too."""
    aim = self.objective.aim(self.cost_model.expected(self.parameters.probabilities()))
    if aim is not None:
      self.parameters.project(self.cost_model, aim)

  @tf.function(input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
  def next_path(self, step: tf.Tensor) -> tf.Tensor:
    """The network of weight step `step`: int32 [decisions].

    Drawn from the policy, but for the resolution, of which all choices are equally probable: the target makes the greatest improbable, and
    weights that have seldom been trained at it would give its networks poor accuracies (docs/research.md).
    """
    return self.parameters.sample(_WEIGHT_STREAM, step, probabilities=self.parameters.weight_step_probabilities())[0]

  @tf.function(input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.float32)], autograph=False)
  def warmup_path(self, step: tf.Tensor, dearest: tf.Tensor) -> tf.Tensor:
    """The network of a weight step of the warm-up, in which choices come in proportion to the probabilities of weight steps.

    Args:
      step: The weight step.
      dearest: Probability with which each decision takes its dearest choice instead.

    Returns:
      int32 [decisions].
    """
    policy = self.parameters
    costs = self.cost_model.marginal(tf.cast(policy.probabilities(), tf.float64))
    most = tf.argmax(tf.where(policy.mask, costs, -np.inf), axis=1)
    probabilities = (1.0 - dearest) * policy.weight_step_probabilities() + dearest * tf.one_hot(most, policy.mask.shape[1])
    return policy.sample_in_proportion(_WEIGHT_STREAM, step, probabilities)

  @tf.function(input_signature=[], autograph=False)
  def state(self) -> dict[str, tf.Tensor]:
    """Scalars for the log: entropy, expected_cost, multiplier."""
    return {
        'entropy': self.parameters.entropy(),
        'expected_cost': self.cost_model.expected(self.parameters.probabilities()),
        'multiplier': self.objective.multiplier,
    }

  def log_probabilities(self) -> list[np.ndarray]:
    """log p by decision, float64 [choices]."""
    rows = self.parameters.log_probabilities().numpy().astype(np.float64)
    return [row[:count] for row, count in zip(rows, self.cost_model.choice_counts)]

  def update(self, batch: Any = None) -> Scored | None:
    """Learns from one validation batch, which is handed to the callback given at construction; networks it scored."""
    raise NotImplementedError

  def _descend(self, loss_of: Callable[[], tuple[tf.Tensor, tf.Tensor]], then: Callable[[], None] = lambda: None) -> None:
    """One Adam step on objective.loss(loss, expected_cost), then the objective's own, to the expected cost that it aims at.

    Args:
      loss_of: Gives the loss and the expected cost, differentiable in alpha.
      then: What the optimizer does to alpha after the Adam step.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
      tape.watch(self.parameters.alpha)
      loss, expected_cost = loss_of()
      total = self.objective.loss(loss, expected_cost)
    gradient, cost_gradient = (
        tf.convert_to_tensor(tape.gradient(each, self.parameters.alpha, unconnected_gradients='zero')) for each in (total, expected_cost))
    self._adam.apply_gradients([(gradient, self.parameters.alpha)])
    then()
    self.objective.weigh(gradient, cost_gradient)
    self.objective.step(expected_cost)
    self._project()
    self.updates.assign_add(1)


def check_one_gate(space: network_lib.Network, what: str) -> None:
  """Refuses a space of which a decision does anything but choose the operation of one block.

  Args:
    space: A search space.
    what: What needs it, in the plural.

  Raises:
    ValueError: In one line, which does.
  """
  places = [place for place in network_lib.places(space) if place.decisions]
  for place in places:
    if len(place.decisions) != 1 or sum(place.decisions == other.decisions for other in places) != 1:
      names = ', '.join(schema.decisions(space)[index].path for index in place.decisions)
      raise ValueError(f'block {place.block.name!r} depends on {names}: {what} need decisions that choose the operation of one block '
                       'each; use reinforce')


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """Settings of an architecture optimizer; a subclass has all its defaults and builds it.

  Attributes:
    learning_rate: Learning rate of Adam; None takes it from RATES by the number of updates.
    LEARNS_FROM: 'reward' of scored networks, or 'loss': which objectives serve it.
    SCALE: Scale of the constrained objective against what it learns from.
    RATES: (updates, learning rate) found by simulation with the constrained objective (docs/research.md).
  """

  learning_rate: float | None = None

  def passes(self, space: network_lib.Network) -> int:
    """Forward passes over its batch of which an update has the cost, about."""
    del space
    return 1

  LEARNS_FROM: ClassVar[str]
  SCALE: ClassVar[float] = 1.0
  RATES: ClassVar[tuple[tuple[int, float], ...]]

  def rate(self, updates: int) -> float:
    """Adam's learning rate for a search of so many updates."""
    return schedule_lib.interpolate(self.RATES, updates) if self.learning_rate is None else self.learning_rate

  def check(self, space: network_lib.Network) -> None:
    """Refuses a space that the optimizer cannot search.

    Raises:
      ValueError: In one line, why.
    """

  def build(self, policy: policy_lib.Policy, cost_model: model_lib.CostModel, objective: objectives.Objective,
            steps: Any, updates: int) -> ArchitectureOptimizer:
    """Makes the optimizer.

    Args:
      policy: What is learned.
      cost_model: Costs of choices.
      objective: From accuracy and cost to what is learned from.
      steps: Scores networks (`steps.accuracies`) or gives gate gradients (`steps.gate_gradients`), see `search.steps.SupernetSteps`;
        None where the optimizer is only restored.
      updates: Updates of the whole search.
    """
    raise NotImplementedError
