"""From measured blocks to measurements.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
import statistics
import types
from typing import Any

from android_benchmark import agreement
from android_benchmark import benchmark_model
from android_benchmark import output
from android_benchmark import protocol

_SCHEMA = 'android_benchmark/measurements'


def summarize(plan: protocol.Plan, records: Sequence[protocol.Record], settings: benchmark_model.Settings, sha256: Mapping[str, str],
              started: str, finished: str, names: Mapping[str, str] = types.MappingProxyType({})) -> dict[str, Any]:
  """Everything in measurements.json that follows from the measurements.

  What several phones measured is that of the phones on average, see `agreement`; 'phones' says of each how far off it is. Where the fastest
  launch counts, each model has `undisturbed_ms` too, the latency of its fastest launch.

  Args:
    plan: Plan of the measurements.
    records: All measured blocks.
    settings: Settings of the measurement.
    sha256: Hash by model.
    started, finished: ISO 8601.
    names: How phones are called, by their keys; the others by their keys.
  """
  by_phone = protocol.by_phone(records)
  if len(by_phone) > 1:  # one whose reference never ran is of no use
    by_phone = {phone: own for phone, own in by_phone.items() if any(protocol.tries(plan, own).values())} or by_phone
  names = {**names, **{phone: phone for phone in by_phone if phone not in names}}
  agreed = agreement.compare(plan, records)
  chosen = protocol.chosen(plan, records)
  launches = {model: [(number, _scaled(chosen[number, model].launches[model], 1 / agreed[chosen[number, model].phone].scale))
                      for number in range(plan.rounds) if (number, model) in chosen] for model in plan.models}
  failed = {model: reason for model, reason in protocol.failures(records).items() if not launches.get(model)}
  kept = protocol.kept(plan, records)
  models = {model: {'sha256': sha256[model], **statistics_of(launches[model])} for model in plan.models if model not in failed}
  if plan.fastest_counts:
    for model, figures in models.items():
      figures['undisturbed_ms'] = min(record.launches[model].undisturbed_ms for record in records if model in record.launches)
  failed = {**failed, **_lost_in_noise(models)}
  parts = {phone: _reference(plan, by_phone[phone], [record for record in kept if record.phone == phone])
           for phone in names if phone in by_phone}
  warnings = [f'{names[phone]}: {text}' if len(parts) > 1 else text for phone, (_, texts) in parts.items() for text in texts]
  warnings += [f'{model} failed once and then ran: {reason}' for record in kept for model, reason in record.retried.items()]
  result: dict[str, Any] = {
      'schema': _SCHEMA, 'version': 1, 'settings': _settings(plan, settings), 'started': started, 'finished': finished,
      'seconds': round(sum(record.seconds for record in records), 1), 'reference': _together([part for part, _ in parts.values()]),
      'models': {model: figures for model, figures in models.items() if model not in failed},
      'failed': failed, 'health': [{'time': record.time, **record.health} for record in records], 'warnings': warnings}
  if len(parts) > 1:
    for model, figures in result['models'].items():
      for launch in figures['launches']:
        launch['phone'] = names[chosen[launch['round'], model].phone]
    for health, record in zip(result['health'], records):
      health['phone'] = names[record.phone]
    result['phones'] = [_phone(names[phone], by_phone[phone], agreed[phone], part) for phone, (part, _) in parts.items()]
    for phone in parts:
      warnings += _disagreement(plan, names[phone], by_phone[phone], agreed[phone], launches)
  return result


def _phone(name: str, own: Sequence[protocol.Record], agreed: agreement.Agreement, reference: Mapping[str, Any]) -> dict[str, Any]:
  """What measurements.json says of one of several phones; its latencies were divided by its scale."""
  return {'name': name, 'key': own[0].phone, 'blocks': len(own), 'seconds': round(sum(record.seconds for record in own), 1),
          'scale': round(agreed.scale, 5), 'shared_models': agreed.models, 'worst_model': agreed.worst_model,
          'worst_percent': round(agreed.worst_percent, 2), 'reference': reference}


def _disagreement(plan: protocol.Plan, name: str, own: Sequence[protocol.Record], agreed: agreement.Agreement,
                  launches: Mapping[str, Sequence[object]]) -> list[str]:
  """What is to be said of a phone that is not as the others are."""
  texts = [f'{model} failed on {name} and ran elsewhere: {reason}'
           for model, reason in protocol.failures(own).items() if launches.get(model)]
  if abs(agreed.worst_percent) > plan.max_drift_percent:
    texts.append(f'{name} takes {abs(agreed.worst_percent):.1f} % {"longer" if agreed.worst_percent > 0 else "less"} than the other phones '
                 f'on {agreed.worst_model}, beyond their usual difference')
  return texts


def _scaled(launch: output.Launch, factor: float) -> output.Launch:
  """The same with all times multiplied."""
  times = {name: value * factor for name, value in vars(launch).items() if name.endswith('_ms') and value is not None}
  return launch if factor == 1 else dataclasses.replace(launch, **times)


def _together(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
  """The reference's part of all phones: the same where it is one, else the worst drift and the geometric mean of the levels."""
  if len(parts) == 1:
    return parts[0]
  return {**parts[0], 'median_ms': statistics.geometric_mean([part['median_ms'] for part in parts]),
          **{name: max(part[name] for part in parts) for name in ('drift_percent', 'drift_before_repeats_percent')},
          'repeated_blocks': sum(part['repeated_blocks'] for part in parts),
          'readings_ms': [reading for part in parts for reading in part['readings_ms']]}


