"""Random search: the baseline that every other designer has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.search.designers import moves
from tf_proxyless.space import schema

_MOST_DRAWS = 100_000  # until as many networks are within the limits as were asked for


def draw(decisions: Sequence[schema.Decision], count: int, rng: np.random.Generator,
         constraints: Sequence[solver.Constraint] = (), repaired: bool = False) -> np.ndarray:
  """Networks drawn evenly, those over a limit thrown away.

  Args:
    decisions: Decisions of the space.
    count: How many.
    rng: Where random numbers come from.
    constraints: Limits on costs.
    repaired: Whether, where few are within the limits, the nearest networks within take the others' place: no longer even draws.

  Returns:
    int32 [count, decisions], canonical.

  Raises:
    ValueError: Too few networks are within the limits.
  """
  choice_counts = [len(decision.choices) for decision in decisions]
  found: list[tuple[int, ...]] = []
  for drawn in range(0, _MOST_DRAWS, max(count, 100)):
    paths = rng.integers(0, choice_counts, (max(count, 100), len(decisions)))
    paths = np.array([schema.canonical(decisions, path) for path in paths], np.int32)
    fits = np.all([constraint.admitted(paths) for constraint in constraints], axis=0)
    found.extend(map(tuple, paths[np.broadcast_to(fits, len(paths))]))
    if repaired and drawn >= 10 * count:
      found.extend(moves.repair(tuple(path), constraints, rng) for path in paths[:count - len(found)].tolist())
    if len(found) >= count:
      return np.array(found[:count], np.int32).reshape(count, len(decisions))
  raise ValueError(f'of {_MOST_DRAWS:,} networks drawn at random, {len(found)} are within the limits '
                   f'{", ".join(map(str, constraints))}')


class Random:
  """Draws networks evenly within constraints, and learns nothing."""

  def __init__(self, decisions: Sequence[schema.Decision], constraints: Sequence[solver.Constraint] = (), seed: int = 0):
    """Stores its settings.

    Args:
      decisions: Decisions of the space, see `space.schema.decisions`.
      constraints: Limits on costs.
      seed: Seed of all draws.
    """
    self._decisions, self._constraints, self._seed = tuple(decisions), tuple(constraints), seed
    self._evaluated = 0

  def suggest(self, count: int) -> np.ndarray:
    return draw(self._decisions, count, np.random.default_rng([self._seed, self._evaluated]), self._constraints)

  def update(self, evaluations: evaluations_lib.Evaluations) -> None:
    self._evaluated += len(evaluations)
