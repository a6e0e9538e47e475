"""Sections of the page about costs: blocks, sampled networks, and the latency table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import markup

Run = Mapping[str, Any]

_PROVENANCES = {'measured': 's0', 'published': 's2 cross', 'estimated': 's1 square'}
_BEYOND = 1.2  # times the dearest sampled network: published networks beyond that would squeeze the points
_FRONTS = ('s0', 's2', 's3', 's4')  # of compared runs
_PURPOSES = {'calibration': 's3 cross', 'validation': 's0', 'published': 's1 square'}


def costs(runs: Sequence[Run]) -> str:
  """Where the cost of the found network goes, and what sampled networks reached."""
  return markup.section('costs', 'Cost and accuracy', markup.grid(_blocks(runs[0]), _samples(runs), _predictor(runs[0])))


def _blocks(run: Run) -> str:
  network, unit = run['network'], run['cost']['unit']
  chart = network and blocks_chart(network, unit)
  if not chart:
    return ''
  skipped = sum(block['skipped'] for block in network['blocks'])
  total = sum(block['cost'] for block in network['blocks'])
  note = f'In {units.unit_name(unit)}, with the share of all blocks.' + (f' {skipped} skipped blocks cost nothing.' if skipped else '')
  if network['cost'] is not None and abs(network['cost'] - total) > 1e-6 * total:
    note += f' The network costs {units.cost(network["cost"], unit)}: blocks and what the calibration adds.'
  return markup.figure('Cost of the found network, block by block', chart, note=note)


def blocks_chart(network: Mapping[str, Any], unit: str) -> str:
  """A bar for each block of a network; empty if costs are not known."""
  if any(block['cost'] is None for block in network['blocks']):
    return ''
  blocks = [block for block in network['blocks'] if not block['skipped']]
  total = sum(block['cost'] for block in blocks) or 1.0
  rows = [charts.Bar(_name(block), block['cost'],
                     f'{units.number(units.factor(unit) * block["cost"])} · {100 * block["cost"] / total:.0f} %'
                     + (' est.' if block['provenance'] == 'estimated' else ''),
                     drawing.key(block), drawing.PATTERNS[drawing.key(block)]) for block in blocks]
  return charts.bars(rows, 'Cost of each block')


def _name(block: Mapping[str, Any]) -> str:
  name = block['name'].replace('_', ' ')
  return name if name == block['label'] else f'{name} {block["label"]}'


def _samples(runs: Sequence[Run]) -> str:
  run, samples = runs[0], runs[0]['samples']
  if not samples:
    return ''
  unit, front = run['cost']['unit'], samples['front']
  near = {name for name, _ in _near(run)}
  far = [f'{row["name"]} at {units.cost(row["cost"], unit)}' for row in run['published'] if row['name'] not in near]
  rows = [['front', units.cost(at, unit), units.estimate(accuracy, error)]
          for at, accuracy, error in zip(front['cost'], front['accuracy'], front['error'])]
  rows += [[row['source'], units.cost(row['cost'], unit), units.percent(row['validation_accuracy'])] for row in _considered(run)]
  rows += _derived(run)
  rows += [[row['name'], units.cost(row['cost'], unit), f'{units.percent(row["top1_imagenet"])} ({row["note"]})']
           for row in run['published']]
  how = 'as its evaluator has it' if run['predictor'] else 'on one validation batch, with shared weights'
  note = (f'A point is one network {how}; so the best points are the luckiest. '
          f'The front: {front["of"]}, with one standard error.')
  if run['published']:
    note += ' Published networks stand at their cost only: their accuracy is another one, after training (see the numbers).'
    note += f' Beyond the edge: {", ".join(far)}.' if far else ''
  return markup.figure('Sampled networks', samples_chart(runs),
                       markup.table(['network', 'cost', 'accuracy'], rows, 'Front, considered and published networks'), note)


def _predictor(run: Run) -> str:
  """How well the predictor of a search without a supernet says what it has not seen."""
  if not run['predictor']:
    return ''
  scores = run['predictor']['scores']
  note = (f'Each of {scores["networks"]} networks as a fit to the others predicts it: rank correlation {scores["spearman"]:.2f}, error '
          f'{100 * scores["error"]:.2f} points ({100 * scores["spread"]:.2f} for who always says the mean), '
          f'{100 * scores["within"]:.0f} % within what is given as 95 %.')
  return markup.figure('Predicted and evaluated accuracy', predictor_chart(run['predictor']), note=note)


def predictor_chart(predictor: Mapping[str, Any]) -> str:
  """Accuracy as it was evaluated over what was predicted without it."""
  points = [(predicted, accuracy, f'predicted {units.percent(predicted)}, evaluated {units.percent(accuracy)}')
            for predicted, accuracy in zip(predictor['predicted'], predictor['accuracy'])]
  plane = charts.Plane('predicted accuracy, %', 'evaluated accuracy, %', 100.0, 100.0, diagonal=True)
  return charts.scatter([charts.Points('networks that were held out', points, 's0')], plane)


def _considered(run: Run) -> list[Mapping[str, Any]]:
  return [row for row in run['candidates'] if row['validation_accuracy'] is not None]


def _derived(run: Run) -> list[list[str]]:
  """A row for each network that was derived under a limit of its own."""
  if not run['front']:
    return []
  unit = run['front']['unit']
  return [[f'derived for {units.cost(row["limit"], unit)}', units.cost(row['cost'], unit),
           f'{units.estimate(row["estimate"], row["standard_error"])} estimated, {units.percent(row["validation_accuracy"])} on validation']
          for row in run['front']['points']]


def _near(run: Run) -> list[tuple[str, float]]:
  """Name and cost of the published networks that would not squeeze the points."""
  edge = _BEYOND * max(*run['samples']['cost'], run['cost']['target'] or 0.0)
  return [(row['name'], row['cost']) for row in run['published'] if row['cost'] <= edge]


def samples_chart(runs: Sequence[Run]) -> str:
  """Accuracy over cost of sampled networks, with the front, what was considered and derived, the target and published networks.

  Args:
    runs: Runs of a document; the first has samples, others in its unit add their fronts.
  """
  run, unit = runs[0], runs[0]['cost']['unit']

  def point(at: float, accuracy: float, name: str) -> tuple[float, float, str]:
    return at, accuracy, f'{name}\n{units.cost(at, unit)}, {units.percent(accuracy)}'

  samples, places = run['samples'], []
  groups = [charts.Points(f'{units.number(samples["count"], 1)} sampled networks',
                          [point(*pair, 'sampled') for pair in zip(samples['cost'], samples['accuracy'])], 'faint')]
  others = [other for other in runs if other['samples'] and other['cost']['unit'] == unit][:len(_FRONTS)]
  for other, style in zip(others, _FRONTS):
    name = 'front' if len(others) == 1 else f'front, {svg.shorten(other["name"], 24)}'
    front = list(zip(*(other['samples']['front'][column] for column in ('cost', 'accuracy', 'error'))))
    places += front
    groups.append(charts.Points(name, [point(at, accuracy, f'{name}, ± {units.percent(error, 2)}') for at, accuracy, error in front],
                                style, True))
  considered = [point(row['cost'], row['validation_accuracy'], row['source']) for row in _considered(run)]
  groups.append(charts.Points('considered', considered, 's1 big square'))
  if run['front'] and run['front']['unit'] == unit:
    derived = [(row['cost'], row['estimate'] if row['validation_accuracy'] is None else row['validation_accuracy'], row['limit'])
               for row in run['front']['points']]
    groups.append(charts.Points('derived for other limits', [point(at, accuracy, f'derived for {units.cost(limit, unit)}')
                                                             for at, accuracy, limit in derived if accuracy is not None], 's5 big cross'))
  plane = charts.Plane(units.unit_name(unit), 'accuracy, %', units.factor(unit), 100.0)
  return charts.scatter(groups, plane, run['cost']['target'], _near(run), places)


def table_title(run: Run) -> str:
  """'Latency table', or 'Energy table'."""
  return f'{units.quantity(run["table"]["unit"])} table' if run['table'] else ''


def table(run: Run) -> str:
  """The latency table: whose it is, how well it predicts, where its entries come from."""
  found = run['table']
  if not found:
    return ''
  figures = markup.grid(_proof(found), _entries(found))
  counts = ', '.join(f'{count} {name}' for name, count in found['provenance'].items() if count)
  lead = f'{found["name"]}: {counts or "no"} entries.' + (f' Source: {found["source"]}' if found['source'] else '')
  facts = [[str(name).replace('_', ' '), str(value)] for name, value in found['runtime'].items() if value is not None]
  facts += [[f'calibration {name.replace("_", " ")}', units.number(value, 4)] for name, value in (found['calibration'] or {}).items()]
  body = figures + f'<details><summary>Runtime and calibration</summary>{markup.table(["", "value"], facts, "Runtime")}</details>'
  return markup.section('table', f'The {_quantity(found)} table', _estimates(found) + _validation(found) + body, lead)


def _quantity(found: Mapping[str, Any]) -> str:
  return units.quantity(found['unit']).lower()


def _estimates(found: Mapping[str, Any]) -> str:
  """Says which share of a table is not measured."""
  estimated, total = found['provenance'].get('estimated', 0), sum(found['provenance'].values())
  if not estimated:
    return ''
  error = found.get('estimate_error_percent')
  off = '' if error is None else f'; estimates of known entries are off by {units.number(error, 2)} % on average'
  return markup.messages([f'{estimated} of {total} entries are estimates, not measurements{off}.'], 'Estimated:', 'warning')


def _validation(found: Mapping[str, Any]) -> str:
  validation = found['validation']
  if not validation:
    return ''
  names = {'mape_percent': ('mean error', ' %'), 'rmse_ms': ('root mean square error', f' {found["unit"]}'),
           'within_5_percent': ('within 5 %', ' %'), 'within_10_percent': ('within 10 %', ' %'), 'spearman': ('rank correlation', '')}
  return markup.key_figures((name, f'{units.number(validation[field])}{unit}', f'of {validation["networks"]} networks')
                            for field, (name, unit) in names.items() if validation.get(field) is not None)


def table_charts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Captions and charts of a table: its networks, if it has a proof, and its entries."""
  unit = found['unit']
  charts_ = [('Whole networks: predicted and measured', proof_chart(found['proof'] or (), unit)),
             (f'Every operation: {_quantity(found)} over multiply-adds', entries_chart(found['entries'], unit))]
  return [(caption, picture) for caption, picture in charts_ if picture]


