"""Flags that say where and how latencies are measured."""

from __future__ import annotations

import os
import pathlib

from absl import flags

from tf_proxyless.app import flag_headings
from tf_proxyless.infra import suggest
from tf_proxyless.measure import table_builder


def define(values: flags.FlagValues, gpu: bool = False) -> None:
  """Defines the flags.

  Args:
    values: Where to.
    gpu: Whether a GPU will do as well.
  """
  with flag_headings.under('Measuring', values):
    _define(values, "'host', 'adb', 'adb:SERIAL' or 'gpu'" if gpu else "'host', 'adb' or 'adb:SERIAL'")


def _define(values: flags.FlagValues, devices: str) -> None:
  flags.DEFINE_string('device', 'host', f'{devices}: where latencies are measured.', flag_values=values)
  flags.DEFINE_string(
      'benchmark_binary', None, "TFLite's benchmark_model for the device. Needed for adb; on the host, by default ai-edge-litert is used.",
      flag_values=values)
  flags.DEFINE_enum('kernels', 'builtin', ['builtin', 'xnnpack'], 'Kernels of the interpreter; XNNPACK has none for int8 7x7 depthwise '
                    'convolutions.', flag_values=values)
  flags.DEFINE_integer('threads', 1, 'Threads of the interpreter.', lower_bound=1, flag_values=values)
  flags.DEFINE_bool('force_threads', False, 'Whether threads may be as many as the cores of this machine.', flag_values=values)
  flags.DEFINE_string('core_mask', None, "Cores to run on, hexadecimal as for taskset: '10' is one big core of a Pixel 2.",
                      flag_values=values)
  flags.DEFINE_integer('rounds', 5, 'Separate measurements of each model.', lower_bound=1, flag_values=values)
  flags.DEFINE_float('min_secs', 0.3, 'Least time of a measurement, seconds.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('max_drift_percent', 3.0, 'Measurements are repeated if the reference model drifts by more, percent.', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_float('max_temperature_c', None, 'A phone that is warmer cools down first, degrees Celsius.', flag_values=values)
  flags.DEFINE_bool('lock_clocks', False, 'Whether to fix the clocks of a rooted phone while measuring.', flag_values=values)


def setup(values: flags.FlagValues, precision: str, seed: int = 0) -> table_builder.Setup:
  """How to measure with android_benchmark.

  Args:
    values: With the flags of `define`.
    precision: Of the models.
    seed: Of the order of measurements.

  Raises:
    ValueError: The flags do not fit each other.
  """
  device, core_mask = values.device, values.core_mask
  on_phone = device == 'adb' or device.startswith('adb:')
  if not on_phone and device != 'host':
    raise ValueError(f"--device must be {values['device'].help.partition(': ')[0]}, got {device!r}"
                     + suggest.hint(device, ('host', 'adb', 'gpu')))
  if on_phone and not values.benchmark_binary:
    raise ValueError("--device=adb needs --benchmark_binary, TFLite's benchmark_model for the phone; docs/measuring.md tells where it is")
  if values.benchmark_binary and not pathlib.Path(values.benchmark_binary).is_file():
    raise ValueError(f'--benchmark_binary: there is no file {values.benchmark_binary!r}')
  cores = os.cpu_count()
  if device == 'host' and 1 < values.threads >= cores and not values.force_threads:
    raise ValueError(f'--threads={values.threads} on {cores} cores leaves none for anything else, and latencies jump by several times; '
                     'take fewer, or add --force_threads')
  options = [f'--seed={seed}', f'--min_secs={values.min_secs}', f'--max_drift_percent={values.max_drift_percent}']
  if core_mask is not None:
    if not all(character in '0123456789abcdef' for character in core_mask.lower()) or int(core_mask or '0', 16) == 0:
      raise ValueError(f"--core_mask must be hexadecimal without 0x, for instance '10' or 'f0', got {core_mask!r}")
    options.append(f'--core_mask={core_mask}')
  if values.max_temperature_c is not None:
    options.append(f'--max_temperature_c={values.max_temperature_c}')
  if values.lock_clocks:
    options.append('--lock_clocks')
  return table_builder.Setup(device, precision, values.kernels, values.threads, 1, values.rounds, tuple(options), values.benchmark_binary)
