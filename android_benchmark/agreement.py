"""How far phones of one model are apart: on the models that several of them measured.

No two phones have the same speed. What each measured is divided by its scale, how much longer than the phones on average it takes, so that
it does not matter which phone measured which model. What a scale does not explain is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
import dataclasses
import math
import statistics

from android_benchmark import protocol

MAX_APART_PERCENT = 10.0  # phones that differ by more do not measure the same: another clock, another system, heat


@dataclasses.dataclass(frozen=True)
class Agreement:
  """One phone among others.

  Attributes:
    scale: Its latencies relative to those of all phones, of which the geometric mean is 1.
    models: Number of models that others measured too.
    worst_model: Of these the one on which it is furthest off the others after scaling; None without any.
    worst_percent: How far it is off there: above 0 takes longer.
  """

  scale: float
  models: int
  worst_model: str | None
  worst_percent: float


def compare(plan: protocol.Plan, records: Iterable[protocol.Record]) -> dict[str, Agreement]:
  """How phones agree, by their keys.

  The scale is the mean over all phones of the median over common models of the ratio to each of them, in logarithms: one model on which
  a phone is different does not move it.
  """
  times = {phone: _log_latencies(plan, own) for phone, own in protocol.by_phone(records).items()}
  scales = {phone: statistics.fmean([0.0, *(_distance(times[phone], times[other]) for other in times
                                            if other != phone and times[phone].keys() & times[other].keys())]) for phone in times}
  result = {}
  for phone, own in times.items():
    off = {}
    for model in own:
      others = [times[other][model] - scales[other] for other in times if other != phone and model in times[other]]
      if others:
        off[model] = own[model] - scales[phone] - statistics.median(others)
    worst = max(off, key=lambda model: abs(off[model]), default=None)
    result[phone] = Agreement(math.exp(scales[phone]), len(off), worst, _percent(off[worst]) if worst is not None else 0.0)
  return result


def apart(plan: protocol.Plan, records: Iterable[protocol.Record], present: Collection[str], names: Mapping[str, str]) -> dict[str, str]:
  """Phones that are too far off the others to be scaled, with a line about each; what they measured is not to be used.

  Args:
    plan: Plan of the measurements.
    records: What all phones measured.
    present: Keys of the phones that measure now; the others did so before an interruption.
    names: How phones are called, by their keys.

  Raises:
    ValueError: Two phones of those present are, so that nobody can say which one is right; one line that names them.
  """
  result: dict[str, str] = {}
  own = protocol.by_phone(records)
  while True:
    found = compare(plan, (record for phone in own if phone not in result for record in own[phone]))
    scales = {phone: math.log(each.scale) for phone, each in found.items()}
    if len(found) < 2 or _percent(max(scales.values()) - min(scales.values())) <= MAX_APART_PERCENT:
      return result
    middle = statistics.median(scales.values())
    choice = list(found) if len(found) > 2 else [phone for phone in found if phone not in present]
    fast, *_, slow = sorted(scales, key=lambda phone: scales[phone])
    if not choice and set(present) - set(found):
      return result  # another one will say who is right
    if not choice:
      apart_by = scales[slow] - scales[fast]
      worst = _percent(apart_by + math.log1p(found[slow].worst_percent / 100))
      raise ValueError(f'{names[slow]} takes {_percent(apart_by):.1f} % longer than {names[fast]} on the same {found[slow].models} models '
                       f'({worst:.1f} % on {found[slow].worst_model}): more than {MAX_APART_PERCENT:g} % is another clock, system or heat; '
                       'measure with one of them, or add a third phone')
    furthest = max(choice, key=lambda phone: abs(scales[phone] - middle))
    off = scales[furthest] - statistics.median(scales[phone] for phone in scales if phone != furthest)
    result[furthest] = (f'{names[furthest]} takes {abs(_percent(off)):.1f} % {"longer" if off > 0 else "less"} than the other phones '
                        f'on the same {found[furthest].models} models, which is more than {MAX_APART_PERCENT:g} %')


def _log_latencies(plan: protocol.Plan, own: list[protocol.Record]) -> dict[str, float]:
  """Logarithm of the median latency of each model on a phone, in blocks that did not drift, and of the reference's level."""
  launches: dict[str, list[float]] = {}
  level = {}
  for measured in protocol.tries(plan, own).values():
    for found in measured:
      level = {found.record.reference: protocol.level_ms(plan, found.record.reference, own)}
      for model in found.models if found.drift <= plan.max_drift_percent else ():
        launches.setdefault(model, []).append(found.record.launches[model].latency_ms)
  times = {**{model: statistics.median(each) for model, each in launches.items()}, **level}
  return {model: math.log(time) for model, time in times.items() if time > 1e-9}  # ms; neither NaN nor what no phone takes


def _distance(times: Mapping[str, float], others: Mapping[str, float]) -> float:
  """How much longer one phone takes than another, as a logarithm."""
  return statistics.median(times[model] - others[model] for model in times if model in others)


def _percent(logarithm: float) -> float:
  return 100 * math.expm1(logarithm)
