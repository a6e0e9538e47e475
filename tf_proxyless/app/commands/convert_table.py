r"""Converts a latency table between our JSON and the YAML of the official ProxylessNAS code, and reads that of Once-for-All.

  tf-proxyless convert-table --input=table.json --output=table.yaml
  tf-proxyless convert-table --input=mobile_trim.yaml --output=table.json --device='Pixel 1' --precision=float32 \
      --provenance=published --source='mobile_trim.yaml of the ProxylessNAS authors'

The YAML says nothing of the device; what it does not say is given by flags. It has no calibration either: what is written there are
entries, and a network's latency is their sum.
"""

from __future__ import annotations

import dataclasses
import pathlib

from tf_proxyless.app import options
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.cost.importers import once_for_all
from tf_proxyless.infra import errors
from tf_proxyless.infra import resources


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  input: str | None = options.option(None, 'The table: .yaml or .yml, or .json or the name of a shipped one.', required=True)
  output: str | None = options.option(None, 'Where to write it, .json or .yaml.', required=True)
  device: str | None = options.option(None, "Device of a YAML table, for instance 'Pixel 2'. Required for one.")
  precision: str | None = options.option(None, 'Precision of a YAML table. Required for one.', choices=table_lib.PRECISIONS)
  kernels: str | None = options.option(None, 'Kernels of a YAML table; by default unknown.', choices=table_lib.KERNELS)
  threads: int | None = options.option(None, 'Threads of the interpreter, of a YAML table; by default unknown.', low=1)
  batch_size: int | None = options.option(None, 'Images in a run, of a YAML table; by default 1.', low=1)
  soc: str | None = options.option(None, "System on chip of a YAML table, for instance 'Snapdragon 835'.")
  core_mask: str | None = options.option(None, 'Cores of a YAML table as for taskset, hexadecimal.')
  benchmark_tool: str | None = options.option(None, 'What measured a YAML table, in words.')
  name: str | None = options.option(None, "Name of a YAML table; by default the file's.")
  source: str | None = options.option(None, 'Where the numbers of a YAML table come from, in words.')
  provenance: str | None = options.option(
      None, 'Where the numbers of a YAML table come from. Required for one.', choices=table_lib.PROVENANCES)


_RUNTIME = ('device', 'precision', 'kernels', 'threads', 'batch_size', 'soc', 'core_mask', 'benchmark_tool')
_YAML = {'.yaml', '.yml'}


def _read_yaml(config: Config) -> table_lib.LatencyTable:
  for name in ('device', 'precision', 'provenance'):
    if not getattr(config, name):
      raise ValueError(f'a YAML table does not say its {name}: `{name}` is required')
  stated = {name: getattr(config, name) for name in _RUNTIME if getattr(config, name) is not None}
  reader = once_for_all if once_for_all.is_one(config.input) else official_yaml
  return reader.load(config.input, config.name or pathlib.Path(config.input).stem, table_lib.Runtime(**stated), config.provenance,
                            config.source or '')


def _read_json(config: Config) -> table_lib.LatencyTable:
  given = [name for name in (*_RUNTIME, 'name', 'source', 'provenance') if getattr(config, name) is not None]
  if given:
    raise ValueError(f'a JSON table says by itself what `{given[0]}` would')
  return table_lib.load(resources.latency_table(config.input))


def convert(config: Config) -> table_lib.LatencyTable:
  """Reads and writes a table.

  Raises:
    ValueError: The table or an option is not as it should be.
    OSError: A file cannot be read or written.
  """
  config.require()
  from_yaml = pathlib.Path(config.input).suffix in _YAML
  suffix = pathlib.Path(config.output).suffix
  expected = {'.json'} if from_yaml else _YAML
  if suffix not in expected:
    raise ValueError(f'`output` must end in {" or ".join(sorted(expected))} for this input, got {config.output!r}')
  table = _read_yaml(config) if from_yaml else _read_json(config)
  (table_lib if from_yaml else official_yaml).save(table, config.output)
  return table


def main(config: Config) -> None:
  with errors.user_errors():
    table = convert(config)
  print(f'{config.output}: {len(table.entries)} entries, {table.provenance}')
  if pathlib.Path(config.output).suffix in _YAML and table.calibration != table_lib.Calibration():
    print(f'the calibration stands in a comment only: ms = {table.calibration.offset_ms:g} + {table.calibration.scale:g} * sum')
