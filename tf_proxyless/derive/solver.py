"""The exact best network of a space under constraints on its cost.

One constraint on costs that add up by decision is a multiple-choice knapsack (`knapsack`). Terms over several decisions, decisions inside
others' choices, and several constraints at once are a mixed-integer program, solved by HiGHS through SciPy; what it returns is held against
the exact sums of the cost models, so that no result is over a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import knapsack
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.space import schema

_MOST_CUTS = 1000  # for networks over a limit by no more than the program's tolerance, and for what limits say besides sums


@dataclasses.dataclass(frozen=True, eq=False)
class Constraint:
  """What networks cost, and how much they may.

  Attributes:
    cost: Cost model of the space.
    limit: Greatest cost, in its unit; infinity for none.
  """

  cost: model_lib.CostModel
  limit: float

  def __str__(self) -> str:
    return f'{self.limit:g} {self.cost.unit} (the smallest alone {self.cost.smallest:g})'

  def admits(self, path: Sequence[int]) -> bool:
    """Whether a network is within the limit."""
    return self.cost.cost(path) <= self.limit

  def admitted(self, paths: np.ndarray) -> np.ndarray:
    """Which networks of int [networks, decisions] are within the limit, bool [networks]."""
    return self.cost.costs(paths) <= self.limit

  def excess(self, path: Sequence[int]) -> float:
    """By which share a network is over the limit; 0 if it is not."""
    return max(0.0, self.cost.cost(path) / self.limit - 1)

  def conflict(self, path: Sequence[int]) -> dict[int, int]:
    """Choices of a network over the limit that bring it there; here all."""
    return dict(enumerate(path))


def solve(values: knapsack.Rows, constraints: Sequence[Constraint]) -> np.ndarray:
  """Finds the network of greatest value within all limits; exact.

  Args:
    values: By decision, the value of each choice; a decision that does not count under the others' choices adds nothing.
    constraints: At least one, all of the same decisions.

  Returns:
    int32 [decisions]; 0 for decisions that do not count. Of equal values the cheaper network where there is one additive constraint.

  Raises:
    ValueError: Values and costs do not fit or are not finite, or no network is within the limits (states the smallest cost).
  """
  if not constraints or len({constraint.cost.decisions for constraint in constraints}) != 1:
    raise ValueError('constraints must be at least one, and all of the same decisions')
  model = constraints[0].cost
  if len(values) != len(model.decisions):
    raise ValueError(f'values must have a row for each of {len(model.decisions)} decisions, got {len(values)}')
  is_sum = len(constraints) == 1 and type(constraints[0]) is Constraint
  if is_sum and model.is_additive and not any(decision.parents for decision in model.decisions):
    return knapsack.solve(values, model.choice_costs, constraints[0].limit, model.fixed)
  for constraint in constraints:
    if not constraint.limit >= constraint.cost.smallest:
      raise ValueError(f'a budget of {constraint.limit:g} {constraint.cost.unit} cannot be reached: the smallest network costs '
                       f'{constraint.cost.smallest!r}')
  return _Program(values, constraints).solve()


def _value_terms(decisions: Sequence[schema.Decision], values: knapsack.Rows) -> list[model_lib.Term]:
  """The value of each decision as a term over it and the decisions inside whose choices it stands."""
  position = {decision.path: i for i, decision in enumerate(decisions)}
  terms = []
  for index, (decision, row) in enumerate(zip(decisions, values, strict=True)):
    scope = tuple(sorted({index, *(position[path] for path, _ in decision.parents)}))
    table = np.zeros([len(decisions[i].choices) for i in scope])
    at: dict[int, Any] = {index: slice(None), **{position[path]: choice for path, choice in decision.parents}}
    table[tuple(at[i] for i in scope)] = np.asarray(row, np.float64)
    terms.append(model_lib.Term(scope, table))
  return terms


class _Program:
  """The mixed-integer program: a binary variable for each choice, and one in [0, 1] for each cell of a table over several decisions."""

  def __init__(self, values: knapsack.Rows, constraints: Sequence[Constraint]):
    self._constraints = constraints
    self._decisions = constraints[0].cost.decisions
    counts = constraints[0].cost.choice_counts
    self._offsets = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    value_terms = _value_terms(self._decisions, values)
    terms = [term for constraint in constraints for term in constraint.cost.terms if term.decisions]
    scopes = dict.fromkeys(term.decisions for term in [*value_terms, *terms] if len(term.decisions) > 1)
    self._cells: dict[tuple[int, ...], int] = {}
    size = int(self._offsets[-1])
    for scope in scopes:
      self._cells[scope] = size
      size += math.prod(counts[i] for i in scope)
    self._size, self._counts = size, counts
    self._value = self._row(value_terms)
    self._costs = np.stack([self._row([term for term in constraint.cost.terms if term.decisions]) for constraint in constraints])
    if not np.isfinite(self._value).all():
      raise ValueError('values must be finite')

  def _row(self, terms: Sequence[model_lib.Term]) -> np.ndarray:
    row = np.zeros(self._size)
    for term in terms:
      start = self._offsets[term.decisions[0]] if len(term.decisions) == 1 else self._cells[term.decisions]
      row[start:start + term.values.size] += term.values.ravel()
    return row

  def _equalities(self) -> tuple[np.ndarray, np.ndarray]:
    """One choice of each decision; the cells of a table add up to the choices."""
    rows, sides = [], []
    for index, count in enumerate(self._counts):
      row = np.zeros(self._size)
      row[self._offsets[index]:self._offsets[index] + count] = 1.0
      rows.append(row)
      sides.append(1.0)
    for scope, start in self._cells.items():
      shape = [self._counts[i] for i in scope]
      numbers = start + np.arange(math.prod(shape)).reshape(shape)
      for axis, index in enumerate(scope):
        for choice in range(shape[axis]):
          row = np.zeros(self._size)
          row[np.take(numbers, choice, axis=axis).ravel()] = 1.0
          row[self._offsets[index] + choice] = -1.0
          rows.append(row)
          sides.append(0.0)
    return np.array(rows), np.array(sides)

  def solve(self) -> np.ndarray:
    """See `solve`."""
    from scipy import optimize  # half a second, which most derivations do without

    equal, sides = self._equalities()
    scales = np.maximum(np.abs(self._costs).max(axis=1), 1e-300)
    limits = np.array([constraint.limit - constraint.cost.fixed for constraint in self._constraints])
    integrality = np.r_[np.ones(self._offsets[-1]), np.zeros(self._size - self._offsets[-1])]
    program = [optimize.LinearConstraint(equal, sides, sides),
               optimize.LinearConstraint(self._costs / scales[:, None], -np.inf, limits / scales)]
    for _ in range(_MOST_CUTS):
      with stderr_lib.suppress_stdout():  # HiGHS names functions of its own there, now and then
        found = optimize.milp(-self._value, integrality=integrality, bounds=optimize.Bounds(0, 1), options={'mip_rel_gap': 0.0},
                              constraints=program)
      if found.x is None:
        raise ValueError(f'no network is within all limits at once: {", ".join(map(str, self._constraints))}')
      path = [int(np.argmax(found.x[start:stop])) for start, stop in itertools.pairwise(self._offsets)]
      over = next((constraint for constraint in self._constraints if not constraint.admits(path)), None)
      if over is None:
        return np.array(schema.canonical(self._decisions, path), np.int32)
      program.append(optimize.LinearConstraint(*self._cut(over.conflict(path))))
    raise ValueError(f'none of {_MOST_CUTS} networks is within all limits: {", ".join(map(str, self._constraints))}; choose another limit')

  def _cut(self, choices: dict[int, int]) -> tuple[np.ndarray, float, int]:
    """Any network but those that make all of some choices."""
    row = np.zeros(self._size)
    row[[self._offsets[decision] + choice for decision, choice in choices.items()]] = 1.0
    return row, -np.inf, len(choices) - 1