def _lost_in_noise(models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
  """Models whose energy is not two standard errors above 0, and why they are left out."""
  found = {}
  for model, figures in models.items():
    energies = [launch['energy_mj'] for launch in figures['launches'] if launch['energy_mj'] is not None]
    if len(energies) == 1:
      found[model] = 'its energy was measured once only, so that the error is not known'
    if len(energies) > 1:
      mean, error = figures['mean_mj'], figures['std_mj'] / math.sqrt(len(figures['launches']))
      if mean <= 2 * error:
        found[model] = (f'its energy, {mean:.3g} +- {error:.2g} mJ, cannot be told from that of the idle device: --min_secs can be raised, '
                        'and --rounds')
  return found


def _settings(plan: protocol.Plan, settings: benchmark_model.Settings) -> dict[str, Any]:
  names = ('threads', 'core_mask', 'kernels', 'num_runs', 'min_secs', 'warmup_secs')
  return {**{name: getattr(settings, name) for name in names}, 'rounds': plan.rounds, 'seed': plan.seed,
          'max_drift_percent': plan.max_drift_percent}


def _reference(plan: protocol.Plan, records: Sequence[protocol.Record],
               kept: Sequence[protocol.Record]) -> tuple[dict[str, Any], list[str]]:
  """The reference's part of a phone, and what is to be said about it."""
  model = protocol.reference(plan, records)
  readings = protocol.readings_ms(model, records)
  level_ms = protocol.level_ms(plan, model, records)
  tries = [measured for measured in protocol.tries(plan, records).values() if measured]
  first = [measured[0].record for measured in tries]
  if plan.fastest_counts:
    drifts, first_drifts = (list(protocol.least_drifts(protocol.tries(plan, each)).values()) for each in (records, first))
    text = '{} of {} models were launched only while the reference took over {:g} % longer than its fastest, up to {:.1f} %'
  else:
    drifts, first_drifts = ([protocol.drift_percent(record, level_ms) for record in each] for each in (kept, first))
    text = 'in {} of {} blocks the reference drifted by more than {:g} %, by up to {:.1f} %, also when they were repeated'
  drift, first_drift = (max(each, default=0.0) for each in (drifts, first_drifts))
  beyond = [each for each in drifts if each > plan.max_drift_percent]
  warnings = [text.format(len(beyond), len(drifts), plan.max_drift_percent, drift)] if beyond else []
  if model != plan.references[0]:
    warnings.append(f'{plan.references[0]} failed, so {model} was the reference')
  return {'model': model, 'median_ms': statistics.median(readings or [math.nan]),
          'drift_percent': drift, 'drift_before_repeats_percent': first_drift,
          'repeated_blocks': sum(len(measured) > 1 for measured in tries), 'readings_ms': readings}, warnings


def statistics_of(launches: Sequence[tuple[int, output.Launch]]) -> dict[str, Any]:
  """Statistics of one model over its launches.

  median_ms is the median over launches of each launch's median (its mean where the tool printed no median); p5_ms and p95_ms are
  medians over launches too. mean_ms and std_ms are those of all runs together: by the law of total variance, the square of std_ms is
  the mean of the launches' variances plus the variance of their means, weighted by runs. What a launch did not print is None.

  Args:
    launches: Round and launch; at least one.
  """
  if not launches:  # a session's file that was changed
    raise ValueError('a model has neither a launch nor a reason why it failed')
  values = [launch for _, launch in launches]
  weights = [launch.runs or 1 for launch in values]
  mean_ms = sum(weight * launch.mean_ms for weight, launch in zip(weights, values)) / sum(weights)

  def over_launches(name: str, combine: Callable[[Sequence[float]], float]) -> float | None:
    figures = [getattr(launch, name) for launch in values]
    return None if None in figures else combine(figures)

  def pooled(deviations: Sequence[float]) -> float:
    squares = [deviation**2 + (launch.mean_ms - mean_ms)**2 for deviation, launch in zip(deviations, values)]
    return math.sqrt(sum(weight * square for weight, square in zip(weights, squares)) / sum(weights))

  return {
      'median_ms': over_launches('latency_ms', statistics.median), 'p5_ms': over_launches('p5_ms', statistics.median),
      'p95_ms': over_launches('p95_ms', statistics.median), 'mean_ms': mean_ms, 'std_ms': over_launches('std_ms', pooled),
      'min_ms': over_launches('min_ms', min), 'runs': over_launches('runs', sum), **_energy(values),
      'launches': [{'round': number, **dataclasses.asdict(launch)} for number, launch in launches]}


def _energy(launches: Sequence[output.Launch]) -> dict[str, float]:
  """Median, mean and standard deviation of the energy of a run over launches, mJ; nothing where it was not measured."""
  energies = [launch.energy_mj for launch in launches if launch.energy_mj is not None]
  if len(energies) < 2:  # of one launch no error is known
    return {}
  return {'median_mj': statistics.median(energies), 'mean_mj': statistics.fmean(energies), 'std_mj': statistics.stdev(energies)}
