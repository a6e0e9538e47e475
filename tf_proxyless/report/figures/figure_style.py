"""What all figures share: sizes for papers, fonts, colours with patterns, and files that are never half written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import io
import math
import pathlib
from typing import TYPE_CHECKING

from tf_proxyless.infra import files
from tf_proxyless.report import drawing
from tf_proxyless.report import units
from tf_proxyless.report.page import svg

if TYPE_CHECKING:
  from matplotlib import axes as axes_lib
  from matplotlib import figure as figure_lib

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0  # inches
FONT_SIZE, SMALL_FONT_SIZE = 8.0, 7.0  # points
DPI = 300
INK, MUTED = '#222222', '#777777'

# Okabe and Ito's colours for lines and markers; where several share axes they differ in dashes or markers too.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE = '#0072B2', '#D55E00', '#009E73', '#E69F00', '#CC79A7'
MARKERS = {'measured': ('o', BLUE), 'estimated': ('^', VERMILLION), 'published': ('D', GREEN),
           'calibration': ('s', MUTED), 'validation': ('o', BLUE)}

_HATCHES = {'plain': '', 'stripes': '////', 'dots': '....', 'crosses': 'xxxx'}

_SETTINGS = {
    'font.family': 'sans-serif', 'font.sans-serif': ['DejaVu Sans', 'Arial', 'Helvetica'], 'font.size': FONT_SIZE,
    'axes.titlesize': FONT_SIZE, 'axes.labelsize': FONT_SIZE, 'legend.fontsize': SMALL_FONT_SIZE, 'legend.frameon': False,
    'xtick.labelsize': SMALL_FONT_SIZE, 'ytick.labelsize': SMALL_FONT_SIZE,
    'axes.axisbelow': True,  # the grid, behind bars and points
    'axes.linewidth': 0.6, 'xtick.major.width': 0.6, 'ytick.major.width': 0.6, 'lines.linewidth': 1.2, 'hatch.linewidth': 0.4,
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.edgecolor': INK, 'text.color': INK, 'axes.labelcolor': INK,
    'text.parse_math': False,  # names come from files, and $ in them is no formula
    'svg.fonttype': 'none',  # text stays text: searchable, and in the font of the paper
    'svg.hashsalt': 'tf_proxyless',  # the same figure gives the same file
}


@contextlib.contextmanager
def style() -> Iterator[None]:
  """The settings of matplotlib under which figures are made and written."""
  import matplotlib

  with matplotlib.rc_context(_SETTINGS):
    yield


def new(width: float, height: float) -> figure_lib.Figure:
  """An empty figure of a size in inches."""
  from matplotlib import figure

  return figure.Figure(figsize=(width, height), layout='constrained')


def save(canvas: figure_lib.Figure, directory: files.PathLike, name: str) -> list[pathlib.Path]:
  """Writes a figure as PNG and SVG; call it within `style`.

  Returns:
    The paths of both.

  Raises:
    OSError: The folder is not there or cannot be written to.
  """
  paths = []
  for suffix, metadata in (('png', {}), ('svg', {'Date': None})):
    content = io.BytesIO()
    canvas.savefig(content, format=suffix, dpi=DPI, metadata=metadata)
    path = pathlib.Path(directory, f'{name}.{suffix}')
    files.write_atomically(path, content.getvalue())
    paths.append(path)
  return paths


def hatch(key: str) -> str:
  """matplotlib's name of the pattern that goes with a colour of `drawing.COLORS`."""
  return _HATCHES[drawing.PATTERNS[key]]


def patches(keys: Sequence[str]) -> list:
  """Legend entries for colours with their patterns; a skipped block is a circle, as in the drawing."""
  from matplotlib import lines
  from matplotlib import patches as patches_lib

  skipped = lines.Line2D([], [], color=INK, linewidth=0.8, marker='o', markersize=3.0, markerfacecolor='white', markeredgewidth=0.6,
                         label=drawing.LEGEND['skip'])
  return [skipped if key == 'skip' else
          patches_lib.Patch(facecolor=drawing.COLORS[key], edgecolor=INK, linewidth=0.5, hatch=hatch(key), label=drawing.LEGEND[key])
          for key in keys]


def short(text: str, limit: int = 24) -> str:
  """A name from a file for a label: without what cannot be printed, and not too long."""
  text = ''.join(character if character.isprintable() else '?' for character in text)
  return svg.shorten(text, limit)


def letter(axes: axes_lib.Axes, text: str) -> None:
  """A heading at the left above axes."""
  axes.set_title(text, loc='left')


def spread(wanted: Sequence[float], distance: float, low: float = -math.inf, high: float = math.inf) -> list[float]:
  """Positions as near to the wanted ones, which rise, as they can be with a distance between them: for labels that must not overlap.

  The least squares solution, by pooling neighbours that are too close (isotonic regression of wanted[i] - i * distance); within
  [low, high] as far as there is room.
  """
  groups: list[tuple[float, int]] = []  # mean of what is wanted after subtracting the distances, and how many
  for index, value in enumerate(wanted):
    mean, count = value - index * distance, 1
    while groups and groups[-1][0] > mean:
      other, others = groups.pop()
      mean, count = (mean * count + other * others) / (count + others), count + others
    groups.append((mean, count))
  flat = [mean for mean, count in groups for _ in range(count)]
  room = high - (len(flat) - 1) * distance
  return [max(low, min(mean, room)) + index * distance for index, mean in enumerate(flat)]


def cost_axis(unit: str) -> tuple[float, str]:
  """By what costs on an axis are multiplied, and the axis's label."""
  return units.factor(unit), 'latency, ms' if unit == 'ms' else 'multiply-adds, M'
