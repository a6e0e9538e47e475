"""Networks in the format of the official ProxylessNAS code, `net.config`: block networks, the tree network for CIFAR-10, and the
MobileNetV3 networks of Once-for-All (arXiv 1908.09791).

What their searches wrote, and what their authors published, can so be trained, quantised and measured here. The file says no resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

BLOCKS, TREE, MOBILENET_V3 = 'ProxylessNASNets', 'PyramidTreeNet', 'MobileNetV3'
_PLAIN = {'dilation': 1, 'groups': 1, 'bias': False, 'has_shuffle': False, 'use_bn': True, 'act_func': 'relu6',
          'ops_order': 'weight_bn_act'}
_ACTIVATIONS = {'relu6': 'relu6', 'relu': 'relu', 'h_swish': 'hard_swish'}
SE_RATIO = 0.25  # of Once-for-All


def network(config: Mapping[str, Any]) -> network_lib.Network:
  """The network of a file's content.

  Args:
    config: A JSON object whose 'name' is one of `NAMES`.

  Raises:
    ValueError: It has another form; the message names the place, what stands there and what is known.
  """
  try:
    return _READERS[config['name']](config)
  except KeyError as error:
    raise ValueError(f'{config["name"]} has no {error}') from error
  except (AttributeError, TypeError, IndexError) as error:
    raise ValueError(f'{config["name"]} is of another form: {error}') from error


def _check(where: str, layer: Mapping[str, Any], **expected: Any) -> None:
  """Refuses a layer that has a field with another value."""
  for field, value in expected.items():
    if layer.get(field) != value:
      raise ValueError(f'{where}/{field} must be {value!r}, got {files.shorten(layer.get(field))}')


def _several(where: str, items: Sequence[Any], count: int) -> Sequence[Any]:
  if len(items) != count:
    raise ValueError(f'{where} must have {count} entries, got {len(items)}')
  return items


def _blocks(config: Mapping[str, Any]) -> network_lib.Network:
  stem, mix, classifier = config['first_conv'], config['feature_mix_layer'], config['classifier']
  for name, layer in (('first_conv', stem), ('feature_mix_layer', mix)):
    _check(name, layer, name='ConvLayer', **_PLAIN)
  return _chain(config, ops.ConvBn(stem['out_channels'], stem['kernel_size'], stem['stride']),
                ops.ConvBn(mix['out_channels'], mix['kernel_size'], mix['stride']), _classifier(classifier))


def _mobilenet_v3(config: Mapping[str, Any]) -> network_lib.Network:
  stem, last, mix = config['first_conv'], config['final_expand_layer'], config['feature_mix_layer']
  _check('first_conv', stem, name='ConvLayer', **_PLAIN | {'act_func': 'h_swish'})
  _check('final_expand_layer', last, name='ConvLayer', **_PLAIN | {'act_func': 'h_swish'})
  _check('feature_mix_layer', mix, name='ConvLayer', **_PLAIN | {'act_func': 'h_swish', 'use_bn': False, 'kernel_size': 1, 'stride': 1})
  return _chain(config, ops.ConvBn(stem['out_channels'], stem['kernel_size'], stem['stride'], 'hard_swish'),
                ops.ConvBn(last['out_channels'], last['kernel_size'], last['stride'], 'hard_swish'),
                _classifier(config['classifier'], mix['out_channels']))


def _classifier(layer: Mapping[str, Any], hidden: int = 0) -> ops.Classifier:
  _check('classifier', layer, name='LinearLayer', bias=True, use_bn=False, act_func=None)
  return ops.Classifier(layer['out_features'], float(layer['dropout_rate']), hidden)


def _chain(config: Mapping[str, Any], stem: ops.ConvBn, last: ops.ConvBn, classifier: ops.Classifier) -> network_lib.Network:
  blocks = [network_lib.Block('stem', stem)]
  for i, block in enumerate(config['blocks']):
    where, layer = f'blocks/{i}', block['mobile_inverted_conv']
    if layer['name'] == 'ZeroLayer':
      op: ops.Op = ops.Zero()
    else:
      _check(f'{where}/mobile_inverted_conv', layer, name='MBInvertedConvLayer')
      op = _mbconv(f'{where}/mobile_inverted_conv', layer)
    if block['shortcut'] is not None:
      _check(f'{where}/shortcut', block['shortcut'], name='IdentityLayer')
    blocks.append(network_lib.Block(f'block_{i}', op, block['shortcut'] is not None))
  blocks += [network_lib.Block('feature_mix', last), network_lib.Block('classifier', classifier)]
  return network_lib.Network(config['name'], (224, 224, config['first_conv']['in_channels']), tuple(blocks))


def _mbconv(where: str, layer: Mapping[str, Any]) -> ops.MBConv:
  """A block; activation, squeeze-excite and the width inside are said by Once-for-All alone."""
  activation = layer.get('act_func', 'relu6')
  if activation not in _ACTIVATIONS:
    raise ValueError(f'{where}/act_func must be one of {", ".join(_ACTIVATIONS)}, got {files.shorten(activation)}')
  ratio, inside = layer['expand_ratio'], layer.get('mid_channels')
  known = {'expand_ratio': ratio} if inside is None else width_inside(layer['in_channels'], inside)
  return ops.MBConv(layer['out_channels'], layer['kernel_size'], layer['stride'], activation=_ACTIVATIONS[activation],
                    se_ratio=SE_RATIO if layer.get('use_se', False) else 0.0, **known)


def width_inside(channels: int, inside: int) -> dict[str, Any]:
  """The fields of an `ops.MBConv` that has so many channels inside: a ratio where it is whole."""
  if channels > 0 and inside % channels == 0:
    return {'expand_ratio': inside // channels}
  return {'expand_ratio': 1, 'expanded_filters': inside}


def _tree(config: Mapping[str, Any]) -> network_lib.Network:
  if len(config['blocks']) < 3:
    raise ValueError(f'blocks must have 3 entries at least, got {len(config["blocks"])}')
  first, *cells, last = config['blocks']
  _check('blocks/0/layers/0', first['layers'][0], name='ConvLayer', kernel_size=3, stride=1, use_bn=False, act_func=None)
  _check(f'blocks/{len(cells) + 1}/layers/0', last['layers'][0], name='PoolingLayer', pool_type='avg', use_bn=True, act_func='relu')
  stem = first['layers'][0]
  strides = [_root(f'blocks/{i + 1}', cell)['stride'] for i, cell in enumerate(cells)]
  starts = [0, *(i for i, stride in enumerate(strides) if stride == 2), len(cells)]
  widening = cells[-1]['in_bottle']['out_channels'] - stem['out_channels']
  space = cifar_tree.cifar_tree(
      stage_blocks=[end - start for start, end in zip(starts, starts[1:])], stem_filters=stem['out_channels'], widening=widening,
      channels=stem['in_channels'], classes=config['classifier']['out_features'], name=TREE)
  path = [choice for i, cell in enumerate(cells) for choice in _choices(f'blocks/{i + 1}', cell)]
  found = schema.resolve(space, schema.genotype(space, path))
  widths = [block.op.filters for block in found.blocks if isinstance(block.op, cifar_tree.TreeEntry)]
  for i, (cell, width) in enumerate(zip(cells, widths)):
    _check(f'blocks/{i + 1}/in_bottle', cell['in_bottle'], name='ConvLayer', kernel_size=1, out_channels=width, use_bn=True, act_func=None)
    _check(f'blocks/{i + 1}/out_bottle', cell['out_bottle'], name='ConvLayer', kernel_size=1, out_channels=cifar_tree.EXPANSION * width,
           use_bn=True, act_func='relu')
    _check(f'blocks/{i + 1}', cell, name='ResidualTreeBlock', final_bn=True)
  return found


def _root(where: str, cell: Mapping[str, Any]) -> Mapping[str, Any]:
  root, = _several(f'{where}/cell/edges', cell['cell']['edges'], 1)
  _check(f'{where}/cell/edges/0', root, name='ConvLayer', kernel_size=3, dilation=1, groups=2, bias=False, has_shuffle=True, use_bn=True,
         act_func='relu')
  if root['stride'] not in (1, 2):
    raise ValueError(f'{where}/cell/edges/0/stride must be 1 or 2, got {files.shorten(root["stride"])}')
  return root


def _choices(where: str, cell: Mapping[str, Any]) -> list[int]:
  """The choices of a cell's edges, in the order of its decisions: those of both inner nodes, then those of their leaves."""
  split, = _several(f'{where}/cell/child_nodes', cell['cell']['child_nodes'], 1)
  _check(f'{where}/cell/child_nodes/0', split, split_type='split', merge_type='add', has_branch_bn=True)
  for edge in _several(f'{where}/cell/edges', split['edges'], 2):
    _check(f'{where}/cell/child_nodes/0/edges', edge, name='IdentityLayer', use_bn=False, act_func=None)
  nodes = _several(f'{where}/cell/child_nodes', split['child_nodes'], 2)
  leaves = [leaf for node in nodes for leaf in _several(f'{where}/cell/child_nodes', node['child_nodes'], 2)]
  if any(child is not None for leaf in leaves for child in leaf['child_nodes']):
    raise ValueError(f'{where}/cell is a tree of more levels than two')
  return [choice for node in (*nodes, *leaves) for choice in _edges(where, node)]


