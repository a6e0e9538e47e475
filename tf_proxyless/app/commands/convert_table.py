r"""Converts a latency table between our JSON and the YAML of the official ProxylessNAS code; reads those of others.

  tf-proxyless convert-table --input=table.json --output=table.yaml
  tf-proxyless convert-table --input=mobile_trim.yaml --output=table.json --device='Pixel 1' --precision=float32 \
      --provenance=published --source='mobile_trim.yaml of the ProxylessNAS authors'
  tf-proxyless convert-table --input=SM-G950U-7.0-24-op_lut_database.json --search_space=fbnet --output=s8.json --device='Galaxy S8' \
      --precision=int8 --provenance=published
  tf-proxyless convert-table --input=cost_model_data.py --output=table.json --device='Pixel 1' --precision=float32 --provenance=published
  tf-proxyless convert-table --input=eyeriss.json --output=table.json --device=Eyeriss --precision=int8 --provenance=published --unit=mJ

Tables of others say nothing of the device; what they do not say is given by flags. The YAML has no calibration either: what is written
there are entries, and a network's latency is their sum. Read are the YAML of Once-for-All too, TuNAS's linear model, which becomes a
table of its space `tunas_proxylessnas_search`, tables of FBNet's space in HW-NAS-Bench, as JSON, and mobile-vision's table of single
operators, which FBNet and ChamNet were searched with: it is converted for the search space that the flags name.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import pathlib
import types

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import hw_nas_bench
from tf_proxyless.cost.importers import mobile_vision
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.cost.importers import once_for_all
from tf_proxyless.cost.importers import tunas_model
from tf_proxyless.infra import errors
from tf_proxyless.infra import resources
from tf_proxyless.space import network as network_lib


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  input: str | None = options.option(
      None, 'The table: a .yaml, .yml or .json file, the name of a shipped table, or cost_model_data.py of TuNAS.', required=True)
  output: str | None = options.option(None, 'Where to write it, .json or .yaml.', required=True)
  device: str | None = options.option(None, "Device of a table of others, for instance 'Pixel 2'. Required for one.")
  precision: str | None = options.option(None, 'Precision of a table of others. Required for one.', choices=table_lib.PRECISIONS)
  kernels: str | None = options.option(None, 'Kernels of a table of others; by default unknown.', choices=table_lib.KERNELS)
  threads: int | None = options.option(None, 'Threads of the interpreter, of a table of others; by default unknown.', low=1)
  batch_size: int | None = options.option(None, 'Images in a run, of a table of others; by default 1.', low=1)
  soc: str | None = options.option(None, "System on chip of a table of others, for instance 'Snapdragon 835'.")
  core_mask: str | None = options.option(None, 'Cores of a table of others as for taskset, hexadecimal.')
  benchmark_tool: str | None = options.option(None, 'What measured a table of others, in words.')
  unit: str | None = options.option(None, 'Unit of a table of others; by default ms.', choices=table_lib.UNITS)
  name: str | None = options.option(None, "Name of a table of others; by default the file's.")
  source: str | None = options.option(None, 'Where the numbers of a table of others come from, in words.')
  provenance: str | None = options.option(
      None, 'Where the numbers of a table of others come from. Required for one.', choices=table_lib.PROVENANCES)
  classes: int | None = options.option(None, 'Outputs of the classifier; by default those of a file, or 1000.', low=1)
  space: config_lib.SpaceConfig = options.group('Search space, for a table of single operators', config_lib.SpaceConfig)


_RUNTIME = ('device', 'precision', 'kernels', 'threads', 'batch_size', 'soc', 'core_mask', 'benchmark_tool')
Missing = dict[network_lib.OpSignature, list[str]]  # operations, and what the table lacks for each
_YAML = {'.yaml', '.yml'}
_IMPLAUSIBLE_MS = 1000  # for one operation, which takes some 0.01 to 50 on phones


def _importer(path: pathlib.Path) -> types.ModuleType | None:
  """What reads a file of others; None for ours, or the name of a shipped table.

  Raises:
    OSError: The file cannot be read.
  """
  if path.is_file() and mobile_vision.is_one(path):
    return mobile_vision
  if path.suffix in _YAML:
    return once_for_all if once_for_all.is_one(path) else official_yaml
  if path.suffix == '.py' or (path.is_file() and tunas_model.is_json(path)):
    return tunas_model
  if path.is_file() and hw_nas_bench.is_one(path):
    return hw_nas_bench
  return None


def _read(importer: types.ModuleType, config: Config, path: pathlib.Path) -> tuple[table_lib.LatencyTable, Missing]:
  for name in ('device', 'precision', 'provenance'):
    if not getattr(config, name):
      raise ValueError(f'{path.name} does not say its {name}: `{name}` is required')
  stated = {name: getattr(config, name) for name in _RUNTIME if getattr(config, name) is not None}
  rest = (config.name or path.stem, table_lib.Runtime(**stated), config.provenance, config.source or '')
  missing: Missing = {}
  if importer is mobile_vision:
    table, missing = mobile_vision.load(path, problem_lib.make_space(config.space, config.classes), *rest)
  else:
    _check_no_space(config)
    table = importer.load(path, *rest)
  return dataclasses.replace(table, unit=config.unit or 'ms'), missing


def _check_no_space(config: Config) -> None:
  if config.space != config_lib.SpaceConfig() or config.classes:
    raise ValueError('a search space is only asked for by a table of single operators; this one has operations of its own')


def _read_ours(config: Config, name: str) -> table_lib.LatencyTable:
  _check_no_space(config)
  given = [name for name in (*_RUNTIME, 'unit', 'name', 'source', 'provenance') if getattr(config, name) is not None]
  if given:
    raise ValueError(f'a table of ours says by itself what `{given[0]}` would')
  return table_lib.load(resources.latency_table(name))


def convert(config: Config) -> tuple[table_lib.LatencyTable, Missing]:
  """Reads and writes a table.

  Returns:
    The table, and the operations of the search space that a table of single operators cannot price.

  Raises:
    ValueError: The table or an option is not as it should be.
    OSError: A file cannot be read or written.
  """
  config.require()
  assert config.input and config.output
  path, output = pathlib.Path(config.input), pathlib.Path(config.output)
  expected = {'.json'} if path.suffix in _YAML | {'.py'} else _YAML | {'.json'}
  if output.suffix not in expected:
    raise ValueError(f'`output` must end in {" or ".join(sorted(expected))} for this input, got {config.output!r}')
  importer = _importer(path)
  if importer is None and output.suffix == '.json':
    raise ValueError(f'{config.input} is a table of ours: `output` must end in {" or ".join(sorted(_YAML))}, got {config.output!r}')
  table, missing = (_read_ours(config, config.input), {}) if importer is None else _read(importer, config, path)
  (official_yaml if output.suffix in _YAML else table_lib).save(table, output)
  return table, missing


def main(config: Config) -> None:
  with errors.user_errors():
    table, missing = convert(config)
  print(f'{config.output}: {len(table.entries)} entries, {table.provenance}')
  if missing:
    print(f'{len(missing)} operations of the search space have no entry, for want of these operators, each of so many operations:')
  for operator, count in collections.Counter(itertools.chain.from_iterable(map(set, missing.values()))).most_common():
    print(f'{count:5} {operator}')
  largest = max(entry.latency.latency_ms for entry in table.entries)
  if table.unit == 'ms' and largest > _IMPLAUSIBLE_MS:
    print(f'warning: an operation of {largest:,.0f} ms: are these microseconds? Tables are in milliseconds')
  if pathlib.Path(config.output).suffix in _YAML and table.calibration != table_lib.Calibration():
    print(f'the calibration stands in a comment only: ms = {table.calibration.offset_ms:g} + {table.calibration.scale:g} * sum')
