"""The FBNet space and its published networks (Wu et al., CVPR 2019, arXiv 1812.03443)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

# (kernel size, expansion ratio, groups of the 1x1 convolutions) in the order of the paper's table 2; a skip follows.
CANDIDATES = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))
CHOICES = (*(f'k{kernel}e{expand}' + f'g{groups}' * (groups > 1) for kernel, expand, groups in CANDIDATES), 'skip')
_STAGE_BLOCKS = (1, 4, 4, 4, 4, 4, 1)
_STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)

# Arguments of `fbnet`, and the choice of each block, one line a stage. A, B and C are those of the authors' release of 2020
# (facebookresearch/mobile-vision), in which blocks of expansion 1 lack their first 1x1 convolution; the others have it, as in the paper.
PUBLISHED: dict[str, tuple[dict[str, Any], str]] = {
    'fbnet_a': (dict(head_filters=1504, always_expand=False),
                """skip
                   k3e3 k3e1 skip skip
                   k5e6 k3e3 k5e1 k3e3
                   k5e6 k5e3 k5e1g2 k5e6
                   k3e6 k5e1g2 k5e3 k3e1g2
                   k5e6 k5e6 k5e3 k5e6
                   k5e6"""),
    'fbnet_b': (dict(always_expand=False),
                """k3e1
                   k3e6 k5e1 k3e1 k3e1
                   k5e6 k5e3 k3e6 k5e6
                   k5e6 k5e6 skip k5e3
                   k5e6 k3e1 k5e1 k5e3
                   k5e6 k5e1 k5e6 k5e6
                   k3e6"""),
    'fbnet_c': (dict(always_expand=False),
                """k3e1
                   k3e6 skip k3e1 k3e1
                   k5e6 k5e3 k5e6 k3e6
                   k5e6 k5e3 k5e6 k5e6
                   k5e6 k5e6 k5e6 k5e3
                   k5e6 k5e6 k5e6 k5e6
                   k3e6"""),
    'fbnet_s8': (dict(head_filters=1504),
                 """k3e1
                    k3e3 k3e1 skip skip
                    k5e6 k3e3 k3e3 k3e6
                    k5e6 k5e3 k5e3 k5e3
                    k3e6 k5e3 k5e3 k5e3
                    k5e6 k5e6 k5e3 k5e6
                    k5e6"""),
    'fbnet_iphonex': (dict(head_filters=1504),
                      """skip
                         k3e6 k3e1 k3e1 k3e1
                         k3e6 k3e6 k3e6 k3e6
                         k3e6 k3e6 k3e3 k3e6
                         k3e6 k3e3 k3e3 k3e3
                         k5e6 k5e6 k5e6 k5e3
                         k5e6"""),
    'fbnet_96': (dict(stem_filters=8, stage_filters=(8, 16, 16, 24, 40, 72, 128), head_filters=1416, resolution=96),
                 """k3e1
                    k3e6 k3e6 skip skip
                    k5e6 k5e6 skip skip
                    k5e6 skip skip skip
                    k3e6 skip skip skip
                    k5e6 k5e6 skip skip
                    k5e6"""),
}


def fbnet(
    *,
    stage_filters: Sequence[int] = (16, 24, 32, 64, 112, 184, 352),
    stem_filters: int = 16,
    head_filters: int = 1984,
    width_multiplier: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    classes: int = 1000,
    dropout_rate: float = 0.0,
    padding: str = 'same',
    always_expand: bool = True,
    name: str = 'fbnet',
) -> network_lib.Network:
  """Builds the FBNet space: 22 blocks of nine candidates, 9^22 networks.

  Candidates have kernels 3 or 5 and expansions 1, 1 with both 1x1 convolutions in two groups and a channel shuffle, 3 or 6; the ninth skips
  the block: the identity where shapes allow it, else a 1x1 convolution.

  Args:
    stage_filters: Output channels of the seven stages, before the width multiplier.
    stem_filters: Channels of the 3x3 stem convolution of stride 2.
    head_filters: Channels of the 1x1 convolution before pooling: 1984 for B and C, 1504 for the others; scaled only above 1.
    width_multiplier: Scales all widths by the rule of `ops.make_divisible`.
    resolution: Input height and width, pixels.
    channels: Input channels.
    classes: Output units.
    dropout_rate: Before the classifier.
    padding: 'same' or 'symmetric', see `ops`.
    always_expand: Whether blocks of expansion 1 have their first 1x1 convolution, as in the paper; the authors' release leaves it out.
    name: The network's name.

  Raises:
    ValueError: Arguments do not fit each other.
  """
  if len(stage_filters) != len(_STAGE_BLOCKS):
    raise ValueError(f'stage_filters must have {len(_STAGE_BLOCKS)} entries, got {list(stage_filters)}')
  ops.check_all_positive(stage_filters=stage_filters, stem_filters=[stem_filters], head_filters=[head_filters])
  ops.check_width_multiplier(width_multiplier)
  scaled = lambda filters: ops.make_divisible(filters * width_multiplier)
  width = scaled(stem_filters)
  blocks = [network_lib.Block('stem', ops.ConvBn(width, 3, 2, 'relu'))]
  for filters, count, first_stride in zip(map(scaled, stage_filters), _STAGE_BLOCKS, _STAGE_STRIDES):
    for strides in (first_stride, *[1] * (count - 1)):
      residual = strides == 1 and filters == width
      choices = [ops.MBConv(filters, kernel, strides, expand, 'relu', groups=groups, always_expand=always_expand and expand == 1)
                 for kernel, expand, groups in CANDIDATES]
      skip = ops.Zero() if residual else ops.ConvBn(filters, 1, strides, 'relu')
      blocks.append(network_lib.Block(f'block_{len(blocks)}', schema.OneOf((*choices, skip), 'op'), residual))
      width = filters
  blocks += [network_lib.Block('feature_mix', ops.ConvBn(scaled(head_filters) if width_multiplier > 1 else head_filters, 1, 1, 'relu')),
             network_lib.Block('classifier', ops.Classifier(classes, dropout_rate))]
  return network_lib.Network(name, (resolution, resolution, channels), tuple(blocks), padding)
