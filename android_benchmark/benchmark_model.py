"""One launch of TFLite's benchmark_model: its flags, and whether to believe what it printed."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import re
import signal

from android_benchmark import errors
from android_benchmark import output
from android_benchmark import reading

KERNELS = ('builtin', 'xnnpack')

_TIMEOUT_EXIT_CODES = (124, 142, 143)  # of the command timeout; old toybox passes the signal on, SIGALRM or SIGTERM
_XNNPACK_APPLIED = re.compile(r'pplied XNNPACK delegate, and the model graph will be (?:completely|partially) executed|'
                              r'Replacing [1-9]\d* out of \d+ node\(s\) with delegate \(TfLiteXNNPackDelegate\)', re.IGNORECASE)
_XNNPACK_REFUSED = re.compile(r'XNNPACK delegate is explicitly applied, the model graph will not be executed', re.IGNORECASE)
_XNNPACK_CREATED = 'Created TensorFlow Lite XNNPACK delegate for CPU'
_COMPILED_MODEL_TOOL = '= BENCHMARK RESULTS ='


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings of a measurement.

  Attributes:
    threads: Threads of the interpreter.
    core_mask: Cores to run on, as for taskset, in hexadecimal without 0x; None leaves it to the system.
    kernels: 'builtin' or 'xnnpack'.
    num_runs, min_secs: Minimum number of runs and seconds of a launch.
    warmup_secs: Seconds of warm-up.
    timeout_s: Seconds after which a launch is ended and counts as failed.
  """

  threads: int = 1
  core_mask: str | None = None
  kernels: str = 'builtin'
  num_runs: int = 20
  min_secs: float = 0.3
  warmup_secs: float = 0.1
  timeout_s: float = 60

  def __post_init__(self) -> None:
    if self.kernels not in KERNELS:
      raise ValueError(f'kernels must be one of {", ".join(KERNELS)}, got {self.kernels!r}')
    if self.core_mask is not None and not re.fullmatch('[0-9a-f]*[1-9a-f][0-9a-f]*', self.core_mask):
      raise ValueError(f'core_mask must be hexadecimal digits without 0x, for instance f0 for cores 4 to 7, got {self.core_mask!r}')
    for name, minimum in (('threads', 1), ('num_runs', 1), ('min_secs', 0), ('warmup_secs', 0), ('timeout_s', 1)):
      if not minimum <= getattr(self, name) < float('inf'):
        raise ValueError(f'{name} must be at least {minimum}, got {getattr(self, name)!r}')


def arguments(settings: Settings) -> tuple[str, ...]:
  """The flags of benchmark_model but for the model."""
  return (f'--num_threads={settings.threads}', f'--use_xnnpack={str(settings.kernels == "xnnpack").lower()}',
          f'--num_runs={settings.num_runs}', f'--min_secs={settings.min_secs:g}',
          '--warmup_runs=1', f'--warmup_min_secs={settings.warmup_secs:g}')


def read(exit_code: int, text: str, settings: Settings) -> output.Launch:
  """Reads the outcome of one launch.

  Args:
    exit_code: 128 + n where signal n ended it.
    text: stdout and stderr together.
    settings: Settings of the launch.

  Raises:
    BenchmarkError: It failed, or measured something else than it was asked to.
  """
  if exit_code or 'Benchmarking failed' in text:
    raise errors.BenchmarkError(_failure(exit_code, text, settings.timeout_s))
  ignored = re.search('Unconsumed cmdline flags:(.*)', text)
  if ignored and ignored[1].strip():
    raise errors.BenchmarkError(f'this benchmark tool does not know {reading.shorten(ignored[1].strip(), 300)}')
  if _COMPILED_MODEL_TOOL in text and settings.kernels == 'builtin':
    raise errors.BenchmarkError('this is the tool for LiteRT\'s CompiledModel, which always runs XNNPACK; '
                                'take the benchmark_model of the interpreter')
  if settings.kernels == 'builtin' and (_XNNPACK_CREATED in text or _XNNPACK_APPLIED.search(text)):
    raise errors.BenchmarkError('XNNPACK was applied although the builtin kernels were asked for')
  if settings.kernels == 'xnnpack' and (_XNNPACK_REFUSED.search(text) or not _XNNPACK_APPLIED.search(text)):
    raise errors.BenchmarkError('XNNPACK was not applied: the builtin kernels ran instead')
  return output.parse(text)


def _failure(exit_code: int, text: str, timeout_s: float) -> str:
  if exit_code in _TIMEOUT_EXIT_CODES:
    return f'did not end within {timeout_s:g} s'
  reported = _last_words(re.findall(r'^(?:ERROR|FATAL|F\d{4}).*$', text, re.MULTILINE) or text.splitlines())
  if exit_code > 128:
    try:
      reason = f'killed by {signal.Signals(exit_code - 128).name}'
    except ValueError:
      reason = f'exit code {exit_code}'
    if exit_code == 128 + signal.SIGKILL:
      reason += ', as for want of memory'
  else:
    reason = f'exit code {exit_code}' if exit_code else 'Benchmarking failed'
  return f'{reason}: {reported}' if reported else reason


def _last_words(lines: Sequence[str], limit: int = 300) -> str:
  """The end of what was said, in one line."""
  lines = [line.strip() for line in lines if line.strip() and 'Benchmarking failed' not in line]
  text = reading.printable('; '.join(lines[-3:]))
  return text if len(text) <= limit else f'...{text[3 - limit:]}'
