"""The networks whose latencies were published for the Pixel 2, as far as latency depends on them.

Their authors' networks end in 1001 classes, the first of which is background.
"""

from __future__ import annotations

import dataclasses

from tf_proxyless.cost import features
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published

# (filters, strides) of each separable convolution: Howard et al., arXiv 1704.04861, table 1.
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))

# (expansion, filters, blocks, strides) of each stage: Sandler et al., CVPR 2018, arXiv 1801.04381, table 2.
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

# (expanded channels, filters, strides) of each block: Howard et al., ICCV 2019, arXiv 1905.02244, table 1. The authors' variant
# "minimalistic" has ReLU for h-swish, 3x3 for 5x5 and no squeeze-and-excite.
_V3_LARGE = ((16, 16, 1), (64, 24, 2), (72, 24, 1), (72, 40, 2), (120, 40, 1), (120, 40, 1), (240, 80, 2), (200, 80, 1), (184, 80, 1),
             (184, 80, 1), (480, 112, 1), (672, 112, 1), (672, 160, 2), (960, 160, 1), (960, 160, 1))


def mobilenet_v1(width: float, resolution: int, classes: int = 1001) -> features.Features:
  """MobileNetV1.

  Args:
    width: Multiplier of all widths.
    resolution: Input height and width in pixels, a multiple of 32.
    classes: Output units.
  """
  channels, size = int(32 * width), resolution // 2
  total = features.convolution(size**2, 3, channels, 3)
  for filters, strides in _V1:
    size //= strides
    filters = int(filters * width)
    total += features.depthwise(size**2, channels, 3) + features.convolution(size**2, channels, filters)
    channels = filters
  return total + features.convolution(1, channels, classes)


def mobilenet_v2(width: float, resolution: int, classes: int = 1001) -> network_lib.Network:
  """MobileNetV2 in our types; arguments as for `mobilenet_v1`."""
  scaled = lambda filters: ops.make_divisible(filters * width)
  channels = scaled(32)
  blocks = [network_lib.Block('stem', ops.ConvBn(channels, 3, 2))]
  for expand_ratio, filters, count, first_strides in _V2:
    for strides in (first_strides, *[1] * (count - 1)):
      residual = strides == 1 and scaled(filters) == channels
      channels = scaled(filters)
      blocks.append(network_lib.Block(f'block_{len(blocks) - 1}', ops.MBConv(channels, 3, strides, expand_ratio), residual))
  blocks += [network_lib.Block('feature_mix', ops.ConvBn(max(1280, scaled(1280)), 1)),
             network_lib.Block('classifier', ops.Classifier(classes))]
  return network_lib.Network(f'mobilenet_v2_{width:g}_{resolution}', (resolution, resolution, 3), tuple(blocks))


def mobilenet_v3_large_minimalistic(resolution: int = 224, classes: int = 1001) -> features.Features:
  """MobileNetV3-Large, minimalistic, of width 1; arguments as for `mobilenet_v1`."""
  channels, size = 16, resolution // 2
  total = features.convolution(size**2, 3, channels, 3)
  for expanded, filters, strides in _V3_LARGE:
    if expanded != channels:
      total += features.convolution(size**2, channels, expanded)
    size //= strides
    total += features.depthwise(size**2, expanded, 3) + features.convolution(size**2, expanded, filters)
    if strides == 1 and filters == channels:
      total += features.addition(size**2, filters)
    channels = filters
  # Two layers stand behind the pooling.
  return total + features.convolution(size**2, channels, 960) + features.convolution(1, 960, 1280) + features.convolution(1, 1280, classes)


def proxyless_mobile(width: float, resolution: int, classes: int = 1001) -> network_lib.Network:
  """The published ProxylessNAS-mobile with all widths multiplied, its last convolution's only above 1; arguments as for `mobilenet_v1`."""
  network = published.network('proxyless_mobile', resolution=resolution, classes=classes)
  blocks = []
  for block in network.blocks:
    if hasattr(block.op, 'filters'):
      filters = ops.make_divisible(block.op.filters * width)
      if block.name == 'feature_mix':
        filters = max(filters, block.op.filters)
      block = dataclasses.replace(block, op=dataclasses.replace(block.op, filters=filters))
    blocks.append(block)
  return dataclasses.replace(network, name=f'proxyless_mobile_{width:g}_{resolution}', blocks=tuple(blocks))
