"""Figures of what networks cost: block by block, against accuracy, and how well the latency table predicts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_proxyless.report import drawing
from tf_proxyless.report import units
from tf_proxyless.report.figures import figure_style

if TYPE_CHECKING:
  from matplotlib import axes as axes_lib
  from matplotlib import figure as figure_lib


def blocks(network: Mapping[str, Any], unit: str) -> figure_lib.Figure:
  """The cost of each block as a bar, two columns wide.

  Args:
    network: A network of a report's document whose blocks' costs are known.
    unit: 'ms' or 'MACs'.
  """
  factor, label = figure_style.cost_axis(unit)
  canvas = figure_style.new(figure_style.TWO_COLUMNS, 2.6)
  axes = canvas.subplots()
  total = sum(block['cost'] for block in network['blocks'])
  figure_style.letter(axes, f'{label}; all blocks {units.cost(total, unit)}')
  for index, block in enumerate(network['blocks']):
    estimated = block['provenance'] == 'estimated'
    key = drawing.key(block)
    axes.bar(index, factor * block['cost'], width=0.8, color=drawing.COLORS[key], hatch=figure_style.hatch(key), edgecolor=figure_style.INK,
             linewidth=0.6, linestyle='--' if estimated else '-')
  names = [figure_style.short(block['label'], 12) + (' (estimated)' if block['provenance'] == 'estimated' else '')
           for block in network['blocks']]
  axes.set_xticks(range(len(names)), names, rotation=90)
  axes.set_xlim(-0.7, len(names) - 0.3)
  axes.grid(axis='y', alpha=0.25, linewidth=0.5)
  used = {drawing.key(block) for block in network['blocks']} - {'skip'}
  canvas.legend(handles=figure_style.patches([key for key in drawing.LEGEND if key in used]), loc='outside upper right', ncols=len(used))
  return canvas


def pareto(runs: Sequence[Mapping[str, Any]]) -> figure_lib.Figure:
  """Accuracy of sampled networks over cost with the front, those derived, and where published ones stand, one column wide.

  Args:
    runs: Of a report's document; the first has samples, up to three others add their fronts.
  """
  run, unit = runs[0], runs[0]['cost']['unit']
  factor, label = figure_style.cost_axis(unit)
  canvas = figure_style.new(figure_style.ONE_COLUMN, 4.2 if run['published'] else 3.2)
  axes = canvas.subplots()
  samples = run['samples']
  axes.scatter([factor * cost for cost in samples['cost']], [100 * value for value in samples['accuracy']], s=3, color='#AAAAAA',
               linewidth=0, rasterized=True, label=f'sampled, one batch ({samples["count"]:,})')
  for other, color, dashes in zip(runs, (figure_style.BLUE, figure_style.VERMILLION, figure_style.GREEN, figure_style.PURPLE),
                                  ('-', '--', '-.', ':')):
    if other['samples'] is not None and other['cost']['unit'] == unit:
      front = other['samples']['front']
      axes.errorbar([factor * cost for cost in front['cost']], [100 * value for value in front['accuracy']],
                    [100 * (error or 0.0) for error in front['error']], color=color, linestyle=dashes, linewidth=1.0, marker='o',
                    markersize=3, elinewidth=0.7,
                    label=f'front, {figure_style.short(other["name"], 16)}' if len(runs) > 1 else 'front')
  _candidates(axes, run['candidates'], factor)
  if run['cost']['target'] is not None:
    axes.axvline(factor * run['cost']['target'], color=figure_style.INK, linewidth=0.8, linestyle=':', label='target')
  axes.set(xlabel=label, ylabel='accuracy on validation images, %')
  _published(axes, run['published'], factor)
  axes.grid(alpha=0.25, linewidth=0.5)
  canvas.legend(loc='outside lower center', ncols=2, columnspacing=1.0, handletextpad=0.5)
  return canvas


def _candidates(axes: axes_lib.Axes, candidates: Sequence[Mapping[str, Any]], factor: float) -> None:
  """The networks of the derivation on all validation images, the chosen one as a star."""
  for chosen, marker, size, label in ((False, 'D', 14, 'other candidates'), (True, '*', 70, 'derived')):
    points = [(factor * item['cost'], 100 * item['validation_accuracy']) for item in candidates
              if item['chosen'] == chosen and item['validation_accuracy'] is not None]
    if points:
      axes.scatter(*zip(*points), s=size, marker=marker, facecolor=figure_style.ORANGE, edgecolor=figure_style.INK, linewidth=0.6, zorder=4,
                   label=label)


def _published(axes: axes_lib.Axes, published: Sequence[Mapping[str, Any]], factor: float) -> None:
  """Marks at the top where published networks stand: their accuracy is of other images, so it is told and not drawn."""
  published = sorted(published, key=lambda item: item['cost'])
  low, high = axes.get_xlim()
  distance = (high - low) * 0.047
  positions = figure_style.spread([factor * item['cost'] for item in published], distance, low, high)
  for item, x in zip(published, positions):
    top1 = '' if item['top1_imagenet'] is None else f', {100 * item["top1_imagenet"]:.1f} %'
    axes.plot([factor * item['cost']], [1.0], transform=axes.get_xaxis_transform(), marker='v', markersize=4, color=figure_style.PURPLE,
              markeredgecolor=figure_style.INK, markeredgewidth=0.4, linestyle='none', clip_on=False, zorder=5)
    axes.text(x, 1.03, f'{figure_style.short(item["name"])}{top1}', transform=axes.get_xaxis_transform(), rotation=90, ha='center',
              va='bottom', fontsize=figure_style.SMALL_FONT_SIZE - 1)


def table(table: Mapping[str, Any]) -> figure_lib.Figure:
  """A latency table: its entries over their multiply-adds, and whole networks predicted against measured where it has a proof.

  Args:
    table: A run's table of a report's document.
  """
  rows = table['proof']
  canvas = figure_style.new(figure_style.TWO_COLUMNS if rows else figure_style.ONE_COLUMN, 3.2)
  first, *rest = canvas.subplots(1, 2 if rows else 1, squeeze=False)[0]
  _entries(first, table['entries'])
  if rows:
    proof(rest[0], rows, 'whole networks')
  return canvas


def _entries(axes: axes_lib.Axes, entries: Sequence[Mapping[str, Any]]) -> None:
  """Entries by provenance, with the spread of those that were measured."""
  figure_style.letter(axes, 'entries')
  for provenance in ('measured', 'published', 'estimated'):
    chosen = [entry for entry in entries if entry['provenance'] == provenance and entry['ms'] > 0 and entry['macs'] > 0]
    marker, color = figure_style.MARKERS[provenance]
    spreads = [entry for entry in chosen if entry['p5'] is not None and entry['p95'] is not None]
    axes.vlines([entry['macs'] / 1e6 for entry in spreads], [entry['p5'] for entry in spreads], [entry['p95'] for entry in spreads],
                color=color, linewidth=0.5, alpha=0.5)
    if chosen:
      axes.scatter([entry['macs'] / 1e6 for entry in chosen], [entry['ms'] for entry in chosen], s=10, marker=marker, edgecolor=color,
                   facecolor='none' if provenance == 'estimated' else color, linewidth=0.7, label=f'{provenance} ({len(chosen)})')
  axes.set(xscale='log', yscale='log', xlabel='multiply-adds, M', ylabel='latency, ms')
  axes.yaxis.get_major_locator().set_params(subs=(1.0, 2.0, 5.0))
  for axis in (axes.xaxis, axes.yaxis):
    axis.set_major_formatter('{x:g}')
    axis.set_minor_formatter('')
  axes.grid(alpha=0.25, linewidth=0.5)
  if axes.get_legend_handles_labels()[0]:
    axes.legend(loc='upper left')


def proof(axes: axes_lib.Axes, rows: Sequence[Mapping[str, Any]], title: str) -> None:
  """Whole networks on both sides of the diagonal, with bands of 5 and 10 %.

  Args:
    axes: Where.
    rows: 'predicted_ms', 'measured_ms' and 'purpose' of each network.
    title: Above.
  """
  figure_style.letter(axes, title)
  values = [row[name] for row in rows for name in ('predicted_ms', 'measured_ms')]
  margin = 0.05 * (max(values) - min(values)) or 0.05 * max(values)
  ends = [max(min(values) - margin, 0.0), max(values) + margin]
  for share, alpha in ((0.10, 0.06), (0.05, 0.10)):
    axes.fill_between(ends, [end * (1 - share) for end in ends], [end * (1 + share) for end in ends], color='black', alpha=alpha,
                      linewidth=0, label=f'within {100 * share:.0f} %')
  axes.plot(ends, ends, color=figure_style.INK, linewidth=0.8)
  for purpose in ('calibration', 'validation', 'published'):
    chosen = [row for row in rows if row['purpose'] == purpose]
    if chosen:
      marker, color = figure_style.MARKERS[purpose]
      axes.scatter([row['measured_ms'] for row in chosen], [row['predicted_ms'] for row in chosen], s=14, marker=marker, color=color,
                   edgecolor='white', linewidth=0.3, label=f'{purpose} ({len(chosen)})', zorder=3)
  axes.set(xlim=ends, ylim=ends, aspect='equal', xlabel='measured, ms', ylabel='predicted, ms')
  axes.legend(loc='upper left')
  axes.grid(alpha=0.25, linewidth=0.5)
