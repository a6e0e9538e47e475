"""A designer of your own: regularized evolution, which changes one choice of the best of a few recent networks (arXiv 1802.01548).

  python docs/examples/designer.py

A designer suggests whole networks and learns how accurate they were. Who says so is another matter: here a made-up landscape, which
takes no training; a function that trains each network fits as well.
"""

from __future__ import annotations

import numpy as np

import tf_proxyless as nas
from tf_proxyless import designers
from tf_proxyless import spaces


class Evolution:
  """Mutates winners of tournaments among the last networks; starts with random ones."""

  def __init__(self, decisions, constraints=(), seed: int = 0, population: int = 30, tournament: int = 8):
    """Stores its settings; see `designers.Random`."""
    self._decisions, self._constraints, self._seed = decisions, constraints, seed
    self._population, self._tournament = population, tournament
    self._paths, self._accuracies = [], []

  def suggest(self, count: int) -> np.ndarray:
    rng = np.random.default_rng([self._seed, len(self._paths)])
    if len(self._paths) < self._population:
      return designers.draw(self._decisions, count, rng, self._constraints)
    return np.array([self._child(rng) for _ in range(count)], np.int32)

  def update(self, evaluations) -> None:
    self._paths += evaluations.paths.tolist()
    self._accuracies += evaluations.accuracy.tolist()

  def _child(self, rng: np.random.Generator) -> tuple[int, ...]:
    recent = range(len(self._paths) - self._population, len(self._paths))
    parent = self._paths[max(rng.choice(recent, self._tournament), key=lambda i: self._accuracies[i])]
    while True:
      path = list(parent)
      where = rng.integers(len(path))
      path[where] = rng.integers(len(self._decisions[where].choices))
      path = spaces.canonical(self._decisions, path)
      if all(constraint.cost.cost(path) <= constraint.limit for constraint in self._constraints):
        return path


def main(evaluations: int = 300):
  """What evolution and random search evaluated, under 40 % of the way from the cheapest network to the dearest."""
  space = spaces.proxyless(resolution=96, classes=10)
  decisions, macs = spaces.decisions(space), nas.costs.macs(space)
  gains = [np.random.default_rng([7, i]).normal(0.0, 0.01, len(decision.choices)) for i, decision in enumerate(decisions)]

  def accuracy(paths: np.ndarray) -> np.ndarray:
    return np.array([0.7 + sum(row[choice] for row, choice in zip(gains, path)) for path in paths])

  limit = nas.Constraint(macs, macs.smallest + 0.4 * (macs.largest - macs.smallest))
  return [nas.ask_tell(designer(decisions, [limit]), accuracy, macs, evaluations) for designer in (Evolution, designers.Random)]


if __name__ == '__main__':
  for name, found in zip(('evolution', 'random'), main()):
    best = found.accuracy.argmax()
    print(f'{name}: {100 * found.accuracy[best]:.2f} % at {found.cost[best] / 1e6:.1f} M MACs')
