"""Networks as data: shapes that must fit, and the keys of latency tables."""

import pytest

from tf_proxyless.space import cifar_tree
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import schema

BLOCKS = (
    network.Block('stem', ops.ConvBn(8, 3, 2)),
    network.Block('body', schema.OneOf((ops.MBConv(8, 3), ops.MBConv(8, 5), ops.Zero()), 'op'), residual=True),
    network.Block('down', ops.MBConv(12, 7, 2, 3)),
    network.Block('classifier', ops.Classifier(10)),
)


def test_trace():
  net = network.Network('net', (30, 17, 3), BLOCKS)
  shapes = [(traced.input_shape, traced.output_shape) for traced in network.trace(net)]
  assert shapes == [((30, 17, 3), (15, 9, 8)), ((15, 9, 8), (15, 9, 8)), ((15, 9, 8), (8, 5, 12)), ((8, 5, 12), (1, 1, 10))]
  assert net.classes == 10


def test_one_line():
  space = network.Network('net', (30, 17, 3), BLOCKS)
  assert str(space) == 'net: 1 decision, 3 networks'
  assert str(cifar_tree.cifar_tree()) == 'cifar_tree: 648 decisions, 10^547.6 networks'
  assert str(schema.resolve(space, {'blocks/body/op': 2})) == 'net: 30 x 17 x 3, 4 blocks'


def test_decisions_on_the_resolution():
  size = schema.OneOf((32, 48), 'resolution', 'resolution')
  assert network.resolution_decisions(network.Network('net', (size, size, 3), BLOCKS)) == (0,)
  assert network.resolution_decisions(network.Network('net', (32, 32, 3), BLOCKS)) == ()


def test_signatures_of_a_space_are_distinct_and_leave_out_zero():
  twice = (*BLOCKS[:2], network.Block('again', ops.MBConv(8, 3), residual=True), *BLOCKS[2:])
  net = network.Network('net', (32, 32, 3), twice)
  assert [str(signature) for signature in network.op_signatures(net)] == [
      'conv_bn 32x32x3 -> 8 k3 s2', 'mbconv 16x16x8 -> 8 k3 s1 e6 residual', 'mbconv 16x16x8 -> 8 k5 s1 e6 residual',
      'mbconv 16x16x8 -> 12 k7 s2 e3', 'classifier 8x8x12 -> 10']


@pytest.mark.parametrize('size, strides, kernel, padding', [
    (32, 2, 3, 'symmetric'), (31, 2, 3, 'same'), (32, 1, 3, 'same'), (32, 2, 1, 'same')])
def test_padding_matters_to_strided_kernels_on_even_sizes_only(size, strides, kernel, padding):
  signature = network.op_signature(ops.ConvBn(8, kernel, strides), (size, size, 3), padding='symmetric')
  assert signature.padding == padding


@pytest.mark.parametrize('signature', [
    network.OpSignature(ops.ConvBn(8, 3, 2), (32, 32, 3), padding='symmetric'),
    network.OpSignature(ops.MBConv(8, 7, 1, 3), (16, 13, 8), residual=True),
    network.OpSignature(ops.Classifier(10), (8, 8, 12)),
    network.OpSignature(ops.Identity(), (8, 8, 12), terms=3),
    network.OpSignature(ops.ConvBn(12, 1), (8, 8, 12), residual=True, terms=2),
])
def test_a_signature_is_that_of_its_network(signature):
  assert network.op_signatures(network.network_of_signature(signature)) == (signature,)


def test_file_names_of_signatures():
  signature = network.OpSignature(ops.MBConv(24, 5, 1, 3), (56, 56, 24), residual=True)
  assert signature.file_name == 'mbconv_56x56x24_24_k5_s1_e3_residual'
  parts = network.OpSignature(ops.Sequence((ops.Pool('max', 3, 2), ops.ConvBn(16, 1))), (14, 14, 8))
  assert str(parts) == 'sequence 14x14x8 -> 16 pool max k3 s2 + conv_bn 16 k1 s1'
  assert parts.file_name == 'sequence_14x14x8_16_pool_max_k3_s2+conv_bn_16_k1_s1'


