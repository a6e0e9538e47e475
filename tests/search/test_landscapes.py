"""Both architecture optimizers, through their public interface, on landscapes whose optimum is known.

Requirements are what an independent simulation of the same definitions reached (docs/research.md, "Derivation"). A gain ratio
is the true gain of the derived network over that of the best network under the budget.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests import suites
from tests.search import landscapes
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import diagnostics
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path
from tf_proxyless.space import proxyless

BUDGET = candidates_lib.Budget(landscapes.TARGET_MS, landscapes.COST_MODEL)
NETWORKS = 10


@dataclasses.dataclass
class Search:
  """A finished search on a landscape."""

  landscape: landscapes.Landscape
  log_probabilities: list[np.ndarray]
  expected_cost: float
  multiplier: float
  most_likely_cost: float
  samples: evaluations_lib.Evaluations
  budget: candidates_lib.Budget = BUDGET

  def by_probability(self) -> candidates_lib.Choices:
    return candidates_lib.by_probability(self.log_probabilities, self.budget)

  def by_evidence(self, recency: bool | None = None) -> candidates_lib.Choices:
    return candidates_lib.by_evidence(effects_lib.fit(self.samples, recency), self.budget)

  def ratio(self, choices: candidates_lib.Choices) -> float:
    """Gain ratio of a derived network, which must be under the budget."""
    assert landscapes.COST_MODEL.cost(choices) <= self.budget.limit
    return self.landscape.gain_ratio(choices, self.budget.limit)


def finish(landscape, optimizer, samples, target) -> Search:
  parameters = optimizer.parameters
  log_p = parameters.log_probabilities().numpy().astype(np.float64)
  state = optimizer.state()
  return Search(landscape, [row[mask] for row, mask in zip(log_p, landscapes.MASK)], float(state['expected_cost']),
                float(state['multiplier']), landscapes.COST_MODEL.cost(parameters.mode().numpy()), samples,
                candidates_lib.Budget(target, landscapes.COST_MODEL))


def search_reinforce(landscape, updates, learning_rate, seed=0, exploration=0.1, target=landscapes.TARGET_MS) -> Search:
  parameters = policy_lib.Policy(landscapes.CHOICE_COUNTS, exploration=exploration, seed=seed)
  optimizer = reinforce.Reinforce(parameters, landscapes.COST_MODEL, objectives.Constrained(target, scale=1.0), landscape.score,
                                  learning_rate=learning_rate, networks=NETWORKS)
  paths, accuracies = [], []
  for _ in range(updates):
    scored = optimizer.update()
    paths.append(scored.paths)
    accuracies.append(scored.accuracies)
    if landscape.learns:
      landscape.train(parameters.sampling_probabilities().numpy(), landscapes.JOINT_STEPS / updates)
  paths = np.concatenate(paths)
  samples = evaluations_lib.Evaluations(landscapes.CHOICE_COUNTS, paths, np.concatenate(accuracies), landscapes.costs_of(paths),
                                      np.repeat(np.arange(updates), NETWORKS))
  return finish(landscape, optimizer, samples, target)


def search_gradient(landscape, updates, learning_rate, seed=0, exploration=0.1, extra_networks=3000,
                    target=landscapes.TARGET_MS) -> Search:
  """The two-path rule, then networks scored with frozen weights."""
  parameters = policy_lib.Policy(landscapes.CHOICE_COUNTS, exploration=exploration, seed=seed)
  optimizer = two_path.TwoPath(parameters, landscapes.COST_MODEL, objectives.Constrained(target, scale=1.0), landscape.gate_gradients,
                                    learning_rate=learning_rate)
  return search_and_score(landscape, optimizer, updates, seed, extra_networks, target)


def search_and_score(landscape, optimizer, updates, seed, networks=3000, target=landscapes.TARGET_MS) -> Search:
  """Updates, then networks scored by the policy with a floor of 30 %, ten a batch."""
  for _ in range(updates):
    optimizer.update()
  floor = landscapes.MASK / landscapes.MASK.sum(axis=1, keepdims=True)
  policy = 0.7 * optimizer.parameters.probabilities().numpy() + 0.3 * floor
  return finish(landscape, optimizer, landscape.score_batches(policy, networks, np.random.default_rng(seed)), target)


def uniform_ratio(landscape, networks, seed) -> float:
  """Gain ratio by evidence on networks that no search chose."""
  samples = landscape.score_batches(landscapes.tilted(), networks, np.random.default_rng(seed))
  return landscape.gain_ratio(candidates_lib.by_evidence(effects_lib.fit(samples, recency=False), BUDGET))


def warnings_of(search) -> tuple[str, ...]:
  effects = effects_lib.fit(search.samples)
  validation = search.landscape.validate
  derivation = candidates_lib.derive(search.log_probabilities, effects, BUDGET, validation=validation)
  assert all(candidate.cost <= landscapes.TARGET_MS for candidate in derivation.candidates)
  end = diagnostics.SearchEnd(landscapes.TARGET_MS, search.expected_cost, search.multiplier, 1000)
  return diagnostics.warnings(derivation, landscapes.DECISIONS, end, effects, search.samples)


def says_undertrained(search) -> bool:
  return any('clearly rise with cost' in line or 'larger networks do not score better' in line for line in warnings_of(search))


SEVERE = landscapes.LearningCurves(pull=0.012, warmup_steps=landscapes.WARMUP_STEPS[0.06], steps=4000.0)
PULL_TO_ZERO = landscapes.LearningCurves(pull=0.012)


def test_pixel_1_costs():
  costs = sorted(landscapes.FIXED_MS + sum(pick(c) for c in landscapes.CHOICE_COSTS) for pick in (min, np.mean, max))
  np.testing.assert_allclose(costs, [29.6, 114.0, 191.0], atol=0.05)
  assert landscapes.FIXED_MS + (landscapes.tilted() * landscapes.COSTS).sum() == pytest.approx(landscapes.TARGET_MS)


@pytest.mark.parametrize('interactions', ['neighbours', 'all'])
def test_interactions_carry_a_third_of_the_variance(interactions):
  landscape = landscapes.Landscape(0, interactions=interactions)
  networks = landscapes.sample(landscapes.MASK / landscapes.MASK.sum(axis=1, keepdims=True), 20_000, np.random.default_rng(0))
  additive = landscapes.BASE_ACCURACY + landscape.gains[np.arange(21), networks].sum(axis=1)
  pairs = landscape.true_gain(networks) + landscapes.BASE_ACCURACY - additive
  assert np.var(pairs) == pytest.approx(np.var(additive) / 2, rel=0.05)


def test_optima_beat_every_other_way_to_look_for_them():
  for interactions in ('none', 'neighbours', 'all'):
    landscape = landscapes.Landscape(1, interactions=interactions)
    assert landscapes.costs_of(landscape.optimum[None])[0] <= landscapes.TARGET_MS + 1e-9
    assert landscape.gain_ratio(landscape.random_search(2000, np.random.default_rng(0))) < 0.9
    if interactions == 'neighbours':  # local search knows nothing of chains
      found = max((landscapes.local_search(landscape.gains, landscape.pairs, np.random.default_rng(s)) for s in range(10)),
                  key=lambda path: landscape.true_gain(path[None])[0])
      assert 0.95 < landscape.gain_ratio(found) <= 1.0 + 1e-9


@pytest.fixture(scope='module')
def additive() -> Search:
  return search_reinforce(landscapes.Landscape(1), 1000, 0.01)


def test_reinforce_on_an_additive_landscape(additive):
  search = additive
  assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.03)
  random = search.landscape.gain_ratio(search.landscape.random_search(3000, np.random.default_rng(0)))
  assert search.ratio(search.by_evidence()) > max(0.99, random + 0.1)
  assert search.ratio(search.by_probability()) > 0.88
  assert not says_undertrained(search)


def front_of(search, by='validation', recency=None) -> list[float]:
  """Gain ratios of the networks that one search gives within 2, 10, 25, 50 and 90 % of the range, of which it was made for one."""
  budgets = [candidates_lib.Budget(share_of(landscapes.COST_MODEL, share), landscapes.COST_MODEL) for share in (0.02, 0.1, 0.25, 0.5, 0.9)]
  front = candidates_lib.front(search.log_probabilities, effects_lib.fit(search.samples, recency), budgets, by=by,
                               validation=search.landscape.validate if by == 'validation' else None)
  accuracies = search.landscape.validate(np.array([found.chosen.choices for found in front]))
  assert all(found.chosen.cost <= budget.limit == found.budget for found, budget in zip(front, budgets))
  assert by != 'validation' or (np.diff(accuracies) >= 0.0).all()
  return [search.landscape.gain_ratio(found.chosen.choices, found.budget) for found in front]


@pytest.mark.long
def test_one_search_gives_the_whole_front(additive):
  """Made for 80 ms, 0.31 of the range; what a choice is worth holds elsewhere too, where effects add up."""
  assert min(front_of(additive)) > 0.99
  assert min(front_of(additive, 'evidence')) > 0.95
  likely = front_of(additive, 'probability')
  assert likely[2] > 0.85 and likely[4] < 0.8  # probabilities say what is best at the target


@pytest.mark.by_hand
@pytest.mark.parametrize('interactions, least', [('none', 0.99), ('neighbours', 0.75)])
@pytest.mark.parametrize('method', ['reinforce', 'gradient'])
def test_so_it_is_with_interactions_though_further_off(method, interactions, least):
  search, settings = SEARCHES[method]
  fronts = [front_of(search(landscapes.Landscape(seed, interactions=interactions), 1000, settings.rate(1000), seed),
                     recency=False if method == 'gradient' else None) for seed in range(3)]
  print(method, interactions, np.mean(fronts, axis=0), np.min(fronts, axis=0))
  assert np.min(fronts) > least


@pytest.mark.long
def test_gradient_rule_on_an_additive_landscape():
  search = search_gradient(landscapes.Landscape(0), 1000, 0.05)
  assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.05)
  assert search.ratio(search.by_evidence(recency=False)) > 0.98
  assert search.ratio(search.by_probability()) > 0.85


SEEDS = range(10)
SEARCHES = {'reinforce': (search_reinforce, reinforce.ReinforceConfig()), 'gradient': (search_gradient, two_path.TwoPathConfig())}


def share_of(cost_model, share):
  """The cost at a share of the way from the cheapest network to the dearest."""
  return cost_model.smallest + share * (cost_model.largest - cost_model.smallest)


# Mean gain ratio of the network by probability over three seeds: what ten reached (docs/research.md), less what three may miss by.
GAINS = {
    ('reinforce', 300): (0.77, 0.88, 0.92, 0.95, 0.98),
    ('reinforce', 1000): (0.78, 0.88, 0.95, 0.95, 0.98),
    ('gradient', 300): (0.55, 0.45, 0.58, 0.80, 0.90),
    ('gradient', 1000): (0.72, 0.75, 0.85, 0.90, 0.95),
}


@pytest.mark.parametrize('seeds', [(0,), pytest.param((0, 1, 2), marks=pytest.mark.by_hand)], ids=['one', 'three'])
@pytest.mark.parametrize('method, updates', [('reinforce', 300), pytest.param('gradient', 300, marks=pytest.mark.long),
                                             *(pytest.param(method, 1000, marks=pytest.mark.by_hand) for method in SEARCHES)])
def test_the_target_is_met_anywhere_in_the_range(method, updates, seeds):
  """By a rule without a knob: what a multiplier with a rate missed by up to 56 % where the target is far from the even policy's cost."""
  search, settings = SEARCHES[method]
  shares = (0.02, 0.9) if len(seeds) == 1 else (0.02, 0.1, 0.25, 0.5, 0.9)
  found = []
  for share in shares:
    target = share_of(landscapes.COST_MODEL, share)
    ends = [search(landscapes.Landscape(seed), updates, settings.rate(updates), seed, target=target) for seed in seeds]
    assert all(end.expected_cost == pytest.approx(target, rel=0.001) for end in ends)
    found.append(np.mean([end.ratio(end.by_probability()) for end in ends]))
    assert min(end.ratio(end.by_evidence(False if method == 'gradient' else None)) for end in ends) > 0.95
  print(method, updates, found)
  if len(seeds) > 1:
    assert np.all(np.array(found) >= GAINS[method, updates])


