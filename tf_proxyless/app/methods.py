"""Objectives and architecture optimizers by their names. For mains only; no room imports this.

`add_objective` and `add_architecture_optimizer` are for mains of your own, docs/extend.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses

from absl import flags

from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import search_flags
from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search.optimizers import base
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path


def _constrained(values: flags.FlagValues, plan: problem_lib.Plan, updates: int) -> objectives.Objective:
  scale, rate = values.constraint_scale, values.constraint_rate
  if scale is None:
    scale = 3.0 if values.architecture_optimizer == 'gradient' else 1.0
  if rate is None:
    rate = schedule_lib.default_constraint_rate(updates)
  return objectives.Constrained(plan.target, scale=scale, proportional=values.constraint_gain, rate=rate)


def _penalty_log(values: flags.FlagValues, plan: problem_lib.Plan, updates: int) -> objectives.Objective:
  weight = 0.2 if values.penalty_weight is None else values.penalty_weight
  return objectives.PenaltyLog(plan.target, plan.cost_model.smallest, weight, values.penalty_exponent)


def _penalty_linear(values: flags.FlagValues, plan: problem_lib.Plan, updates: int) -> objectives.Objective:
  return objectives.PenaltyLinear(plan.target, 0.1 if values.penalty_weight is None else values.penalty_weight)


# (flags, plan, updates of the architecture) -> objective
MakeObjective = Callable[[flags.FlagValues, problem_lib.Plan, int], objectives.Objective]

_OBJECTIVES: dict[str, MakeObjective] = {
    'constrained': _constrained,
    'reward_power': lambda values, plan, updates: objectives.RewardPower(plan.target, values.reward_exponent),
    'reward_absolute': lambda values, plan, updates: objectives.RewardAbsolute(plan.target, values.reward_weight),
    'penalty_log': _penalty_log,
    'penalty_linear': _penalty_linear,
}


def make_objective(values: flags.FlagValues, plan: problem_lib.Plan, updates: int) -> objectives.Objective:
  """The objective that the flags name; accuracy alone if the target does not constrain."""
  return _OBJECTIVES[values.objective](values, plan, updates) if plan.constrained else objectives.Objective()


def add_objective(name: str, serves: Sequence[str], make: MakeObjective) -> None:
  """Makes --objective accept a name; to be called before the module of a main is imported, which defines the flags.

  Args:
    name: Not taken yet.
    serves: Architecture optimizers that it is for.
    make: (flags, plan, updates) -> the objective; called only if the target constrains anything.
  """
  if name in _OBJECTIVES:
    raise ValueError(f'there is an objective {name!r} already')
  search_flags.OBJECTIVES[name] = tuple(serves)
  _OBJECTIVES[name] = make


@dataclasses.dataclass(frozen=True)
class OptimizerParts:
  """What an architecture optimizer is made of.

  Attributes:
    values: The flags.
    parameters: What it learns.
    cost_model: Costs of choices.
    objective: From accuracy and cost to what is learned from.
    steps: To score networks with (`steps.accuracies`) or to get gate gradients (`steps.gate_gradients`); None where the optimizer is
      only restored.
    learning_rate: For Adam.
  """

  values: flags.FlagValues
  parameters: policy_lib.ArchitectureParameters
  cost_model: model_lib.CostModel
  objective: objectives.Objective
  steps: steps_lib.SupernetSteps | None
  learning_rate: float


def _reinforce(parts: OptimizerParts) -> base.ArchitectureOptimizer:
  return reinforce.Reinforce(parts.parameters, parts.cost_model, parts.objective, parts.steps and parts.steps.accuracies,
                             learning_rate=parts.learning_rate, networks=parts.values.reinforce_networks,
                             baseline_momentum=parts.values.baseline_momentum)


def _gradient(parts: OptimizerParts) -> base.ArchitectureOptimizer:
  return two_path.GradientRule(parts.parameters, parts.cost_model, parts.objective, parts.steps and parts.steps.gate_gradients,
                               learning_rate=parts.learning_rate)


MakeOptimizer = Callable[[OptimizerParts], base.ArchitectureOptimizer]

_OPTIMIZERS: dict[str, tuple[MakeOptimizer, str]] = {  # and whose default learning rate each has
    'reinforce': (_reinforce, 'reinforce'),
    'gradient': (_gradient, 'gradient'),
}


def add_architecture_optimizer(name: str, like: str, make: MakeOptimizer) -> None:
  """Makes --architecture_optimizer accept a name; to be called before the module of a main is imported, which defines the flags.

  Args:
    name: Not taken yet.
    like: 'reinforce' if it learns from rewards of scored networks, 'gradient' if from a loss; objectives for that one serve it too, and
      it gets that one's default learning rate.
    make: Of its parts.
  """
  if name in _OPTIMIZERS:
    raise ValueError(f'there is an architecture optimizer {name!r} already')
  search_flags.ARCHITECTURE_OPTIMIZERS.append(name)
  for objective, serves in search_flags.OBJECTIVES.items():
    if like in serves:
      search_flags.OBJECTIVES[objective] = (*serves, name)
  _OPTIMIZERS[name] = (make, like)


def make_architecture(values: flags.FlagValues, plan: problem_lib.Plan, steps: steps_lib.SupernetSteps | None,
                      updates: int) -> base.ArchitectureOptimizer:
  """The architecture optimizer that the flags name; without steps it can be restored, but not updated."""
  parameters = policy_lib.ArchitectureParameters(plan.cost_model.choice_counts, exploration=values.exploration, seed=values.seed)
  make, like = _OPTIMIZERS[values.architecture_optimizer]
  rate = values.architecture_learning_rate
  if rate is None:
    rate = schedule_lib.default_architecture_rate(like, updates)
  return make(OptimizerParts(values, parameters, plan.cost_model, make_objective(values, plan, updates), steps, rate))
