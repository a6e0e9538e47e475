"""Statistics of accuracies: found networks against random ones of the same cost."""

from __future__ import annotations

from collections.abc import Sequence
import itertools
import math
import statistics
from typing import Any

CONFIDENCE = 0.95

LEAST_RANKED = 6  # networks; the order of fewer is luck, and says so by no error of its own

Interval = tuple[float, float]
Tau = dict[str, float | None]


def standard_error(values: Sequence[float]) -> float | None:
  """Of the mean; None for one value."""
  return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def interval(values: Sequence[float]) -> Interval | None:
  """The confidence interval of the mean by Student's t; None for one value."""
  error = standard_error(values)
  return None if error is None else _around(statistics.fmean(values), error, len(values) - 1)


def difference(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
  """The difference of two means, with both samples' errors.

  Returns:
    `mean`, `standard_error` and the confidence `interval` (Welch 1947), the latter two None where a sample has one value.
  """
  mean, errors = statistics.fmean(first) - statistics.fmean(second), (standard_error(first), standard_error(second))
  if None in errors:
    return {'mean': mean, 'standard_error': None, 'interval': None}
  squares = [error**2 for error in errors if error is not None]
  total = sum(squares)
  if not total:
    return {'mean': mean, 'standard_error': 0.0, 'interval': (mean, mean)}
  degrees = total**2 / sum(square**2 / (len(values) - 1) for square, values in zip(squares, (first, second)))
  return {'mean': mean, 'standard_error': math.sqrt(total), 'interval': _around(mean, math.sqrt(total), degrees)}


def _around(mean: float, error: float, degrees: float) -> Interval:
  from scipy import stats  # slow to import

  half = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))
  return mean - half, mean + half


def beaten(value: float, others: Sequence[float]) -> float:
  """The share of others that are smaller; equal ones count half."""
  return statistics.fmean([(value > other) + 0.5 * (value == other) for other in others])


def rank(value: float, others: Sequence[float]) -> float:
  """From 1 for the greatest to len(others) + 1; equal ones share the mean of their ranks."""
  return 1 + len(others) * (1 - beaten(value, others))


def expected_best(networks: int, validation: Sequence[float], test: Sequence[float]) -> float:
  """The expected test accuracy of the network of the best validation accuracy among some, drawn without replacement.

  Exact: where k of R networks are at most as good as v, so is the best of n with probability C(k, n) / C(R, n). Equal ones are chosen
  evenly.

  Args:
    networks: How many are drawn, at least 1; more than there are count as all.
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


def kendall(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Tau | None:
  """Rank correlation over some networks, on average over several pairs of rows: Kendall's tau-b.

  Args:
    pairs: Two values of each network in each, in the same order of networks.

  Returns:
    `tau` and its `standard_error`, by the jackknife over the networks, which all pairs share (None where the values of a row, one network
    left out, are all equal); None for fewer than three networks, or where the values of a row are all equal.
  """
  count = len(pairs[0][0])
  tau = _mean_tau(pairs) if count > 2 else math.nan
  if math.isnan(tau):
    return None
  without = [_mean_tau([tuple([*row[:i], *row[i + 1:]] for row in pair) for pair in pairs]) for i in range(count)]
  known = not any(map(math.isnan, without))
  return {'tau': tau, 'standard_error': math.sqrt((count - 1) * statistics.pvariance(without)) if known else None}


def _mean_tau(pairs: Sequence[Sequence[Sequence[float]]]) -> float:
  from scipy import stats

  return statistics.fmean(float(stats.kendalltau(first, second).statistic) for first, second in pairs)


def between_trainings(tests: Sequence[Sequence[float]]) -> Tau | None:
  """How well one training of a network tells its rank in another: `kendall` over all pairs of trainings.

  An estimate cannot be expected to agree better with a training than another training does.

  Args:
    tests: Accuracies of each network, one a training; None is returned where a network has one only.
  """
  rows = list(zip(*tests))
  return kendall(list(itertools.combinations(rows, 2))) if len(rows) > 1 else None


def judge(searches: Sequence[dict[str, Any]], random: Sequence[dict[str, Any]], standard: dict[str, Any] | None) -> dict[str, Any]:
  """Searches of one optimizer against random networks of the same cost; accuracies in [0, 1].

  Args:
    searches: At least one, each with `test` (of the found network), `seconds` (of the search) and `estimates` (of the random networks,
      with its shared weights; None where they are missing).
    random: At least one, each with `test`, `validation` and `seconds` (of a training).
    standard: The standard network, with `test`; None without one.

  Returns:
    `searches` with `rank` and `beaten` among the random networks, `trainings` (how many of these take as long as the search),
    `random_search` (the expected accuracy of the best of so many by validation), and `tau` (None for fewer than six networks). Over all
    searches `mean`, `standard_error`, `rank`, `beaten` and `tau`; `over_random`, see `difference`; the paired differences `over_these`
    (from the mean of these very random networks), `over_random_search` and `over_standard`, each with `mean` and its `interval` over
    searches; and `verdict`, text.
  """
  test, validation = [each['test'] for each in random], [each['validation'] for each in random]
  training_s = statistics.fmean(each['seconds'] for each in random)
  rows = []
  for search in searches:
    trainings = max(1, round(search['seconds'] / training_s))
    scored = search['estimates'] is not None and len(test) >= LEAST_RANKED
    tau = kendall([(search['estimates'], test)]) if scored else None
    rows.append({**search, 'rank': rank(search['test'], test), 'beaten': beaten(search['test'], test), 'trainings': trainings,
                 'random_search': expected_best(trainings, validation, test), 'tau': tau})
  found = [row['test'] for row in rows]
  pairs = [(row['estimates'], test) for row in rows if row['tau'] is not None]
  row = {
      'searches': rows, 'mean': statistics.fmean(found), 'standard_error': standard_error(found),
      'rank': statistics.fmean(row['rank'] for row in rows), 'beaten': statistics.fmean(row['beaten'] for row in rows),
      'tau': kendall(pairs) if pairs else None, 'over_random': difference(found, test),
      'over_these': _paired([accuracy - statistics.fmean(test) for accuracy in found]),
      'over_random_search': _paired([row['test'] - row['random_search'] for row in rows]),
      'over_standard': None if standard is None else _paired([accuracy - standard['test'] for accuracy in found])}
  return {**row, 'verdict': verdict(row, len(random))}


def points(paired: dict[str, Any]) -> str:
  """A difference in percentage points with its interval, as text."""
  between = '' if paired['interval'] is None else ' [{:+.2f}, {:+.2f}]'.format(*(100 * end for end in paired['interval']))
  return f'{100 * paired["mean"]:+.2f}{between}'


def verdict(row: dict[str, Any], networks: int) -> str:
  """What searches have shown, as text.

  Args:
    row: See `judge`.
    networks: How many random networks there are.
  """
  over, trainings = row['over_random'], max(each['trainings'] for each in row['searches'])
  more = f' (of the {networks} there are; the time is that of {trainings})' if trainings > networks else ''
  beside = (f'{points(over)} points over random networks, {points(row["over_random_search"])} over the best by random search in its '
            f'time{more}')
  if over['interval'] is None:
    return f'one seed shows nothing yet: {beside}'
  low, high = over['interval']
  return f'{"the search pays" if low > 0 else "random networks are better" if high < 0 else "no difference is shown"}: {beside}'


def _paired(differences: Sequence[float]) -> dict[str, Any]:
  return {'mean': statistics.fmean(differences), 'interval': interval(differences)}
