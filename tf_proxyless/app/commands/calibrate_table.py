"""Fits the scale and offset of a table of latency, or energy, to networks that you measured, three or more.

  tf-proxyless calibrate-table --latency_table=pixel2_int8_estimate --measurements=mine.csv --output=mine.json
  tf-proxyless calibrate-table --latency_table=table.json --measurements=measurements.json --output=calibrated.json

Measurements are a CSV file with a network and its milliseconds in each line (of a table of energy, millijoules), or what
android_benchmark wrote. A network is an architecture's JSON file, looked for beside the measurements too, or a published network's name;
android_benchmark names it as the .tflite file was named. Choose networks of different size, one of them with 7x7 kernels if the table is
an estimate. An estimate gets entries for the search space that the flags name, or --search_space_file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import pathlib

import numpy as np

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import calibration
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.space import io
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  classes: int | None = options.option(None, 'Outputs of the classifier; by default those of a file, or 1000.', low=1)
  search_space_file: str | None = options.option(None, 'search_space.json of a run, instead of the flags of a space.')
  latency_table: str | None = options.option(None, 'File or name of the table.', required=True)
  measurements: str | None = options.option(None, 'CSV file with a network and its ms (or mJ) in each line, or a measurements.json.',
                                            required=True)
  output: str | None = options.option(None, 'Where to write the table, a JSON file; by default only the fit is shown.')
  space: config_lib.SpaceConfig = options.group('Search space', config_lib.SpaceConfig)


@dataclasses.dataclass(frozen=True)
class Measured:
  """A network and its latency, or energy, in the unit of the table."""

  name: str
  network: network_lib.Network
  latency_ms: float


def read_csv(path: pathlib.Path, unit: str = 'ms') -> tuple[Measured, ...]:
  """Reads networks and what they took, see `measurements.read_csv`; a network is a file or a published name.

  Raises:
    ValueError: In one line, which line is not as it should be.
    OSError: A file cannot be read.
  """
  rows = measurements_lib.read_csv(path, unit)
  networks = {name: _find_network(name, path.parent) for name in dict(rows)}
  return tuple(Measured(name, networks[name], value) for name, value in rows)


def read_measurements(path: pathlib.Path, runtime: table_lib.Runtime, unit: str = 'ms') -> tuple[Measured, ...]:
  """Reads what android_benchmark wrote, if it was measured as the table was.

  Raises:
    ValueError: In one line, what is not as it should be.
    OSError: A file cannot be read.
  """
  body = measurements_lib.read_latencies(path)
  costs = {name: measurements_lib.cost(figures, unit) for name, figures in body['models'].items()}
  if None in costs.values():
    raise ValueError(f'{path}: measured without energy; android_benchmark measures it with --unit=mJ')
  found = {'device': body['device']['model'], 'kernels': body['settings']['kernels'], 'threads': body['settings']['threads']}
  for name, value in found.items():
    expected = getattr(runtime, name)
    if expected not in (None, 'unknown') and value != expected:  # what the table does not know of its runtime may be anything
      raise ValueError(f'{path}: measured with {name} {files.shorten(value)}, but the table is for {expected!r}')
  return tuple(Measured(name, _find_network(name, path.parent), float(cost)) for name, cost in costs.items())


def _find_network(name: str, folder: pathlib.Path) -> network_lib.Network:
  if not name.isprintable() or len(name) > 255:
    raise ValueError(f'not the name of a network: {files.shorten(name)}')
  candidates = [folder / name, folder / f'{name}.json']
  path = next((path for path in candidates if name not in published.NAMES and path.suffix == '.json' and path.is_file()), name)
  return io.find_architecture(str(path)).network


def largest_kernel(networks: Iterable[network_lib.Network]) -> int:
  """The largest depthwise kernel in any of them."""
  return max((layer.layer.kernel_size for network in networks for signature in network_lib.op_signatures(network)
              for layer in signature.layers if isinstance(layer.layer, layers_lib.DepthwiseConv)), default=0)


def to_text(measured: Sequence[Measured], sums: Sequence[float], line: table_lib.Calibration, left_out: Sequence[float],
            unit: str = 'ms') -> str:
  """The networks with the fit, and what each is predicted to be from the others."""
  rows = [('network', f'sum {unit}', f'measured {unit}', f'fit {unit}', 'error %', 'left out %')]
  for item, total, prediction in zip(measured, sums, left_out):
    fitted = line.offset_ms + line.scale * total
    rows.append((item.name, f'{total:.2f}', f'{item.latency_ms:.2f}', f'{fitted:.2f}', f'{100 * (fitted / item.latency_ms - 1):+.1f}',
                 f'{100 * (prediction / item.latency_ms - 1):+.1f}'))
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = ['  '.join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
           for row in rows]
  rms = 100 * np.sqrt(np.mean([(prediction / item.latency_ms - 1)**2 for item, prediction in zip(measured, left_out)]))
  return '\n'.join([*lines, '', f'{unit} = {line.offset_ms:.3f} + {line.scale:.4f} * sum, from {line.networks} networks; each left out in '
                    f'turn is missed by {rms:.1f} % (rms)'])


def _read(config: Config) -> tuple[table_lib.LatencyTable, tuple[Measured, ...]]:
  config.require()
  if config.search_space_file:
    space = io.load_search_space(config.search_space_file)
  else:
    space = problem_lib.make_space(config.space, config.classes)
  table = named_tables.find(config.latency_table, space)
  path = pathlib.Path(config.measurements)
  return table, read_measurements(path, table.runtime, table.unit) if path.suffix == '.json' else read_csv(path, table.unit)


def main(config: Config) -> None:
  with errors.user_errors():
    table, measured = _read(config)
    names, latencies = [item.name for item in measured], [item.latency_ms for item in measured]
    sums = [model_lib.entry_sum(named_tables.find(config.latency_table, item.network), item.network) for item in measured]
    line = calibration.fit(sums, latencies, names, table.unit)
    left_out = calibration.leave_one_out(sums, latencies, names)
    source = f'{table.source} Scale and offset are fitted to what was measured of {", ".join(names)}.'.lstrip()
    calibrated = dataclasses.replace(table, name=f'{table.name}, calibrated', calibration=line, validation=None, source=source)
    if config.output:
      table_lib.save(calibrated, config.output)
  print(to_text(measured, sums, line, left_out, table.unit))
  if (doubt := calibration.doubt(line, table.unit)) is not None:
    print(f'warning: {doubt}')
  if 'estimated' in table.provenance and largest_kernel(item.network for item in measured) < 7:
    print('note: none of these networks has a 7x7 kernel, the cost of which is the weakest part of an estimate')
  if config.output:
    print(f'table {config.output}')
