"""The search spaces of TuNAS (Bender et al., CVPR 2020, arXiv 2008.06120), and the strings of indices that name a network in them.

Facts from the authors' code (github.com/google-research/google-research, tunas, Apache-2.0). Kernel, expansion, squeeze-excite, whether a
block is left out, and the width of a stage are decisions of their own. The gate of squeeze-excite is a hard sigmoid here, theirs a sigmoid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import functools
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

PROXYLESSNAS, ENLARGED, MOBILENET_V3 = 'proxylessnas_search', 'proxylessnas_enlarged_search', 'mobilenet_v3_like_search'
NAMES = (PROXYLESSNAS, ENLARGED, MOBILENET_V3)
_MULTIPLIERS = (0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0)
_KERNELS = (3, 5, 7)
_STAGES = {  # filters from the stem to the last 1x1 convolutions, and blocks and first strides of the stages of bottlenecks
    PROXYLESSNAS: ((32, 16, 32, 40, 80, 96, 192, 320, 1280), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)),
    ENLARGED: ((16, 16, 16, 32, 64, 128, 256, 512, 1024), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)),
    MOBILENET_V3: ((16, 16, 32, 64, 128, 256, 512, 1024), (4, 4, 4, 4, 4), (2, 2, 2, 1, 2)),
}
_HARD_SWISH_FROM = 3  # stage of the space around MobileNetV3; ReLU before it, but for the stem


def tunas(
    variant: str,
    *,
    width_multiplier: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    classes: int = 1000,
    dropout_rate: float = 0.0,
    padding: str = 'same',
    name: str = '',
) -> network_lib.Network:
  """Builds a search space of TuNAS.

  Args:
    variant: 'proxylessnas_search', 6.6e17 networks with the widths of ProxylessNAS-mobile; 'proxylessnas_enlarged_search', where each stage
      chooses its width too; or 'mobilenet_v3_like_search', with squeeze-excite and expansions from 1 to 6 besides.
    width_multiplier: Scales all widths, those to choose from too, to multiples of 8.
    resolution: Input height and width, pixels.
    channels: Input channels.
    classes: Output units; the authors' have one more.
    dropout_rate: Before the classifier.
    padding: 'same' or 'symmetric', see `ops`.
    name: The network's name; by default 'tunas_' and the variant.

  Raises:
    ValueError: There is no such variant, or an argument is out of range.
  """
  if variant not in NAMES:
    raise ValueError(f'variant must be one of {", ".join(NAMES)}, got {variant!r}')
  ops.check_width_multiplier(width_multiplier)
  bases, counts, strides = _STAGES[variant]
  around_v3 = variant == MOBILENET_V3
  multipliers = (1.0,) if variant == PROXYLESSNAS else _MULTIPLIERS
  widths = [_width(base, [width_multiplier * multiplier for multiplier in multipliers], f'stage_{stage}/filters')
            for stage, base in enumerate(bases)]
  stem_kernel = schema.one_of((3, 5), 'kernel_size') if around_v3 else 3
  blocks = [network_lib.Block('stem', ops.ConvBn(widths[0], stem_kernel, 2, 'hard_swish' if around_v3 else 'relu'))]
  if around_v3:
    blocks.append(_block(0, ops.MBConv(widths[0], schema.one_of(_KERNELS, 'kernel_size'), 1, 1, 'relu'), optional=True))
  else:
    blocks.append(_block(0, ops.MBConv(widths[1], schema.one_of(_KERNELS, 'kernel_size'), 1, 1, 'relu')))
  first = 1 if around_v3 else 2
  for stage, (count, first_strides) in enumerate(zip(counts, strides), first):
    for position in range(count):
      op = _bottleneck(widths[stage], 1 if position else first_strides, around_v3, around_v3 and stage >= _HARD_SWISH_FROM)
      blocks.append(_block(len(blocks) - 1, op, optional=position > 0))
  head = widths[first + len(counts):]
  blocks += [network_lib.Block('feature_mix', ops.ConvBn(head[0], 1, 1, 'hard_swish' if around_v3 else 'relu')),
             network_lib.Block('classifier', ops.Classifier(classes, dropout_rate, head[1] if around_v3 else 0))]
  return network_lib.Network(name or f'tunas_{variant}', (resolution, resolution, channels), tuple(blocks), padding)


SPACES = {f'tunas_{variant}': functools.partial(tunas, variant) for variant in NAMES}


def _width(base: int, multipliers: Sequence[float], name: str) -> Any:
  """Multiples of 8, halves rounded up."""
  return schema.one_of(sorted({max(8, int(base * multiplier / 8 + 0.5) * 8) for multiplier in multipliers}), 'filters', name)


def _block(number: int, op: ops.Op, optional: bool = False) -> network_lib.Block:
  return network_lib.Block(f'block_{number}', schema.one_of((op, ops.Zero()), 'op') if optional else op, optional)


def _bottleneck(filters: ops.Size, strides: int, around_v3: bool, hard_swish: bool) -> ops.MBConv:
  expansions, se_ratio = ((1, 2, 3, 4, 5, 6), schema.one_of((0.0, 0.25), 'se_ratio')) if around_v3 else ((3, 6), 0.0)
  return ops.MBConv(filters, schema.one_of(_KERNELS, 'kernel_size'), strides, schema.one_of(expansions, 'expand_ratio'),
                    'hard_swish' if hard_swish else 'relu', se_ratio, always_expand=around_v3)


def order(space: network_lib.Network) -> tuple[str, ...]:
  """The decisions by their paths in the order of TuNAS, which counts some of a single choice: '' for those.

  Those inside a block come before whether it is left out, those of a stage's blocks before its width.

  Args:
    space: One of `tunas`.
  """
  return tuple(_order(space))


def _order(space: network_lib.Network) -> Iterator[str]:
  *blocks, last = space.blocks
  plain_stages = not last.op.hidden  # in which an operation without alternatives counts as a choice
  for block, following in zip(blocks, space.blocks[1:]):
    optional = isinstance(block.op, schema.OneOf)
    op: Any = block.candidates[0]
    where = f'blocks/{block.name}/op'
    fields = [field for field in ('kernel_size', 'expand_ratio', 'se_ratio') if isinstance(getattr(op, field, None), schema.OneOf)]
    yield from (f'{where}/0/{field}' if optional else f'{where}/{field}' for field in fields)
    if optional or (plain_stages and len(fields) > 1):
      yield where if optional else ''
    if not isinstance(following.op, schema.OneOf):
      yield getattr(op.filters, 'name', '')
  if not plain_stages:
    yield getattr(last.op.hidden, 'name', '')


def genotype(space: network_lib.Network, indices: str) -> schema.Genotype:
  """The network that a string of indices names.

  Args:
    space: One of `tunas`.
    indices: Numbers joined by colons, as TuNAS's tools print them: 73 for 'proxylessnas_search'.

  Raises:
    ValueError: It is no such string, or names no network of the space.
  """
  paths = order(space)
  words = indices.strip().split(':')
  if len(words) != len(paths) or not all(word.strip().isascii() and word.strip().isdigit() for word in words):
    raise ValueError(f'indices of {space.name} must be {len(paths)} numbers joined by colons, got {len(words)}: {files.shorten(indices)}')
  known = schema.decisions(space)
  counts = {decision.path: len(decision.choices) for decision in known}
  for position, (path, word) in enumerate(zip(paths, words)):
    if int(word) >= counts.get(path, 1):
      raise ValueError(f'index {position} of {space.name} must be one of 0..{counts.get(path, 1) - 1}, got {int(word)}')
  choices = dict(zip(paths, map(int, words)))
  return schema.genotype(space, [choices[decision.path] for decision in known])


def indices(space: network_lib.Network, genotype: Mapping[str, int]) -> str:
  """The string of indices by which TuNAS names a network of `space`; 0 for what does not count in it."""
  return ':'.join(str(genotype.get(path, 0)) for path in order(space))
