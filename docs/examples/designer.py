"""A designer of your own: simulated annealing, which goes on from a worse network now and then (Kirkpatrick et al., Science 1983).

  python docs/examples/designer.py

A designer suggests whole networks and learns how accurate they were. Who says so is another matter: here a made-up landscape, which
takes no training; a function that trains each network fits as well.
"""

from __future__ import annotations

import math

import numpy as np

import tf_proxyless as nas
from tf_proxyless import designers
from tf_proxyless import spaces


class Annealing:
  """Changes one choice of its network, and keeps the change by exp(gain / temperature), which falls."""

  def __init__(self, decisions, constraints=(), seed: int = 0, temperature: float = 0.01, decay: float = 0.98):
    """Stores its settings; see `designers.Random`."""
    self._decisions, self._constraints, self._seed = decisions, constraints, seed
    self._temperature, self._decay = temperature, decay
    self._current, self._evaluated = None, 0

  def suggest(self, count: int) -> np.ndarray:
    rng = np.random.default_rng([self._seed, self._evaluated])
    if self._current is None:
      return designers.draw(self._decisions, count, rng, self._constraints)
    return np.array([self._changed(rng) for _ in range(count)], np.int32)

  def update(self, evaluations) -> None:
    rng = np.random.default_rng([self._seed, self._evaluated, 1])
    self._evaluated += len(evaluations)
    for path, accuracy in zip(evaluations.paths.tolist(), evaluations.accuracy.tolist()):
      if self._current is None or rng.random() < math.exp(min(0.0, (accuracy - self._current[0]) / self._temperature)):
        self._current = accuracy, path
      self._temperature = max(self._temperature * self._decay, 1e-6)

  def _changed(self, rng: np.random.Generator) -> tuple[int, ...]:
    while True:
      path = list(self._current[1])
      where = rng.integers(len(path))
      path[where] = rng.integers(len(self._decisions[where].choices))
      path = spaces.canonical(self._decisions, path)
      if all(constraint.cost.cost(path) <= constraint.limit for constraint in self._constraints):
        return path


def main(evaluations: int = 300):
  """What annealing, regularised evolution and random search evaluated, under 40 % of the way from the cheapest network to the dearest."""
  space = spaces.proxyless(resolution=96, classes=10)
  decisions, macs = spaces.decisions(space), nas.costs.macs(space)
  gains = [np.random.default_rng([7, i]).normal(0.0, 0.01, len(decision.choices)) for i, decision in enumerate(decisions)]

  def accuracy(paths: np.ndarray) -> np.ndarray:
    return np.array([0.7 + sum(row[choice] for row, choice in zip(gains, path)) for path in paths])

  limit = nas.Constraint(macs, macs.smallest + 0.4 * (macs.largest - macs.smallest))
  return [nas.ask_tell(designer(decisions, [limit]), accuracy, macs, evaluations)
          for designer in (Annealing, designers.Evolution, designers.Random)]


if __name__ == '__main__':
  for name, found in zip(('annealing', 'evolution', 'random'), main()):
    best = found.accuracy.argmax()
    print(f'{name}: {100 * found.accuracy[best]:.2f} % at {found.cost[best] / 1e6:.1f} M MACs')
