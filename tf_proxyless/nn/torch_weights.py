"""Weights of the official PyTorch networks in plain Keras networks. Needs neither PyTorch nor TensorFlow: state dicts hold NumPy arrays.

Names and layouts are those of the code that the authors of ProxylessNAS published (Cai et al., ICLR 2019, arXiv 1812.00332):
`first_conv`, `blocks.N.mobile_inverted_conv` with N counting skipped blocks too, `feature_mix_layer` and `classifier.linear`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published

PADDING = 'symmetric'  # k // 2 on every side
# Of pixels in [0, 1], by channel: what the official networks were trained on.
NORMALIZATION = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}

_COUNTER = 'num_batches_tracked'  # of BatchNorm2d; old files lack it
_SHOWN = 6  # names in a message, of each kind


@dataclasses.dataclass(frozen=True)
class Entry:
  """One array of a state dict, and where it belongs.

  Attributes:
    name: In the state dict.
    shape: As PyTorch stores it.
    layer: The Keras layer.
    weight: Its weight.
    transpose: The permutation of axes that turns PyTorch's layout into Keras's.
  """

  name: str
  shape: tuple[int, ...]
  layer: str
  weight: str
  transpose: tuple[int, ...]


def entries(network: network_lib.Network) -> tuple[Entry, ...]:
  """What the state dict of a network holds, batch counters left out.

  Args:
    network: Network of the ProxylessNAS form: ConvBn, blocks of MBConv or Zero, ConvBn, Classifier.

  Raises:
    ValueError: The network has another form.
  """
  first, *blocks, mix, last = _traced(network)
  found = [*_conv_bn('first_conv', f'{first.block.name}_conv', _dense_kernel(first))]
  for i, traced in enumerate(blocks):
    if isinstance(traced.block.op, ops.MBConv):
      found += _mbconv(f'blocks.{i}.mobile_inverted_conv', traced)
  found += _conv_bn('feature_mix_layer', f'{mix.block.name}_conv', _dense_kernel(mix))
  units, features = last.output_shape[-1], last.input_shape[-1]
  layer = f'{last.block.name}_dense'
  found += [Entry('classifier.linear.weight', (units, features), layer, 'kernel', (1, 0)),
            Entry('classifier.linear.bias', (units,), layer, 'bias', (0,))]
  return tuple(found)


def _traced(network: network_lib.Network) -> Sequence[network_lib.TracedBlock]:
  traced = tuple(network_lib.trace(network))
  kinds = [type(block.block.op) for block in traced]
  if len(kinds) < 3 or [kinds[0], *kinds[-2:]] != [ops.ConvBn, ops.ConvBn, ops.Classifier] or not {*kinds[1:-2]} <= {ops.MBConv, ops.Zero}:
    raise ValueError(f'the network {network.name!r} is not of the ProxylessNAS form (ConvBn, MBConv or Zero blocks, ConvBn, Classifier): '
                     f'{", ".join(kind.__name__ for kind in kinds)}')
  for found in (block.block for block in traced):
    op = found.op
    if getattr(op, 'se_ratio', 0) or getattr(op, 'groups', 1) > 1 or getattr(op, 'hidden', 0):
      raise ValueError(f'the network {network.name!r} is not of the ProxylessNAS form: {found.name} has squeeze-excite, groups or a hidden '
                       'layer')
  return traced


def _dense_kernel(traced: network_lib.TracedBlock) -> tuple[int, ...]:
  op = traced.block.op
  return (op.filters, traced.input_shape[-1], op.kernel_size, op.kernel_size)


def _conv_bn(name: str, layer: str, kernel: tuple[int, ...], weight: str = 'kernel') -> Iterator[Entry]:
  """Convolution and batch normalisation; PyTorch's kernels are [filters, input channels / groups, height, width]."""
  transpose = (2, 3, 0, 1) if weight == 'depthwise_kernel' else (2, 3, 1, 0)
  yield Entry(f'{name}.conv.weight', kernel, layer, weight, transpose)
  for theirs, ours in (('weight', 'gamma'), ('bias', 'beta'), ('running_mean', 'moving_mean'), ('running_var', 'moving_variance')):
    yield Entry(f'{name}.bn.{theirs}', kernel[:1], f'{layer}_bn', ours, (0,))


_MODULES = {'expand': 'inverted_bottleneck', 'depthwise': 'depth_conv', 'project': 'point_linear'}  # by the names of our layers


def _mbconv(name: str, traced: network_lib.TracedBlock) -> Iterator[Entry]:
  for layer in layers_lib.trace(traced.block.op.layers(traced.input_shape), traced.input_shape):
    for spec in layer.weights:
      if spec.name.endswith('kernel'):
        height, width, inputs, outputs = spec.shape
        depthwise = isinstance(layer.layer, layers_lib.DepthwiseConv)
        kernel = (inputs, outputs, height, width) if depthwise else (outputs, inputs, height, width)
        yield from _conv_bn(f'{name}.{_MODULES[layer.layer.name]}', f'{traced.block.name}_{layer.layer.name}', kernel,
                            spec.name.partition('/')[2])


