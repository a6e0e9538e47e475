"""The exact best network under a budget: a multiple-choice knapsack over decisions.

Labels (cost, value) are extended decision by decision. A label goes if another is as cheap and as good, or if the linear
relaxation of the decisions that remain cannot lift it to the best network known. Costs are never rounded to a grid: a label
carries its exact sum as two doubles, the first of which is the sum rounded once, as `math.fsum` and `CostModel.cost` round it.
So a result over its budget is impossible, and none that fits is overlooked.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import Union

import numpy as np

# Bounds are sums in another order than a label's value: this much, relative, is left to rounding.
_ROUNDING = 1e-10

# Labels before pruning, about 0.5 GB. Decisions of 21 x 7 choices need some hundreds, 54 x 12 some thousands; only values that
# are proportional to costs in most digits (a subset-sum problem, NP-hard) come near.
_MOST_LABELS = 8_000_000

Rows = Sequence[Union[Sequence[float], np.ndarray]]  # by decision, a number for each choice


def network_cost(fixed: float, choice_costs: Rows, choices: Sequence[int]) -> float:
  """The cost of a network, rounded once, as `CostModel.cost` gives it.

  Args:
    fixed: Cost of what is not searched.
    choice_costs: By decision, the cost of each choice, in the unit of `fixed`.
    choices: int, [decisions].

  Returns:
    fixed + the chosen costs, in their unit.
  """
  return math.fsum([fixed, *(costs[choice] for costs, choice in zip(choice_costs, choices, strict=True))])


def _add(high: np.ndarray, low: np.ndarray, term: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Adds doubles to a sum that is kept as two (Knuth's TwoSum, then Dekker's FastTwoSum); `high` is the rounded sum."""
  total = high + term
  part = total - high
  error = (high - (total - part)) + (term - part) + low
  high = total + error
  return high, error - (high - total)


@dataclasses.dataclass(frozen=True)
class _Relaxation:
  """Best value of some decisions by cost in the linear relaxation: concave, and at its corners reached by real choices."""

  costs: np.ndarray
  values: np.ndarray

  def upper(self, budgets: np.ndarray) -> np.ndarray:
    return np.where(budgets < self.costs[0], -np.inf, np.interp(budgets, self.costs, self.values))

  def lower(self, budgets: np.ndarray) -> np.ndarray:
    corners = np.searchsorted(self.costs, budgets, side='right') - 1
    return np.where(corners < 0, -np.inf, self.values[corners])


def _hull(values: np.ndarray, costs: np.ndarray) -> np.ndarray:
  """Indices of a decision's choices on the upper concave hull of value by cost, from the cheapest to the best."""
  hull: list[int] = []
  for i in np.lexsort((-values, costs)):
    if hull and values[i] <= values[hull[-1]]:
      continue
    while len(hull) > 1:
      a, b = hull[-2:]
      if (values[b] - values[a]) * (costs[i] - costs[b]) > (values[i] - values[b]) * (costs[b] - costs[a]):
        break
      hull.pop()
    hull.append(i)
  return np.array(hull)


def _relax(values: Sequence[np.ndarray], costs: Sequence[np.ndarray]) -> _Relaxation:
  """Merges the hulls of decisions, steepest step first."""
  hulls = [_hull(v, c) for v, c in zip(values, costs)]
  steps = [np.stack([np.diff(c[h]), np.diff(v[h])]) for v, c, h in zip(values, costs, hulls)]
  cost_steps, value_steps = np.concatenate([np.zeros((2, 0)), *steps], axis=1)
  order = np.argsort(-value_steps / cost_steps, kind='stable')
  start = [sum(c[h[0]] for c, h in zip(costs, hulls)), sum(v[h[0]] for v, h in zip(values, hulls))]
  return _Relaxation(np.cumsum(np.r_[start[0], cost_steps[order]]), np.cumsum(np.r_[start[1], value_steps[order]]))


