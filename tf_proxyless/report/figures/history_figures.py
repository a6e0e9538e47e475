"""Figures of the course of a search: its curves, and the probabilities of every decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import TYPE_CHECKING, Any

from tf_proxyless.report import drawing
from tf_proxyless.report.figures import figure_style
from tf_proxyless.report.page import charts

if TYPE_CHECKING:
  from matplotlib import axes as axes_lib
  from matplotlib import figure as figure_lib

_COLUMNS = 4  # of decisions
_ROW_INCHES = 0.95


def curves(run: Mapping[str, Any]) -> figure_lib.Figure:
  """Loss, accuracy, entropy and cost over the epochs, two columns wide.

  Args:
    run: A run of a report's document with at least one epoch.
  """
  history, unit = run['history'], run['cost']['unit']
  canvas = figure_style.new(figure_style.TWO_COLUMNS, 4.0)
  (loss, accuracy), (entropy, cost) = canvas.subplots(2, 2, sharex=True)
  figure_style.letter(loss, 'training loss')
  _lines(loss, history, [('loss', None, 1.0)])
  figure_style.letter(accuracy, 'accuracy, %')
  _lines(accuracy, history, [('accuracy', 'sampled networks, training', 100.0),
                             ('most_likely_accuracy', 'most likely network, validation', 100.0)])
  figure_style.letter(entropy, 'entropy of the policy, nats')
  _lines(entropy, history, [('entropy', None, 1.0)])
  factor, label = figure_style.cost_axis(unit)
  figure_style.letter(cost, label)
  _lines(cost, history, [('expected_cost', 'expected while sampling', factor), ('most_likely_cost', 'most likely network', factor)])
  if run['cost']['target'] is not None:
    cost.axhline(factor * run['cost']['target'], color=figure_style.INK, linewidth=0.8, linestyle=':', label='target')
  for axes in (accuracy, cost):
    axes.legend(loc='best')
  for axes in (loss, accuracy, entropy, cost):
    axes.grid(alpha=0.25, linewidth=0.5)
    _shade_phases(axes, history, named=axes in (loss, entropy))
  for axes in (entropy, cost):
    axes.set_xlabel('epoch')
  return canvas


def _lines(axes: axes_lib.Axes, history: Mapping[str, Sequence], series: Sequence[tuple[str, str | None, float]]) -> None:
  """Draws scalars of the history: (name, label, factor) each, told apart by colour and dashes."""
  for (name, label, factor), color, dashes in zip(series, (figure_style.BLUE, figure_style.VERMILLION), ('-', (0, (4, 1.5)))):
    values = [math.nan if value is None else value * factor for value in history[name]]
    lonely = {'marker': 'o', 'markersize': 3.0} if len(values) == 1 else {}
    axes.plot(history['epoch'], values, color=color, linestyle=dashes, label=label, **lonely)


def _shade_phases(axes: axes_lib.Axes, history: Mapping[str, Sequence], named: bool) -> None:
  """Shades the phases before the last one, the warm-up, and names them where no legend would be in the way."""
  for name, first, last in charts.phases(history['phase'], history['epoch'])[:-1]:
    axes.axvspan(first, last + 0.5, color='black', alpha=0.06, linewidth=0)
    if named:
      axes.annotate(figure_style.short(name), (first, 0.0), xycoords=('data', 'axes fraction'), xytext=(2, 2),
                    textcoords='offset points', fontsize=figure_style.SMALL_FONT_SIZE, color=figure_style.MUTED)


def probabilities(run: Mapping[str, Any]) -> figure_lib.Figure:
  """The probabilities of every decision over the epochs, stacked, two columns wide.

  Args:
    run: A run of a report's document with at least one epoch and one decision.
  """
  decisions, history = run['decisions'], run['history']
  rows = -(-len(decisions) // _COLUMNS)
  canvas = figure_style.new(figure_style.TWO_COLUMNS, 0.7 + _ROW_INCHES * rows)
  grid = canvas.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
  legend = {}
  for index, axes in enumerate(grid.flat):
    if index < len(decisions):
      figure_style.letter(axes, figure_style.short(decisions[index]['label']))
      legend.update(_stack(axes, decisions[index]['choices'], history['epoch'], [epoch[index] for epoch in history['probabilities']]))
    else:
      axes.set_axis_off()
  first, last = history['epoch'][0], history['epoch'][-1]
  grid[0, 0].set(xlim=(first - 0.5, last + 0.5) if first == last else (first, last), ylim=(0.0, 1.0), yticks=(0, 0.5, 1))
  for index in range(max(0, len(decisions) - _COLUMNS), len(decisions)):
    grid.flat[index].tick_params(labelbottom=True)
    grid.flat[index].set_xlabel('epoch')
  for row in grid:
    row[0].set_ylabel('probability', fontsize=figure_style.SMALL_FONT_SIZE)
  canvas.legend(handles=legend.values(), loc='outside lower center', ncols=min(7, len(legend)))
  return canvas


def _stack(axes: axes_lib.Axes, choices: Sequence[Mapping[str, Any]], epochs: Sequence[int],
           rows: Sequence[Sequence[float]]) -> dict[str, Any]:
  """Stacks one decision's probabilities: choices of one kernel have its colour and pattern, paler for smaller expansions.

  Args:
    axes: Where.
    choices: Of the decision.
    epochs: Along x.
    rows: For each of them the probability of each choice.

  Returns:
    Legend entries by label.
  """
  from matplotlib import patches

  at = [epochs[0] - 0.5, epochs[0] + 0.5] if len(epochs) == 1 else list(epochs)
  rows = [rows[0], rows[0]] if len(epochs) == 1 else rows
  legend, below = {}, [0.0] * len(at)
  for index in order(choices):
    choice = choices[index]
    above = [base + row[index] for base, row in zip(below, rows)]
    look = {'facecolor': shade(choice, choices), 'edgecolor': figure_style.INK, 'linewidth': 0.3,
            'hatch': figure_style.hatch(drawing.key(choice))}
    axes.fill_between(at, below, above, **look)
    label = figure_style.short(choice['label'], 12)
    legend[label] = patches.Patch(label=label, **look)
    below = above
  return legend


def order(choices: Sequence[Mapping[str, Any]]) -> list[int]:
  """Indices of choices as they are stacked from below: the skip, then by kernel and expansion."""
  ranks = [(choice['kind'] != 'zero', choice['kernel'] or 0, choice['expansion'] or 0.0) for choice in choices]
  return sorted(range(len(choices)), key=ranks.__getitem__)


def shade(choice: Mapping[str, Any], choices: Sequence[Mapping[str, Any]]) -> str:
  """The colour of a choice: that of its kernel, mixed with white unless its expansion is the largest."""
  from matplotlib import colors

  largest = max(other['expansion'] or 1.0 for other in choices)
  share = 0.35 + 0.65 * (choice['expansion'] or largest) / largest
  return colors.to_hex([1 - share * (1 - part) for part in colors.to_rgb(drawing.COLORS[drawing.key(choice)])])
