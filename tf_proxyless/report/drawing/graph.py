"""The drawing of a network that is no chain of blocks: a panel for each group of blocks, with a line from each block to what takes it.

The blocks of a group share the part of their names before the first dot, as `block_7.entry` and `block_7.a.1` do; without dots all are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools

from tf_proxyless.report.drawing import network
from tf_proxyless.report.drawing import svg

_WIDTH = 940.0  # px
_COLUMN, _ROW, _BOX, _MARGIN, _TITLE = 15.0, 17.0, 11.0, 8.0, 16.0  # px


def is_graph(blocks: Sequence[network.Block]) -> bool:
  """Whether some block takes others than the one before it."""
  return any('inputs' in block for block in blocks)


def draw(blocks: Sequence[network.Block], unit: str) -> str:
  """The drawing of a network without open decisions, a graph or a chain; for arguments see `render`."""
  return render(blocks, unit) if is_graph(blocks) else network.render(blocks, unit)


def render(blocks: Sequence[network.Block], unit: str) -> str:
  """A network without open decisions, panel by panel.

  Args:
    blocks: Blocks of a report's document.
    unit: Unit of costs, 'ms' or 'MACs'.
  """
  grouped = any('.' in block['name'] for block in blocks)
  groups = itertools.groupby(blocks, key=lambda block: block['name'].split('.')[0] if grouped else '')
  panels = [_panel(list(group), unit) for _, group in groups]
  parts, x, y, tallest = [], 0.0, 0.0, 0.0
  for width, height, content in panels:
    if x and x + width > _WIDTH:
      x, y, tallest = 0.0, y + tallest, 0.0
    parts.append(f'<g transform="translate({svg.px(x)} {svg.px(y)})">{content}</g>')
    x, tallest = x + width, max(tallest, height)
  label = svg.shorten('Network: ' + ', '.join(str(block['label']) for block in blocks), 900)
  return svg.picture(_WIDTH, y + tallest, label, ''.join(parts), classes='network')


def _panel(blocks: Sequence[network.Block], unit: str) -> tuple[float, float, str]:
  """Width, height and content of a group: a row for each length of the way from its input, as many columns as the longest row has."""
  takes = _inside(blocks)
  depth: dict[str, int] = {}
  for name, sources in takes.items():
    depth[name] = 1 + max((depth[source] for source in sources), default=-1)
  columns = _columns(takes, depth)
  width = max(columns.values()) * _COLUMN + _BOX + 2 * _MARGIN
  place = {name: (_MARGIN + columns[name] * _COLUMN + _BOX / 2, _TITLE + _MARGIN + depth[name] * _ROW + _BOX / 2) for name in takes}
  lines = [line for name, sources in takes.items() for source in sources for line in _lines(place[source], place[name])]
  boxes = [_box(block, *place[block['name']], unit) for block in blocks]
  title = f'{blocks[-1]["name"]} {"×".join(map(str, blocks[-1]["output"]))}'.replace('_', ' ')
  width = max(width, svg.text_width(title) + 2 * _MARGIN)
  height = _TITLE + 2 * _MARGIN + max(depth.values()) * _ROW + _BOX
  return width, height, svg.text(_MARGIN, _TITLE - 3, title, 'small') + ''.join((*lines, *boxes))


def _lines(start: tuple[float, float], end: tuple[float, float]) -> list[str]:
  """From a block down to one that takes it, at the last row only to the side."""
  corner = start[0], max(start[1], end[1] - _ROW)
  return [svg.line(*start, *corner, 'spine')] * (corner != start) + [svg.line(*corner, *end, 'spine')]


def _inside(blocks: Sequence[network.Block]) -> dict[str, list[str]]:
  """For each block of a group those of the group that it takes."""
  names = [block['name'] for block in blocks]
  found = {}
  for i, block in enumerate(blocks):
    inputs = block.get('inputs') or names[max(i - 1, 0):i]
    found[block['name']] = [name for name in inputs if name in names[:i]]
  return found


def _columns(takes: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> dict[str, float]:
  """Where each block stands: those of the longest row side by side, others in the middle of those next to them that have a place."""
  rows: dict[int, list[str]] = {}
  for name, row in depth.items():
    rows.setdefault(row, []).append(name)
  longest = max(rows, key=lambda row: len(rows[row]))
  found = {name: float(i) for i, name in enumerate(rows[longest])}
  below = [name for row in sorted(rows) if row > longest for name in rows[row]]
  above = [name for row in sorted(rows, reverse=True) if row < longest for name in rows[row]]
  for name, near in itertools.chain(((name, takes[name]) for name in below),
                                    ((name, [other for other, sources in takes.items() if name in sources]) for name in above)):
    known = [found[other] for other in near if other in found]
    found[name] = sum(known) / len(known) if known else 0.0
    beside = [found[other] for other in rows[depth[name]] if other != name and other in found]
    if any(abs(found[name] - other) < 1 for other in beside):
      found[name] = max(float(len(rows[longest])), *(other + 1 for other in beside))
  return found


def _box(block: network.Block, x: float, y: float, unit: str) -> str:
  """A block around a point, with its description."""
  name, tip = network.key(block), svg.title(network.tip(block, None, unit))
  if block['skipped']:
    return f'<g>{tip}<circle cx="{svg.px(x)}" cy="{svg.px(y)}" r="3.4" class="skip"/></g>'
  return f'<g>{tip}{svg.box(x - _BOX / 2, y - _BOX / 2, _BOX, _BOX, name, network.PATTERNS[name])}</g>'
