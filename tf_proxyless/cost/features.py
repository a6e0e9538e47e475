"""What the latency of an operation depends on: amounts of work, which a linear model weighs.

Amounts of layers, operations and networks add up, so a network is the sum of its layers, in whatever form it is known.
"""

from __future__ import annotations

import dataclasses

from tf_proxyless.cost import counting
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib


@dataclasses.dataclass(frozen=True)
class Features:
  """Amounts of work.

  Attributes:
    matrix_macs: Multiply-adds of convolutions that mix channels, and of dense layers: matrix products.
    depthwise_macs: Multiply-adds of depthwise convolutions.
    extra_tap_macs: Those of depthwise_macs that a 3x3 kernel would not have.
    output_elements: Numbers written by convolutions, additions and dense layers; pooling and activations count nothing.
    weights: Weights of convolutions and dense layers, without biases.
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


def of_layer(traced: layers_lib.TracedLayer) -> Features:
  """One layer; batch normalisation, activations and global pooling count nothing."""
  (height, width, channels), (out_height, out_width, filters) = traced.input_shape, traced.output_shape
  area = out_height * out_width
  match traced.layer:
    case layers_lib.Conv(groups=groups):
      return convolution(area, channels // groups, filters, traced.layer.kernel_size)
    case layers_lib.DepthwiseConv(kernel_size=kernel_size):
      return depthwise(area, channels, kernel_size)
    case layers_lib.Dense():
      return convolution(1, channels, filters)
    case layers_lib.SqueezeExcite():
      return (convolution(1, channels, traced.layer.filters) + convolution(1, traced.layer.filters, channels)
              + addition(height * width, channels))  # the multiplication moves as much as an addition
    case layers_lib.Pool() | layers_lib.ChannelShuffle() | layers_lib.ChannelSlice() | layers_lib.ChannelPad():
      return Features(output_elements=area * filters, layers=1)
    case _:
      return Features()


def of_signature(signature: network_lib.OpSignature | None) -> Features:
  """The sum of an operation's layers; None, the signature of one that computes nothing, has none."""
  if signature is None:
    return Features()
  height, width, filters = signature.output_shape
  found = [*map(of_layer, signature.layers), *[addition(height * width, filters)] * signature.residual]
  found += [addition(signature.input_shape[0] * signature.input_shape[1], signature.input_shape[2])] * (signature.terms - 1)
  return sum(found, Features())


def of_network(network: network_lib.Network) -> Features:
  """The sum of an architecture's layers.

  Raises:
    ValueError: Decisions are open in it.
  """
  return sum((of_signature(row.signature) for row in counting.count_blocks(network)), Features())
