"""Writes our networks in the official format."""

from __future__ import annotations

from tf_proxyless.space import cifar_tree
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

PLAIN = {'stride': 1, 'dilation': 1, 'groups': 1, 'bias': False, 'has_shuffle': False, 'use_bn': True, 'dropout_rate': 0}
IDENTITY = {'name': 'IdentityLayer', 'use_bn': False, 'act_func': None}


def conv(filters, kernel_size=1, act_func='relu6', order='weight_bn_act', **fields):
  return {'name': 'ConvLayer', **PLAIN, 'kernel_size': kernel_size, 'out_channels': filters, 'act_func': act_func, 'ops_order': order,
          **fields}


def blocks_config(network):
  stem, *blocks, mix, classifier = network.blocks
  written = []
  for block in blocks:
    layer = {'name': 'ZeroLayer', 'stride': 1} if ops.is_zero(block.op) else {
        'name': 'MBInvertedConvLayer', 'out_channels': block.op.filters, 'kernel_size': block.op.kernel_size, 'stride': block.op.strides,
        'expand_ratio': block.op.expand_ratio}
    written.append({'name': 'MobileInvertedResidualBlock', 'mobile_inverted_conv': layer, 'shortcut': IDENTITY if block.residual else None})
  return {'name': 'ProxylessNASNets', 'bn': {'momentum': 0.1, 'eps': 0.001},
          'first_conv': conv(stem.op.filters, 3, stride=2, in_channels=3),
          'feature_mix_layer': conv(mix.op.filters), 'blocks': written,
          'classifier': {'name': 'LinearLayer', 'out_features': classifier.op.units, 'bias': True, 'use_bn': False, 'act_func': None,
                         'dropout_rate': classifier.op.dropout_rate}}


def mobilenet_v3_config(network):
  """As Once-for-All writes it; its blocks say their width inside."""
  config = blocks_config(network)
  activations = {'relu': 'relu', 'hard_swish': 'h_swish'}
  for traced, block in zip(list(network_lib.trace(network))[1:], config['blocks']):
    op, channels = traced.block.op, traced.input_shape[2]
    block['mobile_inverted_conv'].update(
        in_channels=channels, mid_channels=op.expanded_filters or (channels * op.expand_ratio if op.expand_ratio > 1 else None),
        act_func=activations[op.activation], use_se=op.se_ratio > 0)
  last = conv(network.blocks[-2].op.filters, 1, 'h_swish')
  mix = conv(network.blocks[-1].op.hidden, 1, 'h_swish', use_bn=False)
  return {**config, 'name': 'MobileNetV3', 'first_conv': {**config['first_conv'], 'act_func': 'h_swish'}, 'final_expand_layer': last,
          'feature_mix_layer': mix}


def edge(op):
  match op:
    case ops.Pool():
      return {'name': 'PoolingLayer', 'pool_type': {'average': 'avg'}.get(op.kind, op.kind), 'kernel_size': op.pool_size,
              'stride': op.strides, 'use_bn': False, 'act_func': None}
    case cifar_tree.PreactivatedSeparableConv():
      return {'name': 'DepthConvLayer', **PLAIN, 'kernel_size': op.kernel_size, 'dilation': op.dilation, 'act_func': 'relu',
              'ops_order': 'bn_act_weight'}
    case _:
      return IDENTITY


def node(edges, children, split='copy', branch_bn=False):
  return {'name': 'TreeNode', 'split_type': split, 'merge_type': 'add', 'has_branch_bn': branch_bn, 'edges': edges, 'child_nodes': children}


def tree_config(network):
  ops_of = {block.name: block.op for block in network.blocks}
  cells = [name.removesuffix('.entry') for name in ops_of if name.endswith('.entry')]
  written = []
  for cell in cells:
    entry, end = ops_of[f'{cell}.entry'], ops_of[f'{cell}.exit']
    inner = [node([edge(ops_of[f'{cell}.{branch}.{i}']) for i in (1, 2)],
                  [node([edge(ops_of[f'{cell}.{branch}.{i}.{j}']) for j in (1, 2)], [None, None]) for i in (1, 2)]) for branch in 'ab']
    root = conv(2 * entry.filters, 3, 'relu', 'bn_act_weight', stride=entry.strides, groups=2, has_shuffle=True)
    written.append({'name': 'ResidualTreeBlock', 'final_bn': True, 'in_bottle': conv(entry.filters, 1, None, 'bn_act_weight'),
                    'out_bottle': conv(end.filters, 1, 'relu', 'bn_act_weight'),
                    'cell': {'edges': [root], 'child_nodes': [node([IDENTITY] * 2, inner, 'split', True)]}})
  first = {'name': 'TransitionBlock', 'layers': [conv(16, 3, None, 'bn_act_weight', use_bn=False, in_channels=3)]}
  last = {'name': 'TransitionBlock', 'layers': [{'name': 'PoolingLayer', 'pool_type': 'avg', 'use_bn': True, 'act_func': 'relu'}]}
  return {'name': 'PyramidTreeNet', 'blocks': [first, *written, last], 'classifier': {'name': 'LinearLayer', 'out_features': 10}}


SMALL = cifar_tree.cifar_tree(stage_blocks=(1, 1), widening=8)
