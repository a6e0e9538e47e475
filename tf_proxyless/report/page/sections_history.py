"""Sections of the page about the course of a search: the player, probabilities, curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import graph
from tf_proxyless.report.drawing import network
from tf_proxyless.report.drawing import probabilities as probabilities_lib
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import markup

Run = Mapping[str, Any]

def history(run: Run) -> str:
  """The player, which the script fills, and the probabilities of every decision."""
  if not run['history']['epoch'] or not run['decisions']:
    return ''
  choices = [choice for decision in run['decisions'] for choice in decision['choices']]
  legend = markup.legend(network.keys(choices), 'pale: smaller expansion or number')
  player = '' if graph.is_graph(network.at(run['most_likely'], -1)) else _player(run)
  body = player + markup.figure('Probabilities of every decision', legend + _strips(run), _table(run), (
      'From left to right the epochs, from bottom to top the choices of a block: the higher an area, the more probable the choice. '
      'White is skipping. Under each block, its most likely choice at the end.'))
  return markup.section('history', 'History of the architecture', body)


def _player(run: Run) -> str:
  """Slider and play button; hidden without a script."""
  last = len(run['history']['epoch']) - 1
  return (
      '<noscript><p class="note">With JavaScript, a slider here moves through the epochs.</p></noscript>'
      '<div id="player" class="js" role="group" aria-label="Player: arrow keys step through the epochs, space plays"><div class="controls">'
      '<button type="button" id="play" aria-pressed="false"><span aria-hidden="true">▶</span> Play</button>'
      f'<input type="range" id="epoch" min="0" max="{last}" value="{last}" step="1" aria-label="Epoch">'
      '<output id="now" for="epoch"></output></div>'
      '<dl id="readings" class="readings"></dl><div id="gauge" class="gauge" aria-hidden="true"></div>'
      '<figure><figcaption>The most likely network of the epoch</figcaption>'
      f'{markup.scrolling(network.player(run["most_likely"], run["cost"]["unit"]), "The most likely network of the epoch")}'
      '<p class="note">Drawn to one scale for all epochs, so that cheaper networks are shorter.</p></figure>'
      f'<figure><figcaption>Probabilities in the epoch</figcaption>{_bars(run)}</figure></div>')


def _bars(run: Run) -> str:
  """A row for each decision, which the script fills; names have as much room as they need, within bounds."""
  rows, names = [], [str(decision['label']) for decision in run['decisions']]
  for decision, name in zip(run['decisions'], map(svg.escape, names)):
    rows.append(f'<div class="row"><span title="{name}">{name}</span>{probabilities_lib.bar(decision)}<span></span></div>')
  return f'<div id="bars" style="--names: {min(200, max(map(svg.text_width, names)) + 6):.0f}px">{"".join(rows)}</div>'


def _strips(run: Run) -> str:
  """Small charts, one for each decision."""
  parts = []
  for index, decision in enumerate(run['decisions']):
    rows = [row[index] for row in run['history']['probabilities']]
    ending = svg.escape(svg.shorten(probabilities_lib.ending(decision, rows[-1]), 40))
    caption = f'<figcaption><b>{svg.escape(svg.shorten(decision["label"], 40))}</b> <span>{ending}</span></figcaption>'
    parts.append(f'<figure class="strip" data-epochs="{len(rows)}">{probabilities_lib.strip(decision, rows)}{caption}</figure>')
  return f'<div class="small-multiples">{"".join(parts)}</div>'


def _table(run: Run) -> str:
  """Probabilities of the last epoch."""
  last = run['history']['probabilities'][-1]
  rows = [[decision['label'], decision['tag'], choice['label'], f'{100 * value:.1f} %', units.cost(choice['cost'], run['cost']['unit'])]
          for decision, values in zip(run['decisions'], last) for choice, value in zip(decision['choices'], values)]
  return markup.table(['decision', 'of', 'choice', 'probability at the end', 'cost'], rows, 'Probabilities at the end')


def series(run: Run, names: Mapping[str, str], style: int = 0) -> list[charts.Series]:
  """Lines of columns of the history, by name; those without any value are left out."""
  found = []
  for index, (column, name) in enumerate(names.items()):
    values = run['history'].get(column, [])
    if any(value is not None for value in values):
      found.append(charts.Series(name, run['history']['epoch'], values, style + index))
  return found


def curves(run: Run) -> str:
  """Loss, accuracy, entropy, cost and multiplier by epoch."""
  figures = [markup.figure(caption, picture) for caption, picture in curve_charts(run).items()]
  return markup.section('curves', 'Curves', markup.grid(*figures) + _numbers(run['history'])) if figures else ''


def curve_charts(run: Run) -> dict[str, str]:
  """Charts of the scalars that were logged, by caption."""
  history, cost = run['history'], run['cost']
  unit = units.unit_name(cost['unit'])
  sampled = 'sampled networks, training' if run['predictor'] is None else 'networks of a batch'
  plots = {
      'Accuracy': ({'accuracy': sampled, 'most_likely_accuracy': 'most likely network, validation',
                    'best_accuracy': 'best of all within the target'},
                   charts.Axes('accuracy, %', 100.0), None),
      f'{units.quantity(cost["unit"])} against the target': (
          {'expected_cost': 'expected', 'most_likely_cost': 'most likely network'}, charts.Axes(unit, units.factor(cost['unit'])),
          cost['target']),
      'Loss': ({'loss': 'loss of sampled networks, training'}, charts.Axes('loss'), None),
      'Entropy of the decisions': ({'entropy': 'entropy'}, charts.Axes('nats, mean of decisions', include=(0.0,)), None),
      'Multiplier of the constraint': ({'multiplier': 'multiplier'}, charts.Axes('multiplier'), None),
      'Time of an epoch': ({'seconds': 'time'}, charts.Axes('s', include=(0.0,)), None),
  }
  phases = charts.phases(history['phase'], history['epoch'])
  lines = {caption: series(run, names) for caption, (names, _, _) in plots.items()}
  return {caption: charts.lines(lines[caption], axes, target, phases) for caption, (_, axes, target) in plots.items() if lines[caption]}


def _numbers(history: Mapping[str, Any]) -> str:
  """Every scalar of every epoch."""
  columns = [name for name in history if name not in ('epoch', 'probabilities')]
  rows = [[history['epoch'][row], *(_cell(history[name][row]) for name in columns)] for row in range(len(history['epoch']))]
  table = markup.table(['epoch', *(name.replace('_', ' ') for name in columns)], rows, 'Every epoch')
  return f'<details><summary>Numbers of every epoch</summary>{table}</details>'


def _cell(value: Any) -> str:
  return value if isinstance(value, str) else units.number(value, 4)
