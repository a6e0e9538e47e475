"""Calibration and validation: closed forms, and what is refused."""

import numpy as np
import pytest
import scipy.stats

from tf_proxyless.cost import calibration

SUMS = (10.0, 20.0, 40.0, 80.0)
NAMES = tuple('abcd')


def test_an_exact_line_is_recovered():
  measured = [1.5 + 0.8 * value for value in SUMS]
  found = calibration.fit(SUMS, measured, NAMES)
  assert (found.scale, found.offset_ms) == (pytest.approx(0.8, rel=1e-12), pytest.approx(1.5, rel=1e-11))
  assert found.networks == 4
  assert calibration.leave_one_out(SUMS, measured, NAMES) == pytest.approx(measured, rel=1e-12)


def test_relative_errors_are_minimal():
  """At the minimum of sum(e^2), e = prediction / measured - 1, both derivatives vanish."""
  sums, measured = np.array(SUMS), np.array([11.0, 17.0, 38.0, 60.0])
  found = calibration.fit(sums, measured, NAMES)
  errors = (found.offset_ms + found.scale * sums) / measured - 1
  assert sum(errors / measured) == pytest.approx(0, abs=1e-14)
  assert sum(errors * sums / measured) == pytest.approx(0, abs=1e-12)


def test_leave_one_out_with_three_networks_is_the_line_through_the_other_two():
  assert calibration.leave_one_out([10, 20, 40], [10, 22, 30], 'abc') == pytest.approx([18, 50 / 3, 46])


def test_validation_by_hand():
  # Errors of 0, +5, -10 and +20 percent.
  found = calibration.validate([10.0, 21.0, 27.0, 120.0], [10.0, 20.0, 30.0, 100.0], NAMES)
  assert (found.rmse_ms, found.mape_percent) == pytest.approx((((1 + 9 + 400) / 4)**0.5, 35 / 4))
  assert (found.within_5_percent, found.within_10_percent) == (50.0, 75.0)
  assert (found.spearman, found.networks) == (pytest.approx(1.0), 4)


@pytest.mark.parametrize('seed', range(3))
def test_spearman_is_scipys_also_with_ties(seed):
  first, second = np.random.default_rng(seed).integers(0, 8, (2, 30))
  assert calibration.spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-14)


@pytest.mark.parametrize('sums, measured, names, message', [
    ([1, 2], [1, 2], 'ab', 'at least 3 networks, got 2: a, b'),
    ([], [], '', 'got 0: none'),
    ([1, 2, 3], [1, 2], 'abc', 'got 3 and 2 for 3'),
    ([1, 2, 3], [1, float('nan'), 3], 'abc', "positive, got 2 and nan ms for 'b'"),
    ([1, 2, 3], [1, 2, 0], 'abc', "got 3 and 0 ms for 'c'"),
    ([100, 101, 102], [1, 2, 3], 'abc', 'all lie between 100 and 102 ms'),
    ([1, 2, 3], [3, 2, 1], 'abc', 'measured faster'),
])
def test_networks_that_are_refused(sums, measured, names, message):
  for function in (calibration.fit, calibration.leave_one_out):
    with pytest.raises(ValueError, match=message):
      function(sums, measured, names)


@pytest.mark.parametrize('factor, said', [(0.25, False), (1.0, False), (4.9, False), (0.1, True), (30.0, True)])
def test_a_scale_far_from_1_is_said(factor, said):
  line = calibration.fit([1.0, 2.0, 3.0], [factor, 2 * factor, 3 * factor], ['a', 'b', 'c'])
  assert (calibration.doubt(line) is not None) == said


@pytest.mark.parametrize('factor, side', [(300.0, 'measurements'), (1100.0, 'measurements'), (9e-4, "table's entries")])
def test_microseconds_are_refused(factor, side):
  with pytest.raises(ValueError, match=f'times the sums of a, b, c: are the {side} in microseconds'):
    calibration.fit([1.0, 2.0, 3.0], [factor, 2 * factor, 3 * factor], ['a', 'b', 'c'])


def test_no_order_no_rank_correlation():
  with pytest.raises(ValueError, match='values that differ'):
    calibration.validate([1, 1, 1], [1, 2, 3], 'abc')
