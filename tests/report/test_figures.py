"""Figures from documents of all kinds of runs: their files and texts, and that pixels are what the SVG says."""

import io
import xml.etree.ElementTree

import numpy as np
from PIL import Image
import pytest

from tests import suites
from tests.report import documents
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.figures import figures as figures_lib
from tf_proxyless.report.figures import raster
from tf_proxyless.report.figures import scatter

ALL = ['network', 'blocks', 'curves', 'probabilities', 'pareto', 'table']
SVG = '{http://www.w3.org/2000/svg}'
WHITE = [255, 255, 255]


def svg_text(path):
  """All texts of an SVG."""
  return [''.join(element.itertext()) for element in xml.etree.ElementTree.parse(path).iter(f'{SVG}text')]


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """The document of a small search, its figures by file name, and the reported progress."""
  document, seen = documents.tiny(), []
  paths = figures_lib.save_all(document, tmp_path_factory.mktemp('figures') / 'new', lambda done, total: seen.append((done, total)))
  return document, {path.name: path for path in paths}, seen


@pytest.mark.long
def test_every_figure_as_png_and_svg(saved):
  _, paths, seen = saved
  assert list(paths) == [f'{name}.{suffix}' for name in ALL for suffix in ('png', 'svg')]
  assert {path.name for path in paths['network.png'].parent.iterdir()} == set(paths)
  assert seen == [(done, len(ALL)) for done in range(1, len(ALL) + 1)]
  for name in ALL:
    with Image.open(paths[f'{name}.png']) as image:
      assert image.width >= 1000 and round(image.info['dpi'][0]) == figures_lib.DPI
      assert len(np.unique(np.asarray(image.convert('L')))) > 10


def test_text_of_an_svg_is_text_and_its_style_needs_no_variables(saved):
  document, paths, _ = saved
  words = svg_text(paths['network.svg'])
  for block in document['runs'][0]['network']['blocks']:
    assert block['label'] in words or block['skipped']
  assert 'Entropy of the decisions' in svg_text(paths['curves.svg'])
  for name in ALL:
    text = paths[f'{name}.svg'].read_text(encoding='utf-8')
    assert 'var(' not in text and '@media' not in text and 'data-hover' not in text and '<style>text {' in text


def test_the_same_document_gives_the_same_pixels(saved):
  document, paths, _ = saved
  assert figures_lib.png(figures_lib.pictures(document)['network']) == paths['network.png'].read_bytes()


@pytest.mark.long
@pytest.mark.parametrize('name, expected', [
    ('empty', []), ('running', ['network', 'blocks', 'curves', 'probabilities', 'table']),
    ('interrupted', ['network', 'blocks', 'curves', 'probabilities', 'table']), ('macs', ['network', 'blocks', 'curves', 'probabilities'])])
def test_a_run_has_the_figures_for_which_it_has_data(name, expected, tmp_path):
  assert list(figures_lib.pictures(getattr(documents, name)())) == expected
  assert len(figures_lib.save_all(getattr(documents, name)(), tmp_path / 'figures')) == 2 * len(expected)


@pytest.mark.parametrize('name', suites.few(['widths', 'nested', 'resolutions'], 1))
def test_decisions_of_every_kind_have_figures(name, tmp_path):
  document = documents.coupled(name)
  figures_lib.save_all(document, tmp_path)
  words = ' '.join(svg_text(tmp_path / 'probabilities.svg'))
  assert all(decision['label'] in words for decision in document['runs'][0]['decisions'] if len(decision['label']) < 20)


@pytest.mark.filterwarnings('error')
def test_hostile_names_are_text_of_bounded_length(tmp_path):
  document = documents.hostile()
  document['runs'][0]['network']['blocks'][0]['label'] = '$\\frac{\x00'
  paths = figures_lib.save_all(document, tmp_path)
  for path in paths[1::2]:
    assert not {'script', f'{SVG}script'} & {element.tag for element in xml.etree.ElementTree.parse(path).iter()}, path
    assert max(map(len, svg_text(path))) <= 100, path
  assert '$\\frac{?' in svg_text(tmp_path / 'network.svg')


@pytest.mark.long
def test_one_epoch_is_enough(tmp_path):
  document = documents.tiny()
  run = document['runs'][0]
  run['history'] = {name: values[:1] for name, values in run['history'].items()}
  figures_lib.save_all(document, tmp_path)


def test_fronts_of_all_runs_that_cost_in_the_same_unit():
  document = documents.comparison()
  picture = figures_lib.pictures(document)['pareto']
  assert all(f'front, {run["name"]}' in picture for run in document['runs'])


def picture(content, width=20, height=10):
  return raster.pixels(svg.picture(width, height, 'test', content), 10 * width)


def test_shapes_fill_their_place_in_the_colour_of_their_class():
  found = picture(svg.rect(5, 2, 10, 4, 'k k3'))
  assert found.shape == (100, 200, 3)
  assert found[40, 100].tolist() == [0x56, 0xb4, 0xe9] and found[21, 51].tolist() == found[58, 148].tolist() == [0x56, 0xb4, 0xe9]
  assert found[15, 100].tolist() == found[65, 100].tolist() == found[40, 45].tolist() == found[40, 155].tolist() == WHITE


def test_groups_move_and_nested_pictures_are_scaled_and_cut_off():
  moved = picture(f'<g transform="translate(5 2)">{svg.rect(0, 0, 10, 4, "k k3")}</g>')
  assert np.array_equal(moved, picture(svg.rect(5, 2, 10, 4, 'k k3')))
  nested = picture(svg.nest(svg.picture(10, 10, '', svg.rect(-5, 5, 50, 20, 'k k7')), 0, 0, 5, 5))
  assert nested[40, 25].tolist() == [0, 0x9e, 0x73]
  assert nested[40, 60].tolist() == nested[60, 25].tolist() == nested[10, 25].tolist() == WHITE


def test_lines_dots_and_patterns():
  line = picture(svg.line(0, 5, 20, 5, 'line s0'))
  assert line[50, 100].tolist() == [0, 0x72, 0xb2] and line[30, 100].tolist() == WHITE
  assert picture(svg.dots([(10, 5)], 's1'))[50, 100].tolist() == [0xd5, 0x5e, 0]
  striped = picture(svg.box(0, 0, 20, 10, 'k5', 'stripes'))
  assert len(np.unique(striped.reshape(-1, 3), axis=0)) > 2 and not (striped == 255).all(axis=-1).any()


def test_half_transparent_outlines_leave_fills_as_they_are():
  assert picture(svg.box(2, 2, 16, 6, 'k3 outlined', 'plain'))[50, 100].tolist() == [0x56, 0xb4, 0xe9]


def test_texts_are_aligned():
  columns = lambda content: np.flatnonzero((picture(content) < 128).any(axis=(0, 2)))
  start, middle, end = (columns(svg.text(10, 8, 'i', classes)) for classes in ('', 'mid', 'end'))
  assert start.min() > 100 > end.max() and abs(middle.mean() - 100) < 6


def test_a_scatter_plot_of_a_table(tmp_path):
  groups = {'calibration': [(1.0, 1.1), (2.0, 2.0)], 'validation': [(1.5, 1.4), (3.0, 3.2)], 'published': [(2.2, 2.2)]}
  scatter.save(groups, 'a table', tmp_path / 'table.png')
  pixels = np.asarray(Image.open(io.BytesIO((tmp_path / 'table.png').read_bytes()))).reshape(-1, 3)
  for color in ([0, 0x72, 0xb2], [0xd5, 0x5e, 0]):
    assert (pixels == color).all(axis=-1).sum() > 50
