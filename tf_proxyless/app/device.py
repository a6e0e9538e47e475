"""From the options of a measurement to how android_benchmark is called."""

from __future__ import annotations

import os
import pathlib

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.infra import suggest
from tf_proxyless.measure import table_builder


def setup(config: config_lib.DeviceConfig, precision: str, seed: int = 0) -> table_builder.Setup:
  """How to measure with android_benchmark.

  Args:
    config: Where and how.
    precision: Precision of the models.
    seed: Seed of the order of measurements.

  Raises:
    ValueError: Options do not fit each other.
  """
  _check(config)
  given = [f'--seed={seed}', f'--max_drift_percent={config.max_drift_percent}']
  if config.min_secs is not None:
    given.append(f'--min_secs={config.min_secs}')
  if isinstance(config, config_lib.TableDeviceConfig):
    given += _energy(config)
  if config.core_mask is not None:
    given.append(f'--core_mask={config.core_mask}')
  if config.max_temperature_c is not None:
    given.append(f'--max_temperature_c={config.max_temperature_c}')
  if config.lock_clocks:
    given.append('--lock_clocks')
  return table_builder.Setup(config.device, precision, config.kernels, config.threads, 1, config.rounds, tuple(given),
                             config.benchmark_binary)


def _energy(config: config_lib.TableDeviceConfig) -> list[str]:
  """The flags of android_benchmark for energy."""
  if config.unit == 'ms':
    if config.power_log:
      raise ValueError('`power_log` is for `unit=mJ`')
    return []
  if config.device.startswith('adb:') and ',' in config.device:  # their scales are those of latency
    raise ValueError(f'`device={config.device}`: `unit=mJ` is for one phone at a time; measure with one of them')
  if config.rounds < 2:
    raise ValueError(f'`rounds={config.rounds}`: energy needs 2 at least, which say how large the error is')
  if config.power_log and not pathlib.Path(config.power_log).is_file():
    raise ValueError(f'`power_log`: there is no file {config.power_log!r}; the meter must write it while this measures')
  return [table_builder.OF_ENERGY, *([f'--power_log={config.power_log}'] if config.power_log else [])]


def _check(config: config_lib.DeviceConfig) -> None:
  if config.device.endswith(table_builder.CSV):
    if not pathlib.Path(config.device).is_file():
      raise ValueError(f'`device`: there is no file {config.device!r}')
    return
  on_phone = config.device == 'adb' or config.device.startswith('adb:')
  if not on_phone and config.device != 'host':
    known = options.options(type(config))['device'].help.partition(': ')[0]
    raise ValueError(f'`device` must be {known}, got {config.device!r}{suggest.hint(config.device, ("host", "adb", "gpu"))}')
  if on_phone and not config.benchmark_binary:
    raise ValueError("`device=adb` needs `benchmark_binary`, TFLite's benchmark_model for the phone; docs/measuring.md tells where it is")
  if config.benchmark_binary and not pathlib.Path(config.benchmark_binary).is_file():
    raise ValueError(f'`benchmark_binary`: there is no file {config.benchmark_binary!r}')
  cores = os.cpu_count() or 1
  if config.device == 'host' and 1 < config.threads >= cores and not config.force_threads:
    raise ValueError(f'`threads={config.threads}` on {cores} cores leaves none for anything else, and latencies jump by several times; '
                     'take fewer, or add `force_threads`')
  mask = config.core_mask
  if mask is not None and (not all(character in '0123456789abcdef' for character in mask.lower()) or int(mask or '0', 16) == 0):
    raise ValueError(f"`core_mask` must be hexadecimal without 0x, for instance '10' or 'f0', got {mask!r}")