@pytest.mark.by_hand
@pytest.mark.parametrize('share', [0.02, 0.25, 0.9])
@pytest.mark.parametrize('method, updates, gain', [('reinforce', 10_000, (0.70, 0.95, 0.98)), ('gradient', 3000, (0.70, 0.88, 0.95))])
def test_so_it_is_in_long_searches(method, updates, gain, share):
  search, settings = SEARCHES[method]
  target = share_of(landscapes.COST_MODEL, share)
  end = search(landscapes.Landscape(0), updates, settings.rate(updates), target=target)
  assert end.expected_cost == pytest.approx(target, rel=0.001)
  assert end.ratio(end.by_probability()) >= gain[(0.02, 0.25, 0.9).index(share)]


QUICKSTART = model_lib.from_macs(proxyless.proxyless(
    stage_filters=(16, 32), stage_blocks=(4, 2), stage_strides=(1, 2), stem_filters=16, stem_strides=4, first_block_filters=16,
    head_filters=128, resolution=32))
OTHER_SPACES = {
    'few decisions': QUICKSTART,
    'mostly fixed': model_lib.additive('macs', QUICKSTART.paths, 20 * QUICKSTART.largest, QUICKSTART.choice_costs),
    'one decision is nearly all': model_lib.additive(
        'ms', landscapes.DECISIONS, 0.1, [np.array(costs) * (20 if d == 5 else 1) for d, costs in enumerate(landscapes.CHOICE_COSTS)]),
    'many decisions': model_lib.additive(
        'ms', [f'{name}/{i}' for i in range(6) for name in landscapes.DECISIONS], 11.0,
        [np.array(costs) * (1 + i) / 3 for i in range(6) for costs in landscapes.CHOICE_COSTS]),
}


