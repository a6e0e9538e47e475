"""The drawing of a network, in the style of the papers' figures.

Blocks stand along x, as wide as they are costly and as high as their expansion ratio, in the colour of their kernel. A block looks the same
wherever it stands, so that the page's script draws another network by moving blocks.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tf_proxyless.report import units
from tf_proxyless.report.drawing import svg

Block = Mapping[str, Any]

WIDTH = 940.0  # px of all blocks together
GAP = 8.5
HEIGHT = 198.0  # of the tallest box
TALLEST = 6.0  # expansion ratio of boxes of that height, unless there are larger ones
LARGEST_RATIO = 4.0  # of costs of networks that are drawn to one scale
_ARC = 19.0  # height of a shortcut over its box
_LINE_Y = 56.0 + HEIGHT / 2
_BOTTOM = 86.0 + HEIGHT  # of the part without labels of stages
_THINNEST = 2.3  # so that a block that costs next to nothing is still seen
_INSIDE = 13.0  # width that a box must have for a standing label

# Patterns say the same as colours; see picture.css.
PATTERNS = {'k3': 'plain', 'k5': 'stripes', 'k7': 'dots', 'other': 'crosses', 'fixed': 'plain', 'value': 'plain', 'skip': 'plain'}
LEGEND = {'k3': 'kernel 3×3', 'k5': 'kernel 5×5', 'k7': 'kernel 7×7', 'other': 'other kernel, pooling', 'fixed': 'conv, classifier',
          'value': 'a number', 'skip': 'skipped'}


def key(block: Block) -> str:
  """The colour of a block or of a choice: a key of `LEGEND`."""
  if block['form'] in ('skip', 'value', 'pool'):
    return 'other' if block['form'] == 'pool' else block['form']
  if block['form'] != 'depthwise':
    return 'fixed'
  name = f'k{block["kernel"]}'
  return name if name in PATTERNS else 'other'


def keys(blocks: Sequence[Block]) -> list[str]:
  """The colours that some blocks or choices have, in the order of the legend."""
  used = {key(block) for block in blocks}
  return [name for name in LEGEND if name in used]


def tints(choices: Sequence[Block]) -> list[str]:
  """A class for each choice that makes smaller expansions and numbers paler: t0 is the palest, t2 the full colour."""
  ranks = [index if choice['form'] == 'value' else choice['expansion'] for index, choice in enumerate(choices)]
  ratios = sorted({rank for rank in ranks if rank is not None})
  levels = {ratio: 2 if index == len(ratios) - 1 else 0 if index == 0 else 1 for index, ratio in enumerate(ratios)}
  return [f't{levels.get(rank, 2)}' for rank in ranks]


def at(networks: Mapping[str, Any], index: int) -> list[Block]:
  """The blocks of one of the networks that a document's 'most_likely' holds."""
  return [variants[number] for variants, number in zip(networks['blocks'], networks['variants'][index])]


def shown(run: Mapping[str, Any]) -> Mapping[str, Any] | None:
  """The found network of a run, or as long as there is none the most likely one of its last epoch; None without either."""
  if run['network'] is not None or run['most_likely'] is None or not run['most_likely']['variants']:
    return run['network']
  return {'name': 'most likely', 'cost': None, 'blocks': at(run['most_likely'], -1)}


@dataclasses.dataclass(frozen=True)
class Scale:
  """How blocks are drawn.

  Attributes:
    measure: What widths stand for: 'cost', 'macs' where a block's cost is not known, or 'nothing'.
    per_unit: Width in px for each unit of it.
    tallest: Expansion ratio of the tallest box.
  """

  measure: str
  per_unit: float
  tallest: float

  def value(self, block: Block) -> float:
    """The quantity that the width of a block shows."""
    return 0.0 if block['skipped'] else 1.0 if self.measure == 'nothing' else block[self.measure]

  def width(self, block: Block) -> float:
    """The width of a block in px; a skipped one has none."""
    return 0.0 if block['skipped'] else max(self.value(block) * self.per_unit, _THINNEST)

  def total(self, blocks: Sequence[Block]) -> float:
    """The width of a network in px."""
    return GAP + sum(self.width(block) + GAP for block in blocks)

  def extent(self, blocks: Sequence[Block]) -> float:
    """The width with the last resolution, which may stand out."""
    last = max((index for index, block in enumerate(blocks) if block['strides'] > 1), default=0)
    return max(self.total(blocks), self.total(blocks[:last + 1]) + 8
               + svg.text_width('×'.join(map(str, blocks[last]['output'][:2]))))


