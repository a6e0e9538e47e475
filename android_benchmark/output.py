"""Reads what TFLite's benchmark_model prints, from TensorFlow 1.12's to LiteRT's of 2026.

Every one of them ends with a line of averages, the summary. Before it stands a line `count=...` for the warm-up and one for the runs
that count; since the end of 2024 these have percentiles. Tables of an operator profile follow the summary and are not read.
"""

from __future__ import annotations

import dataclasses
import re

from android_benchmark import errors
from android_benchmark import reading

# Since about TensorFlow 2.10 a line begins with its severity; LiteRT's CompiledModel tool adds the place in its source.
_PREFIX = r'^(?:INFO: )?(?:\[[^\]\n]*:\d+\] )?'
_STATS = re.compile(_PREFIX + r'count=(\d+)\b(.*)$', re.MULTILINE)
_SUMMARY = re.compile(_PREFIX + r'(?:Average inference|Inference) timings in us: (.*)$', re.MULTILINE)
_SUMMARY_MEAN = re.compile(r'(?:^|, )(?:Inference \(avg\)|Inference|no stats): (\S+)$')  # 'no stats' is what 1.13 called it
_COMPILED_MODEL_SUMMARY = re.compile(_PREFIX + r'Inference \(avg\): (\S+) ms \(\d+ runs\)$', re.MULTILINE)

_SUMMARY_DIGITS = 1e-4  # both lines print the same double with six significant digits
_LARGEST_US = 1e12  # eleven days: what is beyond is no latency
_COMPILED_MODEL_DIGITS_US = 5.1  # '%.2f ms'


@dataclasses.dataclass(frozen=True)
class Launch:
  """Latency of one model in one launch of the tool, without its warm-up. None was not printed.

  Attributes:
    mean_ms, median_ms, p5_ms, p95_ms, std_ms, min_ms: Statistics over runs, in milliseconds.
    runs: Number of runs.
    energy_mj: What a run took above idle, mJ; None where no meter was read.
  """

  mean_ms: float
  median_ms: float | None = None
  p5_ms: float | None = None
  p95_ms: float | None = None
  std_ms: float | None = None
  min_ms: float | None = None
  runs: int | None = None
  energy_mj: float | None = None

  @property
  def latency_ms(self) -> float:
    """The median; where an old tool printed none, the mean."""
    return self.mean_ms if self.median_ms is None else self.median_ms

  @property
  def undisturbed_ms(self) -> float:
    """Latency without interference from other programs: the 5th percentile; where the tool printed none, `latency_ms`."""
    return self.latency_ms if self.p5_ms is None else self.p5_ms


def parse(text: str) -> Launch:
  """Reads the latency out of one launch's output, stdout and stderr together.

  Raises:
    BenchmarkError: There is no complete result, more than one, or one that contradicts itself.
  """
  text = text.replace('\r', '')
  position, mean_us, tolerance_us = _summary(text)
  stats = list(_STATS.finditer(text, 0, position))
  if not stats:
    return _check(Launch(mean_ms=mean_us / 1000))
  runs, numbers = int(_number(stats[-1][1])), _numbers(stats[-1][2])
  if runs == 0:
    raise errors.BenchmarkError('no run was measured: count=0')
  if 'curr' in numbers and 'avg' not in numbers:  # a single run, or all alike
    value = numbers['curr']
    numbers = {'min': value, 'avg': value, 'std': 0.0, 'p5': value, 'median': value, 'p95': value}
  if not {'min', 'avg', 'std'} <= numbers.keys():
    raise errors.BenchmarkError(f'not a line of statistics: {reading.shorten(stats[-1][0])}')
  if abs(numbers['avg'] - mean_us) > tolerance_us:
    raise errors.BenchmarkError(f'the average of the runs is {numbers["avg"]:g} us, and the summary says {mean_us:g} us')
  milliseconds = {name: value / 1000 for name, value in numbers.items()}
  return _check(Launch(milliseconds['avg'], milliseconds.get('median'), milliseconds.get('p5'), milliseconds.get('p95'),
                       milliseconds['std'], milliseconds['min'], runs))


def _summary(text: str) -> tuple[int, float, float]:
  """Place of the summary, its mean and the precision of that, both in us."""
  classic, compiled = list(_SUMMARY.finditer(text)), list(_COMPILED_MODEL_SUMMARY.finditer(text))
  if len(classic) + len(compiled) != 1:
    if classic or compiled:
      raise errors.BenchmarkError(f'{len(classic) + len(compiled)} results instead of one')
    raise errors.BenchmarkError('no line of results, so the output is truncated or not that of benchmark_model')
  if compiled:
    return compiled[0].start(), 1000 * _number(compiled[0][1]), _COMPILED_MODEL_DIGITS_US
  mean = _SUMMARY_MEAN.search(classic[0][1].rstrip())
  if not mean:
    raise errors.BenchmarkError(f'no average of the runs in: {reading.shorten(classic[0][0])}')
  mean_us = _number(mean[1])
  return classic[0].start(), mean_us, _SUMMARY_DIGITS * mean_us


def _numbers(text: str) -> dict[str, float]:
  return {name: _number(value) for name, value in re.findall(r'\b(\w+)=([^\s(]+)', text)}


def _number(text: str) -> float:
  try:
    value = float(text)
  except ValueError:
    raise errors.BenchmarkError(f'not a number: {reading.shorten(text)}') from None
  if not 0 <= value <= _LARGEST_US:
    raise errors.BenchmarkError(f'not a time: {reading.shorten(text)}')
  return value


def _check(launch: Launch) -> Launch:
  ordered = [value for value in (launch.min_ms, launch.p5_ms, launch.median_ms, launch.p95_ms) if value is not None]
  if ordered != sorted(ordered) or launch.mean_ms <= 0:
    raise errors.BenchmarkError(f'minimum, percentiles and mean contradict each other: {launch}')
  return launch
