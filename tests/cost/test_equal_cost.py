"""Random networks of about a cost: all of them are as likely, wherever the cost lies."""

import collections
import itertools

import numpy as np
import pytest
from scipy import stats

from tests.space import spaces
from tf_proxyless.cost import equal_cost
from tf_proxyless.cost import model as model_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

SMALL = proxyless.proxyless(stage_filters=(8, 16), stage_blocks=(2, 2), stage_strides=(1, 2), resolution=8, stem_strides=1)


def target(model, share):
  return model.smallest + share * (model.largest - model.smallest)


def all_within(model, low, high):
  """Every network within the bounds, once."""
  paths = {schema.canonical(model.decisions, path) for path in itertools.product(*map(range, model.choice_counts))}
  return {path for path in paths if low <= model.cost(path) <= high}


@pytest.mark.parametrize('share', [0.02, 0.25, 0.5, 0.9])
def test_networks_are_distinct_and_within_the_bounds(share):
  model = model_lib.from_macs(proxyless.proxyless())
  cost = target(model, share)
  found = equal_cost.draw(model, 0.99 * cost, 1.01 * cost, 200, seed=1)
  assert len(set(found)) == 200
  costs = model.costs(np.array(found))
  assert 0.99 * cost <= costs.min() < cost < costs.max() <= 1.01 * cost


@pytest.mark.parametrize('share', [0.1, 0.4, 0.8])
def test_all_networks_within_the_bounds_are_as_likely(share):
  model = model_lib.from_macs(SMALL)
  bounds = 0.98 * target(model, share), 1.02 * target(model, share)
  there = all_within(model, *bounds)
  first = collections.Counter(path for seed in range(100) for path in equal_cost.draw(model, *bounds, 20, seed))
  assert set(first) <= there and len(there) > 40
  # 20 without repetition vary a little less than the independent draws that the test is for
  assert stats.chisquare([first[path] for path in there]).pvalue > 0.01


@pytest.mark.long
def test_dearer_networks_are_not_drawn_more_often():
  """Of two halves of the networks within wide bounds, whose costs differ, each is drawn as often as it has networks."""
  model = model_lib.from_macs(SMALL)
  bounds = target(model, 0.05), target(model, 0.3)
  there = sorted(model.cost(path) for path in all_within(model, *bounds))
  middle = there[len(there) // 2]
  drawn = [model.cost(equal_cost.draw(model, *bounds, 1, seed)[0]) for seed in range(400)]
  share = sum(cost < middle for cost in drawn) / len(drawn)
  assert share == pytest.approx(sum(cost < middle for cost in there) / len(there), abs=4 * 0.5 / 20)


def test_the_seed_decides_and_more_begin_with_the_fewer():
  model = model_lib.from_macs(SMALL)
  bounds = 0.9 * target(model, 0.5), 1.1 * target(model, 0.5)
  ten = equal_cost.draw(model, *bounds, 10, seed=3)
  assert ten == equal_cost.draw(model, *bounds, 30, seed=3)[:10] != equal_cost.draw(model, *bounds, 10, seed=4)


@pytest.mark.parametrize('name', spaces.COUPLED)
def test_spaces_of_every_kind_down_to_the_last_network(name):
  model = model_lib.from_macs(spaces.COUPLED[name]())
  bounds = target(model, 0.2), target(model, 0.6)
  there = all_within(model, *bounds)
  assert set(equal_cost.draw(model, *bounds, len(there), seed=0)) == there and len(there) > 2


def test_fewer_than_wanted_where_there_are_no_more(monkeypatch):
  monkeypatch.setattr(equal_cost, '_BATCHES', 2)
  model = model_lib.from_macs(SMALL)
  dearest = tuple(int(np.argmax(row)) for row in model.choice_costs)
  assert equal_cost.draw(model, 0.999 * model.largest, model.largest, 3, seed=0) == (dearest,)
  assert equal_cost.draw(model, 1.1 * model.largest, 1.2 * model.largest, 3, seed=0) == ()
