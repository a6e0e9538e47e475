"""The FBNet space; counts of its published networks are in tests/cost/test_counting.py."""

import pytest

from tf_proxyless.space import fbnet
from tf_proxyless.space import io
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema


def test_the_space_of_the_paper():
  space = fbnet.fbnet()
  assert schema.cardinality(space) == 9**22
  traced = list(network.trace(space))
  assert [block.output_shape[2] for block in traced] == [
      16, 16, *[24] * 4, *[32] * 4, *[64] * 4, *[112] * 4, *[184] * 4, 352, 1984, 1000]
  assert [block.output_shape[0] for block in traced] == [112, 112, *[56] * 4, *[28] * 4, *[14] * 8, *[7] * 6, 1]
  # Identity shortcuts, which a skip leaves alone, wherever shapes allow; elsewhere it is a convolution.
  assert [block.block.residual for block in traced][1:-2] == [True, *[False, True, True, True] * 5, False]
  skips = [block.block.candidates[-1] for block in traced[1:-2]]
  assert [skip == ops.Zero() for skip in skips] == [block.block.residual for block in traced[1:-2]]
  assert skips[1] == ops.ConvBn(24, 1, 2, 'relu') and skips[-1] == ops.ConvBn(352, 1, 1, 'relu')


def test_groups_and_the_first_convolution():
  first = fbnet.fbnet().blocks[2].candidates
  names = lambda op: [layer.name for layer in op.layers((112, 112, 16)) if not layer.name.endswith(('_bn', '_activation'))]
  assert names(first[fbnet.CHOICES.index('k3e1')]) == ['expand', 'depthwise', 'project']
  assert names(first[fbnet.CHOICES.index('k5e1g2')]) == ['expand', 'shuffle', 'depthwise', 'project']
  released = fbnet.fbnet(always_expand=False).blocks[2].candidates
  assert names(released[fbnet.CHOICES.index('k3e1')]) == ['depthwise', 'project']
  grouped = network.OpSignature(first[fbnet.CHOICES.index('k5e1g2')], (112, 112, 16))
  assert str(grouped) == 'mbconv 112x112x16 -> 24 k5 s2 e1 relu g2 x'


def test_a_file_keeps_it(tmp_path):
  space = fbnet.fbnet(width_multiplier=0.35, resolution=96, channels=1, classes=10)
  io.save_search_space(space, tmp_path / 'space.json')
  assert io.load_search_space(tmp_path / 'space.json') == space


def test_the_network_for_96_pixels_has_its_own_resolution():
  assert published.network('fbnet_96').input_shape == (96, 96, 3)
  assert published.network('fbnet_96', resolution=64).input_shape == (64, 64, 3)


@pytest.mark.parametrize('arguments, message', [
    ({'width_multiplier': 0.0}, r'width_multiplier must be in \(0, 100\], got 0.0'),
    ({'stem_filters': 0}, r'stem_filters must be positive, got \[0\]'),
])
def test_widths_that_would_be_rounded_up_from_nothing_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    fbnet.fbnet(**arguments)


def test_other_stages_are_refused():
  with pytest.raises(ValueError, match=r'stage_filters must have 7 entries, got \[16, 24\]'):
    fbnet.fbnet(stage_filters=(16, 24))
