"""The FBNetV2 space, of widths and resolutions, and its published networks (Wan et al., CVPR 2020, arXiv 2004.05565)."""

from __future__ import annotations

from collections.abc import Sequence
import re

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

_SE_RATIO = 0.25  # of the width inside
_HEAD_RATIO = 6  # of the last 1x1 convolution before pooling

# The networks of the authors' release (facebookresearch/mobile-vision): resolution, width before the classifier, and a line a stage of
# kernel, expansion, filters, stride where it is 2, and 's' for squeeze-excite; 'skip' is the identity, or a 1x1 convolution to other
# filters; 'hs' and 'relu' change the activation from there on.
_F1 = """hs c8/2
         relu k5t1:8
         k5t5.4566:24/2 k5t4.7912:24
         k5t5.3501:32/2s k5t4.5379:24s
         hs k5t5.7133:56/2 k3t4.1212:56 k3t5.1246:56s skip:80 k5t4.5070:80s k5t1.7712:80s
         k3t4.5685:144/2s k5t5.84:144s k5t6.8754:144s skip:224"""
_L1 = """hs c16/2
         k3t1:16
         k5t5.4566:24/2 k5t1.7912:24 k3t1.7912:24 k5t1.7912:24
         k5t5.3501:40/2s k5t3.5379:32s k5t4.5379:32s k5t4.5379:32s
         k5t5.7133:64/2 k3t2.1212:64 skip:64 k3t3.1246:64
         k3t5.0333:112 k5t2.5070:112s k5t1.7712:112s k5t2.7712:112s k5t3.7712:112s k5t3.7712:112s
         k3t5.5685:184/2s k5t2.84:184s k5t2.84:184s k5t4.8754:184s k5t4.8754:184s skip:224"""
PUBLISHED = {
    'fbnet_v2_f1': (128, 1600, _F1),
    'fbnet_v2_f2': (160, 1600, _F1),
    'fbnet_v2_f3': (192, 1984, _F1),
    'fbnet_v2_f4': (224, 1984,
                    """hs c16/2
                       k3t1:16
                       k5t5.4566:24/2 k5t1.7912:24 k5t1.7912:24
                       relu k5t5.3501:32/2s k5t3.5379:32s k5t4.5379:32s k5t4.5379:32s
                       hs k5t5.7133:64/2 k3t2.1212:64 skip:64 k3t5.0333:104 k5t2.5070:104s k5t1.7712:104s k5t3.7712:112s
                       k3t5.5685:184/2s k5t2.84:184s k5t4.8754:184s skip:224"""),
    'fbnet_v2_l1': (224, 1984, _L1),
    'fbnet_v2_l2': (256, 1984, _L1),
    'dmasking_l3': (288, 1984,
                    """hs c24/2
                       relu k3t1:24
                       k5t5.4566:32/2 k5t1.7912:32 k3t1.7912:32 k5t1.7912:32
                       k5t5.3501:48/2s k5t3.5379:40s k5t4.5379:40s k5t4.5379:40s
                       hs k5t5.7133:72/2 k3t2.1212:72 skip:72 k3t3.1246:72
                       k3t5.0333:120 k5t2.5070:120s k5t1.7712:120s k5t2.7712:120s k5t3.7712:120s k5t3.7712:120s k5t3.7712:120s
                       k3t5.5685:192/2s k5t2.84:192s k5t2.84:192s k5t4.8754:192s k5t4.8754:192s skip:240"""),
}
RESOLUTIONS = tuple(sorted({pixels for pixels, _, _ in PUBLISHED.values()}))
_ACTIVATIONS = {'hs': 'hard_swish', 'relu': 'relu'}
_WORD = re.compile(r'(?:c|k(?P<kernel>\d)t(?P<expansion>[\d.]+):|skip:)(?P<filters>\d+)(?P<halved>/2)?(?P<excited>s)?')


def published(name: str, resolution: int | None = None, classes: int = 1000, padding: str = 'same') -> network_lib.Network:
  """One of `PUBLISHED`.

  Its authors give 0.3 % to 1.9 % more multiply-adds than its convolutions and dense layers have, and parameters without batch
  normalisation. The dense layer before the classifier has a bias here, which theirs lacks.

  Args:
    name: For instance 'fbnet_v2_f1'.
    resolution: Input height and width, pixels; by default as published.
    classes: Output units.
    padding: 'same' or 'symmetric', see `ops`.
  """
  pixels, hidden, text = PUBLISHED[name]
  blocks: list[network_lib.Block] = []
  activation, width = '', 0
  for word in text.split():
    if word in _ACTIVATIONS:
      activation = _ACTIVATIONS[word]
      continue
    found = _WORD.fullmatch(word)
    assert found is not None, word
    filters, strides = int(found['filters']), 2 if found['halved'] else 1
    residual = strides == 1 and filters == width
    op: ops.Op
    if found['kernel']:
      expansion = float(found['expansion'])
      inside = ops.expanded(width, expansion)
      # The release rounds to the nearest, `MBConv` may round up.
      se_ratio = ops.nearest(_SE_RATIO * inside) / inside if found['excited'] else 0.0
      op = ops.MBConv(filters, int(found['kernel']), strides, expansion, activation, se_ratio)
    elif word.startswith('skip'):
      op = ops.Zero() if residual else ops.ConvBn(filters, 1, 1, 'linear')
    else:
      op = ops.ConvBn(filters, 3, strides, activation)
    blocks.append(network_lib.Block(f'block_{len(blocks)}' if blocks else 'stem', op, residual))
    width = filters
  return _with_head(name, resolution or pixels, 3, blocks, width, hidden, classes, 0.0, padding)


