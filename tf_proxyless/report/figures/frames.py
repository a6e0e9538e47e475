"""The frames of the animation of a search, one for each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_proxyless.report import drawing
from tf_proxyless.report import units
from tf_proxyless.report.figures import figure_style
from tf_proxyless.report.figures import history_figures
from tf_proxyless.report.figures import network_figure

if TYPE_CHECKING:
  from matplotlib import axes as axes_lib

_INCHES = (8.0, 4.5)


def draw(run: Mapping[str, Any], epochs: Sequence[int], dpi: int) -> Iterator[np.ndarray]:
  """Yields pictures, uint8 [height, width, 3], both sides even.

  What does not change is drawn once; a frame adds to it the network, the bars and two points.

  Args:
    run: A run of a report's document.
    epochs: Indices into its history.
    dpi: Pixels an inch.
  """
  from matplotlib import figure
  from matplotlib.backends import backend_agg

  with figure_style.style():
    canvas = figure.Figure(figsize=_INCHES, dpi=dpi)
    agg = backend_agg.FigureCanvasAgg(canvas)
    network_axes = canvas.add_axes((0.02, 0.47, 0.96, 0.43))
    bars_axes = canvas.add_axes((0.05, 0.18, 0.47, 0.24))
    cost_axes = canvas.add_axes((0.59, 0.18, 0.17, 0.24))
    accuracy_axes = canvas.add_axes((0.81, 0.18, 0.17, 0.24))
    network = _NetworkPanel(network_axes, run)
    bars = _Bars(bars_axes, run['decisions'])
    curves = [_cost_panel(cost_axes, run), _accuracy_panel(accuracy_axes, run)]
    canvas.legend(handles=figure_style.patches(network.keys), loc='lower center', ncols=len(network.keys))
    agg.draw()
    background = agg.copy_from_bbox(canvas.bbox)
  for epoch in epochs:
    with figure_style.style():
      agg.restore_region(background)
      for artist in (*network.update(epoch), *bars.update(run['history']['probabilities'][epoch]), _title(canvas, run, epoch)):
        canvas.draw_artist(artist)
      for axes, series in curves:
        _draw_points(axes, run['history']['epoch'][epoch], [values[epoch] for values in series])
      pixels = np.asarray(agg.buffer_rgba())
    yield pixels[:pixels.shape[0] // 2 * 2, :pixels.shape[1] // 2 * 2, :3].copy()


def _title(canvas, run: Mapping[str, Any], epoch: int):
  """The epoch and what the most likely network costs."""
  from matplotlib import text

  history = run['history']
  cost = history['most_likely_cost'][epoch]
  costs = '' if cost is None else f': most likely network {units.cost(cost, run["cost"]["unit"])}'
  words = f'epoch {history["epoch"][epoch]} ({figure_style.short(history["phase"][epoch])}){costs}'
  artist = text.Text(0.02, 0.94, words, fontsize=figure_style.FONT_SIZE + 2)
  artist.set_figure(canvas)
  artist.set_transform(canvas.transFigure)
  return artist


class _NetworkPanel:
  """Networks to one scale: the widest of the search fills the panel."""

  def __init__(self, axes: axes_lib.Axes, run: Mapping[str, Any]):
    self._axes = axes
    self._networks = [drawing.resolve(run['fixed_blocks'], run['decisions'], choices) for choices in run['most_likely']['choices']]
    largest = max(sum(drawing.widths(network)[0]) for network in self._networks)
    self._scale = drawing.BLOCKS_WIDTH / largest
    self._width = max(drawing.layout(network, self._scale).width for network in self._networks)
    present = {drawing.key(choice) for decision in run['decisions'] for choice in decision['choices']}
    present |= {drawing.key(block) for block in run['fixed_blocks']['blocks'] if block['decision'] is None}
    self.keys = [key for key in drawing.LEGEND if key in present]
    axes.set_axis_off()

  def update(self, epoch: int) -> list:
    """What to draw for an epoch."""
    self._axes.clear()
    network_figure.draw(self._axes, drawing.layout(self._networks[epoch], self._scale), self._width, _INCHES[0] * 0.96)
    return [*self._axes.lines, *self._axes.patches, *self._axes.texts]


class _Bars:
  """A stacked bar for each decision."""

  def __init__(self, axes: axes_lib.Axes, decisions: Sequence[Mapping[str, Any]]):
    figure_style.letter(axes, 'probabilities of the choices of each block')
    axes.set(xlim=(-0.6, len(decisions) - 0.4), ylim=(0.0, 1.0), yticks=(0.0, 0.5, 1.0))
    names = [figure_style.short(decision['label'].removeprefix('block '), 8) for decision in decisions]
    axes.set_xticks(range(len(decisions)), names, fontsize=figure_style.SMALL_FONT_SIZE - 1)
    self._bars = []
    for index, decision in enumerate(decisions):
      order = history_figures.order(decision['choices'])
      rectangles = [axes.bar(index, 0.0, width=0.8, color=history_figures.shade(decision['choices'][choice], decision['choices']),
                             hatch=figure_style.hatch(drawing.key(decision['choices'][choice])), edgecolor=figure_style.INK, linewidth=0.3,
                             animated=True).patches[0] for choice in order]
      self._bars.append((order, rectangles))

  def update(self, rows: Sequence[Sequence[float]]) -> list:
    """The bars of an epoch, those too thin to be seen left out."""
    changed = []
    for (order, rectangles), row in zip(self._bars, rows):
      below = 0.0
      for choice, rectangle in zip(order, rectangles):
        rectangle.set(y=below, height=row[choice])
        below += row[choice]
        if row[choice] > 0.002:
          changed.append(rectangle)
    return changed


def _cost_panel(axes: axes_lib.Axes, run: Mapping[str, Any]) -> tuple[axes_lib.Axes, list]:
  factor, label = figure_style.cost_axis(run['cost']['unit'])
  figure_style.letter(axes, label)
  series = [_scaled(run['history'][name], factor) for name in ('expected_cost', 'most_likely_cost')]
  _draw_curves(axes, run['history']['epoch'], series, ('expected', 'most likely'))
  if run['cost']['target'] is not None:
    axes.axhline(factor * run['cost']['target'], color=figure_style.INK, linewidth=0.8, linestyle=':')
    axes.annotate('target', (1.0, factor * run['cost']['target']), xycoords=('axes fraction', 'data'), ha='right', va='bottom',
                  fontsize=figure_style.SMALL_FONT_SIZE - 1)
  return axes, series


def _accuracy_panel(axes: axes_lib.Axes, run: Mapping[str, Any]) -> tuple[axes_lib.Axes, list]:
  figure_style.letter(axes, 'accuracy, %')
  series = [_scaled(run['history'][name], 100.0) for name in ('accuracy', 'most_likely_accuracy')]
  _draw_curves(axes, run['history']['epoch'], series, ('sampled', 'most likely'))
  return axes, series


def _scaled(values: Sequence[float | None], factor: float) -> list[float]:
  return [float('nan') if value is None else value * factor for value in values]


_LOOKS = ((figure_style.BLUE, '-', 'o'), (figure_style.VERMILLION, (0, (4, 1.5)), 'D'))


def _draw_curves(axes: axes_lib.Axes, epochs: Sequence[int], series: Sequence[Sequence[float]], names: Sequence[str]) -> None:
  """Whole curves, on which points then move."""
  for values, name, (color, dashes, _) in zip(series, names, _LOOKS):
    axes.plot(epochs, values, color=color, linestyle=dashes, linewidth=0.9, label=name)
  axes.set_xlabel('epoch')
  axes.grid(alpha=0.25, linewidth=0.5)
  axes.legend(loc='best', fontsize=figure_style.SMALL_FONT_SIZE - 1, handlelength=1.5, frameon=True, edgecolor='none')


def _draw_points(axes: axes_lib.Axes, epoch: int, values: Sequence[float]) -> None:
  """Where the search is."""
  from matplotlib import lines

  for value, (color, _, marker) in zip(values, _LOOKS):
    point = lines.Line2D([epoch], [value], marker=marker, markersize=5, color=color, markeredgecolor='white', markeredgewidth=0.6)
    point.set_figure(axes.figure)
    point.axes = axes
    point.set_transform(axes.transData)
    axes.draw_artist(point)
