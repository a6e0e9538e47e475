"""The CIFAR-10 tree space of ProxylessNAS (Cai et al., ICLR 2019, section 4.1, arXiv 1812.00332), and its published network.

A PyramidNet of bottlenecks (Han et al., CVPR 2017) in which a tree cell stands for each 3x3 convolution (Cai et al., ICML 2018, path-level
transformation): a grouped convolution makes two branches; in each an inner node copies its input to two searched edges, and a leaf behind
each of these to two more. The structure is that of the configuration that the authors published; merges are plain sums.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools

from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import registry
from tf_proxyless.space import schema

_RELU = 'relu'
NAME = 'proxyless_cifar'
EXPANSION = 4  # of a block's output over its cell
BRANCHES = ('a', 'b')

# The choices of the 12 edges of each of the 54 cells, a word a cell, by `LETTERS`.
LETTERS = 'iam357d'
PUBLISHED = """
7m5ddi7m5577 aim7aa3ididd 7i3d3a5a3ad5 a5d75d3d73i7 ai7m5dd57aim 7ma77m35d3ii dm77im7753ii ddm55757aa37 7dmm5mii3aad
5i3i3i375757 7adi7535add3 5da5a53377d3 mm3m737da57i 375dmd7di373 daaim3dd5i5i 5id5d5aa5573 75id55d3m737 md7mii3i57id
dm5a5aa773am 7ddmi7i737m5 mdmma3idm5ia da3a73a37idd dm7dma7idiam 75mim7miadm7 i5dda5m57adm 3id3adddaaa3 d7mmm7im555d
37m773ai37mm 753377a3ida3 5ia7aia53aam i3iaadi77mid 7mm75i7ddm77 3753m3i3i35i d73id3d73dmi mi37i55aaiad 7m7375da7555
aa7iaada5iia m7iiia5iai7i d3ai7mi53ima 77mia5a3a3mm iiima7i7a5a7 di755im5d7id mmdaiaami53i 77d7577a3m7a da7ddmd3idm5
addiam3m7dai mm5da733aii3 5dm77dim35mi 77m53mdamm5m m553iad37377 i3i7a577773a 5m5553aiam5i 3mi7d3mamd33 775m3m5im337
"""


@registry.register('preactivated_separable_conv')
@dataclasses.dataclass(frozen=True)
class PreactivatedSeparableConv:
  """An edge: batch normalisation, ReLU, depthwise convolution k x k and 1x1 convolution with nothing between or behind; channels stay."""

  kernel_size: int = ops.field(3, 'k', quiet=False)
  dilation: int = ops.field(1, 'd')

  def __post_init__(self) -> None:
    ops.check_positive(self, 'kernel_size', 'dilation')
    ops.check_odd_kernel(self)

  def layers(self, input_shape: ops.Shape) -> ops.Layers:
    return (layers_lib.BatchNorm('bn'), layers_lib.Activation('activation', _RELU),
            layers_lib.DepthwiseConv('depthwise', self.kernel_size, dilation=self.dilation, divide_groups=True),
            layers_lib.Conv('pointwise', input_shape[2]))

  @property
  def short_name(self) -> str:
    return f'presep{self.kernel_size}' + (f'd{self.dilation}' if self.dilation > 1 else '')


@registry.register('tree_entry')
@dataclasses.dataclass(frozen=True)
class TreeEntry:
  """From a block's input to its tree: batch normalisation, 1x1 convolution to `filters`, and the root edge.

  The root edge is batch normalisation, ReLU, a 3x3 convolution in two groups to twice as many channels, and a shuffle between the groups.
  """

  filters: int
  strides: int = ops.field(1, 's', quiet=False)

  def __post_init__(self) -> None:
    ops.check_positive(self, 'filters', 'strides')

  def layers(self, input_shape: ops.Shape) -> ops.Layers:
    del input_shape
    parts = len(BRANCHES)
    return (layers_lib.BatchNorm('in_bn'), layers_lib.Conv('in', self.filters), layers_lib.BatchNorm('root_bn'),
            layers_lib.Activation('root_activation', _RELU),
            layers_lib.Conv('root', parts * self.filters, 3, self.strides, parts, divide_groups=True),
            layers_lib.ChannelShuffle('shuffle', parts))

  @property
  def short_name(self) -> str:
    return 'entry'


@registry.register('tree_exit')
@dataclasses.dataclass(frozen=True)
class TreeExit:
  """From a tree to its block's output: batch normalisation, ReLU, 1x1 convolution to `filters`, batch normalisation."""

  filters: int

  def __post_init__(self) -> None:
    ops.check_positive(self, 'filters')

  def layers(self, input_shape: ops.Shape) -> ops.Layers:
    del input_shape
    return (layers_lib.BatchNorm('bn'), layers_lib.Activation('activation', _RELU), *ops.conv_bn('out', self.filters, activation=None))

  @property
  def short_name(self) -> str:
    return 'exit'


@registry.register('channel_slice')
@dataclasses.dataclass(frozen=True)
class ChannelSlice:
  """One of `parts` equal parts of the channels."""

  index: int = ops.field(0, 'i', quiet=False)
  parts: int = ops.field(2, 'p', quiet=False)

  def __post_init__(self) -> None:
    ops.check_positive(self, 'parts')
    if not 0 <= self.index < self.parts:
      raise ValueError(f'ChannelSlice.index must be in 0..{self.parts - 1}, got {self.index!r}')

  def layers(self, input_shape: ops.Shape) -> ops.Layers:
    del input_shape
    return (layers_lib.ChannelSlice('slice', self.index, self.parts),)

  @property
  def short_name(self) -> str:
    return f'slice{self.index + 1}/{self.parts}'


