"""The space of mobile blocks of ChamNet and its published networks (Dai et al., CVPR 2019, arXiv 1812.08934)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

# Of the authors' release (facebookresearch/mobile-vision): resolution, channels of the stem, of the last convolution, and by stage
# expansion, filters and blocks.
PUBLISHED: dict[str, tuple[int, int, int, str]] = {
    'chamnet_a': (224, 32, 2016, '1:24x1 4:40x2 6:48x3 4:96x4 4:160x3 4:248x3 6:480x1'),
    'chamnet_b': (192, 24, 1984, '1:16x1 5:40x2 6:40x3 6:92x3 6:104x3 5:200x3 6:384x1'),
    'chamnet_c': (224, 16, 1520, '1:16x1 4:24x1 4:32x3 5:64x2 6:96x3 6:160x3 4:256x1'),
    'chamnet_d': (192, 8, 1600, '1:8x1 6:24x1 4:32x2 6:40x4 6:80x3 5:160x3 6:224x1'),
    'chamnet_e': (160, 8, 1600, '1:8x1 4:24x1 4:32x3 6:64x1 6:64x3 6:96x2 4:128x1'),
    'chamnet_f': (128, 8, 1280, '1:8x1 4:24x1 4:32x3 4:40x1 4:64x3 4:128x2 4:192x1'),
}

Values = int | Sequence[int]


def chamnet(
    *,
    stem_filters: Values = (8, 16, 24, 32),
    stage_filters: Sequence[Values] = ((8, 16, 24), (24, 32, 40), (32, 40, 48), (40, 64, 92, 96), (64, 80, 96, 104, 160),
                                       (96, 128, 160, 200, 248), (128, 192, 224, 256, 384, 480)),
    stage_blocks: Sequence[Values] = (1, (1, 2), (2, 3), (1, 2, 3, 4), 3, (2, 3), 1),
    stage_strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
    expansions: Sequence[Values] = (1, (4, 5, 6), (4, 6), (4, 5, 6), (4, 6), (4, 5, 6), (4, 6)),
    kernel_size: Values = 3,
    last_filters: Values = (1280, 1520, 1600, 1984, 2016),
    width_multiplier: float = 1.0,
    resolution: Values = (128, 160, 192, 224),
    channels: int = 3,
    classes: int = 1000,
    dropout_rate: float = 0.0,
    padding: str = 'same',
    name: str = 'chamnet',
) -> network_lib.Network:
  """Builds a space in which a stage chooses its filters, expansion and number of blocks, and the network its resolution.

  The authors' own grids are not public; values here are those of the published networks, which so are networks of this space, but for the
  shortcut around the first block where it keeps the stem's width (D, E and F): a block has one in all networks of a space, or in none.
  Blocks that a stage may lack are left out one by one.

  Args:
    stem_filters: Channels of the 3x3 stem convolution of stride 2, or those to choose from; so for all that follow.
    stage_filters: Output channels, by stage.
    stage_blocks: Blocks, by stage; of several numbers the least are always there.
    stage_strides: Stride of the first block of each stage, pixels.
    expansions: Ratios of the width inside to the input's, by stage; one of 1 has its first 1x1 convolution all the same.
    kernel_size: Kernel size of the depthwise convolutions; one choice a stage.
    last_filters: Channels of the 1x1 convolution before pooling.
    width_multiplier: Scales all widths by the rule of `ops.make_divisible`.
    resolution: Input height and width, pixels.
    channels: Input channels.
    classes: Output units.
    dropout_rate: Before the classifier.
    padding: 'same' or 'symmetric', see `ops`.
    name: The network's name.

  Raises:
    ValueError: Arguments do not fit each other.
  """
  lengths = [len(each) for each in (stage_filters, stage_blocks, stage_strides, expansions)]
  if len(set(lengths)) > 1:
    raise ValueError('stage_filters, stage_blocks, stage_strides and expansions must be as many, got '
                     f'{", ".join(map(str, lengths))}')
  if not all(map(ops.several, (stem_filters, *stage_filters, *stage_blocks, *expansions, kernel_size, last_filters, resolution))):
    raise ValueError('each argument needs a value, or several to choose from')
  of_stages = lambda values: [value for each in values for value in ops.several(each)]
  ops.check_all_positive(stem_filters=ops.several(stem_filters), stage_filters=of_stages(stage_filters), stage_strides=stage_strides,
                         stage_blocks=of_stages(stage_blocks), last_filters=ops.several(last_filters))
  ops.check_width_multiplier(width_multiplier)

  def widths(values: Values, where: str) -> Any:
    scaled = lambda value: value if width_multiplier == 1 else ops.make_divisible(value * width_multiplier)
    return schema.one_of(map(scaled, ops.several(values)), 'filters', where)

  width = widths(stem_filters, 'stem/filters')
  blocks = [network_lib.Block('stem', ops.ConvBn(width, 3, 2, 'relu'))]
  for stage, (filters, counts, ratios, first_strides) in enumerate(zip(stage_filters, stage_blocks, expansions, stage_strides)):
    chosen = widths(filters, f'stage_{stage}/filters')
    ratio = schema.one_of(ops.several(ratios), 'expand_ratio', f'stage_{stage}/expand_ratio')
    kernel = schema.one_of(ops.several(kernel_size), 'kernel_size', f'stage_{stage}/kernel_size')
    for position in range(max(ops.several(counts))):
      strides = 1 if position else first_strides
      op: Any = ops.MBConv(chosen, kernel, strides, ratio, 'relu', always_expand=True)
      if position >= min(ops.several(counts)):
        op = schema.OneOf((op, ops.Zero()), 'op')
      blocks.append(network_lib.Block(f'block_{len(blocks) - 1}', op, strides == 1 and chosen == width))
      width = chosen
  blocks += [network_lib.Block('feature_mix', ops.ConvBn(widths(last_filters, 'last/filters'), 1, 1, 'relu')),
             network_lib.Block('classifier', ops.Classifier(classes, dropout_rate))]
  size = schema.one_of(ops.several(resolution), 'resolution', 'resolution')
  return network_lib.Network(name, (size, size, channels), tuple(blocks), padding)


def published(name: str, resolution: int | None = None, classes: int = 1000, padding: str = 'same') -> network_lib.Network:
  """One of `PUBLISHED`.

  Args:
    name: For instance 'chamnet_a'.
    resolution: Input height and width, pixels; by default as published.
    classes: Output units.
    padding: 'same' or 'symmetric', see `ops`.
  """
  pixels, stem, last, text = PUBLISHED[name]
  stages = [tuple(map(int, word.replace('x', ':').split(':'))) for word in text.split()]
  ratios, filters, blocks = zip(*stages)
  return chamnet(stem_filters=stem, stage_filters=filters, stage_blocks=blocks, expansions=ratios, last_filters=last,
                 resolution=resolution or pixels, classes=classes, padding=padding, name=name)
