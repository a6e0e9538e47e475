"""Regularised evolution (Real et al., AAAI 2019, arXiv 1802.01548)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.search.designers import moves
from tf_proxyless.search.designers import random
from tf_proxyless.space import schema

_MOST_TRIES = 1000  # until a change is within the limits


class Evolution:
  """Changes one choice of the best of a few of the last networks; begins with random ones. The oldest die, however good."""

  def __init__(self, decisions: Sequence[schema.Decision], constraints: Sequence[solver.Constraint] = (), seed: int = 0, *,
               population: int = 100, tournament: int = 25):
    """Stores its settings.

    Args:
      decisions: Decisions of the space, see `space.schema.decisions`.
      constraints: Limits on costs.
      seed: Seed of all draws.
      population: Networks that are alive; also how many are drawn at random first.
      tournament: Living networks of which the best becomes a parent.

    Raises:
      ValueError: A number is below 1, or the tournament is larger than the population.
    """
    if not 1 <= tournament <= population:
      raise ValueError(f'tournament must be from 1 to the population, {population}, got {tournament}')
    self._decisions, self._constraints, self._seed = tuple(decisions), tuple(constraints), seed
    self._population, self._tournament = population, tournament
    self._paths: list[moves.Path] = []
    self._accuracies: list[float] = []

  def suggest(self, count: int) -> np.ndarray:
    rng = np.random.default_rng([self._seed, len(self._paths)])
    if len(self._paths) < self._population:
      return random.draw(self._decisions, count, rng, self._constraints, repaired=True)
    return np.array([self._child(rng) for _ in range(count)], np.int32)

  def update(self, evaluations: evaluations_lib.Evaluations) -> None:
    self._paths += map(tuple, evaluations.paths.tolist())
    self._accuracies += evaluations.accuracy.tolist()

  def _child(self, rng: np.random.Generator) -> moves.Path:
    living = range(len(self._paths) - self._population, len(self._paths))
    parent = self._paths[max(rng.choice(living, self._tournament, replace=False), key=self._accuracies.__getitem__)]
    for _ in range(_MOST_TRIES):
      child = moves.mutate(self._decisions, parent, 1, rng)
      if moves.fits(child, self._constraints):
        return child
    return parent
