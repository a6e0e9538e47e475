"""Networks searched for several runtimes, each on every runtime: what that matrix says about specialisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import math
import statistics
from typing import Any

HOLDS, TIE, FAILS = 'holds', 'tie', 'fails'


@dataclasses.dataclass(frozen=True)
class Rules:
  """When networks differ.

  Attributes:
    points: Networks whose accuracies differ by no more are equally good, percentage points.
    time_percent: Latencies that differ by no more are equal: the drift that measurements may have.
    budget_percent: How far above the budget a network may be measured and still keep it: the error that tables may have.
  """

  points: float = 1.0
  time_percent: float = 3.0
  budget_percent: float = 5.0


@dataclasses.dataclass(frozen=True)
class Cell:
  """A network on a runtime."""

  measured_ms: float
  predicted_ms: float


@dataclasses.dataclass(frozen=True)
class Row:
  """The network that was found for one runtime.

  Attributes:
    runtime: What it was searched for.
    architecture: Equal for equal networks.
    accuracies: On the test set, in [0, 1], one for each seed of its training.
    cells: By runtime.
  """

  runtime: str
  architecture: str
  accuracies: tuple[float, ...]
  cells: Mapping[str, Cell]

  @property
  def points(self) -> float:
    """Mean accuracy, percent."""
    return 100 * statistics.fmean(self.accuracies)

  @property
  def standard_error(self) -> float:
    """Of the mean over seeds, percentage points; NaN for one seed."""
    if len(self.accuracies) < 2:
      return math.nan
    return 100 * statistics.stdev(self.accuracies) / math.sqrt(len(self.accuracies))


@dataclasses.dataclass(frozen=True)
class Matrix:
  """All networks on all runtimes.

  Attributes:
    rows: One for each runtime, in the order of the columns.
    budgets_ms: By runtime.
  """

  rows: tuple[Row, ...]
  budgets_ms: Mapping[str, float]

  def __post_init__(self) -> None:
    runtimes = [row.runtime for row in self.rows]
    if len(set(runtimes)) != len(runtimes) or set(runtimes) != set(self.budgets_ms):
      raise ValueError(f'a matrix needs one network for each runtime, {sorted(self.budgets_ms)}, got {runtimes}')
    for row in self.rows:
      if set(row.cells) != set(runtimes) or not row.accuracies:
        raise ValueError(f'the network for {row.runtime} lacks accuracies or runtimes: {sorted(row.cells)}')


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What a column says.

  Attributes:
    runtime: The column.
    outcome: 'holds', 'tie' or 'fails'.
    reason: In words.
    within_budget: Runtimes whose networks keep the budget of this one.
    best: Those among them that are as good as the most accurate.
    most_accurate: That one; None if no network keeps the budget.
  """

  runtime: str
  outcome: str
  reason: str
  within_budget: tuple[str, ...]
  best: tuple[str, ...]
  most_accurate: str | None


def judge(matrix: Matrix, runtime: str, rules: Rules = Rules()) -> Verdict:
  """Whether the network searched for a runtime is the one to take there.

  It must keep the budget, and among the networks that do, be the most accurate, or the fastest of those within `points` of the most
  accurate. If nothing measured tells it from another network, that is a tie.
  """
  rows = {row.runtime: row for row in matrix.rows}
  budget, own = matrix.budgets_ms[runtime], rows[runtime]
  excess = 100 * (own.cells[runtime].measured_ms / budget - 1)
  over_budget = f'its own network is {excess:.1f} % over the budget'
  within = tuple(row for row in matrix.rows if row.cells[runtime].measured_ms <= budget * (1 + rules.budget_percent / 100))
  if not within:
    return Verdict(runtime, FAILS, over_budget, (), (), None)
  winner = max(within, key=lambda row: row.points)
  best = tuple(row for row in within if row.points >= winner.points - rules.points)
  if own not in within:
    outcome, reason = FAILS, over_budget
  elif own not in best:
    outcome, reason = FAILS, f'the network for {winner.runtime} keeps the budget and is {_difference(winner, own)} better'
  else:
    outcome, reason = _among_the_best(own, within, best, rules)
    reason += f'; itself {excess:.1f} % above it as measured' if excess > 0 else ''
  return Verdict(runtime, outcome, reason, tuple(row.runtime for row in within), tuple(row.runtime for row in best), winner.runtime)


def _among_the_best(own: Row, within: tuple[Row, ...], best: tuple[Row, ...], rules: Rules) -> tuple[str, str]:
  """Outcome and reason for a network that keeps the budget and is as good as the most accurate that does."""
  others, rivals = ([row for row in rows if row is not own] for rows in (within, best))
  if not others:
    return HOLDS, 'the only network within the budget'
  if not rivals:
    second = max(others, key=lambda row: row.points)
    return HOLDS, f'the most accurate within the budget, {_difference(own, second)} better than the network for {second.runtime}'
  same = [row.runtime for row in rivals if row.architecture == own.architecture]
  different = [row for row in rivals if row.architecture != own.architecture]
  outcome, reason = _against(own, different, rules) if different else (HOLDS, '')
  if same and outcome != FAILS:
    return TIE, f'the same network was found for {" and ".join(same)}'
  return outcome, reason


