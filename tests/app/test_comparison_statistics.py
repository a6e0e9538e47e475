"""Statistics of a comparison against SciPy, enumeration and hand."""

import itertools
import math
import statistics

import numpy as np
import pytest
from scipy import stats

from tf_proxyless.app import comparison_statistics as found

A, B = [0.91, 0.93, 0.92, 0.96, 0.915], [0.90, 0.89, 0.93, 0.88, 0.905, 0.91]


def test_an_interval_is_that_of_student():
  expected = stats.ttest_1samp(A, 0.0).confidence_interval(0.95)
  assert found.interval(A) == pytest.approx((expected.low, expected.high))
  assert found.standard_error(A) == pytest.approx(stats.sem(A))
  assert found.interval([0.9]) is None and found.standard_error([0.9]) is None


def test_a_difference_is_that_of_welch():
  test = stats.ttest_ind(A, B, equal_var=False)
  interval = test.confidence_interval(0.95)
  difference = found.difference(A, B)
  assert difference['interval'] == pytest.approx((interval.low, interval.high))
  assert difference['mean'] / difference['standard_error'] == pytest.approx(test.statistic)
  assert found.difference([0.5], B) == {'mean': pytest.approx(0.5 - statistics.fmean(B)), 'standard_error': None, 'interval': None}
  assert found.difference([0.5, 0.5], [0.25, 0.25]) == {'mean': 0.25, 'standard_error': 0.0, 'interval': (0.25, 0.25)}


@pytest.mark.parametrize('value, rank, beaten', [(0.95, 1.0, 1.0), (0.91, 2.5, 4.5 / 6), (0.892, 5.0, 2 / 6), (0.1, 7.0, 0.0)])
def test_ranks(value, rank, beaten):
  assert found.rank(value, B) == pytest.approx(rank) and found.beaten(value, B) == pytest.approx(beaten)


@pytest.mark.parametrize('networks', [1, 2, 3, 6, 7, 100])
@pytest.mark.parametrize('validation', [[3, 1, 4, 5, 9, 2], [1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1]])
def test_the_best_of_some_is_the_mean_over_all_ways_to_draw_them(networks, validation):
  results = []
  for drawn in itertools.combinations(range(6), min(networks, 6)):
    best = max(validation[i] for i in drawn)
    results.append(statistics.fmean(B[i] for i in drawn if validation[i] == best))
  assert found.expected_best(networks, validation, B) == pytest.approx(statistics.fmean(results))


def test_tau_is_that_of_scipy_and_its_error_that_of_the_jackknife():
  rng = np.random.default_rng(0)
  rows, accuracies = rng.normal(size=(2, 12)), rng.normal(size=12)
  tau = lambda kept: statistics.fmean(stats.kendalltau(row[kept], accuracies[kept]).statistic for row in rows)
  without = [tau([i for i in range(12) if i != left]) for left in range(12)]
  error = math.sqrt(11 / 12 * sum((value - statistics.fmean(without))**2 for value in without))
  result = found.kendall([(row.tolist(), accuracies.tolist()) for row in rows])
  assert result == {'tau': pytest.approx(tau(slice(None))), 'standard_error': pytest.approx(error)}
  assert found.kendall([([1, 2, 3, 4], [1, 2, 3, 5])]) == {'tau': pytest.approx(1.0), 'standard_error': pytest.approx(0.0)}


@pytest.mark.by_hand
@pytest.mark.parametrize('rows', [1, 5])
def test_the_error_of_tau_is_about_how_far_it_varies(rows):
  """Over 300 made-up comparisons of 20 networks; the jackknife errs on the safe side."""
  rng = np.random.default_rng(1)
  results = []
  for _ in range(300):
    quality = rng.normal(size=20)
    accuracies = (quality + rng.normal(size=20)).tolist()
    results.append(found.kendall([((quality + rng.normal(size=20)).tolist(), accuracies) for _ in range(rows)]))
  error = math.sqrt(statistics.fmean(result['standard_error']**2 for result in results))
  assert 0.85 < error / statistics.stdev(result['tau'] for result in results) < 1.4


