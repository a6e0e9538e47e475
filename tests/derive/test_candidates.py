"""Derivation: budgets hold, winners are what they claim, and each warning fires where it should and only there."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tests import suites
from tests.search import landscapes
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import diagnostics
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib

BUDGET = candidates_lib.Budget(landscapes.TARGET_MS, landscapes.COST_MODEL)
GOOD_END = diagnostics.SearchEnd(target=80.0, expected_cost=80.1, multiplier=0.02, batch_images=1000)


@pytest.fixture(scope='module')
def searched():
  """An additive landscape, ten thousand uniform samples of it, their effects, and a policy that knows nothing but costs."""
  landscape = landscapes.Landscape(0)
  samples = landscape.score_batches(landscapes.tilted(), 10_000, np.random.default_rng(0))
  log_p = [np.log(row[mask]) for row, mask in zip(landscapes.tilted(), landscapes.MASK)]
  return landscape, samples, effects_lib.fit(samples), log_p


def test_by_evidence_finds_the_optimum_of_an_additive_landscape(searched):
  landscape, _, effects, _ = searched
  assert landscape.gain_ratio(candidates_lib.by_evidence(effects, BUDGET)) > 0.99


def test_by_probability_takes_the_argmax_if_it_fits_and_stays_within_the_budget_if_not():
  rng = np.random.default_rng(0)
  log_p = [np.log(rng.dirichlet(np.ones(n))) for n in landscapes.CHOICE_COUNTS]
  argmax = tuple(int(row.argmax()) for row in log_p)
  cost = BUDGET.cost(argmax)
  assert candidates_lib.by_probability(log_p, candidates_lib.Budget(cost, BUDGET.cost_model)) == argmax
  tighter = candidates_lib.Budget(np.nextafter(cost, 0), BUDGET.cost_model)
  assert tighter.cost(candidates_lib.by_probability(log_p, tighter)) < cost
  assert candidates_lib.by_probability(log_p, candidates_lib.Budget(math.inf, BUDGET.cost_model)) == argmax


def test_every_candidate_is_different_and_under_the_budget_and_scored_once(searched):
  landscape, _, effects, log_p = searched
  calls = []

  def score(paths):
    calls.append(paths)
    return landscape.validate(paths)

  found = candidates_lib.derive(log_p, effects, BUDGET, validation=score)
  assert len(calls) == 1 and calls[0].dtype == np.int32
  assert len(found.candidates) == candidates_lib.CANDIDATES == len({c.choices for c in found.candidates})
  assert max(c.cost for c in found.candidates) <= BUDGET.limit
  assert {c.source for c in found.candidates} == {'evidence', 'probability'}
  assert found.chosen == found.candidates[0]
  assert found.chosen.validation_accuracy == max(c.validation_accuracy for c in found.candidates)
  assert found.probability in found.candidates and found.evidence in found.candidates
  assert found.differing == tuple(d for d in range(21) if found.probability.choices[d] != found.evidence.choices[d])
  assert found.advantage == pytest.approx(found.evidence.estimate - found.probability.estimate)
  assert 0.0 <= found.expected_loss < 0.003
  assert found.chosen.estimate == pytest.approx(found.chosen.validation_accuracy, abs=4 * found.chosen.standard_error)


def test_the_most_accurate_on_validation_wins_and_of_equals_the_dearest(searched):
  _, _, effects, log_p = searched
  rng = np.random.default_rng(0)
  found = candidates_lib.derive(log_p, effects, BUDGET, validation=lambda paths: 0.7 + 0.01 * rng.standard_normal(len(paths)))
  accuracies = [c.validation_accuracy for c in found.candidates]
  assert found.chosen == found.candidates[0] and accuracies == sorted(accuracies, reverse=True)
  found = candidates_lib.derive(log_p, None, BUDGET, validation=lambda paths: [0.5] * len(paths))
  assert found.chosen.cost == max(c.cost for c in found.candidates)


def test_multiply_adds_count_as_much_as_accuracy_where_they_differ(searched):
  accuracies = np.array([0.50, 0.54, 0.51, 0.55])
  standard = lambda values: (values - values.mean()) / values.std()
  macs = np.array([4e6, 2e6, 3e6, 1e6])
  merits = candidates_lib.merits(accuracies, macs)
  np.testing.assert_allclose(merits, accuracies + 1.4826 * 0.02 * standard(np.log(macs)))
  assert merits.argmax() == 1
  collapsed = candidates_lib.merits([*accuracies, 0.1], [*macs, 2e6])
  assert collapsed.argmin() == 4 and np.ptp(collapsed[:4] - accuracies) < 0.15  # of standard deviations it would be 0.5
  np.testing.assert_array_equal(candidates_lib.merits(accuracies, None), accuracies)
  np.testing.assert_allclose(candidates_lib.merits(accuracies, 1e6 + macs / 1e3), accuracies, atol=1e-3)  # 0.3 % apart
  np.testing.assert_array_equal(candidates_lib.merits([0.5, 0.5], [1e6, 2e6]), [0.5, 0.5])
  _, _, _, log_p = searched
  luck = np.random.default_rng(0).random(candidates_lib.CANDIDATES)
  found = candidates_lib.derive(log_p, None, BUDGET, validation=lambda paths: luck[:len(paths)], macs=BUDGET.cost_model)
  merits = candidates_lib.merits([c.validation_accuracy for c in found.candidates], [c.cost for c in found.candidates])
  assert found.chosen == found.candidates[0] and (np.diff(merits) <= 0.0).all()
  assert found.chosen != candidates_lib.derive(log_p, None, BUDGET, validation=lambda paths: luck[:len(paths)]).chosen


def test_by_names_the_winner_and_the_same_seed_gives_the_same_derivation(searched):
  _, _, effects, log_p = searched
  by_evidence = candidates_lib.derive(log_p, effects, BUDGET, by='evidence', seed=3)
  assert by_evidence.chosen == by_evidence.evidence
  assert by_evidence.to_json() == candidates_lib.derive(log_p, effects, BUDGET, by='evidence', seed=3).to_json()
  by_probability = candidates_lib.derive(log_p, effects, BUDGET, by='probability')
  assert by_probability.chosen == by_probability.probability
  assert by_probability.chosen.log_probability >= by_evidence.chosen.log_probability


def test_without_evidence_the_network_is_derived_by_probability(searched):
  _, _, _, log_p = searched
  found = candidates_lib.derive(log_p, None, BUDGET, by='probability')
  assert found.chosen == found.probability and found.evidence is None and found.expected_loss is None
  scored = candidates_lib.derive(log_p, None, BUDGET, validation=lambda paths: -landscapes.costs_of(paths))
  assert scored.chosen.cost == min(c.cost for c in scored.candidates)


@pytest.mark.parametrize('by', ['evidence', 'validation', 'luck'])
def test_what_a_derivation_lacks_is_said(by, searched):
  with pytest.raises(ValueError, match=by):
    candidates_lib.derive(searched[3], None, BUDGET, by=by)


def test_an_unreachable_budget_states_the_smallest_cost(searched):
  with pytest.raises(ValueError, match='smallest network costs 29.61'):
    candidates_lib.derive(searched[3], None, candidates_lib.Budget(20.0, BUDGET.cost_model), by='probability')


@pytest.mark.long
def test_expected_loss_is_the_loss_that_occurs():
  """On the average of landscapes: predicted losses are up to a third greater, since gains are not quite as the prior has them."""
  predicted, actual = [], []
  for seed in range(16):
    landscape = landscapes.Landscape(seed, noise=0.02)
    effects = effects_lib.fit(landscape.score_batches(landscapes.tilted(), 1500, np.random.default_rng(seed)), recency=False)
    predicted.append(candidates_lib.redraw(effects, BUDGET, np.random.default_rng(seed))[1])
    best, derived = landscape.true_gain(np.stack([landscape.optimum, candidates_lib.by_evidence(effects, BUDGET)]))
    actual.append(best - derived)
  assert 0.8 * np.mean(actual) < np.mean(predicted) < 1.8 * np.mean(actual)


def test_no_margin_of_the_winner_is_negative_and_each_alternative_fits(searched):
  _, _, effects, _ = searched
  derived = candidates_lib.by_evidence(effects, BUDGET)
  found = candidates_lib.margins(effects, derived, BUDGET)
  assert found and min(m.difference for m in found) >= 0.0
  for m in found:
    assert m.alternative != m.choice == derived[m.decision]
    assert BUDGET.cost([*derived[:m.decision], m.alternative, *derived[m.decision + 1:]]) <= BUDGET.limit


def test_json_round_trip(searched):
  _, _, effects, log_p = searched
  for budget in (BUDGET, candidates_lib.Budget(math.inf, BUDGET.cost_model)):
    record = candidates_lib.derive(log_p, effects, budget, by='evidence').to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == json.loads(json.dumps(record))
    assert list(record)[:4] == ['by', 'budget', 'estimate', 'standard_error']
  assert record['budget'] is None


def warn(searched, end=GOOD_END, samples=None):
  _, all_samples, effects, log_p = searched
  if samples is None:
    samples = all_samples
  else:
    effects = effects_lib.fit(samples)
  return diagnostics.warnings(candidates_lib.derive(log_p, effects, BUDGET, by='evidence'), landscapes.DECISIONS, end, effects, samples)


def has(lines, text):
  return any(text in line for line in lines)


def test_a_good_search_warns_of_nothing_but_near_ties(searched):
  lines = warn(searched)
  assert all('standard errors: blocks/' in line for line in lines)
  assert all('\n' not in line for line in lines)


@pytest.mark.parametrize('expected_cost, multiplier, slope, fires', suites.few([
    (75.9, 0.1, 1.0, True), (80.0, -0.01, 1.0, False), (80.0, -0.01, -1.0, True), (80.0, -0.01, 0.0, False), (80.0, 0.01, -1.0, False),
    (76.1, 0.1, 1.0, False), (75.9, None, 1.0, True), (80.0, None, -1.0, False)], 1))
def test_collapse(searched, expected_cost, multiplier, slope, fires):
  """A negative multiplier counts where the last networks clearly scored worse the more they cost."""
  samples = dataclasses.replace(searched[1], accuracy=searched[1].accuracy + (slope - 1.0) * 0.00159 * (searched[1].cost - 80.0))
  lines = warn(searched, diagnostics.SearchEnd(80.0, expected_cost, multiplier, 1000), samples)
  assert has(lines, 'larger networks do not score better') == fires
  assert not has(warn(searched, diagnostics.SearchEnd(None, expected_cost, multiplier, 1000)), 'larger networks')


def test_small_batches(searched):
  few = searched[1][:3000]
  small = diagnostics.SearchEnd(80.0, 80.0, 0.1, 256)
  assert has(warn(searched, small, few), '3000 scores on batches of 256 images')
  assert not has(warn(searched, small), 'images')
  assert not has(warn(searched, GOOD_END, few), 'images')
  single = evaluations_lib.Evaluations(few.choice_counts, few.paths, few.accuracy, few.cost, np.arange(3000))
  assert has(warn(searched, GOOD_END, single), 'each batch scored one network')


@pytest.mark.parametrize('below, error, fires', [(0.0, 1e-4, False), (0.045, 1e-4, False), (0.06, 1e-4, True), (0.06, 0.02, False)])
def test_validation_far_below_the_estimate(searched, below, error, fires):
  _, _, effects, log_p = searched
  effects = dataclasses.replace(effects, mean_accuracy_error=error)
  score = lambda paths: [effects_lib.predict(effects, path)[0] - below for path in paths]
  found = candidates_lib.derive(log_p, effects, BUDGET, validation=score)
  lines = diagnostics.warnings(found, landscapes.DECISIONS, GOOD_END, effects, None)
  assert has(lines, f'{100 * below:.1f} points below its estimate') == fires == has(lines, 'points below its estimate')


@pytest.mark.long
def test_little_evidence_is_said_where_it_decides_alone(searched):
  _, samples, _, log_p = searched
  effects, end = effects_lib.fit(samples[:500]), dataclasses.replace(GOOD_END, batch_images=200)

  def lines(by):
    found = candidates_lib.derive(log_p, effects, BUDGET, by=by, validation=searched[0].validate)
    return diagnostics.warnings(found, landscapes.DECISIONS, end, effects, samples[:500])

  assert all(has(lines('evidence'), text) for text in ('are little evidence', 'fewer than', 'less than 2 standard errors'))
  assert not any(has(lines('validation'), text) for text in ('are little evidence', 'fewer than', 'less than 2 standard errors'))


def test_rare_choices(searched):
  few = searched[1][:500]
  line, = (line for line in warn(searched, samples=few) if 'fewer than' in line)
  effects = effects_lib.fit(few)
  wanted = math.ceil((effects.noise_sd / 0.001) ** 2)
  assert f'{np.sum(effects.counts < wanted)} of 141 choices have fewer than the {wanted} samples' in line


def test_an_undertrained_supernet_fires_drift_and_slope(searched):
  assert not has(warn(searched), 'drifted') and not has(warn(searched), 'clearly rise')
  landscape = landscapes.Landscape(0, curves=landscapes.LearningCurves(pull=0.012, warmup_steps=3000, steps=4000.0))
  rng, policy = np.random.default_rng(0), landscapes.tilted()
  parts = []
  for _ in range(10):
    parts.append(landscape.score_batches(policy, 500, rng))
    landscape.train(policy, 5000)
  samples = evaluations_lib.Evaluations(
      landscapes.CHOICE_COUNTS, np.concatenate([p.paths for p in parts]), np.concatenate([p.accuracy for p in parts]),
      np.concatenate([p.cost for p in parts]), np.concatenate([p.batch + 50 * i for i, p in enumerate(parts)]))
  assert has(warn(searched, samples=samples), 'drifted') and has(warn(searched, samples=samples), 'clearly rise')


def test_near_ties_are_listed(searched):
  landscape, _, _, log_p = searched
  noisy = landscapes.Landscape(0, noise=0.05).score_batches(landscapes.tilted(), 1000, np.random.default_rng(0))
  effects = effects_lib.fit(noisy)
  found = candidates_lib.derive(log_p, effects, BUDGET, by='evidence')
  unclear = sum(m.difference < 2 * m.standard_error for m in found.margins)
  assert unclear
  assert has(diagnostics.warnings(found, landscapes.DECISIONS, GOOD_END, effects, noisy), f'in {unclear} of 21 decisions')


def test_without_samples_only_the_search_can_warn(searched):
  found = candidates_lib.derive(searched[3], None, BUDGET, by='probability')
  assert diagnostics.warnings(found, landscapes.DECISIONS, GOOD_END, None, None) == ()
