"""Figures from documents of all kinds of runs: their sizes, texts, and that what is drawn is what the document says."""

import math
import xml.etree.ElementTree

import numpy as np
from PIL import Image
import pytest

from tests.report import documents
from tf_proxyless.report import drawing
from tf_proxyless.report.figures import cost_figures
from tf_proxyless.report.figures import figure_style
from tf_proxyless.report.figures import figures as figures_lib
from tf_proxyless.report.figures import history_figures
from tf_proxyless.report.figures import network_figure

ALL = ['network', 'blocks', 'curves', 'probabilities', 'pareto', 'table']
SVG = '{http://www.w3.org/2000/svg}'


def svg_text(path):
  """All texts of an SVG."""
  return [''.join(element.itertext()) for element in xml.etree.ElementTree.parse(path).iter(f'{SVG}text')]


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """The document of a small search, its figures by file name, and what was said of progress."""
  document, seen = documents.tiny(), []
  paths = figures_lib.save_all(document, tmp_path_factory.mktemp('figures') / 'new', lambda done, total: seen.append((done, total)))
  return document, {path.name: path for path in paths}, seen


def test_every_figure_as_png_and_svg(saved):
  _, paths, seen = saved
  assert list(paths) == [f'{name}.{suffix}' for name in ALL for suffix in ('png', 'svg')]
  assert {path.name for path in paths['network.png'].parent.iterdir()} == set(paths)
  assert seen == [(done, len(ALL)) for done in range(1, len(ALL) + 1)]
  for name in ALL:
    with Image.open(paths[f'{name}.png']) as image:
      assert image.width in (round(figure_style.DPI * figure_style.ONE_COLUMN), round(figure_style.DPI * figure_style.TWO_COLUMNS))
      assert len(np.unique(np.asarray(image.convert('L')))) > 10


def test_text_of_an_svg_is_text(saved):
  document, paths, _ = saved
  words = svg_text(paths['network.svg'])
  for block in document['runs'][0]['network']['blocks']:
    assert block['label'] in words
  assert 'entropy of the policy, nats' in svg_text(paths['curves.svg'])
  assert {decision['label'] for decision in document['runs'][0]['decisions']} <= set(svg_text(paths['probabilities.svg']))


def test_the_same_document_gives_the_same_files(saved, tmp_path):
  document, paths, _ = saved
  with figure_style.style():
    again = figure_style.save(figures_lib.available(document)['network'](), tmp_path, 'network')
  assert [path.read_bytes() for path in again] == [paths['network.png'].read_bytes(), paths['network.svg'].read_bytes()]


@pytest.mark.parametrize('name, expected', [
    ('empty', []), ('running', ['network', 'blocks', 'curves', 'probabilities', 'table']),
    ('interrupted', ['network', 'blocks', 'curves', 'probabilities', 'table']), ('macs', ['network', 'blocks', 'curves', 'probabilities'])])
def test_a_run_has_the_figures_for_which_it_has_data(name, expected):
  makers = figures_lib.available(getattr(documents, name)())
  assert list(makers) == expected
  with figure_style.style():
    for make in makers.values():
      assert make().axes


def test_a_run_without_data_leaves_an_empty_folder(tmp_path):
  assert figures_lib.save_all(documents.empty(), tmp_path / 'figures') == []
  assert not list((tmp_path / 'figures').iterdir())


@pytest.mark.filterwarnings('error')
def test_hostile_names_are_text_of_bounded_length(tmp_path):
  paths = figures_lib.save_all(documents.hostile(), tmp_path)
  for path in paths[1::2]:
    assert not {'script', f'{SVG}script'} & {element.tag for element in xml.etree.ElementTree.parse(path).iter()}, path
    assert max(map(len, svg_text(path))) <= 60, path


def test_names_with_dollars_and_control_characters_are_no_formulas(tmp_path):
  document = documents.tiny()
  document['runs'][0]['network']['blocks'][0]['label'] = '$\\frac{\x00'
  with figure_style.style():
    figure_style.save(figures_lib.available(document)['network'](), tmp_path, 'network')
  assert '$\\frac{?' in svg_text(tmp_path / 'network.svg')