def _check(values: Sequence[np.ndarray], costs: Sequence[np.ndarray], fixed: float, budget: float) -> None:
  if len(values) != len(costs) or any(v.ndim != 1 or v.shape != c.shape or not v.size for v, c in zip(values, costs)):
    raise ValueError('values and costs need one number a choice for the same decisions, '
                     f'got shapes {[v.shape for v in values]} and {[c.shape for c in costs]}')
  if not all(np.isfinite(numbers).all() for numbers in (*values, *costs, np.asarray(fixed))):
    raise ValueError('values, costs and the fixed cost must be finite')
  smallest = network_cost(fixed, costs, [int(np.argmin(c)) for c in costs])
  if not budget >= smallest:
    raise ValueError(f'a budget of {budget:g} cannot be reached: the smallest network costs {smallest!r}')


def _prune(high: np.ndarray, low: np.ndarray, values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
  """Indices of labels that no other one dominates, cheapest first; of equal ones the lexicographically first."""
  order = np.lexsort((ranks, -values, low, high))
  best_before = np.r_[-np.inf, np.maximum.accumulate(values[order])[:-1]]
  return order[values[order] > best_before]


def solve(values: Rows, choice_costs: Rows, budget: float, fixed: float = 0.0) -> np.ndarray:
  """Finds the choices of greatest total value whose `network_cost` is within the budget; exact.

  Args:
    values: By decision, the value of each choice.
    choice_costs: By decision, the cost of each choice.
    budget: Greatest network cost, in the unit of the costs; infinity for none.
    fixed: Cost of what is not searched.

  Returns:
    int32, [decisions]. Of equal values the cheaper network, of equal costs too the lower index in the earliest decision.

  Raises:
    ValueError: Values and costs do not fit or are not finite, or no network is within the budget (states the smallest cost),
      or values are proportional to costs in a way that leaves millions of partial networks open.
  """
  gains = [np.asarray(row, np.float64) for row in values]
  costs = [np.asarray(row, np.float64) for row in choice_costs]
  _check(gains, costs, fixed, budget)
  slack = _ROUNDING * (1.0 + sum(np.abs(v).max() for v in gains))
  cost_slack = _ROUNDING * (abs(fixed) + sum(np.abs(c).max() for c in costs))
  high, low, totals, ranks = np.array([float(fixed)]), np.zeros(1), np.zeros(1), np.zeros(1, np.int64)
  best = -np.inf
  steps = []
  for d, (decision_values, decision_costs) in enumerate(zip(gains, costs)):
    if totals.size * decision_costs.size > _MOST_LABELS:
      raise ValueError(f'values are so nearly proportional to costs that {totals.size} partial networks are still open at '
                       f'decision {d}; an exact answer is out of reach')
    high, low = (part.ravel() for part in _add(high[:, None], low[:, None], decision_costs))
    totals = (totals[:, None] + decision_values).ravel()
    ranks = (ranks[:, None] * decision_costs.size + np.arange(decision_costs.size)).ravel()
    rest = _relax(gains[d + 1:], costs[d + 1:])
    best = max(best, np.max(totals + rest.lower(budget - high - cost_slack)))
    alive = np.flatnonzero((totals + rest.upper(budget - high + cost_slack) >= best - slack)
                           & ((high <= budget) | (d < len(values) - 1)))
    kept = alive[_prune(high[alive], low[alive], totals[alive], ranks[alive])]
    steps.append(np.divmod(kept, decision_costs.size))
    high, low, totals, ranks = high[kept], low[kept], totals[kept], np.argsort(np.argsort(ranks[kept]))
  choices = np.zeros(len(values), np.int32)
  label = len(totals) - 1  # costs and values both rise along the labels
  for d in range(len(values) - 1, -1, -1):
    parents, chosen = steps[d]
    choices[d] = chosen[label]
    label = parents[label]
  return choices
