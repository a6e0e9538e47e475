"""Published networks of any width. Their authors' networks end in 1001 classes, the first of which is background."""

from __future__ import annotations

import dataclasses

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published

# (expansion, filters, blocks, strides) of each stage: Sandler et al., CVPR 2018, arXiv 1801.04381, table 2.
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2(width: float, resolution: int, classes: int = 1001) -> network_lib.Network:
  """MobileNetV2.

  Args:
    width: Multiplier of all widths.
    resolution: Input height and width in pixels, a multiple of 32.
    classes: Output units.
  """
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


def proxyless_mobile(width: float, resolution: int, classes: int = 1001) -> network_lib.Network:
  """The published ProxylessNAS-mobile with all widths multiplied, its last convolution's only above 1; arguments as for `mobilenet_v2`."""
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
