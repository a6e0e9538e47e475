"""The best network under constraints, against brute force, where costs are coupled, decisions nested, and constraints several."""

import itertools

import numpy as np
import pytest

from tests.space import spaces
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import solver
from tf_proxyless.space import schema


def brute_force(values, constraints):
  """The greatest value within all limits."""
  decisions = constraints[0].cost.decisions
  best = -np.inf
  for path in itertools.product(*(range(len(decision.choices)) for decision in decisions)):
    if all(constraint.cost.cost(path) <= constraint.limit for constraint in constraints):
      best = max(best, value_of(values, decisions, path))
  return best


def value_of(values, decisions, path):
  return sum(row[choice] for i, (row, choice) in enumerate(zip(values, path)) if schema.counts(decisions, path, i))


@pytest.mark.parametrize('name', spaces.COUPLED)
@pytest.mark.parametrize('seed', range(3))
def test_equals_brute_force(name, seed):
  space = spaces.COUPLED[name]()
  macs, size = model_lib.from_macs(space), model_lib.build(space, counting.file_bytes, 'bytes')
  generator = np.random.default_rng(seed)
  values = [generator.normal(size=count) for count in macs.choice_counts]
  middle = [model.smallest + share * (model.largest - model.smallest) for model, share in ((macs, 0.4), (size, 0.5))]
  for constraints in ([solver.Constraint(macs, middle[0])], [solver.Constraint(macs, middle[0]), solver.Constraint(size, middle[1])]):
    path = solver.solve(values, constraints)
    assert all(constraint.cost.cost(path.tolist()) <= constraint.limit for constraint in constraints)
    assert value_of(values, macs.decisions, path) == pytest.approx(brute_force(values, constraints))
    assert tuple(path) == schema.canonical(macs.decisions, path)


def test_a_limit_is_reached_exactly_and_never_exceeded():
  space = spaces.widths()
  macs = model_lib.from_macs(space)
  values = [np.arange(count, dtype=float) for count in macs.choice_counts]
  largest = [count - 1 for count in macs.choice_counts]
  limit = macs.cost(largest)
  assert solver.solve(values, [solver.Constraint(macs, limit)]).tolist() == largest
  below = solver.solve(values, [solver.Constraint(macs, np.nextafter(limit, 0))])
  assert macs.cost(below.tolist()) < limit


def test_what_is_refused():
  macs = model_lib.from_macs(spaces.widths())
  values = [np.zeros(count) for count in macs.choice_counts]
  with pytest.raises(ValueError, match='cannot be reached: the smallest network costs'):
    solver.solve(values, [solver.Constraint(macs, macs.smallest - 1)])
  with pytest.raises(ValueError, match='constraints must be at least one'):
    solver.solve(values, [])
  with pytest.raises(ValueError, match='values must have a row for each of'):
    solver.solve(values[1:], [solver.Constraint(macs, macs.largest)])
