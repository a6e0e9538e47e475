"""The ProxylessNAS block space (Cai et al., ICLR 2019, arXiv 1812.00332), described by its arguments; defaults are the official ones."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

# (kernel size, expansion ratio) in the order of the official alphas; Zero follows where a layer may be skipped.
CANDIDATES = ((3, 3), (3, 6), (5, 3), (5, 6), (7, 3), (7, 6))


def proxyless(
    *,
    stage_filters: Sequence[int] = (24, 40, 80, 96, 192, 320),
    stage_blocks: Sequence[int] = (4, 4, 4, 4, 4, 1),
    stage_strides: Sequence[int] = (2, 2, 2, 1, 2, 1),
    stem_filters: int = 32,
    stem_strides: int = 2,
    first_block_filters: int = 16,
    head_filters: int = 1280,
    candidates: Sequence[tuple[int, int]] = CANDIDATES,
    zero: bool = True,
    width_multiplier: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    classes: int = 1000,
    dropout_rate: float = 0.0,
    padding: str = 'same',
    allow_uneven: bool = False,
    name: str = 'proxyless',
) -> network_lib.Network:
  """Builds the ProxylessNAS block space.

  Args:
    stage_filters: Output channels of each stage, before the width multiplier.
    stage_blocks: Searched blocks in each stage.
    stage_strides: Stride of each stage's first block.
    stem_filters: Channels of the 3x3 stem convolution.
    stem_strides: Stride of the stem.
    first_block_filters: Channels of the fixed MBConv k3 e1 after the stem.
    head_filters: Channels of the 1x1 convolution before pooling; scaled by the width multiplier only above 1.
    candidates: (kernel size, expansion ratio) of each MBConv candidate, in the order of the choice indices.
    zero: Whether Zero is appended exactly where stride is 1 and widths match.
    width_multiplier: Scales all widths by the rule of `ops.make_divisible`.
    resolution: Input height and width in pixels.
    channels: Input channels.
    classes: Output units.
    dropout_rate: Before the classifier.
    padding: 'same' or 'symmetric', see `ops`.
    allow_uneven: Whether a resolution that the strides do not divide is accepted; sizes are then rounded up.
    name: The network's name.

  Returns:
    A `Network` whose searched blocks hold a `OneOf` with tag 'op'.

  Raises:
    ValueError: Arguments do not fit each other, or the strides do not divide the resolution.
  """
  _check_stages(stage_filters, stage_blocks, stage_strides)
  ops.check_all_positive(stem_filters=[stem_filters], stem_strides=[stem_strides], first_block_filters=[first_block_filters],
                         head_filters=[head_filters])
  _check_resolution(resolution, [stem_strides, *stage_strides], allow_uneven)
  if not candidates:
    raise ValueError('candidates must name at least one (kernel size, expansion ratio)')
  ops.check_width_multiplier(width_multiplier)

  def scaled(filters: int) -> int:
    return ops.make_divisible(filters * width_multiplier)

  width = scaled(first_block_filters)
  blocks = [
      network_lib.Block('stem', ops.ConvBn(scaled(stem_filters), 3, stem_strides)),
      network_lib.Block('block_0', ops.MBConv(width, kernel_size=3, strides=1, expand_ratio=1)),
  ]
  for filters, count, first_stride in zip(map(scaled, stage_filters), stage_blocks, stage_strides):
    for strides in (first_stride, *[1] * (count - 1)):
      blocks.append(_searched_block(f'block_{len(blocks) - 1}', filters, strides, candidates, zero, filters == width))
      width = filters
  blocks += [
      network_lib.Block('feature_mix', ops.ConvBn(scaled(head_filters) if width_multiplier > 1 else head_filters, 1, 1)),
      network_lib.Block('classifier', ops.Classifier(classes, dropout_rate)),
  ]
  return network_lib.Network(name, (resolution, resolution, channels), tuple(blocks), padding)


def _check_stages(stage_filters: Sequence[int], stage_blocks: Sequence[int], stage_strides: Sequence[int]) -> None:
  if not stage_filters or not len(stage_filters) == len(stage_blocks) == len(stage_strides):
    raise ValueError('stage_filters, stage_blocks and stage_strides must have one entry a stage, '
                     f'got {list(stage_filters)}, {list(stage_blocks)}, {list(stage_strides)}')
  ops.check_all_positive(stage_filters=stage_filters, stage_blocks=stage_blocks, stage_strides=stage_strides)


def _check_resolution(resolution: int, strides: Sequence[int], allow_uneven: bool) -> None:
  total = math.prod(strides)
  if resolution < 1 or (resolution % total and not allow_uneven):
    lower = resolution // total * total
    nearest = ' or '.join(str(size) for size in (lower, lower + total) if size > 0)
    raise ValueError(f'resolution must be a positive multiple of the total stride {total}, got {resolution}; nearest: {nearest}')


def _searched_block(name: str, filters: int, strides: int, candidates: Sequence[tuple[int, int]], zero: bool,
                    same_width: bool) -> network_lib.Block:
  """A block that holds the choice of its operation, or the operation where there is only one."""
  residual = strides == 1 and same_width
  choices: tuple[Any, ...] = tuple(ops.MBConv(filters, kernel, strides, expand) for kernel, expand in candidates)
  if zero and residual:
    choices += (ops.Zero(),)
  return network_lib.Block(name, schema.OneOf(choices, 'op') if len(choices) > 1 else choices[0], residual)
