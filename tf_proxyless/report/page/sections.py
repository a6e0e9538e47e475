"""Sections of the page about what was found: summary, network, candidates, files made of it, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import graph
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import markup

Run = Mapping[str, Any]


def header(run: Run, generated: str) -> str:
  """Name, state, and what went wrong."""
  cost = run['cost']
  estimated = 'latencies rest on estimates' if _estimated(cost) else ''
  parts = (cost['optimizer'], cost['objective'], cost['of'], estimated)
  how = ' · '.join(svg.escape(part) for part in parts if part not in ('', 'unknown'))
  state = 'nothing yet' if run['state'] == 'empty' else svg.escape(run['state'])
  reload_control = ''
  if run['refreshing']:
    reload_control = '<label class="js"><input type="checkbox" id="reload" checked> reload every 10 s</label>'
  reason = [] if not run['reason'] else [str(run['reason'])]
  return (f'<header><p class="product">tf_proxyless · architecture search</p><h1>{svg.escape(run["name"])}</h1>'
          f'<p class="state"><span class="pill {svg.escape(run["state"])}">{state}</span> {how}</p>'
          f'<p class="note">Written {svg.escape(generated.replace("T", " "))} {reload_control}</p></header>'
          + markup.messages(reason, f'The search {"failed" if run["state"] == "failed" else "was stopped"}:', 'warning')
          + markup.messages(run['problems'], 'Could not be read:', 'problem'))


def summary(run: Run) -> str:
  """The figures that matter most."""
  cost, history, network = run['cost'], run['history'], run['network']
  unit, items = cost['unit'], []
  chosen = next((candidate for candidate in run['candidates'] if candidate['chosen']), None)
  if network:
    items.append(('found network', units.cost(network['cost'], unit), _against(network['cost'], cost)))
    if chosen and chosen['validation_accuracy'] is not None:
      items.append(('accuracy', units.percent(chosen['validation_accuracy']), 'validation images, weights of the supernet'))
    items += [('multiply-adds', units.count(network['macs']), 'one image'), ('parameters', units.count(network['parameters']), '')]
  elif history['epoch']:
    items.append(('most likely network', units.cost(_last(history, 'most_likely_cost'), unit),
                  _against(_last(history, 'most_likely_cost'), cost)))
    items.append(('its accuracy', units.percent(_last(history, 'most_likely_accuracy')), 'validation images'))
  if history['epoch']:
    left = run['seconds']['left']
    items.append(('time', units.duration(run['seconds']['epochs']),
                  f'{len(history["epoch"])} epochs' + ('' if left is None else f', about {units.duration(left)} left')))
  if not items:
    return '<p class="lead">Nothing to show yet: no epoch is finished.</p>'
  return markup.key_figures(items)


def _last(history: Mapping[str, Any], name: str) -> float | None:
  return next((value for value in reversed(history.get(name, [])) if value is not None), None)


def _estimated(cost: Mapping[str, Any]) -> bool:
  return 'estimated' in (cost['provenance'] or '')


def _against(value: float | None, cost: Mapping[str, Any]) -> str:
  """Where a cost is relative to the target, and whether it is an estimate."""
  if value is None:
    return ''
  remarks = ['estimated'] if _estimated(cost) else []
  if cost['target']:
    share = 100 * (value / cost['target'] - 1)
    side = 'below' if share < 0 else 'above'
    remarks.append('exactly the target' if abs(share) < 0.05 else f'{abs(share):.1f} % {side} the target')
  return ', '.join(remarks)


def network(run: Run) -> str:
  """The found network, or as long as there is none the most likely one, drawn, and its blocks in a table."""
  found = drawing.shown(run)
  if found is None:
    return ''
  caption = 'The found network' if run['network'] else 'The most likely network so far'
  unit, blocks = run['cost']['unit'], found['blocks']
  measures = {'cost': f'its cost ({units.unit_name(unit)})', 'macs': 'its multiply-adds', 'nothing': 'nothing: all alike'}
  measure = measures[drawing.scale([blocks]).measure]
  picture = markup.legend(drawing.keys(blocks)) + markup.scrolling(graph.draw(blocks, unit), caption)
  note = (f'Each box is a block; its width is {measure}, its height the expansion ratio. Arcs are shortcuts; '
          'numbers below are channels.')
  if graph.is_graph(blocks):
    note = 'Each box is a block; a line leads down to what takes its output. What several give is added up.'
  body = markup.figure(caption, picture, blocks_table(found, unit), note)
  return markup.section('network', 'The network', body + _warnings(run))


def _warnings(run: Run) -> str:
  derivation = run['derivation']
  return markup.messages(derivation['warnings'], 'About this network:', 'warning') if derivation else ''


def blocks_table(found: Mapping[str, Any], unit: str) -> str:
  """A network's blocks."""
  rows = []
  for block in found['blocks']:
    shapes = ['×'.join(map(str, block[side])) for side in ('input', 'output')]
    rows.append([block['name'], block['label'], *shapes, block['strides'], 'yes' if block['residual'] else '',
                 units.cost(block['cost'], unit), block.get('provenance') or '', units.count(block['macs']),
                 units.count(block['parameters'])])
  head = ['block', 'operation', 'input', 'output', 'stride', 'shortcut', 'cost', 'cost is', 'MACs', 'parameters']
  return markup.table(head, rows, 'Blocks of the network')