@pytest.mark.parametrize('pair', [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])])
def test_no_tau_where_there_is_nothing_to_rank(pair):
  assert found.kendall([pair]) is None


def test_a_tau_without_its_error_where_one_network_makes_all_the_difference():
  assert found.kendall([([1, 1, 2], [1, 2, 3])]) == {'tau': pytest.approx(stats.kendalltau([1, 1, 2], [1, 2, 3]).statistic),
                                                     'standard_error': None}


def test_between_trainings():
  tests = [[0.9, 0.91, 0.92], [0.8, 0.83, 0.79], [0.85, 0.82, 0.86], [0.7, 0.75, 0.72]]
  rows = list(zip(*tests))
  taus = [stats.kendalltau(rows[i], rows[j]).statistic for i, j in ((0, 1), (0, 2), (1, 2))]
  assert found.between_trainings(tests)['tau'] == pytest.approx(statistics.fmean(taus))
  assert found.between_trainings([[0.9], [0.8], [0.7]]) is None


def random_networks(tests=(0.90, 0.91, 0.92, 0.93), seconds=10.0):
  return [{'test': test, 'validation': test + 0.01, 'seconds': seconds} for test in tests]


def judged(*tests, standard=None, seconds=19.0, networks=None):
  searches = [{'test': test, 'seconds': seconds, 'estimates': [0.1, 0.2, 0.4, 0.3]} for test in tests]
  return found.judge(searches, networks or random_networks(), standard)


def test_judgement():
  result = judged(0.935, 0.925, standard={'test': 0.9})
  first, second = result['searches']
  assert [first['rank'], second['rank'], result['rank']] == [1.0, 2.0, 1.5]
  assert [first['beaten'], second['beaten'], result['beaten']] == [1.0, 0.75, 0.875]
  assert first['trainings'] == 2 and first['random_search'] == pytest.approx(0.93 / 2 + 0.92 / 3 + 0.91 / 6)
  assert first['tau'] is None is result['tau']  # four have no order worth telling
  assert result['mean'] == pytest.approx(0.93) and result['standard_error'] == pytest.approx(0.005)
  half = 0.005 * stats.t.ppf(0.975, 1)
  assert result['over_these'] == {'mean': pytest.approx(0.015), 'interval': pytest.approx((0.015 - half, 0.015 + half))}
  assert result['over_standard']['mean'] == pytest.approx(0.03)
  assert result['over_random_search']['mean'] == pytest.approx(0.93 - first['random_search'])
  assert judged(0.9)['over_standard'] is None


def test_ranks_are_those_of_six_networks_at_least():
  random = [{'test': accuracy, 'validation': accuracy, 'seconds': 50.0} for accuracy in (0.9, 0.91, 0.92, 0.93, 0.94, 0.95)]
  estimates = [0.1, 0.2, 0.3, 0.4, 0.6, 0.5]
  result = found.judge([{'test': 0.95, 'seconds': 100.0, 'estimates': estimates}, {'test': 0.95, 'seconds': 100.0, 'estimates': None}],
                       random, None)
  assert [search['tau'] and search['tau']['tau'] for search in result['searches']] == [pytest.approx(13 / 15), None]
  assert result['tau']['tau'] == pytest.approx(13 / 15)


@pytest.mark.parametrize('tests, words', [
    ((0.97, 0.971, 0.972), 'the search pays: +5.60 ['), ((0.85, 0.851, 0.852), 'random networks are better: -6.40 ['),
    ((0.91, 0.92, 0.93), 'no difference is shown: +0.50 ['), ((0.99,), 'one seed shows nothing yet: +7.50 points over random networks')])
def test_verdicts(tests, words):
  assert judged(*tests)['verdict'].startswith(words)


def test_a_search_that_takes_longer_than_all_random_networks_says_so():
  assert 'of the 4 there are; the time is that of 50)' in judged(0.95, 0.96, seconds=500.0)['verdict']
  assert judged(0.95, seconds=500.0)['searches'][0]['random_search'] == 0.93
  assert 'there are' not in judged(0.95, 0.96)['verdict']
