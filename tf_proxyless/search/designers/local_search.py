"""Local search, a strong baseline on small spaces (White et al. 2020, arXiv 2005.02960)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.search.designers import moves
from tf_proxyless.search.designers import random
from tf_proxyless.space import schema


class LocalSearch:
  """Evaluates what differs in one choice from the best network, moves on from a better one, and starts anew where none is left."""

  def __init__(self, decisions: Sequence[schema.Decision], constraints: Sequence[solver.Constraint] = (), seed: int = 0):
    """Stores its settings.

    Args:
      decisions: Decisions of the space, see `space.schema.decisions`.
      constraints: Limits on costs.
      seed: Seed of all draws.
    """
    self._decisions, self._constraints, self._seed = tuple(decisions), tuple(constraints), seed
    self._seen: set[moves.Path] = set()
    self._evaluated = 0
    self._best: tuple[float, moves.Path] | None = None  # of this climb
    self._open: list[moves.Path] = []  # its neighbours that were not evaluated

  def suggest(self, count: int) -> np.ndarray:
    rng = np.random.default_rng([self._seed, self._evaluated])
    found = [self._open[i] for i in rng.permutation(len(self._open))[:count]]
    if len(found) < count:
      found += map(tuple, random.draw(self._decisions, count - len(found), rng, self._constraints, repaired=True).tolist())
    return np.array(found, np.int32)

  def update(self, evaluations: evaluations_lib.Evaluations) -> None:
    self._evaluated += len(evaluations)
    if not self._open:
      self._best = None  # these are random networks: a new climb
    self._seen.update(map(tuple, evaluations.paths.tolist()))
    best = self._best
    for path, accuracy in zip(evaluations.paths.tolist(), evaluations.accuracy.tolist()):
      if best is None or accuracy > best[0]:
        best = accuracy, tuple(path)
    if best is not None and best is not self._best:
      self._best = best
      self._open = [path for path in dict.fromkeys(moves.neighbours(self._decisions, best[1])) if moves.fits(path, self._constraints)]
    self._open = [path for path in self._open if path not in self._seen]
