import statistics

import pytest

from tf_proxyless.space import proxyless
from tf_proxyless.space import sampling
from tf_proxyless.space import schema

SMALL = proxyless.proxyless(stage_filters=(8,), stage_blocks=(2,), stage_strides=(1,), resolution=8, stem_strides=1)


def zeros(space, genotype):
  """Decisions that chose the last of seven choices, Zero."""
  return sum(genotype[path] == 6 for path, one_of in schema.walk(space))


def test_networks_are_distinct_and_complete():
  space = proxyless.proxyless()
  networks = sampling.spread(space, 50, seed=3)
  assert len(set(networks)) == 50
  for genotype in networks:
    assert schema.is_resolved(schema.resolve(space, genotype))


def test_the_seed_decides():
  assert sampling.spread(SMALL, 5, seed=1) == sampling.spread(SMALL, 5, seed=1) != sampling.spread(SMALL, 5, seed=2)


@pytest.mark.long
def test_spread_is_wider_than_independent_choices():
  """The number of Zeros among 15 free decisions: even draws have a variance of 15 * 1/7 * 6/7 = 1.84."""
  space = proxyless.proxyless()
  assert statistics.pvariance([zeros(space, genotype) for genotype in sampling.spread(space, 300, seed=0)]) > 4


def test_excluded_networks_stay_out_and_a_whole_space_is_found():
  first = sampling.spread(SMALL, 40, seed=0)
  rest = sampling.spread(SMALL, 2, seed=0, excluded=frozenset(first))
  assert not set(first) & set(rest)
  assert len(set(first) | set(rest)) == schema.cardinality(SMALL) == 42


def test_more_networks_than_the_space_has():
  with pytest.raises(ValueError, match='42 networks, fewer than the 43'):
    sampling.spread(SMALL, 43, seed=0)
