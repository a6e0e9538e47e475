"""The page of a comparison of searches with random networks, from its compare.json."""

from __future__ import annotations

from collections.abc import Mapping
import statistics
from typing import Any

from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import markup
from tf_proxyless.report.page import page

_RANDOM = 's5 middle'
_FOUND = ('s0 big', 's1 big square')  # by optimizer


def render(results: Mapping[str, Any]) -> str:
  """The page.

  Args:
    results: See `app.comparison.Comparison.results`.

  Returns:
    HTML, to be written as UTF-8.
  """
  unit = units.MACS if results['unit'] == 'macs' else results['unit']
  targets = [target for target in results['targets'] if target['random']]
  title = f'Does the search pay on {results["dataset"]}?'
  body = [f'<header><p class="product">tf_proxyless · comparison with random networks</p><h1>{svg.escape(title)}</h1></header>']
  if not targets:
    body.append('<p class="lead">Nothing to show yet: no random network is trained.</p>')
  rows = [(target, row) for target in targets for row in target['optimizers']]
  if rows:
    body.append(markup.key_figures((f'{target["target"]}, {row["optimizer"]}', f'{100 * row["over_random"]["mean"]:+.2f} points',
                                    row['verdict']) for target, row in rows))
  if targets:
    figures = [markup.figure('Accuracy on test images', _strips(targets, unit), _networks(targets, unit), (
        f'A dot is a network, trained from scratch; lines are means. Random networks cost within {100 * results["tolerance"]:g} % of the '
        f'target, each of these with the same probability. {targets[0]["random"][0]["test_images"]:,} test images.'))]
    figures += [_ranks(target, row) for target, row in rows if any(search['estimates'] for search in row['searches'])]
    body.append(markup.section('accuracies', 'Found and random networks', markup.grid(*figures)))
    body.append(markup.section('searches', 'In numbers', _table(targets, unit)))
  return page.shell(title, body)


def _strips(targets: list[Mapping[str, Any]], unit: str) -> str:
  groups = []
  for target in targets:
    columns = [('random', [each['test'] for each in target['random']], _RANDOM)]
    columns += [(f'found by {row["optimizer"]}', [search['test'] for search in row['searches']], style)
                for row, style in zip(target['optimizers'], _FOUND)]
    standard = target['standard'] and target['standard']['test']
    groups.append(charts.Strips(f'{target["target"]}: {units.cost(target["cost"], unit)}', columns, standard))
  return charts.strips(groups, charts.Axes('accuracy, %', 100.0), 'MobileNetV2')


def _ranks(target: Mapping[str, Any], row: Mapping[str, Any]) -> str:
  """The trained accuracy of random networks over what a search says of them."""
  test = [each['test'] for each in target['random']]
  groups = [charts.Points(f'seed {search["seed"]}', [(estimate, accuracy, '') for estimate, accuracy in zip(search['estimates'], test)],
                          f's{number % 6}') for number, search in enumerate(row['searches']) if search['estimates']]
  plane = charts.Plane('accuracy and multiply-adds by the search, %', 'accuracy trained alone, %', 100.0, 100.0)
  tau = f'Kendall’s tau {_tau(row["tau"])}. ' if row['tau'] else ''
  more = f'Of two trainings of the same networks: {_tau(target["between_trainings"])}.' if target['between_trainings'] else ''
  caption = f'{target["target"]}, {row["optimizer"]}: does the search rank the random networks?'
  return markup.figure(caption, charts.scatter(groups, plane), note=f'{tau}{more}')


def _tau(found: Mapping[str, float | None] | None) -> str:
  return '–' if found is None else f'{found["tau"]:.2f}' + ('' if (error := found['standard_error']) is None else f' ± {error:.2f}')


def _networks(targets: list[Mapping[str, Any]], unit: str) -> str:
  """Every network."""
  rows = []
  for target in targets:
    named = [(f'random {index}', each) for index, each in enumerate(target['random'])]
    named += [(f'found by {row["optimizer"]}, seed {search["seed"]}', search) for row in target['optimizers'] for search in row['searches']]
    named += [(target['standard']['name'], target['standard'])] if target['standard'] else []
    rows += [[name, target['target'], units.cost(each['cost'], unit), units.count(each['macs']), units.count(each['parameters']),
              units.percent(each['validation'], 2), ', '.join(units.percent(test, 2) for test in each['tests']), each['network']]
             for name, each in named]
  head = ['network', 'target', 'cost', 'MACs', 'parameters', 'validation', 'test, by training', 'file']
  return markup.table(head, rows, 'Every network')


def _table(targets: list[Mapping[str, Any]], unit: str) -> str:
  rows = []
  for target in targets:
    test = [each['test'] for each in target['random']]
    spread = None if len(test) < 2 else statistics.stdev(test)
    cost = statistics.fmean(each['cost'] for each in target['random'])
    rows.append([f'{len(test)} random, ± standard deviation', target['target'], units.cost(cost, unit),
                 units.estimate(statistics.fmean(test), spread), *[''] * 5, _tau(target['between_trainings'])])
    if target['standard']:
      rows.append([target['standard']['name'], target['target'], units.cost(target['standard']['cost'], unit),
                   units.percent(target['standard']['test'], 2), *[''] * 6])
    for row in target['optimizers']:
      searches = row['searches']
      mean = lambda name, searches=searches: statistics.fmean(each[name] for each in searches)
      rows.append([f'found by {row["optimizer"]}, {len(searches)} seeds, ± standard error', target['target'],
                   units.cost(mean('cost'), unit), units.estimate(row['mean'], row['standard_error']), _points(row['over_these']),
                   f'{row["rank"]:.1f} of {len(test) + 1}', units.percent(row['beaten'], 0),
                   f'{units.percent(mean("random_search"), 2)}, {mean("trainings"):.3g} networks', _points(row['over_random_search']),
                   _tau(row['tau'])])
  head = ['networks', 'target', 'mean cost', 'accuracy', 'over these random ones', 'mean rank', 'random ones beaten', 'random search',
          'over random search', 'Kendall’s tau']
  note = ('In points, with 95 % confidence intervals over the seeds. Random search is the best by validation accuracy of as many random '
          'networks as could be trained in the time of the search.')
  return markup.figure('Found, random and standard networks', markup.table(head, rows, 'Comparison'), note=note)


def _points(difference: Mapping[str, Any]) -> str:
  interval = difference['interval']
  between = '' if interval is None else f' ({100 * interval[0]:+.2f} to {100 * interval[1]:+.2f})'
  return f'{100 * difference["mean"]:+.2f}{between}'
