"""The published networks; their MACs and parameters are in tests/cost/test_counting.py."""

import pytest

from tf_proxyless.space import layers
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema


# Widths at the end of the stem, the first block, each stage and the head, dropout, and how many blocks are skipped.
@pytest.mark.parametrize('name, widths, dropout_rate, skipped', [
    ('proxyless_mobile', [32, 16, 32, 40, 80, 96, 192, 320, 1280], 0.1, 2),
    ('proxyless_mobile_14', [48, 24, 40, 56, 112, 136, 256, 448, 1792], 0.3, 2),
    ('proxyless_gpu', [40, 24, 32, 56, 112, 128, 256, 432, 1728], 0.3, 8),
    ('proxyless_cpu', [40, 24, 32, 48, 88, 104, 216, 360, 1432], 0.2, 2),
])
def test_widths_dropout_and_skipped_blocks(name, widths, dropout_rate, skipped):
  net = published.network(name)
  ends = [traced.output_shape[2] for i, traced in enumerate(network.trace(net)) if i in (0, 1, 5, 9, 13, 17, 21, 22, 23)]
  assert ends == widths
  assert net.blocks[-1].op == ops.Classifier(1000, dropout_rate)
  assert [block.op for block in net.blocks].count(ops.Zero()) == skipped
  assert net.name == name and schema.is_resolved(net)


def test_a_published_network_is_its_space_resolved():
  space, genotype = published.published('proxyless_cpu', resolution=192, classes=10, padding='symmetric')
  net = published.network('proxyless_cpu', resolution=192, classes=10, padding='symmetric')
  assert schema.resolve(space, genotype) == net
  assert net.input_shape == (192, 192, 3) and net.classes == 10 and net.padding == 'symmetric'
  assert net.blocks[2].op == ops.MBConv(32, 3, 2, 6) and net.blocks[-3].op == ops.MBConv(360, 5, 1, 6)


def test_rows_of_mobilenet_v3_large():
  net = published.network('mobilenet_v3_large')
  assert [(traced.block.residual, traced.output_shape) for traced in network.trace(net)] == [
      (False, (112, 112, 16)), (True, (112, 112, 16)), (False, (56, 56, 24)), (True, (56, 56, 24)), (False, (28, 28, 40)),
      (True, (28, 28, 40)), (True, (28, 28, 40)), (False, (14, 14, 80)), (True, (14, 14, 80)), (True, (14, 14, 80)), (True, (14, 14, 80)),
      (False, (14, 14, 112)), (True, (14, 14, 112)), (False, (7, 7, 160)), (True, (7, 7, 160)), (True, (7, 7, 160)),
      (False, (7, 7, 960)), (False, (1, 1, 1000))]
  excited = [layer for traced in network.trace(net) for layer in traced.block.op.layers(traced.input_shape)
             if isinstance(layer, layers.SqueezeExcite)]
  assert [layer.filters for layer in excited] == [24, 32, 32, 120, 168, 168, 240, 240]  # a quarter of the width inside, by eights
  assert published.published('mobilenet_v3_large')[1] == schema.Genotype({})


def test_unknown_names_list_the_known_and_suggest():
  with pytest.raises(ValueError) as error:
    published.network('mobile14')
  assert "did you mean 'proxyless_mobile_14'?" in str(error.value)
  assert all(name in str(error.value) for name in published.NAMES)
