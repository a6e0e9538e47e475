"""Latencies, measured on this machine or on a phone."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
from typing import Any

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import device as device_lib
from tf_proxyless.app import options
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.space import network as network_lib

CALIBRATION_NETWORKS, VALIDATION_NETWORKS = 10, 30


def table(space: network_lib.Network, output: files.PathLike, *, precision: str = 'int8',
          calibration_networks: int = CALIBRATION_NETWORKS, validation_networks: int = VALIDATION_NETWORKS,
          **device: Any) -> table_lib.LatencyTable:
  """Measures every operation of a space, and whole networks to calibrate and to validate the table.

  What was measured before an interruption is not measured again; a table that is there already is read.

  Args:
    space: A search space.
    output: The table's JSON file; measurements lie beside it until it is done.
    precision: 'int8' or 'float32'.
    calibration_networks: Networks that scale and offset are fitted on.
    validation_networks: Networks that are predicted and measured, and used for nothing else.
    **device: Fields of `app.config.TableDeviceConfig`, for instance `device='adb', benchmark_binary=PATH, core_mask='10'`, `kernels`,
      `threads`, `rounds`; `unit='mJ'` for a table of energy.

  Returns:
    The table.

  Raises:
    ValueError: The device cannot be used, or what was measured does not fit together.
  """
  path = pathlib.Path(output)
  if path.exists():
    found = table_lib.load(path)
    found.check_covers(space)
    return found
  setup = device_lib.setup(options.make(config_lib.TableDeviceConfig, device), precision)
  work = path.with_suffix('')
  work.mkdir(parents=True, exist_ok=True)
  with locking.take(work):
    found = validation_lib.measure(space, setup, work, calibration_networks, validation_networks, path)
    table_builder.discard_cache(work)
  return found


def networks(models: Mapping[str, network_lib.Network], work_dir: files.PathLike, *, precision: str = 'int8',
             **device: Any) -> dict[str, float]:
  """Measures networks without training them, in one session that interleaves them.

  Args:
    models: Networks without open decisions, by a name that can be a file's.
    work_dir: Folder for models and measurements; what was measured there is not measured again.
    precision: 'int8' or 'float32'.
    **device: As for `table`.

  Returns:
    Latency of each, milliseconds: on this machine that of the fastest launch (`undisturbed_ms`), on others the median.

  Raises:
    ValueError: The device cannot be used, or a network fails on it.
  """
  work = pathlib.Path(work_dir)
  work.mkdir(parents=True, exist_ok=True)
  setup = device_lib.setup(options.make(config_lib.DeviceConfig, device), precision)
  found = table_builder.measure(models, setup, work, io='uint8')
  if found['failed']:
    raise ValueError(f'networks failed on the device: {found["failed"]}')
  return {name: float(measurements_lib.cost(found['models'][name])) for name in models}


def host(space: network_lib.Network, precision: str = 'int8', kernels: str = 'builtin', cache_dir: files.PathLike | None = None,
         ) -> table_lib.LatencyTable:
  """A latency table of this machine: measured on first use in under a minute for a small space, and kept.

  Args:
    space: A search space.
    precision: 'int8' or 'float32'.
    kernels: 'builtin' or 'xnnpack'.
    cache_dir: Where it is kept; None is ~/.cache/tf_proxyless.

  Raises:
    ValueError: The measurement was broken off, or what was measured does not fit together.
  """
  from tf_proxyless.app import tables

  path = tables.host_path(space, precision, kernels, cache_dir)
  return table_lib.load(path) if path.exists() else tables.measure(space, precision, kernels, path)


def tflite(model: files.PathLike, precision: str = 'int8', **device: Any) -> dict[str, Any]:
  """Measures a .tflite file.

  Args:
    model: The file.
    precision: 'int8' or 'float32', for the record.
    **device: As for `table`.

  Returns:
    `median_ms`, `p5_ms`, `p95_ms`, `runs` and other statistics, in milliseconds; of this machine `undisturbed_ms`, which tables predict.

  Raises:
    ValueError: The device cannot be used, or the file fails on it.
  """
  path = pathlib.Path(model)
  if not path.is_file():
    raise ValueError(f'there is no file {str(path)!r}')
  work = path.with_name(f'{path.stem}_measure')
  setup = device_lib.setup(options.make(config_lib.DeviceConfig, device), precision)
  work.mkdir(exist_ok=True)
  found = table_builder.measure_models({'model': path}, setup, work)
  table_builder.discard_cache(work)
  if found['failed']:
    raise ValueError(f'{path} failed on the device: {found["failed"]["model"]}')
  return dict(found['models']['model'])