def scale(networks: Sequence[Sequence[Block]]) -> Scale:
  """One scale for several networks: the largest takes the full width."""
  blocks = [block for network in networks for block in network if not block['skipped']]
  measure = next((name for name in ('cost', 'macs') if all(block[name] is not None for block in blocks)
                  and any(block[name] > 0 for block in blocks)), 'nothing')
  largest = max((sum(Scale(measure, 1.0, 1.0).value(block) for block in network) for network in networks), default=0.0)
  return Scale(measure, WIDTH / (largest or 1.0), max([TALLEST, *(block['expansion'] or 1.0 for block in blocks)]))


def scales(networks: Sequence[tuple[str, Sequence[Block]]]) -> list[Scale]:
  """One scale for networks with a unit of cost each, if their costs are comparable; else each has its own."""
  own = [scale([blocks]) for _, blocks in networks]
  smallest = [one.per_unit for one in own]
  comparable = len({unit for unit, _ in networks}) == 1 and {one.measure for one in own} == {'cost'}
  if comparable and max(smallest) <= LARGEST_RATIO * min(smallest):
    return [scale([blocks for _, blocks in networks])] * len(own)
  return own


def render(blocks: Sequence[Block], unit: str, to_scale: Scale | None = None, width: float = 0.0) -> str:
  """A network with its channels, every decision made.

  Args:
    blocks: Blocks of a report's document.
    unit: Unit of costs, 'ms' or 'MACs'.
    to_scale: How to draw them; None gives the network the full width.
    width: Least width of the picture in px, so that pictures below each other have one scale.
  """
  to_scale = to_scale or scale([blocks])
  total = sum(to_scale.value(block) for block in blocks)
  parts, x, places = [svg.line(0, _LINE_Y, to_scale.total(blocks), _LINE_Y, 'spine'), _mark(0.0, blocks[0]['input'], False)], GAP, []
  for row, block in zip(_rows(blocks), blocks):
    parts.append(f'<g transform="translate({svg.px(x)} 0)">{_block(block, to_scale, unit, row, total)}</g>')
    places.append(x)
    x += to_scale.width(block) + GAP
  parts += _stages(blocks, places, to_scale)
  label = svg.shorten('Network: ' + ', '.join(str(block['label']) for block in blocks), 900)
  return svg.picture(max(to_scale.extent(blocks), width), _BOTTOM + 48, label, ''.join(parts), classes='network')


def player(networks: Mapping[str, Any], unit: str) -> str:
  """The networks of a document's 'most_likely' to one scale, for the page's script: each variant of each block, the last network shown."""
  count = len(networks['variants'])
  to_scale = scale([at(networks, index) for index in range(count)])
  width = max(to_scale.extent(at(networks, index)) for index in range(count))
  parts, x, last = [], GAP, at(networks, -1)
  for row, block, variants, number in zip(_rows(last), last, networks['blocks'], networks['variants'][-1]):
    hidden = ['display="none"'] * len(variants)
    hidden[number] = ''
    shapes = ''.join(f'<g data-width="{to_scale.width(variant):.2f}" {attribute}>{_block(variant, to_scale, unit, row)}</g>'
                     for variant, attribute in zip(variants, hidden))
    parts.append(f'<g class="block" transform="translate({svg.px(x)} 0)">{shapes}</g>')
    x += to_scale.width(block) + GAP
  spine = f'<path id="spine" class="spine" d="M0 {svg.px(_LINE_Y)}h{svg.px(x)}"/>'
  return (f'<svg id="frame" class="network" data-gap="{GAP}" role="img" aria-label="Network" viewBox="0 0 {svg.px(width)} {_BOTTOM + 18}">'
          f'{spine}{_mark(0.0, last[0]["input"], False)}{"".join(parts)}</svg>')


