"""The knapsack against brute force in exact arithmetic, and its promises at the budget."""

import fractions
import itertools
import math

import numpy as np
import pytest

from tf_proxyless.derive import knapsack


def brute_force(values, costs, budget, fixed):
  """Best value, then least exact cost, then lowest indices, among all networks within the budget."""

  def key(choices):
    total = 0.0
    for decision_values, choice in zip(values, choices):
      total += decision_values[choice]
    exact = sum((fractions.Fraction(float(c[i])) for c, i in zip(costs, choices)), fractions.Fraction(fixed))
    return -total, exact, choices

  networks = itertools.product(*(range(len(c)) for c in costs))
  return min(key(n) for n in networks if knapsack.network_cost(fixed, costs, n) <= budget)[2]


def instance(rng, kind):
  sizes = rng.integers(1, 5, rng.integers(1, 5))
  if kind == 'ties':
    return [rng.integers(0, 4, n).astype(float) for n in sizes], [rng.integers(0, 5, n).astype(float) for n in sizes]
  if kind == 'decimals':  # sums such as 0.1 + 0.2, where the order of adding decides the last bit
    return [rng.integers(0, 4, n).astype(float) for n in sizes], [rng.integers(0, 9, n) / 10 for n in sizes]
  if kind == 'proportional':
    costs = [rng.uniform(0, 1, n) for n in sizes]
    return costs, costs
  return [rng.normal(size=n) for n in sizes], [rng.uniform(-0.2, 1, n) for n in sizes]


@pytest.mark.parametrize('kind', ['random', 'ties', 'decimals', 'proportional'])
def test_equals_brute_force_with_the_budget_exactly_at_a_network(kind):
  rng = np.random.default_rng(0)
  for _ in range(300):
    values, costs = instance(rng, kind)
    at = [int(rng.integers(len(c))) for c in costs]
    budget = knapsack.network_cost(0.1, costs, at)
    assert tuple(knapsack.solve(values, costs, budget, 0.1)) == brute_force(values, costs, budget, 0.1)


@pytest.mark.parametrize('decisions, choices', [(21, 7), (54, 12)])
def test_large_instances_stay_within_every_budget_and_bound(decisions, choices):
  rng = np.random.default_rng(1)
  costs = [rng.uniform(0, 10, choices) for _ in range(decisions)]
  values = [rng.normal(size=choices) for _ in range(decisions)]
  previous = -math.inf
  for budget in np.linspace(1.05 * sum(c.min() for c in costs), sum(c.max() for c in costs), 7):
    solution = knapsack.solve(values, costs, budget)
    value = sum(v[i] for v, i in zip(values, solution))
    assert knapsack.network_cost(0.0, costs, solution) <= budget
    assert value >= previous
    for d, i in itertools.product(range(decisions), range(choices)):  # no single change that fits is better
      changed = [*solution[:d], i, *solution[d + 1:]]
      assert values[d][i] <= values[d][solution[d]] or knapsack.network_cost(0.0, costs, changed) > budget
    previous = value
  assert list(knapsack.solve(values, costs, math.inf)) == [int(v.argmax()) for v in values]


def test_one_bit_below_a_network_excludes_it():
  costs = [np.array([0.1, 0.7])] * 3
  cost = knapsack.network_cost(0.0, costs, [1, 1, 1])
  assert list(knapsack.solve([[0, 1]] * 3, costs, cost)) == [1, 1, 1]
  assert list(knapsack.solve([[0, 1]] * 3, costs, np.nextafter(cost, 0))) == [0, 1, 1]


def test_equal_values_take_the_cheapest_network_then_the_lowest_index():
  assert list(knapsack.solve([[0, 0, 0]] * 4, [[3, 1, 1]] * 4, 100)) == [1, 1, 1, 1]


def test_unreachable_budget_states_the_smallest_cost():
  with pytest.raises(ValueError, match=r'budget of 2\.5 .* smallest network costs 3\.5'):
    knapsack.solve([[0, 1], [0, 1]], [[1, 2], [2, 1]], 2.5, fixed=1.5)
  with pytest.raises(ValueError, match='nan'):
    knapsack.solve([[0, 1]], [[1, 2]], math.nan)


@pytest.mark.parametrize('values, costs', [([[0, 1]], [[1, 2], [1, 2]]), ([[0, 1, 2]], [[1, 2]]), ([[]], [[]])])
def test_values_and_costs_must_fit(values, costs):
  with pytest.raises(ValueError, match='same decisions'):
    knapsack.solve(values, costs, 10)


def test_numbers_must_be_finite():
  with pytest.raises(ValueError, match='finite'):
    knapsack.solve([[0, -math.inf]], [[1, 2]], 10)


@pytest.mark.long
def test_a_subset_sum_problem_is_refused_rather_than_filling_the_memory():
  costs = [np.sort(np.random.default_rng(d).uniform(size=12)) for d in range(54)]
  with pytest.raises(ValueError, match='proportional to costs'):
    knapsack.solve(costs, costs, 15)