@pytest.mark.parametrize('share', [0.02, 0.9, *(pytest.param(share, marks=pytest.mark.by_hand) for share in (0.1, 0.25, 0.5))])
@pytest.mark.parametrize('method', SEARCHES)
@pytest.mark.parametrize('space', suites.few(OTHER_SPACES, 1))
def test_the_target_is_met_in_every_space(space, method, share):
  """From the first update to the last."""
  cost_model = OTHER_SPACES[space]
  target = share_of(cost_model, share)
  landscape, policy = landscapes.OtherSpace(cost_model, 0), policy_lib.Policy(cost_model.choice_counts, exploration=0.1)
  _, settings = SEARCHES[method]
  objective = objectives.ConstrainedConfig().build(target, cost_model.smallest, settings.SCALE, 300)
  optimizer = settings.build(policy, cost_model, objective, landscape, 300)
  for update in range(100):
    optimizer.update()
    if update % 10 == 0:
      assert float(optimizer.state()['expected_cost']) == pytest.approx(target, rel=0.001)


@pytest.mark.long
@pytest.mark.parametrize('seeds', [(0, 1), pytest.param(SEEDS, marks=pytest.mark.by_hand)])
def test_with_interactions_samples_of_the_policy_tell_more_than_uniform_ones(seeds):
  """The test that counts: with additive gains the regression alone finds the optimum, here only the search can."""
  policy, uniform = [], []
  for seed in seeds:
    search = search_reinforce(landscapes.Landscape(seed, interactions='all'), 1000, 0.01, seed)
    policy.append(search.ratio(search.by_evidence()))
    uniform.append(uniform_ratio(search.landscape, 10_000, seed))
  print('policy', policy, 'uniform', uniform)
  assert np.mean(policy) >= np.mean(uniform) + 0.10


