r"""Converts a latency table between our JSON and the YAML of the official ProxylessNAS code.

  python tools/convert_latency_table.py --input=table.json --output=table.yaml
  python tools/convert_latency_table.py --input=mobile_trim.yaml --output=table.json --device='Pixel 1' --precision=float32 \
      --provenance=published --source='mobile_trim.yaml of the ProxylessNAS authors'

The YAML says nothing of the device; what it does not say is given by flags. It has no calibration either: what is written there are
entries, and a network's latency is their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
import pathlib

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.infra import resources

_INPUT = flags.DEFINE_string('input', None, 'The table: .yaml or .yml, or .json or the name of a shipped one. Required.')
_OUTPUT = flags.DEFINE_string('output', None, 'Where to write it, .json or .yaml. Required.')
_STATED = {  # of a YAML table
    'device': flags.DEFINE_string('device', None, "Device of a YAML table, for instance 'Pixel 2'. Required for one."),
    'precision': flags.DEFINE_enum('precision', None, table_lib.PRECISIONS, 'Precision of a YAML table. Required for one.'),
    'kernels': flags.DEFINE_enum('kernels', None, table_lib.KERNELS, 'Kernels of a YAML table; by default unknown.'),
    'threads': flags.DEFINE_integer('threads', None, 'Threads of the interpreter, of a YAML table; by default unknown.', lower_bound=1),
    'batch_size': flags.DEFINE_integer('batch_size', None, 'Images in a run, of a YAML table; by default 1.', lower_bound=1),
    'soc': flags.DEFINE_string('soc', None, "System on chip of a YAML table, for instance 'Snapdragon 835'."),
    'core_mask': flags.DEFINE_string('core_mask', None, 'Cores of a YAML table as for taskset, hexadecimal.'),
    'benchmark_tool': flags.DEFINE_string('benchmark_tool', None, 'What measured a YAML table, in words.'),
}
_NAME = flags.DEFINE_string('name', None, "Name of a YAML table; by default the file's.")
_SOURCE = flags.DEFINE_string('source', None, 'Where the numbers of a YAML table come from, in words.')
_PROVENANCE = flags.DEFINE_enum('provenance', None, table_lib.PROVENANCES, 'Where the numbers of a YAML table come from. Required for '
                                'one.')

_YAML = {'.yaml', '.yml'}


def _read_yaml(path: str) -> table_lib.LatencyTable:
  for name, flag in {'device': _STATED['device'], 'precision': _STATED['precision'], 'provenance': _PROVENANCE}.items():
    if not flag.value:
      raise ValueError(f'a YAML table does not say its {name}: --{name} is required')
  stated = {name: flag.value for name, flag in _STATED.items() if flag.value is not None}
  return official_yaml.load(path, _NAME.value or pathlib.Path(path).stem, table_lib.Runtime(**stated), _PROVENANCE.value,
                            _SOURCE.value or '')


def _read_json(name: str) -> table_lib.LatencyTable:
  given = [flag.name for flag in (*_STATED.values(), _NAME, _SOURCE, _PROVENANCE) if flag.value is not None]
  if given:
    raise ValueError(f'a JSON table says by itself what --{given[0]} would')
  return table_lib.load(resources.latency_table(name))


def convert() -> table_lib.LatencyTable:
  """Reads and writes as the flags say.

  Raises:
    ValueError: The table or a flag is not as it should be.
    OSError: A file cannot be read or written.
  """
  command_line.require(flags.FLAGS, 'input', 'output')
  from_yaml = pathlib.Path(_INPUT.value).suffix in _YAML
  suffix = pathlib.Path(_OUTPUT.value).suffix
  expected = {'.json'} if from_yaml else _YAML
  if suffix not in expected:
    raise ValueError(f'--output must end in {" or ".join(sorted(expected))} for this input, got {_OUTPUT.value!r}')
  table = _read_yaml(_INPUT.value) if from_yaml else _read_json(_INPUT.value)
  (table_lib if from_yaml else official_yaml).save(table, _OUTPUT.value)
  return table


def main(_: Sequence[str]) -> None:
  with command_line.user_errors():
    table = convert()
  print(f'{_OUTPUT.value}: {len(table.entries)} entries, {table.provenance}')
  if pathlib.Path(_OUTPUT.value).suffix in _YAML and table.calibration != table_lib.Calibration():
    print(f'the calibration stands in a comment only: ms = {table.calibration.offset_ms:g} + {table.calibration.scale:g} * sum')


if __name__ == '__main__':
  command_line.run(main)
