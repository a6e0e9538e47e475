"""Bayesian optimisation: networks from which a Gaussian process learns most, as ChamNet chooses what it trains (arXiv 1812.08934)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.search.designers import moves
from tf_proxyless.search.designers import random
from tf_proxyless.search.predictors import gaussian_process
from tf_proxyless.space import schema

_POOL = 300  # networks of which the most promising are suggested: half of them drawn at random, half changed from good ones
_PARENTS = 10
_EXPLORED = 3  # every third is the one of which least is known


class Bayesian:
  """Suggests networks of great expected improvement, and now and then one of which little is known; begins with random ones.

  Networks of a batch take each other into account: of those chosen already the prediction counts as their accuracy. Which
  rules the paper has is not known here; these are this project's.
  """

  def __init__(self, decisions: Sequence[schema.Decision], constraints: Sequence[solver.Constraint] = (), seed: int = 0, *,
               targets: Sequence[solver.Constraint] = (), first: int = 20):
    """Stores its settings.

    Args:
      decisions: Decisions of the space, see `space.schema.decisions`.
      constraints: Limits on costs.
      seed: Seed of all draws.
      targets: Limits for each of which a network is looked for; improvement is over what is known within them, in turn.
      first: Networks that are drawn at random first.

    Raises:
      ValueError: `first` is too small.
    """
    least = gaussian_process.GaussianProcess.LEAST
    if first < least:
      raise ValueError(f'first must be at least {least}, got {first}')
    self._decisions, self._constraints, self._seed = tuple(decisions), tuple(constraints), seed
    self._targets, self._first = tuple((target,) for target in targets) or ((),), first
    self._paths = np.zeros((0, len(self._decisions)), np.int32)
    self._accuracy = np.zeros(0)

  def suggest(self, count: int) -> np.ndarray:
    rng = np.random.default_rng([self._seed, len(self._paths)])
    if len(self._paths) < self._first or np.ptp(self._accuracy) == 0:
      return random.draw(self._decisions, count, rng, self._constraints, repaired=True)
    process = gaussian_process.GaussianProcess(self._decisions, self._paths, self._accuracy)
    pools = [self._pool(process, target, rng) for target in self._targets]
    for number in range(len(self._paths), len(self._paths) + count):
      path = self._next(process, pools[number % len(pools)], number % _EXPLORED == _EXPLORED - 1)
      process = gaussian_process.GaussianProcess(
          self._decisions, np.concatenate([process.paths, path]), np.concatenate([process.values, process.predict(path)[0].clip(0, 1)]),
          parameters=process.parameters)
    return process.paths[-count:].astype(np.int32)

  def update(self, evaluations: evaluations_lib.Evaluations) -> None:
    self._paths = np.concatenate([self._paths, evaluations.paths]).astype(np.int32)
    self._accuracy = np.concatenate([self._accuracy, evaluations.accuracy])

  def _pool(self, process: gaussian_process.GaussianProcess, target: tuple[solver.Constraint, ...],
            rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Networks within a target: those that are known, the best first, and others."""
    constraints = (*self._constraints, *target)
    known = process.paths[_fit(process.paths, target)]
    best = known[np.argsort(-process.predict(known)[0])] if len(known) else known
    found = random.draw(self._decisions, _POOL // 2 if len(best) else _POOL, rng, constraints, repaired=True)
    if len(best):
      parents = best[rng.integers(min(len(best), _PARENTS), size=_POOL // 2)].tolist()
      changed = np.array([moves.mutate(self._decisions, parent, 1 + int(rng.integers(3)), rng) for parent in parents], np.int32)
      found = np.concatenate([found, changed[_fit(changed, constraints)]])
    return best, np.unique(found, axis=0)

  def _next(self, process: gaussian_process.GaussianProcess, pool: tuple[np.ndarray, np.ndarray], explored: bool) -> np.ndarray:
    """int32 [1, decisions]: one of a pool, and none that was evaluated if there is another."""
    best, found = pool
    evaluated = set(map(tuple, process.paths.tolist()))
    new = found[[tuple(path) not in evaluated for path in found.tolist()]]
    new = new if len(new) else found
    mean, deviation = process.predict(new)
    if explored or not len(best):
      return new[[deviation.argmax()]]
    over = (mean - process.predict(best[:_PARENTS])[0].max()) / np.maximum(deviation, 1e-9)
    return new[[(deviation * (over * special.ndtr(over) + np.exp(-0.5 * over**2) / (2 * np.pi)**0.5)).argmax()]]


def _fit(paths: np.ndarray, constraints: Sequence[solver.Constraint]) -> np.ndarray:
  """Which networks are within all limits, bool [networks]."""
  within = np.ones(len(paths), bool)
  for constraint in constraints:
    within &= constraint.admitted(paths)
  return within
