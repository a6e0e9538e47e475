"""What a comparison of found networks with random ones says: statistics of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
import math
import statistics
from typing import Any

import numpy as np

CONFIDENCE = 0.95


def standard_error(values: Sequence[float]) -> float | None:
  """Of the mean; None for one value."""
  return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def interval(values: Sequence[float]) -> tuple[float, float] | None:
  """The confidence interval of the mean by Student's t; None for one value."""
  from scipy import stats  # slow to import

  error = standard_error(values)
  if error is None:
    return None
  half, mean = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)), statistics.fmean(values)
  return mean - half, mean + half


def beaten(value: float, others: Sequence[float]) -> float:
  """The share of others that are smaller; equal ones count half."""
  return statistics.fmean([(value > other) + 0.5 * (value == other) for other in others])


def rank(value: float, others: Sequence[float]) -> float:
  """From 1 for the greatest to len(others) + 1; equal ones share the mean of their ranks."""
  return 1 + len(others) * (1 - beaten(value, others))


def expected_best(networks: int, validation: Sequence[float], test: Sequence[float]) -> float:
  """The expected test accuracy of the network of the best validation accuracy among some, drawn without replacement.

  Exact: of R networks, k are at most as good as v; the best of n is so with probability C(k, n) / C(R, n). Equal ones are chosen evenly.

  Args:
    networks: How many are drawn, at least 1; more than there are counts as all.
    validation: Accuracies to choose by.
    test: Accuracies that count, in the same order.
  """
  networks = min(networks, len(validation))
  total, expected, below = math.comb(len(validation), networks), 0.0, 0
  for value in sorted(set(validation)):
    group = [accuracy for accuracy, chosen_by in zip(test, validation, strict=True) if chosen_by == value]
    ways = math.comb(below + len(group), networks) - math.comb(below, networks)
    expected += ways / total * statistics.fmean(group)
    below += len(group)
  return expected


def kendall(estimates: Sequence[Sequence[float]], accuracies: Sequence[float]) -> tuple[float, float] | None:
  """Mean rank correlation of several rows of estimates with accuracies: Kendall's tau-b, and its standard error.

  The standard error is that of the jackknife over networks, which all rows share.

  Args:
    estimates: Rows of an estimate for each network.
    accuracies: Of each network.

  Returns:
    None for fewer than three networks, or where a row or the accuracies are all equal.
  """
  count = len(accuracies)
  if count < 3:
    return None
  tau = _mean_tau(estimates, accuracies)
  without = [_mean_tau([[*row[:i], *row[i + 1:]] for row in estimates], [*accuracies[:i], *accuracies[i + 1:]]) for i in range(count)]
  if not np.isfinite([tau, *without]).all():
    return None
  return tau, math.sqrt((count - 1) * statistics.pvariance(without))


def _mean_tau(estimates: Sequence[Sequence[float]], accuracies: Sequence[float]) -> float:
  from scipy import stats

  return statistics.fmean(float(stats.kendalltau(row, accuracies).statistic) for row in estimates)


def _mean(values: Sequence[float]) -> float:
  return statistics.fmean(values)


def judge(searches: Sequence[dict[str, Any]], random: Sequence[dict[str, Any]], standard: dict[str, Any] | None) -> dict[str, Any]:
  """Searches of one optimizer against random networks of the same cost; accuracies in [0, 1].

  Args:
    searches: Each with `test` (of the found network), `seconds` (of the search) and `estimates` (with its shared weights, of the random
      networks; None where they are missing).
    random: Each with `test`, `validation` and `seconds` (of a training).
    standard: The standard network, with `test`.

  Returns:
    `searches`, each with `rank`, `beaten`, `over_random`, `random_search` (expected accuracy of the best by validation of `trainings`
    random networks), `tau`; and over them `mean`, `standard_error`, `rank`, `beaten`, `tau` (each with its error), and the paired
    differences `over_random`, `over_random_search`, `over_standard` (`mean`, `interval`).
  """
  test, validation = [each['test'] for each in random], [each['validation'] for each in random]
  training_s = _mean([each['seconds'] for each in random])
  rows = []
  for search in searches:
    trainings = max(1, round(search['seconds'] / training_s))
    best = expected_best(trainings, validation, test)
    tau = None if search['estimates'] is None else kendall([search['estimates']], test)
    rows.append({
        **search, 'rank': rank(search['test'], test), 'beaten': beaten(search['test'], test), 'over_random': search['test'] - _mean(test),
        'trainings': trainings, 'random_search': best, 'tau': tau})
  found = [row['test'] for row in rows]
  estimates = [row['estimates'] for row in rows if row['estimates'] is not None]
  return {
      'searches': rows, 'mean': _mean(found), 'standard_error': standard_error(found), 'rank': _mean([row['rank'] for row in rows]),
      'beaten': _mean([row['beaten'] for row in rows]), 'tau': kendall(estimates, test) if estimates else None,
      'over_random': _paired([row['over_random'] for row in rows]),
      'over_random_search': _paired([row['test'] - row['random_search'] for row in rows]),
      'over_standard': None if standard is None else _paired([accuracy - standard['test'] for accuracy in found])}


def _paired(differences: Sequence[float]) -> dict[str, Any]:
  return {'mean': _mean(differences), 'interval': interval(differences)}
