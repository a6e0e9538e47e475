"""Verdicts on planted matrices: what holds, what ties and what fails, each for its reason."""

import math
import re

import pytest

from tools.experiments import specialization as s

A, B, C = 'a', 'b', 'c'
BUDGET = 10.0


def row(runtime, points, architecture=None, spread=0.1, **times):
  """A network of mean accuracy `points` over three seeds, with a standard error of spread / sqrt(3)."""
  accuracies = tuple((points + change) / 100 for change in (-spread, 0, spread))
  return s.Row(runtime, architecture or runtime, accuracies, {name: s.Cell(time, time) for name, time in times.items()})


def matrix(*rows):
  return s.Matrix(rows, {row.runtime: BUDGET for row in rows})


def column(own, other):
  """Column a of a matrix of two networks: (accuracy, ms on a) of the one for a and of the one for b."""
  return s.judge(matrix(row(A, own[0], a=own[1], b=1), row(B, other[0], a=other[1], b=1)), A)


@pytest.mark.parametrize('own, other, outcome, reason', [
    ((80, 9.9), (95, 10.6), s.HOLDS, 'the only network within the budget'),
    ((80, 10.4), (70, 5), s.HOLDS, 'most accurate .*; itself 4.0 % above it as measured'),  # within the error that a table may have
    ((80, 10.6), (70, 5), s.FAILS, 'its own network is 6.0 % over the budget'),
    ((80, 9), (78.9, 5), s.HOLDS, r'the most accurate .*\+1.10 \+- 0.08 points'),
    ((80, 9), (81.1, 9.5), s.FAILS, r'for b keeps the budget and is \+1.10 \+- 0.08 points better'),
    ((80, 9), (80.9, 9.5), s.HOLDS, r'the fastest .*5.6 % ahead of the network for b; -0.90'),
    ((80, 9), (80.9, 9.2), s.TIE, r'-0.90 .* \+2.2 % of time'),
    ((80, 9), (80.9, 8.8), s.TIE, r'-0.90 .* -2.2 % of time'),
    ((80, 9), (80.9, 8.5), s.FAILS, r'-0.90 .* -5.6 % of time'),
    ((80, 9), (79.5, 5), s.HOLDS, r'most accurate .*but \+0.50 .* is little, and .* -44.4 % of time'),
    ((80, 9), (79.95, 5), s.TIE, r'\+0.05 \+- 0.08 .* -44.4 % of time'),  # that little is no difference
    ((80, 9), (80, 9), s.TIE, r'\+0.00'),
])
def test_two_networks(own, other, outcome, reason):
  verdict = column(own, other)
  assert verdict.outcome == outcome
  assert re.search(reason, verdict.reason), verdict.reason


def three(*rows):
  """Accuracies and times on a, b and c."""
  return matrix(*(row(name, points, architecture, a=a, b=b, c=c) for name, (points, architecture, a, b, c) in zip((A, B, C), rows)))


SPECIALISED = three((80, '1', 9, 20, 9), (82, '2', 20, 9, 20), (84, '3', 20, 20, 9))


def test_specialised():
  verdicts = s.judge_all(SPECIALISED)
  assert [verdict.outcome for verdict in verdicts] == [s.HOLDS] * 3
  assert verdicts[2].within_budget == (A, C) and verdicts[2].best == (C,) and verdicts[2].most_accurate == C
  assert s.conclude(verdicts) == 'specialisation is shown on all 3 runtimes'


def test_the_same_network_is_a_tie():
  twins = three((80, '1', 9, 9, 20), (80, '1', 8, 9, 20), (84, '3', 20, 20, 9))
  first, second, third = s.judge_all(twins)
  assert (first.outcome, second.outcome, third.outcome) == (s.TIE, s.TIE, s.HOLDS)
  assert first.reason == 'the same network was found for b'
  assert s.conclude((first, second, third)) == 'specialisation is shown on 1 of 3 runtimes; a tie on a and b'


def test_a_third_network_that_is_better_is_no_tie():
  verdict = s.judge(three((80, '1', 9, 9, 20), (80, '1', 9, 9, 20), (80.5, '3', 7, 20, 9)), A)
  assert (verdict.outcome, verdict.best) == (s.FAILS, (A, B, C))


def test_one_network_for_all_shows_nothing():
  verdicts = s.judge_all(three(*[(80, '1', 9, 9, 9)] * 3))
  assert s.conclude(verdicts) == 'specialisation is not shown: all columns are ties'


def test_one_failure_is_a_failure():
  verdicts = s.judge_all(three((80, '1', 9, 20, 9), (82, '2', 8, 9, 20), (84, '3', 20, 20, 9)))
  assert [verdict.outcome for verdict in verdicts] == [s.FAILS, s.HOLDS, s.HOLDS]
  assert s.conclude(verdicts) == 'specialisation is not shown: it fails on a'


def test_no_network_within_the_budget():
  verdict = s.judge(three(*[(80, name, 20, 20, 20) for name in 'xyz']), A)
  assert (verdict.outcome, verdict.within_budget, verdict.most_accurate) == (s.FAILS, (), None)


def test_rules_are_what_they_say():
  close = matrix(row(A, 80, a=9, b=9), row(B, 82, a=9.5, b=9))
  assert s.judge(close, A).outcome == s.FAILS
  assert s.judge(close, A, s.Rules(points=3)).outcome == s.HOLDS
  assert s.judge(close, A, s.Rules(points=3, time_percent=10)).outcome == s.TIE
  over = matrix(row(A, 80, a=10.3, b=9), row(B, 70, a=9, b=9))
  assert (s.judge(over, A).outcome, s.judge(over, A, s.Rules(budget_percent=0)).outcome) == (s.HOLDS, s.FAILS)


def test_one_seed_has_no_standard_error():
  rows = [s.Row(name, name, (accuracy,), {A: s.Cell(9, 9), B: s.Cell(9, 9)}) for name, accuracy in ((A, 0.8), (B, 0.79))]
  found = s.Matrix(tuple(rows), {A: BUDGET, B: BUDGET})
  assert math.isnan(rows[0].standard_error)
  assert s.judge(found, A).reason.startswith('the most accurate within the budget')
  assert s.to_json(found)['networks'][0]['standard_error_points'] is None


def test_text():
  lines = s.describe(SPECIALISED).splitlines()
  assert [line.split('  ')[0] for line in lines[3:8]] == ['searched for', 'budget, ms', A, B, C]
  assert '80.00 +- 0.06  [9.0000 (9.0000) *]' in lines[5] and lines[5].endswith('9.0000 (9.0000)')
  assert '20.0000 (20.0000) >' in lines[6]
  assert lines[-2].startswith('c: holds: the most accurate within the budget, +4.00 +- 0.08 points better than the network for a')
  assert lines[-1] == 'specialisation is shown on all 3 runtimes'


@pytest.mark.parametrize('rows, budgets', [
    ((row(A, 80, a=9),), {A: 1, B: 1}),
    ((row(A, 80, a=9), row(A, 80, a=9)), {A: 1}),
    ((row(A, 80, b=9),), {A: 1}),
    ((s.Row(A, 'x', (), {A: s.Cell(1, 1)}),), {A: 1})])
def test_incomplete_matrices_are_refused(rows, budgets):
  with pytest.raises(ValueError, match='needs one network|lacks accuracies'):
    s.Matrix(rows, budgets)
