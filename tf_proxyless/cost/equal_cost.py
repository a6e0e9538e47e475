"""Random networks of about the same cost."""

from __future__ import annotations

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.space import schema

_BATCH, _BATCHES = 4096, 64  # a quarter of a million draws, some seconds
_LEAST_ACCEPTANCE = 0.05  # of a draw within the bounds


def draw(model: model_lib.CostModel, low: float, high: float, count: int, seed: int) -> tuple[tuple[int, ...], ...]:
  """Distinct networks, each with the same probability among all that cost from `low` to `high`.

  Exact rejection sampling. Where each term of the costs depends on one decision, choices are drawn in proportion to exp(-s cost), with s
  such that networks cost on average what is wanted, and a network within the bounds is kept with a probability in proportion to
  exp(s cost): independent even draws would hardly ever come near a cost far from their mean. Otherwise s is 0.

  Args:
    model: Costs of the space.
    low, high: Bounds, included, the first below the second, in the unit of the costs.
    count: Most networks.
    seed: The same seed gives the same networks; more of them begin with the fewer.

  Returns:
    Paths, in the order drawn; fewer than `count` where a quarter of a million draws gave no more.
  """
  rng = np.random.default_rng(seed)
  tilt = _tilt(model, low, high) if model.is_additive else 0.0
  likeliest = high if tilt > 0 else low  # to be kept
  rows = [_probabilities(costs, tilt) for costs in model.choice_costs]
  found: dict[tuple[int, ...], None] = {}
  for _ in range(_BATCHES):
    paths = np.stack([rng.choice(len(row), _BATCH, p=row) for row in rows], axis=1)
    costs = model.costs(paths)
    kept = rng.random(_BATCH) < np.exp(np.minimum(tilt * (costs - likeliest), 0.0))
    for path in paths[(costs >= low) & (costs <= high) & kept]:
      found.setdefault(schema.canonical(model.decisions, path))
      if len(found) == count:
        return tuple(found)
  return tuple(found)


def _probabilities(costs: tuple[float, ...], tilt: float) -> np.ndarray:
  weights = np.exp(-tilt * (np.array(costs) - (min(costs) if tilt > 0 else max(costs))))
  return weights / weights.sum()


def _tilt(model: model_lib.CostModel, low: float, high: float) -> float:
  """The s with which networks cost (low + high) / 2 on average, or the nearest that keeps enough of what is within the bounds."""
  limit = -np.log(_LEAST_ACCEPTANCE) / (high - low)
  ends = [-limit, limit]
  for _ in range(60):  # the average falls as s rises
    middle = sum(ends) / 2
    average = model.fixed + sum(_probabilities(costs, middle) @ np.array(costs) for costs in model.choice_costs)
    ends[int(average < (low + high) / 2)] = middle
  return sum(ends) / 2
