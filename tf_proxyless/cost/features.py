"""What the latency of an operation depends on: amounts of work, which a linear model weighs.

Amounts of layers, operations and networks add up, so a network is the sum of its layers, in whatever form it is known.
"""

from __future__ import annotations

import dataclasses

from tf_proxyless.cost import counting
from tf_proxyless.space import network as network_lib


@dataclasses.dataclass(frozen=True)
class Features:
  """Amounts of work.

  Attributes:
    matrix_macs: Multiply-adds of convolutions that mix channels, and of dense layers: matrix products.
    depthwise_macs: Multiply-adds of depthwise convolutions.
    extra_tap_macs: Those of depthwise_macs that a 3x3 kernel would not have.
    output_elements: Numbers written by convolutions, additions and dense layers; pooling and activations count nothing.
    weights: Of convolutions and dense layers, without biases.
    layers: Convolutions, additions and dense layers.
  """

  matrix_macs: int = 0
  depthwise_macs: int = 0
  extra_tap_macs: int = 0
  output_elements: int = 0
  weights: int = 0
  layers: int = 0

  def __add__(self, other: Features) -> Features:
    return Features(*(ours + theirs for ours, theirs in zip(dataclasses.astuple(self), dataclasses.astuple(other))))

  @property
  def macs(self) -> int:
    """All multiply-adds, as `counting` counts them."""
    return self.matrix_macs + self.depthwise_macs


def convolution(output_area: int, channels: int, filters: int, kernel_size: int = 1) -> Features:
  """A convolution from `channels` to `filters`; a dense layer is one of output area 1."""
  weights = kernel_size**2 * channels * filters
  return Features(output_area * weights, output_elements=output_area * filters, weights=weights, layers=1)


def depthwise(output_area: int, channels: int, kernel_size: int) -> Features:
  """A depthwise convolution."""
  elements = output_area * channels
  return Features(depthwise_macs=kernel_size**2 * elements, extra_tap_macs=max(kernel_size**2 - 9, 0) * elements,
                  output_elements=elements, weights=kernel_size**2 * channels, layers=1)


def addition(area: int, channels: int) -> Features:
  """The sum of a shortcut and what it goes around."""
  return Features(output_elements=area * channels, layers=1)


def of_signature(signature: network_lib.OpSignature | None) -> Features:
  """The sum of an operation's layers; None, the signature of Zero, has none."""
  if signature is None:
    return Features()
  height, width, channels = signature.input_shape
  if signature.op == 'classifier':
    return convolution(1, channels, signature.filters)
  area = -(-height // signature.strides) * -(-width // signature.strides)
  shortcut = addition(area, signature.filters) if signature.residual else Features()
  if signature.op == 'conv_bn':
    return convolution(area, channels, signature.filters, signature.kernel_size) + shortcut
  expanded = channels * signature.expand_ratio
  expansion = convolution(height * width, channels, expanded) if signature.expand_ratio > 1 else Features()
  return expansion + depthwise(area, expanded, signature.kernel_size) + convolution(area, expanded, signature.filters) + shortcut


def of_network(network: network_lib.Network) -> Features:
  """The sum of an architecture's layers.

  Raises:
    ValueError: Decisions are open in it.
  """
  return sum((of_signature(row.signature) for row in counting.count_blocks(network)), Features())
