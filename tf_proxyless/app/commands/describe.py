"""Prints the blocks of an architecture with their MACs, parameters, latency and energy, or the decisions of a search space.

  tf-proxyless describe proxyless_mobile
  tf-proxyless describe fbnet --resolution=96
  tf-proxyless describe architecture.json --latency_table=pixel1_tflite_float --json
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import textwrap
from typing import Any

from tf_proxyless.app import architectures
from tf_proxyless.app import options
from tf_proxyless.cost import counting
from tf_proxyless.cost import memory
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import resources
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  architecture: str | None = options.option(None, 'File (architecture.json of a search), or name of a published network; or a search '
                                            'space, by file or name.', required=True, unnamed=True)
  resolution: int | None = options.option(None, "Input height and width, pixels; by default the file's, or as published.", low=1)
  latency_table: str | None = options.option(None, 'File, or name of a shipped table or estimate; adds latency in ms.')
  energy_table: str | None = options.option(None, 'File of a table of energy; adds mJ.')
  json: bool = options.option(False, 'Whether to print one JSON object instead of a table.')


_SHOWN = 6  # decisions of the same choices
_COLUMNS = ('name', 'op', 'input', 'output', 'stride', 'shortcut', 'MACs', 'parameters')


_BY_TABLE = {'latency_ms': 'ms', 'energy_mj': 'mJ'}  # and the unit of the table


def describe(network: network_lib.Network, tables: Mapping[str, table_lib.LatencyTable]) -> dict[str, Any]:
  """Counts an architecture, and adds latencies in ms and energies in mJ where there are tables.

  Args:
    network: Without open decisions.
    tables: By unit. They cover the network; entries are scaled by a table's calibration, whose offset is in the total only.

  Returns:
    'name', 'macs', 'parameters', 'file_bytes' and 'memory_bytes' in int8, 'latency_ms', 'energy_mj' and 'blocks', a list of dicts;
    latencies and energies are None without a table.

  Raises:
    ValueError: Decisions are open, or a table lacks entries.
  """
  priced = {name: (table, model_lib.from_latency_table(network, table).fixed) for name, unit in _BY_TABLE.items()
            if (table := tables.get(unit)) is not None}
  blocks = []
  for row in counting.count_blocks(network):
    block = row.traced.block
    blocks.append({
        'name': block.name,
        'op': ops.short_name(block.op),
        'input_shape': row.traced.input_shape,
        'output_shape': row.traced.output_shape,
        'strides': getattr(block.op, 'strides', 1),
        'residual': block.residual,
        'macs': row.count.macs,
        'parameters': row.count.parameters,
        **dict.fromkeys(_BY_TABLE),
        **{name: table.calibration.scale * table.latency_ms(row.signature) for name, (table, _) in priced.items()},
    })
  total = counting.count_network(network)
  return {'name': network.name, 'macs': total.macs, 'parameters': total.parameters,
          'file_bytes': round(model_lib.from_file_bytes(network).fixed), 'memory_bytes': memory.plan(network).bytes,
          **dict.fromkeys(_BY_TABLE), **{name: cost for name, (_, cost) in priced.items()}, 'blocks': blocks}


def describe_space(space: network_lib.Network, tables: Mapping[str, table_lib.LatencyTable]) -> dict[str, Any]:
  """Counts the networks of a space, and says what the cheapest and the dearest cost.

  Args:
    space: With open decisions.
    tables: As in `describe`.

  Returns:
    'name', 'networks', 'decisions', a list of dicts of 'name' and 'choices', and 'macs', 'latency_ms' and 'energy_mj', each the least and
    the greatest; latencies and energies are None without a table.

  Raises:
    ValueError: A table lacks entries.
  """
  models = {'macs': model_lib.from_macs(space),
            **{name: model_lib.from_latency_table(space, tables[unit]) for name, unit in _BY_TABLE.items() if unit in tables}}
  decisions = [{'name': decision.path.removeprefix('blocks/').removesuffix('/op'),
                'choices': [ops.short_name(choice) if dataclasses.is_dataclass(choice) else choice for choice in decision.choices]}
               for decision in schema.decisions(space)]
  return {'name': space.name, 'networks': schema.cardinality(space), 'decisions': decisions,
          **dict.fromkeys(_BY_TABLE), **{name: [model.smallest, model.largest] for name, model in models.items()}}


def space_to_text(space: network_lib.Network, description: dict[str, Any], tables: Mapping[str, table_lib.LatencyTable]) -> str:
  """The description of a space for people: decisions of the same choices together."""
  named: dict[str, list[str]] = {}
  for decision in description['decisions']:
    named.setdefault(' '.join(map(str, decision['choices'])), []).append(decision['name'])
  lines = []
  for choices, names in named.items():
    shown = names if len(names) <= _SHOWN else [*names[:_SHOWN - 2], '...', f'{names[-1]} ({len(names)} decisions)']
    lines += [' '.join(shown), *textwrap.wrap(choices, 100, initial_indent='  ', subsequent_indent='  ', break_on_hyphens=False)]
  least, greatest = (macs / 1e6 for macs in description['macs'])
  lines += ['', f'{space}, {least:.2f} to {greatest:.2f} M MACs']
  for name, unit in _BY_TABLE.items():
    if unit in tables:
      least, greatest = description[name]
      lines.append(f'{least:.4g} to {greatest:.4g} {unit} by {tables[unit].name} ({tables[unit].provenance}; {_runtime(tables[unit])})')
  return '\n'.join(lines)


def to_text(description: dict[str, Any], tables: Mapping[str, table_lib.LatencyTable]) -> str:
  """The description as a table for people."""
  shown = {name: tables[unit] for name, unit in _BY_TABLE.items() if unit in tables}
  rows = [(*_COLUMNS, *(table.unit for table in shown.values()))]
  for block in description['blocks']:
    row = (block['name'], block['op'], _shape(block['input_shape']), _shape(block['output_shape']), str(block['strides']),
           'yes' if block['residual'] else '', f'{block["macs"]:,}', f'{block["parameters"]:,}')
    rows.append((*row, *(f'{block[name]:.3f}' for name in shown)))
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = ['  '.join(cell.ljust(width) if i < 4 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
           for row in rows]
  lines += ['', f'{description["name"]}: {description["macs"] / 1e6:.2f} M MACs, {description["parameters"]:,} parameters',
            f'in int8: a file of about {description["file_bytes"] / 1e3:,.0f} kB, {description["memory_bytes"] / 1e3:,.0f} kB of memory']
  for name, table in shown.items():
    lines.append(f'{description[name]:.4g} {table.unit} by {table.name} ({table.provenance}; {_runtime(table)})')
  return '\n'.join(lines)


def _runtime(table: table_lib.LatencyTable) -> str:
  return f'{table.runtime.device}, {table.runtime.precision}, kernels {table.runtime.kernels}'


def _shape(shape: tuple[int, int, int]) -> str:
  return 'x'.join(map(str, shape))


def _find(name: str, resolution: int | None) -> network_lib.Network:
  """The architecture or space of a name or in a file."""
  if name in published.SPACES:
    return published.SPACES[name](**({'resolution': resolution} if resolution else {}))
  try:
    path = resources.search_space(name)
  except ValueError:  # an architecture by name
    path = None
  if path is None or not io.is_search_space(path):
    return architectures.find(name, None, resolution, spaces=[*published.SPACES, *resources.search_spaces()]).network
  if resolution:
    raise ValueError(f'the space in {path} has its own `resolution`')
  return io.load_search_space(path)


def main(config: Config) -> None:
  with errors.user_errors():
    config.require()
    network = _find(config.architecture, config.resolution)
    tables = {'ms': named_tables.find(config.latency_table, network)} if config.latency_table else {}
    if config.energy_table:
      tables['mJ'] = table_lib.load(config.energy_table)
    for unit, table in tables.items():
      table.check_unit(unit)
    is_space = not schema.is_resolved(network)
    description = describe_space(network, tables) if is_space else describe(network, tables)
  text = lambda: space_to_text(network, description, tables) if is_space else to_text(description, tables)
  print(json.dumps(description) if config.json else text())