def derivation(run: Run) -> str:
  """The networks that were considered, and how clear each choice was."""
  unit, made = run['cost']['unit'], run['derivation']
  body = ''
  if run['candidates']:
    rows = [[f'by {row["source"]}' + (', chosen' if row['chosen'] else ''), units.cost(row['cost'], unit), units.count(row['macs']),
             units.percent(row['validation_accuracy']), units.estimate(row['estimate'], row['standard_error'])]
            for row in run['candidates']]
    marked = [index for index, row in enumerate(run['candidates']) if row['chosen']]
    head = ['network', 'cost', 'MACs', 'validation accuracy', 'estimated accuracy ± standard error']
    table = markup.table(head, rows, 'Candidates', marked)
    body += markup.figure('Networks that were considered', table)
  if made and made['margins']:
    rows = [[row['decision'], row['choice'], row['alternative'],
             units.percent(row['difference'], 2), units.percent(row['standard_error'], 2)] for row in made['margins']]
    table = markup.table(['decision', 'choice', 'next best', 'difference in accuracy', 'standard error'], rows, 'Margins')
    body += f'<details><summary>How clear each choice was</summary>{table}</details>'
  lead = ''
  if made:
    budget = '' if made['budget'] is None else f', with a budget of {units.cost(made["budget"], unit)}'
    lead = (f'Derived by {made["by"]}{budget}. Accuracies are those of the supernet’s weights, fine-tuned for some steps; by validation '
            'multiply-adds count as well.')
  return markup.section('derivation', 'How it was derived', body, lead)


def deployments(run: Run) -> str:
  """The files that were made of the network: accuracy and measured latency."""
  rows = run['deployments']
  if not rows:
    return ''
  body = markup.grid(_accuracies(rows), _latencies(rows))
  head = ['file', 'quantization', 'made by', 'float accuracy', 'accuracy of the file', 'test images', 'predicted', 'measured (p5 to p95)',
          'on', 'size', 'the found network', 'SHA-256']
  cells = [[row['name'], row['quantization'], row['how'], units.percent(row['float_accuracy']), units.percent(row['int8_accuracy']),
            '–' if row['test_images'] is None else units.number(row['test_images'], 1), units.cost(row['predicted_ms'], 'ms'),
            _measured(row), row['device'] or '–', units.size(row['size_bytes']), 'yes' if row['same_network'] else 'another',
            row['sha256'][:12]] for row in rows]
  body += markup.figure('Files', markup.table(head, cells, 'Files made of the network'))
  return markup.section('files', 'Files made of it', body)


def _measured(row: Mapping[str, Any]) -> str:
  if row['measured_ms'] is None:
    return '–'
  spread = '' if row['measured_p5_ms'] is None else f' ({units.number(row["measured_p5_ms"])} to {units.number(row["measured_p95_ms"])})'
  return units.cost(row['measured_ms'], 'ms') + spread


def _accuracies(rows: Sequence[Mapping[str, Any]]) -> str:
  """A bar for the trained network, and one for the file."""
  found = []
  for row in rows:
    for name, column, style, pattern in (('float', 'float_accuracy', 'k3', 'plain'), ('file', 'int8_accuracy', 'k5', 'stripes')):
      value = row[column]
      if value is not None:
        found.append(charts.Bar(f'{svg.shorten(row["name"], 19)} {name}', value, units.percent(value), style, pattern))
  return markup.figure('Accuracy on test images', charts.bars(found, 'Accuracy of the trained network and of its file')) if found else ''


def _latencies(rows: Sequence[Mapping[str, Any]]) -> str:
  """Predicted and measured milliseconds."""
  found = []
  for row in rows:
    name = svg.shorten(row['name'], 14)
    if row['predicted_ms'] is not None:
      found.append(charts.Bar(f'{name} predicted', row['predicted_ms'], units.cost(row['predicted_ms'], 'ms'), 'k3'))
    if row['measured_ms'] is not None:
      spread = None if None in (row['measured_p5_ms'], row['measured_p95_ms']) else (row['measured_p5_ms'], row['measured_p95_ms'])
      found.append(charts.Bar(f'{name} measured', row['measured_ms'], units.cost(row['measured_ms'], 'ms'), 'k7', 'dots', spread))
  note = 'Whiskers are the 5th and 95th percentile of single runs.'
  return markup.figure('Latency', charts.bars(found, 'Predicted and measured latency'), note=note) if found else ''


def settings(run: Run) -> str:
  """Flags, versions, time."""
  flags = others = ''
  if run['settings']:
    first = 0 if any(heading for heading, *_ in run['settings']) else 1
    rows = [row[first:] for row in run['settings']]
    flags = markup.figure('Settings', markup.table(['topic', 'setting', 'value'][first:], rows, 'Settings'))
  if run['versions']:
    others += markup.figure('Versions', markup.table(['package', 'version'], run['versions'].items(), 'Versions'))
  seconds = [value for value in run['history'].get('seconds', []) if value is not None]
  if seconds:
    rows = [['all epochs', units.duration(run['seconds']['epochs'])], ['an epoch, on average', units.duration(sum(seconds) / len(seconds))],
            ['shortest', units.duration(min(seconds))], ['longest', units.duration(max(seconds))]]
    others += markup.figure('Time', markup.table(['', 'time'], rows, 'Time'))
  return markup.section('settings', 'Settings, versions, time', markup.grid(flags, others and f'<div>{others}</div>'))