def fbnet_v2(
    *,
    stage_filters: Sequence[int | Sequence[int]] = (16, (16, 24, 32), (24, 32, 40, 48), (56, 64, 72), (80, 104, 112, 120), (144, 184, 192)),
    stage_blocks: Sequence[int] = (1, 4, 4, 4, 6, 5),
    stage_strides: Sequence[int] = (1, 2, 2, 2, 1, 2),
    expansions: Sequence[float] = (1, 2, 3, 4.5, 6),
    kernel_sizes: Sequence[int] = (3, 5),
    stem_filters: int = 16,
    last_filters: int = 224,
    hidden: int = 1984,
    width_multiplier: float = 1.0,
    resolution: int | Sequence[int] = 224,
    channels: int = 3,
    classes: int = 1000,
    dropout_rate: float = 0.0,
    padding: str = 'same',
    name: str = 'fbnet_v2',
) -> network_lib.Network:
  """Builds a space of kernels, expansions, squeeze-excite, depth, widths and, where several are given, resolutions.

  A stage has one width, chosen for all its blocks; a block has one choice of kernel, expansion and squeeze-excite, or is skipped where its
  shortcut allows it: about 2e34 networks, 1e35 with `RESOLUTIONS`, as in the paper. The authors' own grids are not public; widths here are
  those of the published networks, expansions a coarser grid of the same range.

  Args:
    stage_filters: Output channels of each stage, or those to choose from; before the width multiplier.
    stage_blocks: Blocks, by stage.
    stage_strides: Stride of the first block, by stage.
    expansions: Ratios of the width inside to the input's; see `ops.MBConv`.
    kernel_sizes: Of depthwise convolutions.
    stem_filters: Channels of the 3x3 stem convolution of stride 2.
    last_filters: Channels of the 1x1 convolution after the stages, which another to six times as many follows.
    hidden: Units of the dense layer before the classifier.
    width_multiplier: Scales all widths up to the last 1x1 convolution by the rule of `ops.make_divisible`.
    resolution: Input height and width, or those to choose from, pixels; those of the published networks are `RESOLUTIONS`.
    channels: Input channels.
    classes: Output units.
    dropout_rate: Before the classifier.
    padding: 'same' or 'symmetric', see `ops`.
    name: The network's name.

  Raises:
    ValueError: Arguments do not fit each other.
  """
  if not stage_filters or not len(stage_filters) == len(stage_blocks) == len(stage_strides):
    raise ValueError('stage_filters, stage_blocks and stage_strides must have one entry a stage, '
                     f'got {len(stage_filters)}, {len(stage_blocks)} and {len(stage_strides)}')
  if not expansions or not kernel_sizes:
    raise ValueError(f'expansions and kernel_sizes must name one value at least, got {list(expansions)} and {list(kernel_sizes)}')
  ops.check_all_positive(stage_filters=[width for widths in stage_filters for width in ops.several(widths)], stem_filters=[stem_filters],
                         last_filters=[last_filters], hidden=[hidden], stage_blocks=stage_blocks)
  ops.check_width_multiplier(width_multiplier)
  scaled = lambda filters: ops.make_divisible(filters * width_multiplier)
  width: ops.Size = scaled(stem_filters)
  blocks = [network_lib.Block('stem', ops.ConvBn(width, 3, 2, 'hard_swish'))]
  for stage, (widths, count, first_stride) in enumerate(zip(stage_filters, stage_blocks, stage_strides)):
    filters = schema.one_of(map(scaled, ops.several(widths)), 'filters', f'stage_{stage}/filters')
    for strides in (first_stride, *[1] * (count - 1)):
      residual = strides == 1 and filters == width
      choices = [ops.MBConv(filters, kernel, strides, expansion, 'hard_swish', se_ratio)
                 for kernel in kernel_sizes for expansion in expansions for se_ratio in (0.0, _SE_RATIO)]
      blocks.append(network_lib.Block(f'block_{len(blocks)}', schema.OneOf((*choices, *[ops.Zero()] * residual), 'op'), residual))
      width = filters
  last = scaled(last_filters)
  blocks.append(network_lib.Block(f'block_{len(blocks)}', ops.ConvBn(last, 1, 1, 'linear')))
  size = schema.one_of(ops.several(resolution), 'resolution', 'resolution')
  return _with_head(name, size, channels, blocks, last, hidden, classes, dropout_rate, padding)


def _with_head(name: str, resolution: ops.Size, channels: int, blocks: list[network_lib.Block], width: int, hidden: int, classes: int,
               dropout_rate: float, padding: str) -> network_lib.Network:
  head = (network_lib.Block('feature_mix', ops.ConvBn(_HEAD_RATIO * width, 1, 1, 'hard_swish')),
          network_lib.Block('classifier', ops.Classifier(classes, dropout_rate, hidden)))
  return network_lib.Network(name, (resolution, resolution, channels), (*blocks, *head), padding)
