"""The section of the page that sets several searches side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import graph
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import markup
from tf_proxyless.report.page import sections_history

Run = Mapping[str, Any]


def compare(runs: Sequence[Run]) -> str:
  """A table of all runs, their curves in the same axes, their networks below each other; empty for one run."""
  if len(runs) < 2:
    return ''
  return markup.section('compare', 'Runs compared', _table(runs) + _curves(runs) + _networks(runs))


def _table(runs: Sequence[Run]) -> str:
  head = ['run', 'state', 'optimizer', 'objective', 'target', 'found network', 'validation accuracy', 'MACs', 'parameters', 'epochs',
          'time', 'costs are of']
  rows = []
  for run in runs:
    cost, network = run['cost'], run['network'] or {}
    chosen = next((row for row in run['candidates'] if row['chosen']), {})
    rows.append([run['name'], run['state'], cost['optimizer'], cost['objective'], units.cost(cost['target'], cost['unit']),
                 units.cost(network.get('cost'), cost['unit']), units.percent(chosen.get('validation_accuracy')),
                 units.count(network.get('macs')), units.count(network.get('parameters')), len(run['history']['epoch']),
                 units.duration(run['seconds']['epochs']), cost['of']])
  return markup.figure('All runs', markup.table(head, rows, 'All runs'))


def _curves(runs: Sequence[Run]) -> str:
  """Overlaid; costs only of runs in the unit of the first."""
  unit = runs[0]['cost']['unit']
  same_unit = [run for run in runs if run['cost']['unit'] == unit]
  plots = [('Accuracy of the most likely network, validation', 'most_likely_accuracy', charts.Axes('accuracy, %', 100.0), runs),
           ('Expected cost', 'expected_cost', charts.Axes(units.unit_name(unit), units.factor(unit)), same_unit),
           ('Loss', 'loss', charts.Axes('loss'), runs),
           ('Entropy of the decisions', 'entropy', charts.Axes('nats, mean of decisions', include=(0.0,)), runs)]
  figures = []
  for caption, column, axes, shown in plots:
    found = [line for index, run in enumerate(runs) if run in shown for line in sections_history.series(run, {column: run['name']}, index)]
    if found:
      figures.append(markup.figure(caption, charts.lines(found, axes)))
  note = '' if len(same_unit) == len(runs) else f'<p class="note">Expected costs are those of runs in {svg.escape(unit)} only.</p>'
  return markup.grid(*figures) + note


def _networks(runs: Sequence[Run]) -> str:
  """Below each other, to one scale where that is of use."""
  found = [run for run in runs if run['network']]
  if not found:
    return ''
  scales = drawing.scales([(run['cost']['unit'], run['network']['blocks']) for run in found])
  width = max(scale.extent(run['network']['blocks']) for scale, run in zip(scales, found))
  parts = []
  for run, scale in zip(found, scales):
    blocks, unit = run['network']['blocks'], run['cost']['unit']
    picture = graph.render(blocks, unit) if graph.is_graph(blocks) else drawing.render(blocks, unit, scale, width)
    caption = f'{run["name"]}: {units.cost(run["network"]["cost"], run["cost"]["unit"])}'
    parts.append(markup.figure(caption, markup.scrolling(picture, caption)))
  note = ('Widths are costs, to one scale for all.' if len(set(scales)) == 1 else
          'Widths are shares of what the network costs: each has its own scale.')
  keys = drawing.keys([block for run in found for block in run['network']['blocks']])
  return markup.legend(keys) + ''.join(parts) + f'<p class="note">{note}</p>'
