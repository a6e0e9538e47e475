"""The geometry of networks: to scale, in order, and the same for derived networks and those of an epoch."""

import itertools

import pytest

from tests.report import documents
from tf_proxyless.report import drawing


@pytest.fixture(scope='module')
def run():
  return documents.imagenet(epochs=3)['runs'][0]


def test_widths_are_to_scale_and_heights_are_expansions(run):
  drawn = drawing.layout(run['network'])
  blocks = run['network']['blocks']
  assert drawn.measure == 'cost'
  assert sum(box.width for box in drawn.boxes) == pytest.approx(drawing.BLOCKS_WIDTH, rel=1e-9)
  per_ms = drawing.BLOCKS_WIDTH / sum(block['cost'] for block in blocks)
  for box, block in zip(drawn.boxes, blocks):
    assert box.width == pytest.approx(block['cost'] * per_ms)
    if block['kind'] == 'mbconv':
      assert box.height == pytest.approx(drawing.HEIGHT * block['expansion'] / 6)
  assert sum(box.share for box in drawn.boxes) == pytest.approx(1.0)


def test_boxes_stand_apart_within_the_drawing(run):
  drawn = drawing.layout(run['network'])
  for left, right in itertools.pairwise(drawn.boxes):
    assert right.x == pytest.approx(left.x + left.width + drawing.GAP)
  assert drawn.boxes[-1].x + drawn.boxes[-1].width + drawing.GAP == pytest.approx(drawn.width)
  assert all(drawing.ARC_HEIGHT <= box.y and box.y + box.height <= drawn.height - drawing.ARC_HEIGHT for box in drawn.boxes)
  assert all(0 <= arc.x0 < arc.x1 <= drawn.width and arc.y - arc.height >= 0 for arc in drawn.arcs)


def test_skipped_blocks_are_points_and_have_no_arc(run):
  drawn = drawing.layout(run['network'])
  skipped = [index for index, block in enumerate(run['network']['blocks']) if block['kind'] == 'zero']
  assert skipped
  assert [box.index for box in drawn.boxes if box.key == 'skip'] == skipped
  assert all(not (drawn.boxes[index].width or drawn.boxes[index].height) for index in skipped)
  shortcuts = [index for index, block in enumerate(run['network']['blocks']) if block['residual'] and block['kind'] != 'zero']
  assert [arc.index for arc in drawn.arcs] == shortcuts


def test_resolutions_and_stages(run):
  drawn = drawing.layout(run['network'])
  assert [mark.text for mark in drawn.marks] == ['224×224', '112×112', '56×56', '28×28', '14×14', '7×7']
  assert [mark.x for mark in drawn.marks] == sorted(mark.x for mark in drawn.marks)
  assert [(stage.first, stage.last) for stage in drawn.stages][0] == (0, 0)
  assert [index for stage in drawn.stages for index in range(stage.first, stage.last + 1)] == list(range(len(drawn.boxes)))
  assert drawn.stages[0].text == '112×112×32'


def test_one_scale_for_several_networks(run):
  network = run['network']
  alone = drawing.layout(network)
  total = sum(block['cost'] for block in network['blocks'])
  twice = drawing.layout(network, 2 * drawing.BLOCKS_WIDTH / total)
  assert [box.width for box in twice.boxes] == pytest.approx([2 * box.width for box in alone.boxes])


def test_what_is_not_known_is_not_drawn_to_scale(run):
  blocks = [{**block, 'cost': None} for block in run['network']['blocks']]
  drawn = drawing.layout({**run['network'], 'blocks': blocks})
  assert drawn.measure == 'macs'
  assert drawn.boxes[0].share == pytest.approx(blocks[0]['macs'] / run['network']['macs'])
  drawn = drawing.layout({**run['network'], 'blocks': [{**block, 'macs': None} for block in blocks]})
  assert drawn.measure == 'nothing'
  assert len({round(box.width, 9) for box in drawn.boxes if box.key != 'skip'}) == 1


def test_choices_of_the_derived_network_give_the_derived_network(run):
  chosen = [next(index for index, choice in enumerate(decision['choices']) if choice['label'] == block['label'])
            for decision, block in zip(run['decisions'], (block for block in run['network']['blocks'] if block['decision'] is not None))]
  drawn = drawing.layout(drawing.resolve(run['fixed_blocks'], run['decisions'], chosen))
  assert drawn == drawing.layout(run['network'])


@pytest.mark.parametrize('block, key', [
    ({'kind': 'mbconv', 'kernel': 5}, 'k5'), ({'kind': 'mbconv', 'kernel': 9}, 'other'), ({'kind': 'zero', 'kernel': None}, 'skip'),
    ({'kind': 'conv_bn', 'kernel': 3}, 'fixed'), ({'kind': 'classifier', 'kernel': None}, 'fixed')])
def test_keys(block, key):
  assert drawing.key(block) == key
  assert key in drawing.COLORS and key in drawing.PATTERNS and key in drawing.LEGEND


def test_kernels_differ_without_colour():
  assert len({drawing.PATTERNS[key] for key in ('k3', 'k5', 'k7')}) == 3