def test_one_epoch_is_enough():
  document = documents.tiny()
  run = document['runs'][0]
  run['history'] = {name: values[:1] for name, values in run['history'].items()}
  with figure_style.style():
    curves, probabilities = history_figures.curves(run), history_figures.probabilities(run)
  assert all(axes.lines[0].get_marker() == 'o' for axes in curves.axes)
  assert len(probabilities.axes[0].collections) == len(run['decisions'][0]['choices'])


def test_what_is_not_known_is_a_gap():
  document = documents.tiny()
  run = document['runs'][0]
  run['history']['most_likely_accuracy'][1] = None
  with figure_style.style():
    axes = history_figures.curves(run).axes[1]
  values = axes.lines[1].get_ydata()
  assert math.isnan(values[1]) and values[2] == pytest.approx(100 * run['history']['most_likely_accuracy'][2])


def test_probabilities_are_stacked_from_0_to_1_in_the_colours_of_kernels():
  run = documents.tiny()['runs'][0]
  with figure_style.style():
    axes = history_figures.probabilities(run).axes[0]
  choices = run['decisions'][0]['choices']
  order = history_figures.order(choices)
  assert len(axes.collections) == len(choices)
  tops = [collection.get_paths()[0].vertices[:, 1].max() for collection in axes.collections]
  assert tops[-1] == pytest.approx(1.0, abs=2e-4)
  assert all(low <= high + 1e-9 for low, high in zip(tops, tops[1:]))
  largest = max(range(len(choices)), key=lambda index: choices[index]['expansion'] or 0)
  assert history_figures.shade(choices[largest], choices).upper() == drawing.COLORS[drawing.key(choices[largest])]
  assert sorted(order) == list(range(len(choices)))


def test_bars_are_the_costs_of_blocks_and_estimates_are_marked():
  run = documents.imagenet(epochs=3)['runs'][0]
  run['network']['blocks'][4]['provenance'] = 'estimated'
  with figure_style.style():
    axes = cost_figures.blocks(run['network'], 'ms').axes[0]
  assert [bar.get_height() for bar in axes.patches] == pytest.approx([block['cost'] for block in run['network']['blocks']])
  assert [label.get_text().endswith('(estimated)') for label in axes.get_xticklabels()].index(True) == 4
  assert axes.patches[4].get_linestyle() == '--' and axes.patches[3].get_linestyle() == '-'


def test_fronts_of_all_runs_that_cost_in_the_same_unit():
  document = documents.comparison()
  with figure_style.style():
    canvas = cost_figures.pareto(document['runs'])
  canvas.draw_without_rendering()
  assert canvas.legends[0].get_window_extent().width < canvas.bbox.width
  labels = [text.get_text() for text in canvas.legends[0].get_texts()]
  for run in document['runs']:
    assert f'front, {run["name"]}' in labels


def test_labels_of_blocks_do_not_overlap():
  run = documents.imagenet(epochs=3)['runs'][0]
  with figure_style.style():
    canvas = network_figure.make(run['network'], 'ms', 'a network')
    canvas.draw_without_rendering()
    labels = {block['label'] for block in run['network']['blocks']}
    boxes = [text.get_window_extent() for text in canvas.axes[0].texts if text.get_text() in labels]
  assert len(boxes) == len(run['network']['blocks'])
  assert not any(left.overlaps(right) for index, left in enumerate(boxes) for right in boxes[index + 1:])


@pytest.mark.parametrize('wanted, expected', [
    ([], []), ([5.0], [5.0]), ([1.0, 5.0], [1.0, 5.0]), ([5.0, 5.0], [4.0, 6.0]), ([5.0, 5.0, 5.0], [3.0, 5.0, 7.0]),
    ([0.0, 0.0], [0.0, 2.0]), ([9.5, 10.0], [8.0, 10.0])])
def test_spread(wanted, expected):
  assert figure_style.spread(wanted, 2.0, 0.0, 10.0) == pytest.approx(expected)