def proof_chart(rows: Sequence[Mapping[str, Any]], unit: str) -> str:
  """Predicted over measured latency, or energy, of whole networks, with bands of 5 and 10 %.

  Args:
    rows: 'name', 'predicted_ms', 'measured_ms' and 'purpose' ('calibration', 'validation' or 'published') of each network.
    unit: 'ms' or 'mJ'.
  """
  groups = [charts.Points(purpose, [(row['measured_ms'], row['predicted_ms'], f'{row["name"]}\n{_compared(row, unit)}')
                                    for row in rows if row['purpose'] == purpose], f'{style} big') for purpose, style in _PURPOSES.items()]
  return charts.scatter(groups, charts.Plane(f'measured, {unit}', f'predicted, {unit}', diagonal=True)) if rows else ''


def entries_chart(entries: Sequence[Mapping[str, Any]], unit: str) -> str:
  """Milliseconds, or millijoules, over multiply-adds of every entry."""
  groups = []
  for provenance, style in _PROVENANCES.items():
    rows = [entry for entry in entries if entry['provenance'] == provenance and entry['ms'] > 0 and entry['macs'] > 0]
    groups.append(charts.Points(provenance, [(1e-6 * row['macs'], row['ms'], f'{row["label"]}\n{units.cost(row["ms"], unit)}, {provenance}')
                                             for row in rows], f'{style} middle'))
  shown = any(group.values for group in groups)
  return charts.scatter(groups, charts.Plane('million multiply-adds', unit, logarithmic=True)) if shown else ''