def find_state_dict(checkpoint: Any) -> dict[str, Any]:
  """The state dict in what a PyTorch file holds: itself, or under 'state_dict', with or without the prefix 'module.' of DataParallel.

  Args:
    checkpoint: What the file holds.

  Returns:
    Arrays (or tensors) by name, without prefixes and batch counters.

  Raises:
    ValueError: There is no state dict.
  """
  state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else None
  named_arrays = isinstance(state, Mapping) and all(isinstance(name, str) and hasattr(value, 'shape') for name, value in state.items())
  if not state or not named_arrays:
    held = f'a dict of {_some(map(repr, checkpoint))}' if isinstance(checkpoint, Mapping) else f'a {type(checkpoint).__name__}'
    raise ValueError(f'no state dict (tensors by name, alone or under "state_dict"), but {held}')
  state = {name.removeprefix('module.'): value for name, value in state.items()}
  return {name: value for name, value in state.items() if name.rpartition('.')[2] != _COUNTER}


def check(network: network_lib.Network, state: Mapping[str, Any]) -> None:
  """Refuses a state dict of another network.

  Args:
    network: As for `entries`.
    state: Arrays (or whatever has a shape) by name, as from `find_state_dict`.

  Raises:
    ValueError: In one line, which entries are missing or unexpected, which shapes differ, and what it may be instead.
  """
  differences = _differences(network, state)
  if differences:
    raise ValueError(f'not the weights of {network.name!r}: {"; ".join(differences)}{_suggestion(network, state)}')


def _differences(network: network_lib.Network, state: Mapping[str, Any]) -> list[str]:
  expected = {entry.name: entry.shape for entry in entries(network)}
  found = {name: tuple(value.shape) for name, value in state.items()}
  shapes = [f'{name} {_dimensions(found[name])}, not {_dimensions(shape)}'
            for name, shape in expected.items() if name in found and found[name] != shape]
  missing = _layers([name for name in expected if name not in found], expected)
  unexpected = _layers([name for name in found if name not in expected], found)
  groups = {'missing': missing, 'unexpected': unexpected, 'of another shape': shapes}
  return [f'{title}: {_some(names)}' for title, names in groups.items() if names]


def _layers(names: Sequence[str], everything: Mapping[str, Any]) -> list[str]:
  """The names, where blocks (or else modules) of which all entries are among them stand as one: 'blocks.3.*'."""
  result = dict.fromkeys(names)
  for name in names:
    parts = name.split('.')
    for depth in range(1, len(parts)):
      prefix = '.'.join(parts[:depth]) + '.'
      members = [other for other in everything if other.startswith(prefix)]
      if prefix != 'blocks.' and len(members) > 1 and all(member in names for member in members):
        result = {f'{prefix}*' if key.startswith(prefix) else key: None for key in result}
        break
  return list(result)


def _some(names: Iterable[str]) -> str:
  names = list(names)
  more = [f'and {len(names) - _SHOWN} more'] if len(names) > _SHOWN else []
  return ', '.join([*names[:_SHOWN], *more]) or 'nothing'


def _dimensions(shape: tuple[int, ...]) -> str:
  return 'x'.join(map(str, shape)) or 'scalar'


def _suggestion(network: network_lib.Network, state: Mapping[str, Any]) -> str:
  """What the state dict is instead, if that can be told."""
  head = state.get('classifier.linear.weight')
  classes = head.shape[0] if head is not None and len(head.shape) == 2 and head.shape[0] > 0 else network.classes
  for name in published.PROXYLESS_NAMES:
    if not _differences(published.network(name, classes=classes), state):
      return f'. These are the weights of {name!r} with {classes} classes'
  return ''


def assign(model: Any, network: network_lib.Network, state: Mapping[str, np.ndarray]) -> None:
  """Sets all weights of a plain network, batch normalisation statistics included.

  Args:
    model: From `nn.keras_network.build`, of `network`. Its outputs equal the PyTorch network's where the network's padding is `PADDING`.
    network: As for `entries`.
    state: float arrays by name, as from `find_state_dict`.

  Raises:
    ValueError: They are of another network, not finite, or a variance is negative.
  """
  check(network, state)
  wanted = entries(network)
  for entry in wanted:  # all, before any is set
    value = np.asarray(state[entry.name])
    if value.dtype.kind != 'f' or not np.isfinite(value).all():
      raise ValueError(f'{entry.name} must hold finite floating-point numbers, got {_held(value)}')
    if entry.weight == 'moving_variance' and (value < 0).any():
      raise ValueError(f'{entry.name} must hold variances, got {value.min()}')
  for entry in wanted:
    getattr(model.get_layer(entry.layer), entry.weight).assign(np.transpose(state[entry.name], entry.transpose))


def _held(value: np.ndarray) -> str:
  return 'NaN or infinity' if value.dtype.kind == 'f' else f'{value.dtype.name}'
