"""The drawing of networks: to scale, and the same whether a network was found or is one of an epoch's."""

import re
from xml.etree import ElementTree

import pytest

from tests.report import documents
from tf_proxyless.report.document import networks as networks_lib
from tf_proxyless.report.drawing import graph
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import schema


@pytest.fixture(scope='module')
def run():
  return documents.imagenet(epochs=3)['runs'][0]


def boxes(picture):
  """(x, width, height) of each block that is not skipped."""
  found = []
  for group in ElementTree.fromstring(picture):
    for box in group.iter('rect'):
      if box.get('class').startswith('k ') and group.get('transform'):
        x = float(re.match(r'translate\((\S+) 0\)', group.get('transform'))[1])
        found.append((x, float(box.get('width')), float(box.get('height'))))
  return found


def test_widths_are_costs_and_heights_are_expansions(run):
  blocks = [block for block in run['network']['blocks'] if not block['skipped']]
  found = boxes(drawing.render(run['network']['blocks'], 'ms'))
  per_ms = drawing.WIDTH / sum(block['cost'] for block in blocks)
  assert [width for _, width, _ in found] == pytest.approx([max(per_ms * block['cost'], 2.3) for block in blocks], abs=0.01)
  for (_, _, height), block in zip(found, blocks):
    assert height == pytest.approx(drawing.HEIGHT * (block['expansion'] or 1.0) / 6, abs=0.1)


def test_boxes_stand_apart_and_skipped_blocks_are_circles(run):
  blocks = run['network']['blocks']
  picture = drawing.render(blocks, 'ms')
  found = boxes(picture)
  assert all(right[0] >= left[0] + left[1] + drawing.GAP - 0.1 for left, right in zip(found, found[1:]))
  assert picture.count('class="skip"') == sum(block['skipped'] for block in blocks) > 0
  assert picture.count('class="arc"') == sum(block['residual'] and not block['skipped'] for block in blocks)


def test_resolutions_and_channels_are_written(run):
  texts = [node.text for node in ElementTree.fromstring(drawing.render(run['network']['blocks'], 'ms')).iter('text')]
  assert [text for text in texts if '×' in text] == ['224×224', '112×112', '56×56', '28×28', '14×14', '7×7']
  assert texts[-2:] == ['1280', '1000'] and '320' in texts


def test_networks_of_comparable_cost_have_one_scale(run):
  blocks = run['network']['blocks']
  half = [{**block, 'cost': block['cost'] / 2} for block in blocks]
  one, other = drawing.scales([('ms', blocks), ('ms', half)])
  assert one == other
  wide, narrow = boxes(drawing.render(blocks, 'ms', one)), boxes(drawing.render(half, 'ms', other))
  assert [width for _, width, _ in wide[:-1]] == pytest.approx([2 * width for _, width, _ in narrow[:-1]], abs=0.02)  # the last is thinnest
  for others in (('MACs', half), ('ms', [{**block, 'cost': block['cost'] / 9} for block in blocks])):
    assert len(set(drawing.scales([('ms', blocks), others]))) == 2


def test_what_is_not_known_is_not_drawn_to_scale(run):
  blocks = [{**block, 'cost': None} for block in run['network']['blocks']]
  assert drawing.scale([blocks]).measure == 'macs'
  scale = drawing.scale([[{**block, 'macs': None} for block in blocks]])
  assert scale.measure == 'nothing' and len({scale.width(block) for block in blocks}) == 2


@pytest.mark.parametrize('name', ['tiny', 'widths', 'nested', 'resolutions'])
def test_the_player_holds_the_blocks_of_every_epoch(name):
  document = documents.tiny() if name == 'tiny' else documents.coupled(name)
  networks = document['runs'][0]['most_likely']
  frame = ElementTree.fromstring(drawing.player(networks, 'ms'))
  groups = [group for group in frame if group.get('class') == 'block']
  scale = drawing.scale([drawing.at(networks, index) for index in range(len(networks['variants']))])
  for index, row in enumerate(networks['variants']):
    widths = [float(list(group)[variant].get('data-width')) for group, variant in zip(groups, row)]
    assert widths == pytest.approx([scale.width(block) for block in drawing.at(networks, index)], abs=0.01)
  shown = [[variant.get('display') is None for variant in group].index(True) for group in groups]
  assert shown == networks['variants'][-1]


def test_keys_differ_without_colour():
  blocks = [{'form': 'depthwise', 'kernel': kernel} for kernel in (3, 5, 7, 9)]
  assert [drawing.key(block) for block in blocks] == ['k3', 'k5', 'k7', 'other']
  assert len({drawing.PATTERNS[drawing.key(block)] for block in blocks}) == 4
  assert [drawing.key({'form': form, 'kernel': 3}) for form in ('conv', 'dense', 'pool', 'skip', 'value')] == [
      'fixed', 'fixed', 'other', 'skip', 'value']


def test_smaller_expansions_and_numbers_are_paler():
  choices = [{'form': 'depthwise', 'expansion': ratio} for ratio in (3.0, 6.0, 4.0, None)]
  assert drawing.tints(choices) == ['t0', 't2', 't1', 't2']
  assert drawing.tints([{'form': 'value', 'expansion': None}] * 3) == ['t0', 't1', 't2']


def test_a_tree_is_drawn_as_one():
  """A panel for each block of the tree; a line leads from each of its parts down to what takes it, and no two parts lie on each other."""
  network = cifar_tree.cifar_tree(stage_blocks=(1, 1), widening=8)
  tree = schema.resolve(network, schema.genotype(network, [i % 7 for i in range(24)]))
  found = networks_lib.network(tree, networks_lib.Prices('MACs', None))
  assert graph.is_graph(found['blocks']) and not graph.is_graph(documents.imagenet(epochs=3)['runs'][0]['network']['blocks'])
  picture = ElementTree.fromstring(graph.draw(found['blocks'], 'MACs'))
  panels = {panel.find('text').text: panel for panel in picture if panel.tag == 'g'}
  assert list(panels) == ['stem 32×32×16', 'block 1 32×32×80', 'block 2 16×16×96', 'final bn 16×16×96', 'classifier 1×1×10']
  panel = panels['block 1 32×32×80']
  tips = [title.text.split('\n')[0] for title in panel.iter('title')]
  assert len(tips) == 26 and 'block_1.a.1.2: sep 7x7 RE' in tips and 'block_1.a.2.1: sep 3x3 d2 RE' in tips
  centres = [(float(box.get('x')) + 5.5, float(box.get('y')) + 5.5) for box in panel.iter('rect') if box.get('class').startswith('k ')]
  centres += [(float(dot.get('cx')), float(dot.get('cy'))) for dot in panel.iter('circle')]
  assert len(set(centres)) == 26
  lines = [path.get('d') for path in panel.iter('path') if path.get('class') == 'spine']
  assert len(lines) > 32  # 2 + 4 + 8 + 8 + 4 + 4 + 2 + 2 of the tree and its sums, and corners
