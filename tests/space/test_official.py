"""Networks in the official format: written here from ours, read as they were."""

import copy
import json

import pytest

from tf_proxyless.space import cifar_tree
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import official
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema

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


def renamed(network, name):
  return network_lib.Network(name, network.input_shape, network.blocks, network.padding)


@pytest.mark.parametrize('name', published.PROXYLESS_NAMES)
def test_block_networks(name, tmp_path):
  network = published.network(name)
  (tmp_path / 'net.config').write_text(json.dumps(blocks_config(network)))
  assert io.load_architecture(tmp_path / 'net.config').network == renamed(network, official.BLOCKS)


def test_the_published_tree(tmp_path):
  network = published.network('proxyless_cifar')
  (tmp_path / 'net.config').write_text(json.dumps(tree_config(network)))
  assert io.find_architecture(str(tmp_path / 'net.config')).network == renamed(network, official.TREE)


def test_a_small_tree():
  space = cifar_tree.cifar_tree(stage_blocks=(2, 1, 2), widening=20)
  network = schema.resolve(space, schema.genotype(space, [i % 7 for i in range(60)]))
  assert official.network(tree_config(network)) == renamed(network, official.TREE)


def inner_node(config):
  return config['blocks'][1]['cell']['child_nodes'][0]['child_nodes'][0]


SMALL = cifar_tree.cifar_tree(stage_blocks=(1, 1), widening=8)


@pytest.mark.parametrize('change, message', [
    (lambda config: config['blocks'][1]['cell']['edges'][0].update(groups=4), 'blocks/1/cell/edges/0/groups must be 2, got 4'),
    (lambda config: config['blocks'][2]['in_bottle'].update(out_channels=99), r'blocks/\d/in_bottle/out_channels must be'),
    (lambda config: config['blocks'][2].pop('cell'), "PyramidTreeNet has no 'cell'"),
    (lambda config: config['blocks'].clear(), 'blocks must have 3 entries at least, got 0'),
    (lambda config: inner_node(config).update(merge_type='concat'), "merge_type must be 'add', got 'conc"),
    (lambda config: inner_node(config)['edges'].pop(), 'cell/edges must have 2 entries, got 1'),
    (lambda config: inner_node(config)['edges'][0].update(name='ZeroLayer'), "edge/name must be 'DepthConvLayer', got 'ZeroLayer'"),
])
def test_trees_of_another_form(change, message, tmp_path):
  config = tree_config(schema.resolve(SMALL, schema.genotype(SMALL, [3] * 24)))
  config = copy.deepcopy(config)
  change(config)
  path = tmp_path / 'net.config'
  path.write_text(json.dumps(config))
  with pytest.raises(ValueError, match=message) as error:
    io.load_architecture(path)
  assert str(error.value).startswith(str(path)) and '\n' not in str(error.value)


@pytest.mark.parametrize('change, message', [
    (lambda config: config['first_conv'].update(act_func='relu'), "first_conv/act_func must be 'relu6', got 'relu'"),
    (lambda config: config['blocks'][3]['mobile_inverted_conv'].update(name='X'), 'blocks/3/mobile_inverted_conv/name must be'),
    (lambda config: config['blocks'][3]['mobile_inverted_conv'].update(kernel_size=4), 'MBConv.kernel_size must be odd, got 4'),
    (lambda config: config.update(blocks=None), 'is of another form'),
])
def test_block_networks_of_another_form(change, message):
  config = copy.deepcopy(blocks_config(published.network('proxyless_cpu')))
  change(config)
  with pytest.raises(ValueError, match=message):
    official.network(config)
