"""Networks and decisions with what they cost, for a search's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import functools
import math
from typing import Any

from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published as published_lib
from tf_proxyless.space import schema

OPEN = 'open'  # kind of a block whose operation is still a choice
MS, MACS = 'ms', 'MACs'

_PUBLISHED_RESOLUTION, _PUBLISHED_CLASSES = 224, 1000
# Top-1 in percent, trained from scratch at 224 (README of the authors' code, github.com/mit-han-lab/proxylessnas).
_PUBLISHED_TOP1 = {'proxyless_mobile': 74.6, 'proxyless_mobile_14': 76.7, 'proxyless_gpu': 75.1, 'proxyless_cpu': 75.3,
                   'mobilenet_v3_large': 75.2}


@dataclasses.dataclass(frozen=True)
class Prices:
  """What operations cost.

  Attributes:
    unit: `MS` or `MACS`.
    table: Of milliseconds; without one they are not known.
  """

  unit: str
  table: table_lib.LatencyTable | None

  @property
  def fixed(self) -> float:
    """What a network costs besides its operations."""
    return self.table.calibration.offset_ms if self.unit == MS and self.table is not None else 0

  def of(self, signature: network_lib.OpSignature | None) -> float | None:
    """Cost of an operation, calibrated; None if it is not known, 0 for Zero."""
    if self.unit == MACS:
      return counting.count(signature).macs
    if self.table is None or (signature is not None and self.table.missing([signature])):
      return None
    return self.table.calibration.scale * self.table.latency_ms(signature)

  @functools.cached_property
  def provenance(self) -> Mapping[network_lib.OpSignature, str]:
    """How the latency of each operation of the table is known; empty where costs are MACs."""
    return {} if self.unit == MACS or self.table is None else {
        entry.signature: entry.latency.provenance for entry in self.table.entries}

  def total(self, network: network_lib.Network) -> float | None:
    """Cost of an architecture; None if it is not known."""
    if self.unit == MACS:
      return model_lib.from_macs(network).fixed
    if self.table is None or self.table.missing(network_lib.op_signatures(network)):
      return None
    return model_lib.from_latency_table(network, self.table).fixed


def decisions(space: network_lib.Network, prices: Prices) -> list[dict[str, Any]]:
  """Every decision with its choices."""
  found = []
  for traced in network_lib.trace(space):
    block = traced.block
    if isinstance(block.op, schema.OneOf):
      choices = [{**_operation(op), **_costs(_signature(op, traced, space), prices)} for op in block.op.choices]
      found.append({'path': _path(block), 'label': block.name.replace('_', ' '), 'choices': choices})
  return found


def network(network: network_lib.Network, space: network_lib.Network | None, prices: Prices) -> dict[str, Any]:
  """An architecture, block by block.

  Args:
    network: Every decision made.
    space: Where it comes from: its decisions number the blocks.
    prices: What it costs.
  """
  return _network(network, _numbers(space), prices, prices.total(network))


def fixed_blocks(space: network_lib.Network, prices: Prices) -> dict[str, Any]:
  """A search space, block by block; the cost is that of what is not a choice."""
  found = _network(space, _numbers(space), prices, None)
  costs = [prices.fixed, *(block['cost'] for block in found['blocks'] if block['kind'] != OPEN)]
  return {**found, 'cost': None if None in costs else math.fsum(costs)}


def published(space: network_lib.Network, prices: Prices) -> list[dict[str, Any]]:
  """The published networks that the table covers (all, in MACs), at the space's input and with its classes."""
  resolution = space.input_shape[0]
  if resolution % 32 or space.input_shape != (resolution, resolution, 3):  # they take no other
    return []
  as_published = (resolution, space.classes) == (_PUBLISHED_RESOLUTION, _PUBLISHED_CLASSES)
  note = 'trained for ImageNet by its authors' if as_published else f'here for {resolution} x {resolution} pixels, {space.classes} classes'
  rows = []
  for name in published_lib.NAMES:
    cost = prices.total(published_lib.network(name, resolution=resolution, classes=space.classes, padding=space.padding))
    if cost is not None:
      rows.append({'name': name, 'cost': cost, 'top1_imagenet': _PUBLISHED_TOP1[name] / 100 if as_published else None, 'note': note})
  return rows


def _path(block: network_lib.Block) -> str:
  return f'blocks/{block.name}/op'


def _numbers(space: network_lib.Network | None) -> Mapping[str, int]:
  """Index of each decision by its path."""
  return {} if space is None else {path: index for index, (path, _) in enumerate(schema.walk(space))}


def _signature(op: ops.Op, traced: network_lib.TracedBlock, network: network_lib.Network) -> network_lib.OpSignature | None:
  return network_lib.op_signature(op, traced.input_shape, traced.block.residual, network.padding)


def _network(network: network_lib.Network, numbers: Mapping[str, int], prices: Prices, cost: float | None) -> dict[str, Any]:
  blocks = list(_blocks(network, numbers, prices))
  return {'name': network.name, 'input': list(network.input_shape), 'cost': cost, 'macs': sum(block['macs'] for block in blocks),
          'parameters': sum(block['parameters'] for block in blocks), 'blocks': blocks}


def _blocks(network: network_lib.Network, numbers: Mapping[str, int], prices: Prices) -> Iterator[dict[str, Any]]:
  for traced in network_lib.trace(network):
    block = traced.block
    if isinstance(block.op, schema.OneOf):
      rest = {'label': 'a choice', 'kind': OPEN, 'kernel': None, 'expansion': None, 'cost': None, 'macs': 0, 'parameters': 0,
              'provenance': None}
    else:
      rest = {**_operation(block.op), **_costs(_signature(block.op, traced, network), prices)}
    yield {'name': block.name, **rest, 'filters': traced.output_shape[2],
           'strides': max(getattr(op, 'strides', 1) for op in block.candidates), 'residual': block.residual,
           'input': list(traced.input_shape), 'output': list(traced.output_shape), 'decision': numbers.get(_path(block))}


def _operation(op: ops.Op) -> dict[str, Any]:
  """What an operation is, for people and for drawing."""
  match op:
    case ops.MBConv():
      return {'label': f'MB{op.expand_ratio} {op.kernel_size}x{op.kernel_size}', 'kind': 'mbconv', 'kernel': op.kernel_size,
              'expansion': op.expand_ratio}
    case ops.ConvBn():
      return {'label': f'conv {op.kernel_size}x{op.kernel_size}', 'kind': 'conv_bn', 'kernel': op.kernel_size, 'expansion': None}
    case ops.Zero():
      return {'label': 'skip', 'kind': 'zero', 'kernel': None, 'expansion': None}
    case ops.Classifier():
      return {'label': 'classifier', 'kind': 'classifier', 'kernel': None, 'expansion': None}
    case _:
      raise TypeError(f'not an operation: {op!r}')


def _costs(signature: network_lib.OpSignature | None, prices: Prices) -> dict[str, Any]:
  count = counting.count(signature)
  return {'cost': prices.of(signature), 'macs': count.macs, 'parameters': count.parameters,
          'provenance': prices.provenance.get(signature)}
