"""The lines in which benchmark_model reports times, as its builds since the end of 2024 print them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def statistics(times_us: Sequence[float]) -> str:
  """Statistics of runs: 'count=3 first=.. curr=.. min=.. max=.. avg=.. std=.. p5=.. median=.. p95=..'.

  Google prints whole microseconds; here they have six digits as its averages do, because small operations take only a few of them.

  Args:
    times_us: Microseconds of each run, in their order; at least one.
  """
  ordered = sorted(times_us)
  fields = {'first': times_us[0], 'curr': times_us[-1], 'min': ordered[0], 'max': ordered[-1], 'avg': mean(times_us),
            'std': float(np.std(times_us))}
  percentiles = {name: percentile(ordered, percent) for name, percent in (('p5', 5), ('median', 50), ('p95', 95))}
  if ordered[0] == ordered[-1]:
    same = '(all same)' if len(ordered) > 1 else ''
    return f'count={len(ordered)} curr={times_us[-1]:.6g}{same} {_join(percentiles)}'
  return f'count={len(ordered)} {_join(fields)} {_join(percentiles)}'


def summary(init_us: float, warmup_us: Sequence[float], times_us: Sequence[float]) -> str:
  """The line that ends a benchmark.

  Args:
    init_us: Microseconds from nothing to an interpreter with its tensors.
    warmup_us, times_us: Microseconds of each run.
  """
  return (f'Inference timings in us: Init: {init_us:.0f}, First inference: {warmup_us[0]:.6g}, '
          f'Warmup (avg): {mean(warmup_us):.6g}, Inference (avg): {mean(times_us):.6g}')


def percentile(ordered: Sequence[float], percent: int) -> float:
  """A percentile below 100 by benchmark_model's rule, which at 50 is the upper median."""
  return ordered[len(ordered) * percent // 100]


def mean(times_us: Sequence[float]) -> float:
  return float(np.mean(times_us))


def _join(fields: dict[str, float]) -> str:
  return ' '.join(f'{name}={value:.6g}' for name, value in fields.items())
