"""Networks in the official format: written here from ours, read as they were."""

import copy
import dataclasses
import json

import pytest

from tests.space import official_configs
from tf_proxyless.cost import counting
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import official
from tf_proxyless.space import published
from tf_proxyless.space import schema


def renamed(network, name):
  return network_lib.Network(name, network.input_shape, network.blocks, network.padding)


@pytest.mark.parametrize('name', published.PROXYLESS_NAMES)
def test_block_networks(name, tmp_path):
  network = published.network(name)
  (tmp_path / 'net.config').write_text(json.dumps(official_configs.blocks_config(network)))
  assert io.load_architecture(tmp_path / 'net.config').network == renamed(network, official.BLOCKS)


def test_networks_of_once_for_all():
  large = published.network(published.MOBILENET_V3_LARGE)
  widened = {64: 4, 72: 3, 120: 3, 240: 6, 480: 6, 672: 6, 960: 6}  # where the width inside is a multiple of the input's
  blocks = []
  for traced in network_lib.trace(large):
    op = traced.block.op
    inside = getattr(op, 'expanded_filters', 0)
    if inside == traced.input_shape[2]:
      op = dataclasses.replace(op, expanded_filters=0)
    elif inside and traced.input_shape[2] * widened.get(inside, 0) == inside:
      op = dataclasses.replace(op, expanded_filters=0, expand_ratio=widened[inside])
    blocks.append(dataclasses.replace(traced.block, op=op))
  network = dataclasses.replace(large, blocks=tuple(blocks))
  assert {getattr(block.op, 'expanded_filters', 0) for block in blocks} == {0, 184, 200}
  assert counting.count_network(network) == counting.count_network(large)
  assert official.network(official_configs.mobilenet_v3_config(network)) == renamed(network, official.MOBILENET_V3)


@pytest.mark.long
def test_the_published_tree(tmp_path):
  network = published.network('proxyless_cifar')
  (tmp_path / 'net.config').write_text(json.dumps(official_configs.tree_config(network)))
  assert io.find_architecture(str(tmp_path / 'net.config')).network == renamed(network, official.TREE)


def test_a_small_tree():
  space = cifar_tree.cifar_tree(stage_blocks=(2, 1, 2), widening=20)
  network = schema.resolve(space, schema.genotype(space, [i % 7 for i in range(60)]))
  assert official.network(official_configs.tree_config(network)) == renamed(network, official.TREE)


def inner_node(config):
  return config['blocks'][1]['cell']['child_nodes'][0]['child_nodes'][0]


@pytest.mark.parametrize('change, message', [
    (lambda config: config['blocks'][1]['cell']['edges'][0].update(groups=4), 'blocks/1/cell/edges/0/groups must be 2, got 4'),
    (lambda config: config['blocks'][2]['in_bottle'].update(out_channels=99), r'blocks/\d/in_bottle/out_channels must be'),
    (lambda config: config['blocks'][1]['cell']['edges'][0].update(stride=4), 'blocks/1/cell/edges/0/stride must be 1 or 2, got 4'),
    (lambda config: inner_node(config)['child_nodes'][1].update(child_nodes=[None, {}]), 'blocks/1/cell is a tree of more levels than two'),
    (lambda config: inner_node(config)['child_nodes'].pop(), 'blocks/1/cell/child_nodes must have 2 entries, got 1'),
    (lambda config: inner_node(config)['edges'][0].update(stride=2), 'blocks/1/cell/edge/stride must be 1, got 2'),
    (lambda config: config['blocks'][2].pop('cell'), "PyramidTreeNet has no 'cell'"),
    (lambda config: config['blocks'].clear(), 'blocks must have 3 entries at least, got 0'),
    (lambda config: inner_node(config).update(merge_type='concat'), "merge_type must be 'add', got 'conc"),
    (lambda config: inner_node(config)['edges'].pop(), 'cell/edges must have 2 entries, got 1'),
    (lambda config: inner_node(config)['edges'][0].update(name='ZeroLayer'), "edge/name must be 'DepthConvLayer', got 'ZeroLayer'"),
])
def test_trees_of_another_form(change, message, tmp_path):
  small = official_configs.SMALL
  config = copy.deepcopy(official_configs.tree_config(schema.resolve(small, schema.genotype(small, [3] * 24))))
  change(config)
  path = tmp_path / 'net.config'
  path.write_text(json.dumps(config))
  with pytest.raises(ValueError, match=message) as error:
    io.load_architecture(path)
  assert str(error.value).startswith(str(path)) and '\n' not in str(error.value)


@pytest.mark.parametrize('change, message', [
    (lambda config: config['final_expand_layer'].update(act_func='relu6'), "final_expand_layer/act_func must be 'h_swish', got 'relu6'"),
    (lambda config: config['feature_mix_layer'].update(use_bn=True), 'feature_mix_layer/use_bn must be False, got True'),
    (lambda config: config['blocks'][3]['mobile_inverted_conv'].update(act_func='swish'),
     "blocks/3/mobile_inverted_conv/act_func must be one of relu6, relu, h_swish, got 'swish'"),
    (lambda config: config.pop('final_expand_layer'), "MobileNetV3 has no 'final_expand_layer'"),
])
def test_networks_of_once_for_all_of_another_form(change, message):
  config = official_configs.mobilenet_v3_config(published.network(published.MOBILENET_V3_LARGE))
  change(config)
  with pytest.raises(ValueError, match=message):
    official.network(config)


@pytest.mark.parametrize('change, message', [
    (lambda config: config['first_conv'].update(act_func='relu'), "first_conv/act_func must be 'relu6', got 'relu'"),
    (lambda config: config['blocks'][3]['mobile_inverted_conv'].update(name='X'), 'blocks/3/mobile_inverted_conv/name must be'),
    (lambda config: config['blocks'][3]['mobile_inverted_conv'].update(kernel_size=4), 'MBConv.kernel_size must be odd, got 4'),
    (lambda config: config.update(blocks=None), 'is of another form'),
])
def test_block_networks_of_another_form(change, message):
  config = copy.deepcopy(official_configs.blocks_config(published.network('proxyless_cpu')))
  change(config)
  with pytest.raises(ValueError, match=message):
    official.network(config)