def _against(own: Row, rivals: list[Row], rules: Rules) -> tuple[str, str]:
  """Outcome and reason against other networks that are as good and keep the budget."""
  fastest = min(rivals, key=lambda row: row.cells[own.runtime].measured_ms)
  second = max(rivals, key=lambda row: row.points)
  ahead = 100 * (fastest.cells[own.runtime].measured_ms / own.cells[own.runtime].measured_ms - 1)
  compared = f'{_difference(own, second)} against the network for {second.runtime}'
  if ahead > rules.time_percent:
    return HOLDS, f'the fastest of those equally good, {ahead:.1f} % ahead of the network for {fastest.runtime}; {compared}'
  pace = f'the network for {fastest.runtime} takes {ahead:+.1f} % of time'
  if own.points - second.points > _error(own, second):
    return HOLDS, f'the most accurate within the budget, but {compared} is little, and {pace}'
  if own.points < second.points and ahead < -rules.time_percent:
    return FAILS, f'{compared}, and {pace}'
  return TIE, f'{compared}, and {pace}'


def _error(a: Row, b: Row) -> float:
  """Standard error of the difference of two accuracies, percentage points; 0 where it is not known."""
  error = math.hypot(a.standard_error, b.standard_error)
  return 0.0 if math.isnan(error) else error


def _difference(a: Row, b: Row) -> str:
  error = math.hypot(a.standard_error, b.standard_error)
  return f'{a.points - b.points:+.2f}{"" if math.isnan(error) else f" +- {error:.2f}"} points'


def judge_all(matrix: Matrix, rules: Rules = Rules()) -> tuple[Verdict, ...]:
  """The verdict of each column."""
  return tuple(judge(matrix, row.runtime, rules) for row in matrix.rows)


def conclude(verdicts: Sequence[Verdict]) -> str:
  """One line over all columns."""
  failed, tied = ([verdict.runtime for verdict in verdicts if verdict.outcome == outcome] for outcome in (FAILS, TIE))
  if failed:
    return f'specialisation is not shown: it fails on {" and ".join(failed)}'
  if len(tied) == len(verdicts):
    return 'specialisation is not shown: all columns are ties'
  if tied:
    return f'specialisation is shown on {len(verdicts) - len(tied)} of {len(verdicts)} runtimes; a tie on {" and ".join(tied)}'
  return f'specialisation is shown on all {len(verdicts)} runtimes'


def describe(matrix: Matrix, rules: Rules = Rules()) -> str:
  """The matrix, its verdicts and the conclusion as text."""
  verdicts = {verdict.runtime: verdict for verdict in judge_all(matrix, rules)}
  runtimes = list(verdicts)
  head = ['searched for', 'accuracy, %', *runtimes]
  lines = [['budget, ms', '', *(f'{matrix.budgets_ms[runtime]:.4f}' for runtime in runtimes)]]
  for row in matrix.rows:
    error = '' if math.isnan(row.standard_error) else f' +- {row.standard_error:.2f}'
    lines.append([row.runtime, f'{row.points:.2f}{error}', *(_cell(row, verdict) for verdict in verdicts.values())])
  widths = [max(map(len, column)) for column in zip(head, *lines)]
  table = ['  '.join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in (head, *lines)]
  return '\n'.join([
      'measured ms (predicted ms); [ ] searched for this runtime, > over the budget, * most accurate within, = equally good',
      f'differences up to {rules.points:g} point and {rules.time_percent:g} % of time are none; '
      f'budgets may be exceeded by {rules.budget_percent:g} %', '',
      *table, '', *(f'{runtime}: {verdict.outcome}: {verdict.reason}' for runtime, verdict in verdicts.items()),
      conclude(list(verdicts.values()))])


def _cell(row: Row, verdict: Verdict) -> str:
  """A cell of the text, with its marks."""
  if row.runtime not in verdict.within_budget:
    mark = ' >'
  elif row.runtime == verdict.most_accurate:
    mark = ' *'
  else:
    mark = ' =' if row.runtime in verdict.best else ''
  cell = row.cells[verdict.runtime]
  text = f'{cell.measured_ms:.4f} ({cell.predicted_ms:.4f}){mark}'
  return f'[{text}]' if row.runtime == verdict.runtime else text


def to_json(matrix: Matrix, rules: Rules = Rules()) -> dict[str, Any]:
  """Matrix, rules, verdicts and conclusion as JSON values."""
  verdicts = judge_all(matrix, rules)
  networks = [{**dataclasses.asdict(row), 'accuracy_percent': row.points,
               'standard_error_points': None if math.isnan(row.standard_error) else row.standard_error} for row in matrix.rows]
  return {'rules': dataclasses.asdict(rules), 'budgets_ms': dict(matrix.budgets_ms), 'networks': networks,
          'verdicts': [dataclasses.asdict(verdict) for verdict in verdicts], 'conclusion': conclude(verdicts)}
