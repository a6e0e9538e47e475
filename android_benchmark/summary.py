"""From measured blocks to measurements.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
import statistics
from typing import Any

from android_benchmark import benchmark_model
from android_benchmark import output
from android_benchmark import protocol

_SCHEMA = 'android_benchmark/measurements'


def summarize(plan: protocol.Plan, records: Sequence[protocol.Record], settings: benchmark_model.Settings, sha256: Mapping[str, str],
              started: str, finished: str) -> dict[str, Any]:
  """Everything in measurements.json that follows from the measurements.

  Args:
    plan: Plan of the measurements.
    records: All measured blocks.
    settings: Settings of the measurement.
    sha256: Hash by model.
    started, finished: ISO 8601.
  """
  kept = protocol.kept(plan, records)
  failed = protocol.failures(records)
  models = {model: {'sha256': sha256[model], **statistics_of([(record.round, record.launches[model]) for record in kept
                                                              if model in record.launches])}
            for model in plan.models if model not in failed}
  failed = {**failed, **_lost_in_noise(models)}
  reference, warnings = _reference(plan, records, kept)
  warnings += [f'{model} failed once and then ran: {reason}' for record in kept for model, reason in record.retried.items()]
  return {
      'schema': _SCHEMA, 'version': 1, 'settings': _settings(plan, settings), 'started': started, 'finished': finished,
      'seconds': round(sum(record.seconds for record in records), 1), 'reference': reference,
      'models': {model: figures for model, figures in models.items() if model not in failed},
      'failed': failed, 'health': [{'time': record.time, **record.health} for record in records], 'warnings': warnings}


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
  """The reference's part, and what is to be said about it."""
  model = protocol.reference(plan, records)
  readings = protocol.readings_ms(model, records)
  level_ms = protocol.level_ms(model, records)
  tries = [record for record in protocol.attempts(plan, records).values() if record]
  drift, first_drift = (max(protocol.drift_percent(record, level_ms) for record in chosen)
                        for chosen in (kept, [attempts[0] for attempts in tries]))
  beyond = [record for record in kept if protocol.drift_percent(record, level_ms) > plan.max_drift_percent]
  warnings = [f'in {len(beyond)} of {len(kept)} blocks the reference drifted by more than {plan.max_drift_percent:g} %, by up to '
              f'{drift:.1f} %, also when they were repeated'] if beyond else []
  if model != plan.references[0]:
    warnings.append(f'{plan.references[0]} failed, so {model} was the reference')
  return {'model': model, 'median_ms': level_ms, 'drift_percent': drift, 'drift_before_repeats_percent': first_drift,
          'repeated_blocks': sum(len(attempts) > 1 for attempts in tries), 'readings_ms': readings}, warnings


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
