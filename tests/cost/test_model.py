"""The cost model: closed forms, published figures, and expectation against sums."""

import dataclasses
import itertools
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.space import spaces
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

PIXEL1 = pathlib.Path(__file__).parents[2] / 'configs' / 'latency' / 'pixel1_tflite_float.json'


@pytest.fixture(scope='module')
def space():
  return proxyless.proxyless()


@pytest.fixture(scope='module')
def table():
  return table_lib.load(PIXEL1)


def uniform(model):
  probabilities = np.zeros_like(model.padded_costs())
  for row, costs in zip(probabilities, model.choice_costs):
    row[:len(costs)] = 1 / len(costs)
  return probabilities


def random_choices(model, seed):
  return [int(np.random.default_rng(seed + d).integers(len(costs))) for d, costs in enumerate(model.choice_costs)]


def test_published_figures_of_the_default_space(space, table):
  model = model_lib.from_latency_table(space, table)
  assert model.unit == 'ms'
  assert model.paths == tuple(path for path, _ in schema.walk(space))
  assert model.fixed == pytest.approx(4.084 + 3.882 + 3.089 + 0.310, abs=1e-9)
  assert round(model.smallest, 1) == 29.6
  assert round(float(model.expected(uniform(model))), 1) == 114.0
  assert round(model.largest, 1) == 191.0


def test_macs_of_the_default_space(space):
  model = model_lib.from_macs(space)
  assert model.unit == 'macs'
  assert round(model.smallest / 1e6, 1) == 102.5
  assert round(float(model.expected(uniform(model))) / 1e6, 1) == 373.3
  assert round(model.largest / 1e6, 1) == 606.6
  assert all(cost == int(cost) for costs in model.choice_costs for cost in (model.fixed, *costs))


def test_zero_costs_nothing_and_only_zero(space, table):
  for model in (model_lib.from_latency_table(space, table), model_lib.from_macs(space)):
    for (_, one_of), costs in zip(schema.walk(space), model.choice_costs):
      assert [cost == 0 for cost in costs] == [choice == ops.Zero() for choice in one_of.choices]


@pytest.mark.parametrize('seed', range(5))
def test_cost_is_that_of_the_resolved_network(space, table, seed):
  macs = model_lib.from_macs(space)
  choices = random_choices(macs, seed)
  genotype = schema.Genotype(dict(zip(macs.paths, choices)))
  resolved = schema.resolve(space, genotype)
  assert macs.cost(genotype) == macs.cost(choices) == counting.count_network(resolved).macs
  calibrated = dataclasses.replace(table, calibration=table_lib.Calibration(1.25, -2.0, 5))
  milliseconds = model_lib.from_latency_table(space, calibrated)
  entries = [table.latency_ms(row.signature) for row in counting.count_blocks(resolved)]
  assert milliseconds.cost(genotype) == pytest.approx(-2.0 + 1.25 * sum(entries), rel=1e-12)
  assert model_lib.entry_sum(calibrated, resolved) == math.fsum(entries)
  assert model_lib.from_latency_table(resolved, calibrated).fixed == pytest.approx(milliseconds.cost(genotype), rel=1e-12)