@pytest.mark.long
@pytest.mark.parametrize('seed', [0, *(pytest.param(seed, marks=pytest.mark.by_hand) for seed in SEEDS[1:])])
def test_the_severe_case_warns(seed):
  assert says_undertrained(search_reinforce(landscapes.Landscape(seed, curves=SEVERE), 1000, 0.01, seed))


@pytest.mark.by_hand
def test_reinforce_on_additive_landscapes_at_full_length():
  by_evidence, by_probability, random = [], [], []
  for seed in SEEDS[:4]:
    search = search_reinforce(landscapes.Landscape(seed), 10_000, 5e-3, seed)
    assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.02)
    assert search.most_likely_cost == pytest.approx(landscapes.TARGET_MS, rel=0.08)
    by_evidence.append(search.ratio(search.by_evidence()))
    by_probability.append(search.ratio(search.by_probability()))
    random.append(search.landscape.gain_ratio(search.landscape.random_search(100_000, np.random.default_rng(seed))))
    assert not says_undertrained(search)
  print('evidence', by_evidence, 'probability', by_probability, 'random search', random)
  assert min(by_evidence) >= 0.995
  assert min(by_probability) >= 0.93
  assert min(np.mean(by_evidence), np.mean(by_probability)) >= np.mean(random) + 0.10


