"""Small spaces with decisions of every kind."""

from __future__ import annotations

from tf_proxyless.space import cifar_tree
from tf_proxyless.space import fbnet_v2 as fbnet_v2_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

Block = network_lib.Block
OneOf = schema.OneOf


def widths() -> network_lib.Network:
  """Widths of two stages, each one decision in several places; an operation and a kernel size beside them."""
  first, second = OneOf((8, 12, 16), 'filters', 'width_1'), OneOf((16, 24), 'filters', 'width_2')
  return network_lib.Network('widths', (16, 16, 3), (
      Block('stem', ops.ConvBn(8, 3, 2)),
      Block('block_1', ops.MBConv(first, 3, 1, OneOf((3, 6), 'expand_ratio'))),
      Block('block_2', OneOf((ops.MBConv(first, 3, 1, 3), ops.MBConv(first, 5, 1, 3), ops.Zero()), 'op'), residual=True),
      Block('block_3', ops.MBConv(second, OneOf((3, 5), 'kernel_size'), 2, 3)),
      Block('classifier', ops.Classifier(10))))


def nested() -> network_lib.Network:
  """Numbers inside an operation, decisions inside another's choice, squeeze-excite or not."""
  inner = ops.MBConv(8, OneOf((3, 5), 'kernel_size'), 1, OneOf((3, 6), 'expand_ratio'), se_ratio=OneOf((0.0, 0.25), 'se_ratio'))
  return network_lib.Network('nested', (16, 16, 3), (
      Block('stem', ops.ConvBn(8, 3, 2)),
      Block('block_1', OneOf((inner, ops.SeparableConv(8, 3), ops.Zero()), 'op'), residual=True),
      Block('block_2', OneOf((ops.MBConv(16, 3, 2, OneOf((1, 3), 'expand_ratio')), ops.SeparableConv(16, 5, 2)), 'op')),
      Block('classifier', ops.Classifier(10))))


def resolutions() -> network_lib.Network:
  """The resolution is a decision, on which every cost depends."""
  size = OneOf((16, 24, 32), 'resolution', 'resolution')
  return network_lib.Network('resolutions', (size, size, 3), (
      Block('stem', ops.ConvBn(8, 3, 2)),
      Block('block_1', OneOf((ops.MBConv(8, 3, 1, 3), ops.MBConv(8, 5, 1, 6), ops.Zero()), 'op'), residual=True),
      Block('block_2', OneOf((ops.MBConv(16, 3, 2, 3), ops.MBConv(16, 5, 2, 3)), 'op')),
      Block('classifier', ops.Classifier(10))))


def parts() -> network_lib.Network:
  """Decisions on the parts of an operation."""
  kernel = OneOf((3, 5), 'kernel_size')
  first = OneOf((ops.SeparableConv(8, kernel), ops.ConvBn(8, 1), ops.Identity()), 'op')
  return network_lib.Network('parts', (16, 16, 3), (
      Block('stem', ops.ConvBn(8, 3, 2)),
      Block('block_1', OneOf((ops.Sequence((first, ops.MBConv(8, 3, 1, OneOf((2, 4), 'expand_ratio')))), ops.Zero()), 'op'), residual=True),
      Block('block_2', ops.Sequence((ops.Pool('average', 3, 2), OneOf((ops.ConvBn(16, 1), ops.ConvBn(16, 3)), 'op')))),
      Block('classifier', ops.Classifier(10))))


def fbnet_v2() -> network_lib.Network:
  """The space of FBNetV2, small: a width, expansions that are no integers, squeeze-excite, resolutions."""
  return fbnet_v2_lib.fbnet_v2(stage_filters=(8, (8, 16)), stage_blocks=(1, 2), stage_strides=(1, 2), expansions=(1, 2.6),
                               kernel_sizes=(5,), resolution=(16, 22), stem_filters=8, last_filters=24, hidden=16, classes=10)


def factors() -> network_lib.Network:
  """As TuNAS has it: the width before, its own, kernel, expansion and squeeze-excite of one block, and units behind the pooling."""
  first, second = OneOf((8, 16), 'filters', 'width_1'), OneOf((16, 24), 'filters', 'width_2')
  op = ops.MBConv(second, OneOf((3, 5), 'kernel_size'), 2, OneOf((1, 3), 'expand_ratio'), 'hard_swish', OneOf((0.0, 0.25), 'se_ratio'),
                  always_expand=True)
  return network_lib.Network('factors', (16, 16, 3), (
      Block('stem', ops.ConvBn(first, 3, 2)),
      Block('block_1', op),
      Block('classifier', ops.Classifier(10, hidden=OneOf((16, 8), 'filters')))))


def tree() -> network_lib.Network:
  """A cell of the CIFAR-10 tree space, small: two branches, each of two edges one after the other, whose sums join the shortcut."""
  separable = cifar_tree.PreactivatedSeparableConv
  edges = OneOf((ops.Identity(), ops.Pool('max'), separable(5), separable(3, 2)), 'op')
  pools = OneOf((ops.Pool('average'), ops.Pool('max'), ops.Zero()), 'op')
  return network_lib.Network('tree', (16, 16, 3), (
      Block('stem', ops.ConvBn(8, 3, 2, 'linear')),
      Block('entry', cifar_tree.TreeEntry(6, 2)),
      Block('a', cifar_tree.ChannelSlice(0)),
      Block('b', cifar_tree.ChannelSlice(1), inputs=('entry',)),
      Block('a.1', edges, inputs=('a',)),
      Block('a.2', pools, residual=True, inputs=('a', 'a.1')),
      Block('b.1', edges, inputs=('b',)),
      Block('b.bn', cifar_tree.BatchNorm(), inputs=('b.1',)),
      Block('exit', cifar_tree.TreeExit(16), inputs=('a.1', 'a.2', 'b', 'b.bn'), drop='cell'),
      Block('shortcut', cifar_tree.PaddedShortcut(16, 2), inputs=('stem',)),
      Block('sum', ops.Identity(), inputs=('shortcut', 'exit')),
      Block('final_bn', cifar_tree.BatchNorm('relu')),
      Block('classifier', ops.Classifier(10))))


COUPLED = {'widths': widths, 'nested': nested, 'resolutions': resolutions, 'parts': parts, 'fbnet_v2': fbnet_v2, 'factors': factors,
           'tree': tree}