def _proof(found: Mapping[str, Any]) -> str:
  unit = found['unit']
  rows = [[row['name'], row['purpose'], units.cost(row['predicted_ms'], unit), units.cost(row['measured_ms'], unit),
           f'{100 * (row["predicted_ms"] / row["measured_ms"] - 1):+.1f} %'] for row in found['proof'] or ()]
  return markup.figure('Whole networks: predicted and measured', proof_chart(found['proof'], unit),
                       markup.table(['network', 'purpose', 'predicted', 'measured', 'error'], rows, 'Proof of the table'),
                       'The bands are 5 and 10 % around equality. Calibration networks were used to fit, validation networks for '
                       'nothing else.') if rows else ''


def _compared(row: Mapping[str, Any], unit: str) -> str:
  return f'predicted {units.cost(row["predicted_ms"], unit)}, measured {units.cost(row["measured_ms"], unit)}'


def _entries(found: Mapping[str, Any]) -> str:
  chart, quantity = entries_chart(found['entries'], found['unit']), _quantity(found)
  rows = [[entry['label'], *(units.cost(entry[name], found['unit']) for name in ('ms', 'p5', 'p95')), entry['provenance'],
           units.count(entry['macs'])] for entry in found['entries']]
  numbers = markup.table(['operation', quantity, 'p5', 'p95', 'is', 'MACs'], rows, 'Entries of the table')
  note = 'Both axes are logarithmic' + ('; squares are estimates.' if found['provenance'].get('estimated') else '.')
  return markup.figure(f'Every operation: {quantity} over multiply-adds', chart, numbers, note) if chart else ''