@pytest.mark.by_hand
def test_gradient_rule_on_additive_landscapes_at_full_length():
  by_evidence, by_probability = [], []
  for seed in SEEDS[:4]:
    search = search_gradient(landscapes.Landscape(seed), 10_000, 0.01, seed)
    assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.02)
    by_evidence.append(search.ratio(search.by_evidence(recency=False)))
    by_probability.append(search.ratio(search.by_probability()))
  print('evidence', by_evidence, 'probability', by_probability)
  assert min(by_evidence) >= 0.985
  assert min(by_probability) >= 0.92


@pytest.mark.by_hand
@pytest.mark.parametrize('search_on, learning_rate', [(search_reinforce, 5e-3), (search_gradient, 0.01)])
@pytest.mark.parametrize('gain_scale', [0.3, 3.0])
def test_the_target_is_met_whatever_the_scale_of_gains(search_on, learning_rate, gain_scale):
  for seed in range(2):
    search = search_on(landscapes.Landscape(seed, gain_scale=gain_scale), 10_000, learning_rate, seed)
    assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.03)


@pytest.mark.by_hand
def test_all_pairs_interact_at_full_length():
  by_evidence, by_probability = [], []
  for seed in SEEDS[:4]:
    search = search_reinforce(landscapes.Landscape(seed, interactions='all'), 10_000, 5e-3, seed)
    by_evidence.append(search.ratio(search.by_evidence()))
    by_probability.append(search.ratio(search.by_probability()))
  print('evidence', by_evidence, 'probability', by_probability)
  assert np.mean(by_evidence) >= 0.95 and min(by_evidence) >= 0.92
  assert np.mean(by_probability) >= 0.93


@pytest.mark.by_hand
def test_a_supernet_that_learns_and_is_pulled_to_zero():
  by_evidence = []
  for seed in SEEDS:
    search = search_reinforce(landscapes.Landscape(seed, curves=PULL_TO_ZERO), 1000, 0.01, seed)
    assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.03)
    by_evidence.append(search.ratio(search.by_evidence()))
    assert not says_undertrained(search)
  print('evidence', by_evidence)
  assert np.mean(by_evidence) >= 0.95 and min(by_evidence) >= 0.93


@pytest.mark.by_hand
def test_rank_noise_is_judged_by_the_supernets_own_optimum():
  """No search sees past its supernet: what the supernet ranks wrongly stays wrong."""
  for seed in SEEDS:
    search = search_reinforce(landscapes.Landscape(seed, rank=0.8), 1000, 0.01, seed)
    derived, best = search.landscape.validate(np.stack([search.by_evidence(), search.landscape.supernet_optimum]))
    assert derived - landscapes.BASE_ACCURACY >= 0.98 * (best - landscapes.BASE_ACCURACY)