def _edges(where: str, node: Mapping[str, Any]) -> Iterator[int]:
  _check(f'{where}/cell', node, split_type='copy', merge_type='add', has_branch_bn=False)
  yield from (_edge(where, edge) for edge in _several(f'{where}/cell/edges', node['edges'], 2))


def _edge(where: str, edge: Mapping[str, Any]) -> int:
  op: ops.Op
  match edge['name']:
    case 'IdentityLayer':
      _check(f'{where}/cell/edge', edge, use_bn=False, act_func=None)
      op = ops.Identity()
    case 'PoolingLayer':
      _check(f'{where}/cell/edge', edge, use_bn=False, act_func=None)
      op = ops.Pool({'avg': 'average'}.get(edge['pool_type'], edge['pool_type']), edge['kernel_size'], edge['stride'])
    case _:
      _check(f'{where}/cell/edge', edge, name='DepthConvLayer', stride=1, bias=False, has_shuffle=False, use_bn=True, act_func='relu',
             ops_order='bn_act_weight')
      op = cifar_tree.PreactivatedSeparableConv(edge['kernel_size'], edge['dilation'])
  if op not in cifar_tree.EDGES:
    raise ValueError(f'{where}/cell: {op.short_name} is none of the edges {", ".join(known.short_name for known in cifar_tree.EDGES)}')
  return cifar_tree.EDGES.index(op)


_READERS: dict[str, Callable[[Mapping[str, Any]], network_lib.Network]] = {BLOCKS: _blocks, TREE: _tree, MOBILENET_V3: _mobilenet_v3}
NAMES = tuple(_READERS)
