"""Sections of the page about the course of a search: the player, probabilities, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.report import drawing
from tf_proxyless.report import units
from tf_proxyless.report.page import charts
from tf_proxyless.report.page import markup
from tf_proxyless.report.page import network_svg
from tf_proxyless.report.page import svg

Run = Mapping[str, Any]

_LEVELS = 1000  # heights of a strip's areas are thousandths
_FRAME = '<svg id="frame" class="network" role="img" aria-label=""></svg>'  # which the script fills


def history(run: Run) -> str:
  """The player, which the script fills, and the probabilities of every decision."""
  if not run['history']['epoch'] or not run['decisions']:
    return ''
  keys = {drawing.key(choice) for decision in run['decisions'] for choice in decision['choices']}
  legend = network_svg.legend(tuple(key for key in drawing.LEGEND if key in keys), 'pale: smaller expansion')
  body = _player(run) + markup.figure('Probabilities of every decision', legend + _strips(run), _table(run), (
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
      f'{markup.scrolling(_FRAME, "The most likely network of the epoch")}'
      '<p class="note">Drawn to one scale for all epochs, so that cheaper networks are shorter.</p></figure>'
      '<figure><figcaption>Probabilities in the epoch</figcaption><div id="bars"></div></figure></div>')


def tints(choices: Sequence[Mapping[str, Any]]) -> list[str]:
  """A class for each choice that makes smaller expansions paler: t0 is the palest, t2 the full colour."""
  ratios = sorted({choice['expansion'] for choice in choices if choice['expansion'] is not None})
  levels = {ratio: 2 if index == len(ratios) - 1 else 0 if index == 0 else 1 for index, ratio in enumerate(ratios)}
  return [f't{levels.get(choice["expansion"], 2)}' for choice in choices]


def _strips(run: Run) -> str:
  """Small charts, one for each decision."""
  probabilities = run['history']['probabilities']
  parts = [_strip(decision, [rows[index] for rows in probabilities]) for index, decision in enumerate(run['decisions'])]
  return f'<div class="small-multiples">{"".join(parts)}</div>'


def _strip(decision: Mapping[str, Any], rows: Sequence[Sequence[float]]) -> str:
  """Stacked areas: each is painted from the bottom to its upper edge, the highest first, so that only upper edges are written."""
  choices, count = decision['choices'], len(rows)
  rows = rows if count > 1 else [*rows, *rows]
  edges = [[round(_LEVELS * sum(row[:index + 1]) / (sum(row) or 1.0)) for row in rows] for index in range(len(choices))]
  parts = []
  for choice, edge, tint in reversed(list(zip(choices, edges, tints(choices)))):
    steps = ''.join(f'l1 {before - after}' for before, after in zip(edge, edge[1:]))
    parts.append(f'<path class="k {drawing.key(choice)} {tint}" d="M0 {_LEVELS}V{_LEVELS - edge[0]}{steps}V{_LEVELS}Z"/>')
  best = max(range(len(choices)), key=rows[-1].__getitem__)
  ending = f'{choices[best]["label"]} {100 * rows[-1][best]:.0f} %'
  label = svg.escape(f'{decision["label"]}: at the end {ending}')
  return (f'<figure class="strip" data-epochs="{count}"><svg viewBox="0 0 {len(rows) - 1} {_LEVELS}" preserveAspectRatio="none" role="img" '
          f'aria-label="{label}">{"".join(parts)}</svg><figcaption><b>{svg.escape(svg.shorten(decision["label"], 40))}</b> '
          f'<span>{svg.escape(svg.shorten(ending, 40))}</span></figcaption></figure>')


def _table(run: Run) -> str:
  """Probabilities of the last epoch."""
  last = run['history']['probabilities'][-1]
  rows = [[decision['label'], choice['label'], f'{100 * value:.1f} %', units.cost(choice['cost'], run['cost']['unit'])]
          for decision, values in zip(run['decisions'], last) for choice, value in zip(decision['choices'], values)]
  return markup.table(['decision', 'choice', 'probability at the end', 'cost'], rows, 'Probabilities at the end')


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
  history, cost = run['history'], run['cost']
  if not history['epoch']:
    return ''
  unit = units.unit_name(cost['unit'])
  plots = [
      ('Accuracy', {'accuracy': 'sampled networks, training', 'most_likely_accuracy': 'most likely network, validation'},
       charts.Axes('accuracy, %', 100.0), None),
      (f'{"Latency" if unit == "ms" else "Multiply-adds"} against the target',
       {'expected_cost': 'expected', 'most_likely_cost': 'most likely network'}, charts.Axes(unit, units.factor(cost['unit'])),
       cost['target']),
      ('Loss', {'loss': 'loss of sampled networks, training'}, charts.Axes('loss'), None),
      ('Entropy of the decisions', {'entropy': 'entropy'}, charts.Axes('nats, mean of decisions', include=(0.0,)), None),
      ('Multiplier of the constraint', {'multiplier': 'multiplier'}, charts.Axes('multiplier'), None),
      ('Time of an epoch', {'seconds': 'time'}, charts.Axes('s', include=(0.0,)), None),
  ]
  phases = charts.phases(history['phase'], history['epoch'])
  figures = []
  for caption, names, axes, target in plots:
    found = series(run, names)
    if found:
      figures.append(markup.figure(caption, charts.lines(found, axes, target, phases)))
  return markup.section('curves', 'Curves', markup.grid(*figures) + _numbers(history))


def _numbers(history: Mapping[str, Any]) -> str:
  """Every scalar of every epoch."""
  columns = [name for name in history if name not in ('epoch', 'probabilities')]
  rows = [[history['epoch'][row], *(_cell(history[name][row]) for name in columns)] for row in range(len(history['epoch']))]
  table = markup.table(['epoch', *(name.replace('_', ' ') for name in columns)], rows, 'Every epoch')
  return f'<details><summary>Numbers of every epoch</summary>{table}</details>'


def _cell(value: Any) -> str:
  return value if isinstance(value, str) else svg.number(value, 4)
