"""The spaces of TuNAS against what its code and its README say of them."""

import math
import random

import pytest

from tf_proxyless.cost import counting
from tf_proxyless.cost import model
from tf_proxyless.space import io
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema
from tf_proxyless.space import tunas

# Of its own test of the cost model.
INDICES = ('0:0:0:1:0:0:0:0:1:0:0:1:0:0:1:0:1:1:0:1:0:0:1:0:0:0:0:0:0:2:1:0:1:1:0:2:1:0:2:1:0:0:1:1:0:0:0:0:'
           '1:0:0:1:0:0:0:1:1:0:2:0:0:0:0:0:1:0:0:0:2:1:0:0:0')


@pytest.mark.parametrize('name, numbers, strings, networks', [
    (tunas.PROXYLESSNAS, 73, 2.156e21, 3 * 6**6 * 7**15), (tunas.ENLARGED, 73, 1.392e28, None), (tunas.MOBILENET_V3, 86, 8.481e42, None)])
def test_sizes(name, numbers, strings, networks):
  """README: 10^21, 10^28 and 10^43, which counts strings of indices."""
  space = tunas.tunas(name)
  assert len(tunas.order(space)) == numbers
  assert set(tunas.order(space)) - {''} == {decision.path for decision in schema.decisions(space)}
  assert math.prod(len(decision.choices) for decision in schema.decisions(space)) == pytest.approx(strings, rel=1e-3)
  assert networks in (None, schema.cardinality(space))


def test_widths():
  enlarged = tunas.tunas(tunas.ENLARGED)
  widths = {decision.path: decision.choices for decision in schema.decisions(enlarged) if decision.tag == 'filters'}
  assert widths['stage_0/filters'] == (8, 16, 24, 32) and widths['stage_8/filters'] == (512, 640, 768, 1024, 1280, 1536, 2048)
  assert widths['stage_3/filters'] == (16, 24, 32, 40, 48, 64)  # 20 is rounded to 24
  half = tunas.tunas(tunas.PROXYLESSNAS, width_multiplier=0.5, resolution=96, channels=1, classes=10)
  assert [block.output_shape[2] for block in network.trace(half) if block.block.name in ('stem', 'block_0', 'block_21', 'feature_mix')] == [
      16, 8, 160, 640]


def test_proxylessnas_mobile_is_in_it():
  """But for ReLU in place of ReLU6: as many multiply-adds and parameters."""
  found, choices = published.published('proxyless_mobile')
  space = tunas.tunas(tunas.PROXYLESSNAS)
  path = {'blocks/block_0/op/kernel_size': 0}
  for i, block in enumerate(schema.resolve(found, choices).blocks[2:-2], 1):
    where = f'blocks/block_{i}/op'
    optional = isinstance(space.blocks[i + 1].op, schema.OneOf)
    if optional:
      path[where] = int(ops.is_zero(block.op))
    if not ops.is_zero(block.op):
      where += '/0' if optional else ''
      path |= {f'{where}/kernel_size': (3, 5, 7).index(block.op.kernel_size), f'{where}/expand_ratio': (3, 6).index(block.op.expand_ratio)}
  mobile = published.network('proxyless_mobile')
  assert counting.count_network(schema.resolve(space, path)) == counting.count_network(mobile)


def test_expansions_of_one_expand():
  """TuNAS's bottleneck always has its first convolution; a wider one is the same operation as elsewhere."""
  space = tunas.tunas(tunas.MOBILENET_V3, resolution=64)
  path = {decision.path: 0 for decision in schema.decisions(space)}
  first = 'blocks/block_1/op/expand_ratio'
  narrow, wide = (schema.resolve_part(space.blocks[2].op, 'blocks/block_1/op', {**path, first: choice}) for choice in (0, 1))
  assert [layer.name for layer in narrow.layers((32, 32, 8))][0] == 'expand'
  assert wide == ops.MBConv(8, 3, 2, 2, 'relu')
  activations = [block.candidates[0].activation for block in space.blocks[:-1]]
  assert activations == ['hard_swish', *['relu'] * 9, *['hard_swish'] * 13]


def test_strings_of_indices():
  space, choices = published.published(f'proxylessnas_search:{INDICES}')
  assert tunas.indices(space, choices) == INDICES
  assert io.find_architecture(f'proxylessnas_search:{INDICES}').genotype == choices
  generator = random.Random(0)
  for name in tunas.NAMES:
    space = tunas.tunas(name)
    decisions = schema.decisions(space)
    for _ in range(5):
      choices = schema.genotype(space, [generator.randrange(len(decision.choices)) for decision in decisions])
      assert tunas.genotype(space, tunas.indices(space, choices)) == choices


@pytest.mark.parametrize('text, message', [
    (INDICES[2:], "indices of tunas_proxylessnas_search must be 73 numbers joined by colons, got 72: '0:0:1:0"),
    (INDICES.replace('1', 'x', 1), 'must be 73 numbers joined by colons, got 73'),
    (INDICES[:2] + '3' + INDICES[3:], r'index 1 of tunas_proxylessnas_search must be one of 0\.\.2, got 3'),
    ('1' + INDICES[1:], r'index 0 of tunas_proxylessnas_search must be one of 0\.\.0, got 1'),
    ('', 'must be 73 numbers joined by colons, got 1'),
])
def test_strings_that_are_none(text, message):
  with pytest.raises(ValueError, match=message):
    published.published(f'proxylessnas_search:{text}')


@pytest.mark.parametrize('arguments, message', [
    ({'variant': 'x'}, "variant must be one of proxylessnas_search, .*, got 'x'"),
    ({'variant': tunas.ENLARGED, 'width_multiplier': 0.0}, 'width_multiplier must be in'),
    ({'variant': tunas.ENLARGED, 'resolution': 0}, 'input_shape must be three positive integers'),
])
def test_what_does_not_fit(arguments, message):
  with pytest.raises(ValueError, match=message):
    tunas.tunas(**arguments)


@pytest.mark.long
def test_costs_of_all_decisions():
  """A block of the space around MobileNetV3 depends on five."""
  space = tunas.tunas(tunas.MOBILENET_V3, resolution=64)
  costs = model.from_macs(space)
  assert max(len(term.decisions) for term in costs.terms) == 5
  generator = random.Random(0)
  path = [generator.randrange(len(decision.choices)) for decision in schema.decisions(space)]
  assert costs.cost(path) == counting.count_network(schema.resolve(space, schema.genotype(space, path))).macs
  assert costs.smallest < costs.cost(path) < costs.largest