def test_file_names_of_long_sequences_are_short_and_differ():
  names = {network.OpSignature(ops.Sequence((ops.ConvBn(8, 3),) * 40 + (ops.ConvBn(8, last),)), (8, 8, 8)).file_name for last in (1, 3)}
  assert len(names) == 2 and max(map(len, names)) < 150


def test_dropout_is_no_part_of_a_latency():
  assert network.op_signature(ops.Classifier(10, 0.5), (7, 7, 8)) == network.op_signature(ops.Classifier(10), (7, 7, 8))
  assert network.op_signature(ops.Zero(), (7, 7, 8)) is None


@pytest.mark.parametrize('make, message', [
    (lambda: network.Network('n', (32, 32, 3), BLOCKS, 'valid'), "padding must be one of .* got 'valid'"),
    (lambda: network.Network('n', (32, 0, 3), BLOCKS), 'three positive integers'),
    (lambda: network.Network('n', (32, 3), BLOCKS), 'three positive integers'),
    (lambda: network.Network('n', (32, 32, 3), ()), 'blocks with unique names'),
    (lambda: network.Network('n', (32, 32, 3), BLOCKS[:1] * 2), 'blocks with unique names'),
    (lambda: network.Network('n', (32, 32, 4), (network.Block('a', ops.ConvBn(8), residual=True),)),
     r"'a' has a shortcut, but maps \(32, 32, 4\) to \(32, 32, 8\)"),
    (lambda: network.Network('n', (32, 32, 4), (network.Block('a', schema.OneOf((ops.ConvBn(8), ops.Zero()), 'op')),)),
     "candidates of block 'a' give different shapes"),
    (lambda: network.Network('n', (32, 32, 3), BLOCKS[:1]).classes, 'not a classifier'),
    (lambda: network.Network('n', (32, 32, 3), (network.Block('a', ops.ConvBn(8), inputs=('b',)), network.Block('b', ops.ConvBn(8)))),
     "block 'a' takes 'b', but no block before it is called so"),
    (lambda: network.Network('n', (32, 32, 4), (network.Block('a', ops.ConvBn(8)), network.Block('b', ops.Zero(), inputs=('a', 'images')))),
     r"block 'b' adds up what differs in shape: \(32, 32, 8\), \(32, 32, 4\)"),
    (lambda: network.Block('images', ops.ConvBn(8)), "and not 'images'"),
    (lambda: network.Block('a', ops.ConvBn(8), drop='all'), "Block.drop must be one of '', 'path', 'cell', got 'all'"),
    (lambda: network.OpSignature(ops.Identity(), (7, 7, 8)), "OpSignature.op must compute something"),
    (lambda: network.OpSignature(ops.Identity(), (7, 7, 8), terms=0), "OpSignature.terms must be a positive integer, got 0"),
    (lambda: network.OpSignature('pool', (7, 7, 8)), "OpSignature.op must be a registered operation"),
    (lambda: network.OpSignature(ops.Zero(), (7, 7, 8)), "OpSignature.op must compute something"),
    (lambda: network.OpSignature(ops.MBConv(schema.OneOf((8, 16), 'filters')), (7, 7, 8)), "and have no open decisions"),
    (lambda: network.OpSignature(ops.ConvBn(8), (7, 0, 8)), "OpSignature.input_shape must be three positive integers"),
    (lambda: network.OpSignature(ops.ConvBn(8, 3, 1), (7, 7, 8), padding='valid'), 'OpSignature.padding'),
])
def test_what_is_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


def test_blocks_take_what_they_name():
  """By default the block before; sums cost their additions, a skipped block with a shortcut too."""
  blocks = (network.Block('a', ops.ConvBn(4, 3)), network.Block('b', ops.ConvBn(4, 1), inputs=('images',)),
            network.Block('sum', ops.Identity(), inputs=('a', 'b', 'a')), network.Block('skip', ops.Zero(), True, ('sum', 'b')),
            network.Block('zeros', ops.Zero(), inputs=('sum', 'b')), network.Block('end', ops.Classifier(5)))
  net = network.Network('n', (6, 6, 3), blocks)
  assert net.sources == ((-1,), (-1,), (0, 1, 0), (2, 1), (2, 1), (4,))
  assert [str(signature) for signature in network.op_signatures(net)][2:] == [
      'identity 6x6x4 -> 4 sum3', 'identity 6x6x4 -> 4 sum2', 'classifier 6x6x4 -> 5']
