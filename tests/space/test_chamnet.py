"""ChamNet's space; counts of its published networks are in tests/cost/test_counting.py."""

import pytest

from tf_proxyless.cost import counting
from tf_proxyless.cost import model
from tf_proxyless.space import chamnet
from tf_proxyless.space import io
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema


def choices_of(space, name):
  """The genotype of a published network in the default space, whose arguments have all its values."""
  pixels, stem, last, text = chamnet.PUBLISHED[name]
  wanted = {'resolution': pixels, 'stem/filters': stem, 'last/filters': last}
  least = {}
  for stage, word in enumerate(text.split()):
    ratio, filters, least[stage] = map(int, word.replace('x', ':').split(':'))
    wanted |= {f'stage_{stage}/filters': filters, f'stage_{stage}/expand_ratio': ratio}
  choices = {decision.path: decision.choices.index(wanted[decision.path]) for decision in schema.decisions(space) if decision.tag != 'op'}
  stage, position = -1, 0
  for block in space.blocks[1:-2]:
    stage, position = (stage, position + 1) if block.residual and stage >= 0 else (stage + 1, 0)
    if isinstance(block.op, schema.OneOf):
      choices[f'blocks/{block.name}/op'] = int(position >= least[stage])
  return choices


@pytest.mark.parametrize('name', chamnet.PUBLISHED)
def test_published_networks_are_in_the_space(name):
  """But for the shortcut around a first block that keeps the stem's width, which counts nothing."""
  space = chamnet.chamnet()
  found = schema.resolve(space, choices_of(space, name))
  assert counting.count_network(found) == counting.count_network(published.network(name))
  assert [block.op for block in found.blocks if not isinstance(block.op, ops.Zero)] == [
      block.op for block in published.network(name).blocks]


def test_the_space():
  space = chamnet.chamnet()
  assert len(schema.decisions(space)) == 22 and schema.cardinality(space) == pytest.approx(1.79e10, rel=0.01)
  costs = model.from_macs(space)
  assert (costs.smallest, costs.largest) == (24_735_744, 715_213_744)


def test_a_file_keeps_it(tmp_path):
  space = chamnet.chamnet(width_multiplier=0.5, kernel_size=(3, 5), resolution=(64, 96), channels=1, classes=10)
  io.save_search_space(space, tmp_path / 'space.json')
  assert io.load_search_space(tmp_path / 'space.json') == space
  assert {decision.tag for decision in schema.decisions(space)} == {'resolution', 'filters', 'kernel_size', 'expand_ratio', 'op'}


def test_shortcuts():
  """Within a stage, and around the first block where the stem is as wide: of D, E and F."""
  residual = lambda name: published.network(name).blocks[1].residual
  assert [residual(name) for name in chamnet.PUBLISHED] == [False, False, True, True, True, True]
  assert [block.block.name for block in network.trace(published.network('chamnet_f')) if block.block.residual] == [
      'block_0', 'block_3', 'block_4', 'block_7', 'block_8', 'block_10']


@pytest.mark.parametrize('arguments, message', [
    ({'width_multiplier': 0.0}, r'width_multiplier must be in \(0, 100\], got 0.0'),
    ({'stage_filters': (16, 24)}, 'must be as many, got 2, 7, 7, 7'),
    ({'stage_filters': (16, 24, (32, 0), 64, 96, 160, 320)}, r'stage_filters must be positive, got \[16, 24, 32, 0, 64'),
    ({'stage_blocks': (0, 1, 1, 1, 1, 1, 1)}, r'stage_blocks must be positive, got \[0, 1'),
    ({'expansions': ((), 1, 1, 1, 1, 1, 1)}, 'each argument needs a value'),
    ({'kernel_size': 4}, 'MBConv.kernel_size must be odd, got 4'),
    ({'resolution': (64, 0)}, 'input_shape must be three positive integers'),
])
def test_what_does_not_fit(arguments, message):
  with pytest.raises(ValueError, match=message):
    chamnet.chamnet(**arguments)
