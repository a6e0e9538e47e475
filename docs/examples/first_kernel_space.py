"""A search space of your own: no 7x7 kernels, finer expansions, and the kernel of the first block is searched as well.

  python docs/examples/first_kernel_space.py --flagfile=quickstart.flags --run_dir=runs/first_kernel

XNNPACK has no int8 kernel for 7x7 depthwise convolutions, so this is a space for int8 models that run on XNNPACK.
"""

from __future__ import annotations

from collections.abc import Sequence
import sys

from tf_proxyless.app import command_line
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app.commands import search
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import schema

KERNELS = (3, 5)
EXPANSIONS = (2, 4, 6)


def first_kernel(*, stem: ops.ConvBn, first_filters: int, stages: Sequence[tuple[int, int, int]], head_filters: int, resolution: int,
                 classes: int) -> network.Network:
  """Builds the space.

  Args:
    stem: The first convolution.
    first_filters: Output channels of the first block.
    stages: (output channels, blocks, stride of the first block) of each stage.
    head_filters: Channels of the 1x1 convolution before pooling.
    resolution: Height and width of the input, pixels.
    classes: Outputs.
  """
  # All candidates of a block have one stride and one width, and all expand or none does.
  first = tuple(ops.MBConv(first_filters, kernel, 1, expand_ratio=1) for kernel in (3, 5, 7))
  blocks = [network.Block('stem', stem), network.Block('block_0', schema.OneOf(first, 'op'))]
  width = first_filters
  for filters, count, first_stride in stages:
    for stride in (first_stride, *[1] * (count - 1)):
      residual = stride == 1 and filters == width
      choices = tuple(ops.MBConv(filters, kernel, stride, expansion) for kernel in KERNELS for expansion in EXPANSIONS)
      if residual:
        choices += (ops.Zero(),)  # with its shortcut: a skipped layer
      blocks.append(network.Block(f'block_{len(blocks) - 1}', schema.OneOf(choices, 'op'), residual))
      width = filters
  blocks += [network.Block('feature_mix', ops.ConvBn(head_filters, 1)), network.Block('classifier', ops.Classifier(classes))]
  return network.Network('first_kernel', (resolution, resolution, 3), tuple(blocks))


def from_config(space: config_lib.SpaceConfig, classes: int) -> network.Network:
  """The space with the widths, depths and resolution of a configuration."""
  return first_kernel(
      stem=ops.ConvBn(space.stem_filters, 3, space.stem_strides), first_filters=space.first_block_filters,
      stages=list(zip(space.stage_filters, space.stage_blocks, space.stage_strides)), head_filters=space.head_filters,
      resolution=space.resolution, classes=classes)


Config = config_lib.SearchConfig


def main(config: Config) -> int:
  return search.main(config, problem_lib.Custom(space=lambda classes: from_config(config.space, classes)))


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
