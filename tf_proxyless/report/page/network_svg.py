"""Drawings of networks for the page: what `drawing` lays out, as SVG. page_network.js draws an epoch's by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_proxyless.report import drawing as drawing_lib
from tf_proxyless.report import units
from tf_proxyless.report.page import svg

SCALE_X, SCALE_Y = 9.4, 7.6  # px for each unit of a drawing
TOP, BOTTOM = 26, 78  # px above for resolutions; below for labels and stages
INSIDE_WIDTH = 13  # px that a box must have for its label


def render(network: Mapping[str, Any], unit: str, per_unit: float | None = None, canvas: float = 0.0) -> str:
  """A network, every decision made.

  Args:
    network: Of the document.
    unit: Of its costs, 'ms' or 'MACs'.
    per_unit: As of `drawing.layout`.
    canvas: Least width of the picture, in units of the drawing, so that pictures below each other have one scale.
  """
  drawn = drawing_lib.layout(network, per_unit)
  blocks = network['blocks']
  width, height = max(drawn.width, canvas) * SCALE_X, TOP + drawn.height * SCALE_Y + BOTTOM
  line_y = TOP + drawn.line_y * SCALE_Y
  parts = [svg.line(0, line_y, drawn.width * SCALE_X, line_y, 'spine')]
  parts += [_arc(arc) for arc in drawn.arcs]
  parts += [_box(box, _tip(blocks[box.index], box.share, unit), line_y) for box in drawn.boxes]
  parts += _marks(drawn, height)
  parts += _stages(drawn, height)
  label = f'Network {svg.shorten(str(network["name"]), 60)}: ' + ', '.join(str(block['label']) for block in blocks)
  return svg.picture(width, height, svg.shorten(label, 900), ''.join(parts), classes='network')


def legend(keys: tuple[str, ...], more: str = 'height: expansion') -> str:
  """What colours and patterns mean, as HTML; `more` is added as text."""
  items = ''.join(f'<li><svg viewBox="0 0 22 14" aria-hidden="true">{_swatch(key)}</svg>{svg.escape(drawing_lib.LEGEND[key])}</li>'
                  for key in keys if key != 'skip')
  skip = '<li><span class="skipmark" aria-hidden="true">○</span>skipped</li>' if 'skip' in keys else ''
  return f'<ul class="legend">{items}{skip}<li>{svg.escape(more)}</li></ul>'


def _swatch(key: str) -> str:
  """A small box in the colour and pattern of a key."""
  return svg.rect(1, 1, 20, 12, f'k {key}') + svg.rect(1, 1, 20, 12, f'p p-{drawing_lib.PATTERNS[key]}')


def _tip(block: Mapping[str, Any], share: float, unit: str) -> str:
  """What a block is, in some lines."""
  shape = '{}×{}×{}'.format(*block['input']) + ' → ' + '{}×{}×{}'.format(*block['output'])
  lines = [f'{block["name"]}: {block["label"]}', shape]
  if block['kind'] != 'zero':
    if block['cost'] is not None:
      lines.append(f'{units.cost(block["cost"], unit)}, {100 * share:.1f} % of all blocks')
    lines.append(f'stride {block["strides"]}{", shortcut" if block["residual"] else ""}')
    if block.get('provenance') == 'estimated':
      lines.append('its latency is an estimate')
  return '\n'.join(lines)


def _arc(arc: drawing_lib.Arc) -> str:
  x0, x1, y = arc.x0 * SCALE_X, arc.x1 * SCALE_X, TOP + arc.y * SCALE_Y
  top, line_y = y - 0.62 * arc.height * SCALE_Y, TOP + (drawing_lib.ARC_HEIGHT + drawing_lib.HEIGHT / 2) * SCALE_Y
  middle = (x0 + x1) / 2
  path = f'M{svg.px(x0)} {svg.px(line_y)}V{svg.px(y)}Q{svg.px(x0)} {svg.px(top)} {svg.px(middle)} {svg.px(top)}'
  return f'<path class="arc" d="{path}Q{svg.px(x1)} {svg.px(top)} {svg.px(x1)} {svg.px(y)}V{svg.px(line_y)}"/>'


def _box(box: drawing_lib.Box, tip: str, line_y: float) -> str:
  """A block with its label: inside, if there is room, or below; a skipped one is a circle, which needs none."""
  x, y, width, height = box.x * SCALE_X, TOP + box.y * SCALE_Y, box.width * SCALE_X, box.height * SCALE_Y
  if not box.width:
    return f'<g>{svg.title(tip)}<circle cx="{svg.px(x)}" cy="{svg.px(line_y)}" r="3.4" class="skip"/></g>'
  label = svg.shorten(box.label, 16)
  shapes = svg.rect(x, y, width, height, f'k {box.key}') + svg.rect(x, y, width, height, f'p p-{drawing_lib.PATTERNS[box.key]}')
  if width >= svg.text_width(label) + 10 and height >= 18:
    shapes += svg.text(x + width / 2, y + height / 2 + 4, label, 'inbox mid')
  elif width >= INSIDE_WIDTH and height >= svg.text_width(label) + 4:
    shapes += svg.text(x + width / 2 + 4, y + height / 2, label, 'inbox mid', -90)
  else:
    shapes += svg.text(x + width / 2 - 3.5, y + height + 5, label, 'small', 90)
  return f'<g>{svg.title(tip)}{shapes}</g>'


def _marks(drawn: drawing_lib.Drawing, height: float) -> list[str]:
  """Where the resolution changes: a line from top to bottom; texts that would overlap the one before stand a row lower."""
  parts, end = [], -1.0
  for mark in drawn.marks:
    x = mark.x * SCALE_X
    low = x < end
    parts.append(svg.line(x, 17 if low else 4, x, height - 34, 'mark'))
    parts.append(svg.text(x + 4, 26 if low else 13, mark.text, 'small strong'))
    end = -1.0 if low else x + 8 + svg.text_width(mark.text)
  return parts


def _stages(drawn: drawing_lib.Drawing, height: float) -> list[str]:
  """Brackets under blocks of one shape, with the channels; texts in two rows, so that neighbours do not touch."""
  parts, ends = [], [-1.0, -1.0]
  for stage in drawn.stages:
    x0, x1 = stage.x0 * SCALE_X, max(stage.x1, stage.x0 + 0.4) * SCALE_X
    content = stage.text.rpartition('×')[2]
    half = svg.text_width(content) / 2 + 2
    middle = min((x0 + x1) / 2, drawn.width * SCALE_X - half)
    row = next((row for row, end in enumerate(ends) if middle - half > end), None)
    parts.append(f'<path class="bracket" d="M{svg.px(x0)} {svg.px(height - 34)}v4H{svg.px(x1)}v-4"/>')
    if row is not None:
      ends[row] = middle + half
      parts.append(svg.text(middle, height - 18 + 13 * row, content, 'small mid'))
  return parts
