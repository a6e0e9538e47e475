"""The drawing of a network with matplotlib: blocks with their labels, shortcuts, resolutions, and a scale."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import TYPE_CHECKING, Any

from tf_proxyless.report import drawing as drawing_lib
from tf_proxyless.report import units
from tf_proxyless.report.figures import figure_style
from tf_proxyless.report.page import svg

if TYPE_CHECKING:
  from matplotlib import axes as axes_lib
  from matplotlib import figure as figure_lib

_LABEL_POINTS = 8.4  # between labels of neighbouring blocks, which stand upright
_MARK_POINTS = 38.0  # between resolutions
_LEADER = 5.0  # from the boxes to the labels, in units of the drawing
_LABELS = 18.0  # room for the labels of blocks below the boxes
_MARKS = 5.0  # and for resolutions above them


def make(network: Mapping[str, Any], unit: str, title: str) -> figure_lib.Figure:
  """The figure of a network, two columns wide; call it within `figure_style.style`.

  Args:
    network: A network of a report's document.
    unit: 'ms' or 'MACs'.
    title: Above it.
  """
  canvas = figure_style.new(figure_style.TWO_COLUMNS, 2.4)
  axes = canvas.subplots()
  figure_style.letter(axes, title)
  drawn = drawing_lib.layout(network)
  canvas.legend(handles=figure_style.patches(drawn.keys), loc='outside lower center', ncols=len(drawn.keys))
  draw(axes, drawn, drawn.width, figure_style.TWO_COLUMNS)
  if drawn.measure != 'nothing':
    scale_bar(axes, drawn, sum(drawing_lib.widths(network)[0]), unit if drawn.measure == 'cost' else 'MACs')
  return canvas


def draw(axes: axes_lib.Axes, drawn: drawing_lib.Drawing, width: float, inches: float) -> None:
  """Draws onto axes.

  Args:
    axes: Empty ones.
    drawn: What.
    width: How much of x the axes show, in the drawing's units.
    inches: How wide they are, so that labels keep clear of each other.
  """
  from matplotlib import patches

  axes.set_axis_off()
  axes.set(xlim=(0.0, width), ylim=(drawn.height + _LEADER + _LABELS, -_MARKS))
  axes.plot([0.0, drawn.width], [drawn.line_y] * 2, color=figure_style.INK, linewidth=0.8, zorder=1)
  for arc in drawn.arcs:
    axes.plot(*_curve(arc), color=figure_style.MUTED, linewidth=0.7, zorder=1, solid_capstyle='butt')
  for box in drawn.boxes:
    if box.width:
      axes.add_patch(patches.Rectangle((box.x, box.y), box.width, box.height, facecolor=drawing_lib.COLORS[box.key],
                                       edgecolor=figure_style.INK, linewidth=0.5, hatch=figure_style.hatch(box.key), zorder=2))
    else:
      axes.plot([box.x], [drawn.line_y], marker='o', markersize=3.0, markerfacecolor='white', markeredgecolor=figure_style.INK,
                markeredgewidth=0.6, zorder=2)
  points = inches * 72.0 / width
  _label(axes, drawn, points, width)
  _mark(axes, drawn, points, width)


def _curve(arc: drawing_lib.Arc) -> tuple[list[float], list[float]]:
  """A shortcut: up, a flat half ellipse over the box, and down."""
  angles = [math.pi * i / 24 for i in range(25)]
  middle, radius = (arc.x0 + arc.x1) / 2, (arc.x1 - arc.x0) / 2
  return [middle - radius * math.cos(angle) for angle in angles], [arc.y - arc.height * math.sin(angle) ** 0.5 for angle in angles]


def _label(axes: axes_lib.Axes, drawn: drawing_lib.Drawing, points: float, width: float) -> None:
  """What each block is, below it, with a line from its foot."""
  middles = [box.x + box.width / 2 for box in drawn.boxes]
  distance = _LABEL_POINTS / points
  top = drawn.height - drawing_lib.ARC_HEIGHT
  for box, middle, x in zip(drawn.boxes, middles, figure_style.spread(middles, distance, distance / 2, width - distance / 2)):
    axes.plot([middle, middle, x], [box.y + box.height + 0.4, top + 0.5, top + _LEADER], color=figure_style.MUTED, linewidth=0.4, zorder=0)
    axes.text(x, top + _LEADER + 0.8, figure_style.short(box.label, 12), rotation=90, ha='center', va='top',
              fontsize=figure_style.SMALL_FONT_SIZE, color=figure_style.MUTED if box.key == 'skip' else figure_style.INK)


def _mark(axes: axes_lib.Axes, drawn: drawing_lib.Drawing, points: float, width: float) -> None:
  """Resolutions above, each with a dotted line where it begins."""
  half = _MARK_POINTS / points / 2
  positions = figure_style.spread([mark.x for mark in drawn.marks], 2 * half, 0.0, width - half)
  for mark, x in zip(drawn.marks, positions):
    axes.plot([x, mark.x, mark.x], [-1.6, 0.0, drawn.height - drawing_lib.ARC_HEIGHT], color=figure_style.MUTED, linewidth=0.5,
              linestyle=':', zorder=0)
    axes.text(x, -2.0, mark.text, ha='left', va='bottom', fontsize=figure_style.SMALL_FONT_SIZE, color=figure_style.MUTED)


def scale_bar(axes: axes_lib.Axes, drawn: drawing_lib.Drawing, total: float, unit: str) -> None:
  """A bar of a round cost at the lower right, and what heights mean."""
  step = svg.round_step(total / 10)
  length = step / total * sum(box.width for box in drawn.boxes)
  y = axes.get_ylim()[0] - 1.0
  axes.plot([drawn.width - length, drawn.width], [y, y], color=figure_style.INK, linewidth=1.6, solid_capstyle='butt')
  text = f'widths: {units.factor(unit) * step:g} {units.unit_name(unit)}; heights: expansion ratio'
  axes.text(drawn.width - length - 0.8, y, text, ha='right', va='center', fontsize=figure_style.SMALL_FONT_SIZE)
