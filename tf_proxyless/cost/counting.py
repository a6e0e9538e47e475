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


FILE_HEADER = 4096  # bytes of a file besides its operations: tables, and metadata
# Of an output channel: its bias; and where kernel and bias have a scale and a zero point a channel, these.
_DENSE_CHANNEL_BYTES, _CHANNEL_BYTES = 4, 4 + 2 * (4 + 8)
_TENSOR_BYTES = 240  # of a tensor's entry with its name, of the operator that makes it, and of the buffer that it may have

# Of layers in TFLite, besides three for each of their kernels.
_OTHER_TENSORS = {'SqueezeExcite': 3, 'Pool': 1, 'ChannelShuffle': 5, 'ChannelSlice': 1, 'ChannelPad': 1, 'GlobalPool': 1}


def file_bytes(signature: network_lib.OpSignature | None) -> int:
  """Bytes in an int8 .tflite file: a price for `cost.model`.

  Of 17 networks with random weights between 0.3 and 6.3 MB it was -0.2 to +1.4 % off, of two trees of cells 4.2 % too much.
  """
  if signature is None:
    return 0
  found, tensors, above = 0, signature.residual + signature.terms - 1, ''
  for layer in signature.layers:
    kernels = [spec for spec in layer.weights if spec.name.endswith('kernel')]
    name = type(layer.layer).__name__
    channels = [spec.shape[-2] if name == 'DepthwiseConv' else spec.shape[-1] for spec in kernels]
    if name == 'BatchNorm' and 'Conv' not in above:  # becomes a depthwise convolution
      channels, found = [layer.output_shape[2]], found + layer.output_shape[2]
    found += sum(math.prod(spec.shape) for spec in kernels) + (_DENSE_CHANNEL_BYTES if name == 'Dense' else _CHANNEL_BYTES) * sum(channels)
    tensors += 3 * len(channels) + _OTHER_TENSORS.get(name, 0) + (getattr(layer.layer, 'kind', '') == 'hard_swish')
    above = name
  return found + _TENSOR_BYTES * tensors


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
