"""MACs and parameters.

MACs are multiply-adds of convolutions and dense layers, without biases and batch normalisation. Parameters are trainable
weights, with the gamma and beta of batch normalisation.
"""

from __future__ import annotations

import dataclasses

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class Count:
  """What an operation or a network takes: multiply-adds, and trainable weights."""

  macs: int
  parameters: int

  def __add__(self, other: Count) -> Count:
    return Count(self.macs + other.macs, self.parameters + other.parameters)


@dataclasses.dataclass(frozen=True)
class BlockCount:
  """One row of a network's listing; `signature` is None where the block is skipped (Zero)."""

  traced: network_lib.TracedBlock
  signature: network_lib.OpSignature | None
  count: Count


def count(signature: network_lib.OpSignature | None) -> Count:
  """Counts one operation; None, the signature of Zero, counts nothing."""
  if signature is None:
    return Count(0, 0)
  channels, filters = signature.input_shape[2], signature.filters
  area = signature.input_shape[0] * signature.input_shape[1]
  if signature.op == 'classifier':
    return Count(channels * filters, channels * filters + filters)
  output_area = _output_area(signature)
  taps = signature.kernel_size**2
  if signature.op == 'conv_bn':
    return _convolution(output_area, taps * channels * filters, filters)
  expanded = channels * signature.expand_ratio
  expansion = _convolution(area, channels * expanded, expanded) if signature.expand_ratio != 1 else Count(0, 0)
  depthwise = _convolution(output_area, taps * expanded, expanded)
  return expansion + depthwise + _convolution(output_area, expanded * filters, filters)


def _convolution(output_area: int, weights: int, filters: int) -> Count:
  """A convolution without bias, and the gamma and beta of the normalisation after it."""
  return Count(output_area * weights, weights + 2 * filters)


def _output_area(signature: network_lib.OpSignature) -> int:
  height, width, _ = signature.input_shape
  return -(-height // signature.strides) * -(-width // signature.strides)


def count_blocks(network: network_lib.Network) -> tuple[BlockCount, ...]:
  """Counts every block of an architecture.

  Raises:
    ValueError: Decisions are open in it.
  """
  rows = []
  for traced in network_lib.trace(network):
    if isinstance(traced.block.op, schema.OneOf):
      raise ValueError(f'block {traced.block.name!r} of {network.name!r} is still a choice; resolve the space first')
    signature = network_lib.op_signature(traced.block.op, traced.input_shape, traced.block.residual, network.padding)
    rows.append(BlockCount(traced, signature, count(signature)))
  return tuple(rows)


def count_network(network: network_lib.Network) -> Count:
  """Counts an architecture.

  Raises:
    ValueError: Decisions are open in it.
  """
  return sum((row.count for row in count_blocks(network)), Count(0, 0))
