"""MACs and parameters.

MACs are multiply-adds of convolutions and dense layers, without biases and batch normalisation. Parameters are trainable
weights, with the gamma and beta of batch normalisation.
"""

from __future__ import annotations

import dataclasses
import math

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
  """One row of a network's listing; `signature` is None where the block computes nothing (Zero)."""

  traced: network_lib.TracedBlock
  signature: network_lib.OpSignature | None
  count: Count


def count(signature: network_lib.OpSignature | None) -> Count:
  """Counts one operation; None, the signature of one that computes nothing, counts nothing."""
  layers = () if signature is None else signature.layers
  return Count(sum(layer.macs for layer in layers), sum(layer.parameters for layer in layers))


def macs(signature: network_lib.OpSignature | None) -> int:
  """Multiply-adds: a price for `cost.model`."""
  return count(signature).macs


def weight_bytes(signature: network_lib.OpSignature | None) -> int:
  """Bytes of the weights in an int8 model: a price for `cost.model`. Kernels take one a weight, biases (folded beta) four."""
  layers = () if signature is None else signature.layers
  found = 0
  for layer in layers:
    for spec in layer.weights:
      size = math.prod(spec.shape)
      found += size if spec.name.endswith('kernel') else 0 if spec.name.endswith('gamma') else 4 * size
  return found


def count_blocks(network: network_lib.Network) -> tuple[BlockCount, ...]:
  """Counts every block of an architecture.

  Raises:
    ValueError: Decisions are open in it.
  """
  rows = []
  for traced in network_lib.trace(network):
    if not schema.is_resolved(traced.block.op):
      raise ValueError(f'block {traced.block.name!r} of {network.name!r} is still a choice; resolve the space first')
    block = traced.block
    signature = network_lib.op_signature(block.op, traced.input_shape, block.residual, network.padding, block.terms)
    rows.append(BlockCount(traced, signature, count(signature)))
  return tuple(rows)


def count_network(network: network_lib.Network) -> Count:
  """Counts an architecture.

  Raises:
    ValueError: Decisions are open in it.
  """
  return sum((row.count for row in count_blocks(network)), Count(0, 0))
