"""What designers make of networks: changes, crossings, and the nearest network within limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tf_proxyless.derive import solver
from tf_proxyless.space import schema

Path = tuple[int, ...]


def fits(path: Path, constraints: Sequence[solver.Constraint]) -> bool:
  """Whether a network is within all limits."""
  return all(constraint.admits(path) for constraint in constraints)


def mutate(decisions: Sequence[schema.Decision], path: Path, changes: int, rng: np.random.Generator) -> Path:
  """Gives some decisions, drawn evenly among those that count, another choice; canonical."""
  open_ = [i for i, decision in enumerate(decisions) if len(decision.choices) > 1 and schema.counts(decisions, path, i)]
  changed = list(path)
  for i in rng.choice(open_, min(changes, len(open_)), replace=False) if open_ else ():
    changed[i] = (changed[i] + int(rng.integers(1, len(decisions[i].choices)))) % len(decisions[i].choices)
  return schema.canonical(decisions, changed)


def cross(decisions: Sequence[schema.Decision], first: Path, second: Path, rng: np.random.Generator) -> Path:
  """Takes each choice from one of two networks; canonical."""
  return schema.canonical(decisions, [pair[side] for pair, side in zip(zip(first, second), rng.integers(2, size=len(first)))])


def neighbours(decisions: Sequence[schema.Decision], path: Path) -> Iterator[Path]:
  """All networks that differ in one choice; canonical."""
  for i, decision in enumerate(decisions):
    if schema.counts(decisions, path, i):
      for choice in range(len(decision.choices)):
        if choice != path[i]:
          yield schema.canonical(decisions, (*path[:i], choice, *path[i + 1:]))


def repair(path: Path, constraints: Sequence[solver.Constraint], rng: np.random.Generator) -> Path:
  """The network within all limits that shares the most choices with one, by the exact solver; which of several is drawn.

  Raises:
    ValueError: No network is within the limits.
  """
  if fits(path, constraints):
    return path
  counts = constraints[0].cost.choice_counts
  values = [(np.arange(count) == choice) + rng.uniform(0, 0.5 / len(counts), count) for count, choice in zip(counts, path)]
  return tuple(map(int, solver.solve(values, constraints)))
