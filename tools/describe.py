"""Prints the blocks of an architecture with their MACs, parameters and latency.

python tools/describe.py --architecture=proxyless_mobile
python tools/describe.py --architecture=architecture.json --latency_table=pixel1_tflite_float --json
"""

from __future__ import annotations

from collections.abc import Sequence
import json
from typing import Any

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

_ARCHITECTURE = flags.DEFINE_string('architecture', None, 'File (architecture.json of a search), or name of a published network. Required.')
_LATENCY_TABLE = flags.DEFINE_string('latency_table', None, 'File, or name of a shipped table or estimate; adds latency in ms.')
_JSON = flags.DEFINE_bool('json', False, 'Whether to print one JSON object instead of a table.')

_COLUMNS = ('name', 'op', 'input', 'output', 'stride', 'shortcut', 'MACs', 'parameters')


def describe(network: network_lib.Network, table: table_lib.LatencyTable | None) -> dict[str, Any]:
  """Counts an architecture, and adds latencies in ms if there is a table.

  Args:
    network: Without open decisions.
    table: Covers the network; entries are scaled by its calibration, whose offset is in the total only.

  Returns:
    'name', 'macs', 'parameters', 'latency_ms' and 'blocks', a list of dicts; latencies are None without a table.

  Raises:
    ValueError: Decisions are open, or the table lacks entries.
  """
  latency_ms = None if table is None else model_lib.from_latency_table(network, table).fixed
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
        'latency_ms': None if table is None else table.calibration.scale * table.latency_ms(row.signature),
    })
  total = counting.count_network(network)
  return {'name': network.name, 'macs': total.macs, 'parameters': total.parameters, 'latency_ms': latency_ms, 'blocks': blocks}


def to_text(description: dict[str, Any], table: table_lib.LatencyTable | None) -> str:
  """The description as a table for people."""
  rows = [_COLUMNS + ('ms',) * (table is not None)]
  for block in description['blocks']:
    row = (block['name'], block['op'], _shape(block['input_shape']), _shape(block['output_shape']), str(block['strides']),
           'yes' if block['residual'] else '', f'{block["macs"]:,}', f'{block["parameters"]:,}')
    rows.append(row if table is None else (*row, f'{block["latency_ms"]:.3f}'))
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = ['  '.join(cell.ljust(width) if i < 4 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
           for row in rows]
  lines += ['', f'{description["name"]}: {description["macs"] / 1e6:.2f} M MACs, {description["parameters"]:,} parameters']
  if table is not None:
    lines.append(f'{description["latency_ms"]:.4g} ms by {table.name} ({table.provenance}; {table.runtime.device}, '
                 f'{table.runtime.precision}, kernels {table.runtime.kernels})')
  return '\n'.join(lines)


def _shape(shape: tuple[int, int, int]) -> str:
  return 'x'.join(map(str, shape))


def main(_: Sequence[str]) -> None:
  with command_line.user_errors():
    command_line.require(flags.FLAGS, 'architecture')
    network = io.find_architecture(_ARCHITECTURE.value).network
    table = named_tables.find(_LATENCY_TABLE.value, network) if _LATENCY_TABLE.value else None
    description = describe(network, table)
  print(json.dumps(description) if _JSON.value else to_text(description, table))


if __name__ == '__main__':
  command_line.run(main)
