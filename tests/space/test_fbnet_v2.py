"""The FBNetV2 space; counts of its published networks are in tests/cost/test_counting.py, a small one is among `spaces.COUPLED`."""

import pytest

from tf_proxyless.space import fbnet_v2
from tf_proxyless.space import io
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema


@pytest.mark.long
def test_the_space_of_the_paper():
  space = fbnet_v2.fbnet_v2(resolution=fbnet_v2.RESOLUTIONS)
  assert fbnet_v2.RESOLUTIONS == (128, 160, 192, 224, 256, 288)
  assert schema.cardinality(space) == pytest.approx(1.1e35, rel=0.01)  # Wan et al., abstract: 1e35
  assert [decision.path for decision in schema.decisions(space) if decision.tag != 'op'] == [
      'resolution', *(f'stage_{i}/filters' for i in range(1, 6))]


def test_a_stage_has_one_width():
  space = fbnet_v2.fbnet_v2()
  choices = {decision.path: 0 for decision in schema.decisions(space)}
  wide = schema.resolve(space, {**choices, 'stage_3/filters': 2})
  assert [block.output_shape[2] for block in network.trace(wide)] == [
      16, 16, *[16] * 4, *[24] * 4, *[72] * 4, *[80] * 6, *[144] * 5, 224, 1344, 1000]


def test_widths_inside():
  """The nearest multiples of 8, F1's second and third stage."""
  traced = list(network.trace(published.network('fbnet_v2_f1')))
  assert [block.block.op.layers(block.input_shape)[0].filters for block in traced[2:6]] == [40, 112, 128, 144]
  assert [type(block.block.op) for block in traced[:2]] == [ops.ConvBn, ops.MBConv]
  assert traced[9].block == network.Block('block_9', ops.ConvBn(80, 1, 1, 'linear'))  # the skip to other filters
  assert published.network('fbnet_v2_l1').blocks[12] == network.Block('block_12', ops.Zero(), residual=True)  # the skip


def test_a_file_keeps_it(tmp_path):
  space = fbnet_v2.fbnet_v2(width_multiplier=0.5, resolution=(64, 96), channels=1, classes=10)
  io.save_search_space(space, tmp_path / 'space.json')
  assert (loaded := io.load_search_space(tmp_path / 'space.json')) == space
  assert [op.short_name.removesuffix('_hard_swish') for op in loaded.blocks[1].candidates] == [
      *(f'k{kernel}e{ratio}{excited}' for kernel in (3, 5) for ratio in ('1', '2', '3', '4.5', '6') for excited in ('', 'se0.25')), 'zero']


@pytest.mark.parametrize('arguments, message', [
    ({'width_multiplier': 0.0}, r'width_multiplier must be in \(0, 100\], got 0.0'),
    ({'stage_filters': (16, (0, 8), 24, 32, 64, 96)}, r'stage_filters must be positive, got \[16, 0, 8, 24, 32, 64, 96\]'),
    ({'stage_filters': (16, 24)}, 'must have one entry a stage, got 2, 6 and 6'),
    ({'kernel_sizes': ()}, 'expansions and kernel_sizes must name one value at least'),
    ({'expansions': (0,)}, 'MBConv.expand_ratio must be a positive number, got 0'),
    ({'resolution': (64, 0)}, 'input_shape must be three positive integers'),
])
def test_what_does_not_fit(arguments, message):
  with pytest.raises(ValueError, match=message):
    fbnet_v2.fbnet_v2(**arguments)