@registry.register('batch_norm')
@dataclasses.dataclass(frozen=True)
class BatchNorm:
  """Batch normalisation, and an activation if one is named."""

  activation: str = ops.field('')

  def layers(self, input_shape: ops.Shape) -> ops.Layers:
    del input_shape
    activation = (layers_lib.Activation('activation', self.activation),) if self.activation else ()
    return (layers_lib.BatchNorm('bn'), *activation)

  @property
  def short_name(self) -> str:
    return 'bn'


@registry.register('padded_shortcut')
@dataclasses.dataclass(frozen=True)
class PaddedShortcut:
  """The shortcut of a PyramidNet: average pooling where the resolution falls, then channels of zeros up to `filters`."""

  filters: int
  strides: int = ops.field(1, 's', quiet=False)

  def __post_init__(self) -> None:
    ops.check_positive(self, 'filters', 'strides')

  def layers(self, input_shape: ops.Shape) -> ops.Layers:
    del input_shape
    pool = (layers_lib.Pool('pool', 'average', self.strides, self.strides),) if self.strides > 1 else ()
    return (*pool, layers_lib.ChannelPad('widen', self.filters))

  @property
  def short_name(self) -> str:
    return 'shortcut'


EDGES = (ops.Identity(), ops.Pool('average', 3), ops.Pool('max', 3), PreactivatedSeparableConv(3), PreactivatedSeparableConv(5),
         PreactivatedSeparableConv(7), PreactivatedSeparableConv(3, 2))  # in the order of LETTERS


def cell_widths(blocks: int, stem_filters: float = 16, widening: float = 84) -> list[int]:
  """The width of each cell: it grows by `widening` over all blocks, and is rounded down to an even number."""
  planes: float = stem_filters
  widths = []
  for _ in range(blocks):
    planes += widening / blocks
    widths.append(max(2, round(planes) // 2 * 2))
  return widths


def cifar_tree(
    *,
    stage_blocks: Sequence[int] = (18, 18, 18),
    stem_filters: int = 16,
    widening: int = 84,
    width_multiplier: float = 1.0,
    resolution: int = 32,
    channels: int = 3,
    classes: int = 10,
    padding: str = 'same',
    name: str = 'cifar_tree',
) -> network_lib.Network:
  """Builds the tree space: 12 decisions a block, each of seven operations; 648 decisions, 7^648 networks as published.

  Args:
    stage_blocks: Blocks in each stage; every stage but the first halves the resolution.
    stem_filters: Channels of the 3x3 stem convolution.
    widening: By how much the last cell is wider than the stem.
    width_multiplier: Scales both.
    resolution: Input height and width, pixels.
    channels: Input channels.
    classes: Output units.
    padding: 'same' or 'symmetric', see `ops`.
    name: The network's name.

  Raises:
    ValueError: Arguments do not fit each other.
  """
  ops.check_all_positive(stage_blocks=stage_blocks, stem_filters=[stem_filters], widening=[widening], resolution=[resolution])
  ops.check_width_multiplier(width_multiplier)
  widths = cell_widths(sum(stage_blocks), stem_filters * width_multiplier, widening * width_multiplier)
  halving = set(itertools.accumulate(stage_blocks[:-1]))
  blocks = [network_lib.Block('stem', ops.ConvBn(max(1, round(stem_filters * width_multiplier)), 3, 1, 'linear'))]
  for i, filters in enumerate(widths):
    blocks += _block(f'block_{i + 1}', filters, 2 if i in halving else 1, blocks[-1].name)
  blocks += [network_lib.Block('final_bn', BatchNorm(_RELU)), network_lib.Block('classifier', ops.Classifier(classes))]
  return network_lib.Network(name, (resolution, resolution, channels), tuple(blocks), padding)


def _block(name: str, filters: int, strides: int, source: str) -> list[network_lib.Block]:
  """A residual block: entry, two branches of a tree, exit, shortcut, sum."""
  entry, end, shortcut = f'{name}.entry', f'{name}.exit', f'{name}.shortcut'
  edge = lambda path, source: network_lib.Block(f'{name}.{path}', schema.OneOf(EDGES, 'op'), inputs=(f'{name}.{source}',))
  blocks = [network_lib.Block(entry, TreeEntry(filters, strides), inputs=(source,))]
  blocks += [network_lib.Block(f'{name}.{branch}', ChannelSlice(i), inputs=(entry,)) for i, branch in enumerate(BRANCHES)]
  blocks += [edge(f'{branch}.{i}', branch) for branch in BRANCHES for i in (1, 2)]
  blocks += [edge(f'{branch}.{i}.{j}', f'{branch}.{i}') for branch in BRANCHES for i in (1, 2) for j in (1, 2)]
  for branch in BRANCHES:
    node = f'{name}.{branch}'
    leaves = [network_lib.Block(f'{node}.{i}.sum', ops.Identity(), inputs=(f'{node}.{i}.1', f'{node}.{i}.2'), drop='path') for i in (1, 2)]
    blocks += [*leaves, network_lib.Block(f'{node}.bn', BatchNorm(), inputs=tuple(leaf.name for leaf in leaves)),
               network_lib.Block(f'{node}.sum', ops.Identity(), inputs=(node, f'{node}.bn'), drop='path')]
  sums = tuple(f'{name}.{branch}.sum' for branch in BRANCHES)
  blocks += [network_lib.Block(end, TreeExit(EXPANSION * filters), inputs=sums, drop='cell'),
             network_lib.Block(shortcut, PaddedShortcut(EXPANSION * filters, strides), inputs=(source,)),
             network_lib.Block(name, ops.Identity(), inputs=(shortcut, end))]
  return blocks


def published_choices() -> list[int]:
  """The choice of each of the 648 decisions in the published network."""
  return [LETTERS.index(letter) for letter in ''.join(PUBLISHED.split())]
