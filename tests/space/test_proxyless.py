"""The ProxylessNAS space: published constants, and arguments that do not fit."""

import pytest

from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema


def test_cardinality_of_the_default_space():
  assert schema.cardinality(proxyless.proxyless()) == 6**6 * 7**15 == 221_502_229_807_900_608


def test_default_space():
  space = proxyless.proxyless()
  assert [block.name for block in space.blocks] == ['stem', *(f'block_{i}' for i in range(22)), 'feature_mix', 'classifier']
  assert [path for path, _ in schema.walk(space)] == [f'blocks/block_{i}/op' for i in range(1, 22)]
  sizes = [traced.output_shape[0] for traced in network.trace(space)]
  assert sizes == [112] * 2 + [56] * 4 + [28] * 4 + [14] * 8 + [7] * 5 + [7, 1]
  assert len(network.op_signatures(space)) == 2 + 66 + 2


def test_order_of_choices_is_the_official_one():
  space = proxyless.proxyless()
  names = [ops.short_name(choice) for choice in space.blocks[3].op.choices]
  assert names == ['k3e3', 'k3e6', 'k5e3', 'k5e6', 'k7e3', 'k7e6', 'zero']


def test_zero_exactly_where_a_block_can_be_skipped():
  for traced in network.trace(proxyless.proxyless()):
    skippable = traced.input_shape == traced.output_shape
    assert traced.block.residual == skippable
    assert (ops.Zero() in traced.block.candidates) == skippable


@pytest.mark.parametrize('value, expected', [
    (32.4, 32), (43.2, 40), (21.6, 24), (17.7, 16), (17.9, 24), (1433.6, 1432), (1, 8), (11, 16), (12, 16), (10.9, 16), (8.8, 8)])
def test_make_divisible(value, expected):
  assert ops.make_divisible(value) == expected


def test_make_divisible_never_loses_a_tenth():
  for value in (n / 10 for n in range(1, 30_000)):
    rounded = ops.make_divisible(value)
    assert rounded % 8 == 0 and rounded >= 0.9 * value


@pytest.mark.parametrize('multiplier, widths', [
    (1.35, [40, 24, 32, 56, 112, 128, 256, 432, 1728]),
    (1.12, [40, 24, 32, 48, 88, 104, 216, 360, 1432]),
    (0.5, [16, 8, 16, 24, 40, 48, 96, 160, 1280]),  # the head is never narrowed
])
def test_width_multiplier(multiplier, widths):
  space = proxyless.proxyless(width_multiplier=multiplier)
  found = [traced.output_shape[2] for traced in network.trace(space)][:-1]
  assert list(dict.fromkeys(found)) == list(dict.fromkeys(widths))


def test_small_space_of_the_same_function():
  space = proxyless.proxyless(
      stage_filters=(16, 24), stage_blocks=(2, 1), stage_strides=(2, 1), stem_filters=8, stem_strides=1, first_block_filters=8,
      head_filters=64, candidates=((3, 3), (5, 6)), zero=False, resolution=32, channels=1, classes=10, dropout_rate=0.25,
      padding='symmetric', name='small')
  assert schema.cardinality(space) == 2**3
  assert space.input_shape == (32, 32, 1) and space.padding == 'symmetric' and space.name == 'small'
  assert space.blocks[-1].op == ops.Classifier(10, 0.25)
  assert [traced.output_shape for traced in network.trace(space)] == [
      (32, 32, 8), (32, 32, 8), (16, 16, 16), (16, 16, 16), (16, 16, 24), (16, 16, 64), (1, 1, 10)]


def test_uneven_resolutions_only_where_asked_for():
  with pytest.raises(ValueError, match='total stride 32, got 225; nearest: 224 or 256'):
    proxyless.proxyless(resolution=225)
  sizes = [traced.output_shape[0] for traced in network.trace(proxyless.proxyless(resolution=225, allow_uneven=True))]
  assert sizes[0] == 113 and sizes[-2] == 8


@pytest.mark.parametrize('arguments, message', [
    (dict(resolution=16), 'nearest: 32$'),
    (dict(resolution=0), 'got 0'),
    (dict(resolution=0, allow_uneven=True), 'got 0'),
    (dict(stage_blocks=(4, 4)), 'one entry a stage'),
    (dict(stage_filters=(), stage_blocks=(), stage_strides=()), 'one entry a stage'),
    (dict(stage_strides=(2, 2, 2, 1, 0, 1)), 'stage_strides must be positive'),
    (dict(stage_blocks=(4, 4, 4, 4, 0, 1)), 'stage_blocks must be positive'),
    (dict(candidates=()), 'candidates'),
    (dict(candidates=((4, 3),)), 'kernel_size must be odd'),
    (dict(width_multiplier=0.0), 'width_multiplier'),
    (dict(width_multiplier=float('nan')), 'width_multiplier'),
    (dict(stem_filters=0), 'stem_filters'),
    (dict(stem_strides=0), r'stem_strides must be positive, got \[0\]'),
    (dict(head_filters=-8), 'head_filters'),
    (dict(first_block_filters=0), 'first_block_filters'),
    (dict(classes=0), 'units must be a positive integer'),
    (dict(dropout_rate=1.0), 'dropout_rate'),
    (dict(padding='valid'), 'padding'),
])
def test_arguments_that_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    proxyless.proxyless(**arguments)
