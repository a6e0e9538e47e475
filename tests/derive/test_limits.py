"""Limits on the file and the memory of int8 networks, against brute force."""

import itertools

import numpy as np
import pytest

from tests.derive.test_solver import value_of
from tests.space import spaces
from tf_proxyless.cost import memory
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import limits
from tf_proxyless.derive import solver
from tf_proxyless.space import schema


def arena(space, path):
  return memory.plan(schema.resolve(space, schema.genotype(space, path))).bytes


@pytest.mark.parametrize('name', ['widths', 'nested', 'resolutions', 'parts', 'tree'])
def test_the_best_network_within_size_and_memory(name):
  space = spaces.COUPLED[name]()
  decisions = schema.decisions(space)
  paths = list({schema.canonical(decisions, path) for path in itertools.product(*(range(len(each.choices)) for each in decisions))})
  arenas = {path: arena(space, path) for path in paths}
  size = model_lib.from_file_bytes(space)
  # Networks that differ in what is in the way of the largest tensors may share a reason and be passed over: never one that is too large.
  for share in (0.2, 0.6):
    max_memory = int(np.quantile(list(arenas.values()), share))
    max_size = int(np.quantile(size.costs(np.array(paths)), 0.7))
    constraints = limits.make(space, max_size, max_memory)
    within = {path for path in paths if arenas[path] <= max_memory and size.cost(path) <= max_size}
    assert {path for path in paths if all(each.admits(path) for each in constraints)} == within
    assert np.array_equal(constraints[1].admitted(np.array(paths)), [arenas[path] <= max_memory for path in paths])
    for seed in range(5):
      values = [np.random.default_rng([seed, i]).normal(size=len(each.choices)) for i, each in enumerate(decisions)]
      found = tuple(solver.solve(values, constraints).tolist())
      assert found in within
      assert value_of(values, decisions, found) == pytest.approx(max(value_of(values, decisions, path) for path in within))


def test_excess():
  space = spaces.widths()
  path = (0,) * len(schema.decisions(space))
  needed = arena(space, path)
  assert limits.make(space, None, needed)[0].excess(path) == 0
  with pytest.raises(ValueError, match='each network of the space needs [0-9,]+ bytes and more'):
    limits.make(space, None, 1000)
  with pytest.raises(ValueError, match='`max_size=1000`: the smallest network of the space takes about'):
    limits.make(space, 1000)


def test_limits_that_no_network_keeps_together():
  space = spaces.resolutions()
  decisions = schema.decisions(space)
  least = min(arena(space, path) for path in itertools.product(*(range(len(each.choices)) for each in decisions)))
  constraint, = limits.make(space, None, least)
  limits.check([constraint])
  macs = model_lib.from_macs(space)
  with pytest.raises(ValueError, match='no network is within all limits at once: .* bytes of memory'):
    limits.check([solver.Constraint(model_lib.CostModel('macs', macs.decisions, tuple(
        model_lib.Term(term.decisions, -term.values) for term in macs.terms)), -macs.largest), constraint])
