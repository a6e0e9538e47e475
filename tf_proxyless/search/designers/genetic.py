"""A genetic algorithm that adapts itself, as ChamNet searches (Dai et al., CVPR 2019, arXiv 1812.08934)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.search.designers import moves
from tf_proxyless.search.designers import random
from tf_proxyless.space import schema

_SUCCESS = 0.2  # share of children that enter the population at which the number of changes stays (Rechenberg's rule)
_STEP = 0.1  # of the logarithm of that number
_MEMORY = 0.95  # of the shares of success, a child
_LEAST_SHARE = 0.1  # of children by crossing, and by mutation alone
_MOST_TRIES = 3  # until a child is new


class Genetic:
  """Crosses and mutates the best networks so far; how many choices a mutation changes, and how often networks are crossed, adapt.

  Children over a limit become the nearest network within, by the exact solver; with a `penalty` they stay, and the objective is

    accuracy - sum over constraints of (penalty * max(0, cost / limit - 1)) ** 2

  The paper says of its algorithm that it adapts; rules here are this project's: mutations grow while more than a fifth of the children
  enter the population, and crossing is chosen in proportion to its success.
  """

  def __init__(self, decisions: Sequence[schema.Decision], constraints: Sequence[solver.Constraint] = (), seed: int = 0, *,
               population: int = 20, penalty: float | None = None):
    """Stores its settings.

    Args:
      decisions: Decisions of the space, see `space.schema.decisions`.
      constraints: Limits on costs.
      seed: Seed of all draws.
      population: Networks that may become parents, the best so far; also how many are drawn at random first.
      penalty: Weight of a cost over its limit; None keeps all networks within.

    Raises:
      ValueError: The population is below 2, or the penalty is negative.
    """
    if population < 2:
      raise ValueError(f'population must be at least 2, got {population}')
    if penalty is not None and not penalty >= 0:
      raise ValueError(f'penalty must be at least 0, got {penalty}')
    self._decisions, self._constraints, self._seed = tuple(decisions), tuple(constraints), seed
    self._population, self._penalty = population, penalty
    self._evaluated = 0
    self._seen: set[moves.Path] = set()
    self._best: list[tuple[float, moves.Path]] = []  # the population, the best first
    self._changes = max(1.0, 0.1 * len(self._decisions))  # that a mutation makes, on average
    self._success = {True: _SUCCESS, False: _SUCCESS}  # of children by crossing and by mutation alone

  @property
  def crossing_share(self) -> float:
    """The share of children that have two parents."""
    share = self._success[True] / max(sum(self._success.values()), 1e-9)
    return min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE)

  @property
  def changes(self) -> float:
    """How many choices a mutation changes, on average."""
    return self._changes

  def suggest(self, count: int) -> np.ndarray:
    rng = np.random.default_rng([self._seed, self._evaluated])
    if self._evaluated < self._population:
      return random.draw(self._decisions, count, rng, self._constraints if self._penalty is None else (), repaired=True)
    made: list[moves.Path] = []
    for crossed in self._crossed(count):
      made.append(self._new_child(crossed, rng, made))
    return np.array(made, np.int32)

  def update(self, evaluations: evaluations_lib.Evaluations) -> None:
    crossed = self._crossed(len(evaluations))
    drawn = self._evaluated < self._population
    self._evaluated += len(evaluations)
    worst = self._best[-1][0] if self._best else -np.inf
    for path, accuracy, by_crossing in zip(map(tuple, evaluations.paths.tolist()), evaluations.accuracy.tolist(), crossed):
      fitness = accuracy - self._excess(path)
      enters = fitness > worst and path not in self._seen
      if not drawn:
        self._success[by_crossing] += (1 - _MEMORY) * (enters - self._success[by_crossing])
        self._changes *= np.exp(_STEP * (enters - _SUCCESS))
      if path not in self._seen:
        self._best.append((fitness, path))
      self._seen.add(path)
    self._changes = min(max(self._changes, 1.0), len(self._decisions) / 2)
    self._best = sorted(self._best, key=lambda each: -each[0])[:self._population]

  def _crossed(self, count: int) -> list[bool]:
    """Which of the next children are made by crossing; a function of the state before them, so that `update` knows it too."""
    return (np.random.default_rng([self._seed, self._evaluated, 1]).random(count) < self.crossing_share).tolist()

  def _excess(self, path: moves.Path) -> float:
    if self._penalty is None:
      return 0.0
    over = [constraint.excess(path) for constraint in self._constraints]
    return sum((self._penalty * each)**2 for each in over)

  def _new_child(self, crossed: bool, rng: np.random.Generator, made: Sequence[moves.Path]) -> moves.Path:
    """A child within the limits, one that was not evaluated if there is such among a few."""
    limits = self._constraints if self._penalty is None else ()
    child: moves.Path = ()
    for _ in range(_MOST_TRIES):
      child = moves.repair(self._child(crossed, rng), limits, rng)
      if child not in self._seen and child not in made:
        break
    return child

  def _child(self, crossed: bool, rng: np.random.Generator) -> moves.Path:
    first, second = (self._best[min(rng.integers(len(self._best), size=2))][1] for _ in range(2))  # tournaments of two
    child = moves.cross(self._decisions, first, second, rng) if crossed else first
    if not crossed or rng.random() < 0.5:
      child = moves.mutate(self._decisions, child, 1 + int(rng.poisson(self._changes - 1)), rng)
    return child