@pytest.mark.parametrize('dtype, tolerance', [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_expected_at_one_hot_is_the_sum(space, table, dtype, tolerance):
  for model in (model_lib.from_latency_table(space, table), model_lib.from_macs(space)):
    choices = random_choices(model, 7)
    one_hot = np.zeros(model.padded_costs().shape, dtype)
    one_hot[np.arange(len(choices)), choices] = 1
    expected = model.expected(one_hot)
    assert expected.dtype == dtype
    assert float(expected) == pytest.approx(model.cost(choices), rel=tolerance)


def test_gradient_of_the_expectation_is_the_costs(space, table):
  model = model_lib.from_latency_table(space, table)
  probabilities = tf.constant(uniform(model))
  with tf.GradientTape() as tape:
    tape.watch(probabilities)
    expected = model.expected(probabilities)
  np.testing.assert_array_equal(tape.gradient(expected, probabilities), model.padded_costs())


def test_expectation_is_the_mean_over_all_networks():
  model = model_lib.additive('ms', ('a', 'b'), 2.0, ((1.0, 3.0), (0.5, 4.0, 0.0)))
  probabilities = np.array([[0.25, 0.75, 0.0], [0.5, 0.125, 0.375]])
  mean = sum(probabilities[0, i] * probabilities[1, j] * model.cost((i, j))
             for i, j in itertools.product(range(2), range(3)))
  assert float(model.expected(probabilities)) == pytest.approx(mean, rel=1e-14)
  assert (model.smallest, model.largest) == (3.0, 9.0)


def test_sums_round_once():
  costs = tuple((cost,) for cost in [0.1] * 9)
  model = model_lib.additive('ms', tuple('abcdefghi'), 0.1, costs)
  assert sum([0.1] * 10) != 1.0
  assert model.cost([0] * 9) == model.smallest == model.largest == math.fsum([0.1] * 10) == 1.0


def test_wrong_choices_are_refused():
  model = model_lib.additive('ms', ('a', 'b'), 2.0, ((1.0, 3.0), (0.5, 4.0, 0.0)))
  with pytest.raises(ValueError, match='expected 2 choices, got 1'):
    model.cost([0])
  with pytest.raises(ValueError, match=r"choice 2 of decision 'a' is not one of 0\.\.1"):
    model.cost([2, 0])
  with pytest.raises(ValueError, match="choice -1 of decision 'b'"):
    model.cost([0, -1])
  with pytest.raises(KeyError, match=r"differs from the space in decisions \['b', 'c'\]"):
    model.cost(schema.Genotype({'a': 0, 'c': 1}))


def test_missing_entries_are_all_listed(table):
  wide = proxyless.proxyless(stage_filters=(32, 40, 80, 96, 192, 320))
  with pytest.raises(ValueError) as error:
    model_lib.from_latency_table(wide, table)
  assert 'lacks 18 of the 70 entries' in str(error.value)  # six candidates of each of three places in stages 1 and 2
  assert str(error.value).count('mbconv') == 18


def test_the_entries_of_a_space_have_no_sum(space, table):
  with pytest.raises(ValueError, match="block 'block_1' of 'proxyless' is still a choice"):
    model_lib.entry_sum(table, space)


@pytest.mark.parametrize('name', spaces.COUPLED)
@pytest.mark.parametrize('price, unit', [(counting.macs, 'macs'), (counting.file_bytes, 'bytes')])
def test_coupled_decisions_cost_what_the_resolved_network_costs(name, price, unit):
  """costs = the resolved network = expected at one-hot; smallest and largest = brute force."""
  small = spaces.COUPLED[name]()
  model = model_lib.build(small, price, unit, table_lib.Calibration(1.5, 7.0, 3))
  paths = list(itertools.product(*map(range, model.choice_counts)))
  costs = model.costs(np.array(paths))
  for path, cost in list(zip(paths, costs))[::17]:
    genotype = schema.genotype(small, path)
    network_ = schema.resolve(small, genotype)
    total = sum(price(row.signature) for row in counting.count_blocks(network_))
    assert cost == pytest.approx(7.0 + 1.5 * total, rel=1e-14)
    assert model.cost(path) == model.cost(genotype) == cost
    one_hot = np.array([[float(i == choice) for i in range(max(model.choice_counts))] for choice in path])
    assert float(model.expected(one_hot)) == pytest.approx(cost, rel=1e-14)
    assert model.expected(one_hot[None]).numpy().tolist() == pytest.approx([cost], rel=1e-14)
  assert (model.smallest, model.largest) == (costs.min(), costs.max())


@pytest.mark.parametrize('name', spaces.COUPLED)
def test_expectation_of_coupled_decisions_is_the_mean_over_all_networks(name):
  model = model_lib.from_macs(spaces.COUPLED[name]())
  generator = np.random.default_rng(0)
  rows = [generator.dirichlet(np.ones(count)) for count in model.choice_counts]
  padded = np.array([[*row, *[0.0] * (max(model.choice_counts) - len(row))] for row in rows])
  paths = np.array(list(itertools.product(*map(range, model.choice_counts))))
  weights = np.prod([row[paths[:, i]] for i, row in enumerate(rows)], axis=0)
  assert float(model.expected(padded)) == pytest.approx(float(weights @ model.costs(paths)), rel=1e-12)


@pytest.mark.parametrize('name', spaces.COUPLED)
def test_given_a_choice(name):
  model = model_lib.from_macs(spaces.COUPLED[name]())
  for decision, count in enumerate(model.choice_counts):
    for choice in range(count):
      rest = model.given(decision, choice)
      path = [0] * len(rest.decisions)
      assert rest.cost(path) == model.cost([*path[:decision], choice, *path[decision:]])
