"""The page of a comparison: whole, on its own, and true to the numbers."""

import re
from xml.etree import ElementTree

import pytest

from tests.report import test_page
from tf_proxyless.app import comparison_statistics
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.page import comparison

DOTS = re.compile(r'M[\d.]+ [\d.]+h0')


def network(test, cost, **more):
  return {'network': '0123456789ab', 'cost': cost, 'macs': 612345, 'parameters': 15000, 'validation': test - 0.01, 'test': test,
          'tests': [test], 'test_images': 10000, 'seconds': 60.0, **more}


def target(text='25%', cost=1.5, networks=6, seeds=3, standard=0.93):
  random = [network(0.9 + 0.01 * index, cost) for index in range(networks)]
  named = standard and network(standard, 0.9 * cost, name='mobilenet_v2 x 0.35, cost estimated')
  rows = [{**network(0.95 + 0.001 * seed, 0.99 * cost), 'seed': seed, 'seconds': 300.0,
           'estimates': [0.5 + 0.02 * index for index in range(networks)] if seed else None} for seed in range(seeds)]
  rows = [{'optimizer': name, **comparison_statistics.judge(rows, random, named)} for name in ('reinforce', 'gradient')] if seeds else []
  return {'target': text, 'cost': cost, 'random': random, 'standard': named, 'between_trainings': None, 'optimizers': rows}


def results(*targets, dataset='digits', unit='ms'):
  return {'dataset': dataset, 'unit': unit, 'tolerance': 0.01, 'targets': list(targets)}


@pytest.mark.parametrize('content', [
    results(target(), target('50%', 3.0)), results(target(standard=None, seeds=1), unit='macs'), results(target(seeds=0)),
    results(target(networks=0, seeds=0, standard=None)), results(target(), {**target(networks=0, seeds=0), 'standard': None}),
], ids=['whole', 'one seed', 'no search yet', 'nothing yet', 'one target yet'])
def test_the_page_is_whole_and_needs_no_other_file(content):
  text = comparison.render(content)
  page = test_page.Reader(text)
  assert not page.all('script') and [attributes['href'] for attributes, _ in page.all('link')] == ['data:,']
  assert 'http://' not in text.replace('http://www.w3.org', '') and 'https://' not in text
  for picture in re.findall(r'<svg viewBox.*?</svg>', text):
    ElementTree.fromstring(picture)


def test_it_says_what_was_found():
  content = results(target(), target('50%', 3.0))
  text = comparison.render(content)
  for each in content['targets']:
    for row in each['optimizers']:
      assert f'<dt>{each["target"]}, {row["optimizer"]}</dt><dd>+2.60 points<small>{row["verdict"]}</small>' in text
  assert text.count('does the search rank the random networks?') == 4 and 'Kendall’s tau 1.00 ± 0.00.' in text
  _, random, standard, reinforce, *_ = re.findall(r'<tr.*?</tr>', text.partition('aria-label="Comparison"')[2])
  assert '6 random' in random and '92.50 ± 1.87 %' in random and 'mobilenet_v2 x 0.35' in standard and '93.00 %' in standard
  assert 'found by reinforce, 3 seeds' in reinforce and '95.10 ± 0.06 %' in reinforce
  assert '1.3 of 7' in reinforce and '94 %' in reinforce and '5 networks' in reinforce
  assert '10,000 test images' in text


def test_names_from_files_are_text():
  text = comparison.render(results(target('<i>', 1.0), dataset='folder:<script>x</script>'))
  assert '<script' not in text and '&lt;script&gt;x' in text and '<i>' not in text


def test_nothing_to_show_is_said():
  assert 'no random network is trained' in comparison.render(results(target(networks=0, seeds=0, standard=None)))


def test_strips():
  groups = [charts.Strips('first', [('a', [0.5, 0.6, 0.7], 's5'), ('b', [0.65], 's0 big')], 0.55),
            charts.Strips('second', [('a', [0.8], 's5'), ('b', [], 's0 big')], 0.1)]
  picture = ElementTree.fromstring(charts.strips(groups, charts.Axes('accuracy, %', 100.0), 'standard'))
  paths = [(each.get('class'), each.get('d')) for each in picture.iter('path')]
  dots = [DOTS.findall(d) for name, d in paths if name in ('dots s5', 'dots s0 big')]
  assert [len(found) for found in dots] == [1, 1, 3, 1, 1, 0]  # those of the legend first
  heights = [float(found.split()[1].removesuffix('h0')) for found in dots[2]]
  assert heights[0] > heights[1] > heights[2] and heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.15)
  references = [d for name, d in paths if name == 'line target']
  assert len(references) == 2, 'one of them in the legend, and none that lies outside the dots'
  texts = [each.text for each in picture.iter('text')]
  assert {'first', 'second', 'a', 'b', 'standard'} <= set(texts)