def _rows(blocks: Sequence[Block]) -> list[bool]:
  """Whether the resolution after each block is written in the lower row: every second one, so that neighbours do not touch."""
  return [count % 2 == 1 for count in itertools.accumulate(int(block['strides'] > 1) for block in blocks)]


def _block(block: Block, to_scale: Scale, unit: str, low: bool, total: float = 0.0) -> str:
  """A block at x = 0: box, label, shortcut, and the resolution after it if that changes."""
  width = to_scale.width(block)
  mark = _mark(width + GAP / 2, block['output'], low) if block['strides'] > 1 else ''
  described = svg.title(tip(block, to_scale.value(block) / total if total else None, unit))
  if block['skipped']:
    return f'<g>{described}<circle cx="0" cy="{svg.px(_LINE_Y)}" r="3.4" class="skip"/></g>{mark}'
  name, height = key(block), HEIGHT * (block['expansion'] or 1.0) / to_scale.tallest
  y = _LINE_Y - height / 2
  arc = _arc(width, y) if block['residual'] else ''
  return f'<g>{described}{arc}{svg.box(0, y, width, height, name, PATTERNS[name])}{_label(block, width, y, height)}</g>{mark}'


def _label(block: Block, width: float, y: float, height: float) -> str:
  """A label inside its box, if there is room, or below it."""
  label = svg.shorten(block['label'], 16)
  length = svg.text_width(label)
  if width >= length + 10 and height >= 18:
    return svg.text(width / 2, _LINE_Y + 4, label, 'inbox mid')
  if width >= _INSIDE and height >= length + 4:
    return svg.text(width / 2 + 4, _LINE_Y, label, 'inbox mid', -90)
  return svg.text(width / 2 - 3.5, y + height + 5, label, 'small', 90)


def tip(block: Block, share: float | None, unit: str) -> str:
  """A block in some lines."""
  lines = [f'{block["name"]}: {block["label"]}', ' → '.join('×'.join(map(str, block[side])) for side in ('input', 'output'))]
  if not block['skipped']:
    of_all = '' if share is None else f', {100 * share:.1f} % of all blocks'
    lines += [units.cost(block['cost'], unit) + of_all] if block['cost'] is not None else []
    lines.append(f'stride {block["strides"]}{", shortcut" if block["residual"] else ""}')
    lines += ['its latency is an estimate'] if block['provenance'] == 'estimated' else []
  return '\n'.join(lines)


def _arc(width: float, y: float) -> str:
  """The shortcut around a box at x = 0."""
  x0, x1, top, line_y = (svg.px(value) for value in (-GAP / 2, width + GAP / 2, y - _ARC, _LINE_Y))
  middle = svg.px(width / 2)
  return f'<path class="arc" d="M{x0} {line_y}V{svg.px(y)}Q{x0} {top} {middle} {top}Q{x1} {top} {x1} {svg.px(y)}V{line_y}"/>'


def _mark(x: float, shape: Sequence[int], low: bool) -> str:
  """Where the resolution becomes that of a shape: a line from top to bottom, and the text in one of two rows."""
  text = svg.text(x + 4, 26 if low else 13, f'{shape[0]}×{shape[1]}', 'small strong')
  return svg.line(x, 17 if low else 4, x, _BOTTOM + 14, 'mark') + text


def _stages(blocks: Sequence[Block], places: Sequence[float], to_scale: Scale) -> Iterator[str]:
  """Brackets under blocks of one output shape, with the channels; texts in two rows, so that neighbours do not touch."""
  ends, end = [-1.0, -1.0], to_scale.total(blocks)
  for shape, group in itertools.groupby(zip(blocks, places), key=lambda pair: tuple(pair[0]['output'])):
    members = list(group)
    x0, x1 = members[0][1], members[-1][1] + max(to_scale.width(members[-1][0]), 4.0)
    half = svg.text_width(str(shape[2])) / 2 + 2
    middle = min((x0 + x1) / 2, end - half)
    row = next((row for row, taken in enumerate(ends) if middle - half > taken), None)
    yield f'<path class="bracket" d="M{svg.px(x0)} {_BOTTOM + 14:g}v4H{svg.px(x1)}v-4"/>'
    if row is not None:
      ends[row] = middle + half
      yield svg.text(middle, _BOTTOM + 30 + 13 * row, str(shape[2]), 'small mid')
