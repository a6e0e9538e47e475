"""The plain network of an architecture: a flat Functional model of stock Keras layers, which can be quantised and exported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import itertools

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import primitives
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

_CHANNELS = 'channels_first'  # of [batch, height, width, channels] it makes the last two axes those that are cropped or padded

hard_swish = keras.saving.register_keras_serializable('tf_proxyless')(primitives.hard_swish)


@dataclasses.dataclass(frozen=True)
class Drops:
  """What a training leaves out at random, for each image, while what is kept is divided by the share that is kept.

  Attributes:
    path: Share of images for which a branch of a tree is dropped (Larsson et al. 2016, arXiv 1605.07648).
    cell: Mean share of images for which what stands beside a shortcut is dropped (stochastic depth, Huang et al. 2016, arXiv 1603.09382);
      it grows linearly, for block l of L to 2 * cell * l / (L + 1), as in the official code.
  """

  path: float = 0.0
  cell: float = 0.0

  def rates(self, blocks: Sequence[network_lib.Block]) -> list[float]:
    """The rate of each block."""
    is_cell = [block.drop == 'cell' or block.residual for block in blocks]
    steps = itertools.accumulate(map(int, is_cell))
    return [self.path if block.drop == 'path' else 2 * self.cell * step / (sum(is_cell) + 1) if cell else 0.0
            for block, cell, step in zip(blocks, is_cell, steps)]


def build(network: network_lib.Network, seed: int = 0, drops: Drops = Drops()) -> keras.Model:
  """Builds the plain network of an architecture.

  Layers are named '{block}_{layer}', with the names of the primitive layers. A skipped block leaves no layer.

  Args:
    network: Without open decisions.
    seed: Seed of the weights' start values, which are those of a supernet of the same network and seed.
    drops: What training leaves out.

  Returns:
    A Functional model from float32 images [batch, height, width, channels] to logits [batch, classes].

  Raises:
    ValueError: Decisions are open, or a Zero has no shortcut.
  """
  if not schema.is_resolved(network):
    raise ValueError(f'the network {network.name!r} has open decisions; resolve it first')
  images = keras.Input(network.input_shape, name=network_lib.IMAGES)
  outputs: list = []
  separate = itertools.count()
  for block, sources, drop in zip(network.blocks, network.sources, drops.rates(network.blocks)):
    terms = [images if source < 0 else outputs[source] for source in sources]
    outputs.append(_block(_sum(terms, f'{block.name}_sum'), block, network.padding, drop, separate))
  model = keras.Model(images, outputs[-1], name=network.name)
  for i, traced in enumerate(network_lib.trace(network)):
    for spec, variable in block_weights(model, traced):
      variable.assign(primitives.initial_value(spec, primitives.block_seed(seed, i)))
  return model


def block_weights(model: keras.Model, traced: network_lib.TracedBlock) -> Iterator[tuple[layers_lib.WeightSpec, tf.Variable]]:
  """Yields the trainable weights of one block of a plain network, in the order of `primitives.weight_specs`.

  Args:
    model: From `build`, or loaded from a file.
    traced: A block of its network, from `network.trace`.

  Raises:
    ValueError: The model lacks a layer.
  """
  for spec in primitives.weight_specs(traced.block.op, traced.input_shape):
    layer, weight = spec.name.split('/')
    yield spec, getattr(model.get_layer(f'{traced.block.name}_{layer}'), weight)


def _sum(terms: list, name: str):
  """Two at a time, so that each sum has a range of its own when it is quantised."""
  total = terms[0]
  for i, term in enumerate(terms[1:]):
    total = keras.layers.Add(name=f'{name}_{i + 1}' if i else name)([total, term])
  return total


def _block(x, block: network_lib.Block, padding: str, drop: float, separate: Iterator[int]):
  """One block with its shortcut on a symbolic tensor."""
  if ops.is_zero(block.op):
    if not block.residual:
      raise ValueError(f'block {block.name!r} is Zero without a shortcut: nothing would pass it')
    return x
  y = x
  above: layers_lib.Layer | None = None
  for layer in block.op.layers(tuple(x.shape[1:])):
    name = f'{block.name}_{layer.name}'
    if isinstance(layer, layers_lib.BatchNorm) and not isinstance(above, (layers_lib.Conv, layers_lib.DepthwiseConv)):
      y = _separate_batch_norm(y, name, next(separate))
    else:
      y = _layer(y, layer, name, padding)
    above = layer
  if drop:
    y = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f'{block.name}_drop')(y)
  return keras.layers.Add(name=f'{block.name}_add')([x, y]) if block.residual else y


def _separate_batch_norm(x, name: str, number: int):
  """Batch normalisation without a convolution before it gets one of 1x1 that does not learn: TFLite folds both into one int8 kernel.

  The converter would make one constant of equal kernels, and one convolution of those on the same input, and could fold nothing into it.
  So kernels differ a little by their number in the network, which normalisation takes out again.
  """
  scale = 1 / (1 + number / 4096)
  x = keras.layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer=keras.initializers.Constant(scale), trainable=False,
                                   name=f'{name}_depthwise')(x)
  return keras.layers.BatchNormalization(momentum=primitives.BN_MOMENTUM, epsilon=primitives.BN_EPSILON * scale**2, name=name)(x)


def _layer(x, layer: layers_lib.Layer, name: str, padding: str):
  """One primitive layer on a symbolic tensor, as stock Keras layers."""
  match layer:
    case layers_lib.Conv():
      x, keras_padding = _pad(x, layer, padding, name)
      return keras.layers.Conv2D(layer.filters, layer.kernel_size, layer.strides, keras_padding, groups=layer.groups, use_bias=False,
                                 name=name)(x)
    case layers_lib.DepthwiseConv():
      x, keras_padding = _pad(x, layer, padding, name)
      return keras.layers.DepthwiseConv2D(layer.kernel_size, layer.strides, keras_padding, dilation_rate=layer.dilation, use_bias=False,
                                          name=name)(x)
    case layers_lib.BatchNorm():
      return keras.layers.BatchNormalization(momentum=primitives.BN_MOMENTUM, epsilon=primitives.BN_EPSILON, name=name)(x)
    case layers_lib.Activation():
      return _activation(x, layer.kind, name.removesuffix('_activation'))
    case layers_lib.SqueezeExcite():
      return _squeeze_excite(x, layer.filters, name)
    case layers_lib.Pool():
      kind = keras.layers.AveragePooling2D if layer.kind == 'average' else keras.layers.MaxPooling2D
      return kind(layer.pool_size, layer.strides, 'same', name=name)(x)
    case layers_lib.ChannelShuffle():
      return _shuffle(x, layer.groups, name)
    case layers_lib.ChannelSlice():
      size = x.shape[-1] // layer.parts
      return keras.layers.Cropping2D(((0, 0), (layer.index * size, x.shape[-1] - (layer.index + 1) * size)), _CHANNELS, name=name)(x)
    case layers_lib.ChannelPad():
      return keras.layers.ZeroPadding2D(((0, 0), (0, layer.filters - x.shape[-1])), _CHANNELS, name=name)(x)
    case layers_lib.GlobalPool():
      return keras.layers.GlobalAveragePooling2D(name=name)(x)
    case layers_lib.Dropout():
      return keras.layers.Dropout(layer.rate, name=name)(x)
    case layers_lib.Dense():
      return keras.layers.Dense(layer.units, name=name)(x)
    case _:
      raise TypeError(f'not a primitive layer: {layer!r}')


def _pad(x, layer: layers_lib.Conv | layers_lib.DepthwiseConv, padding: str, name: str):
  """The input of a convolution, padded where Keras's own padding is another, and the padding left to the convolution."""
  if padding == 'same' or layer.strides == 1 or layer.kernel_size == 1:
    return x, 'same'
  return keras.layers.ZeroPadding2D(layer.kernel_size // 2, name=f'{name}_pad')(x), 'valid'


def _activation(x, kind: str, name: str):
  match kind:
    case 'relu6':
      return keras.layers.ReLU(6.0, name=f'{name}_relu')(x)
    case 'relu':
      return keras.layers.ReLU(name=f'{name}_relu')(x)
    case 'hard_swish':
      return keras.layers.Activation(hard_swish, name=f'{name}_hard_swish')(x)


def _squeeze_excite(x, filters: int, name: str):
  """The gate is relu6(x + 3) / 6 in layers of which each has an int8 kernel."""
  gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f'{name}_pool')(x)
  gate = keras.layers.Conv2D(filters, 1, name=f'{name}_reduce')(gate)
  gate = keras.layers.ReLU(name=f'{name}_relu')(gate)
  gate = keras.layers.Conv2D(x.shape[-1], 1, name=f'{name}_expand')(gate)
  gate = keras.layers.Rescaling(1.0, 3.0, name=f'{name}_shift')(gate)
  gate = keras.layers.ReLU(6.0, name=f'{name}_relu6')(gate)
  gate = keras.layers.Rescaling(1.0 / 6.0, name=f'{name}_scale')(gate)
  return keras.layers.Multiply(name=f'{name}_multiply')([x, gate])


def _shuffle(x, groups: int, name: str):
  height, width, channels = x.shape[1:]
  x = keras.layers.Reshape((height * width, groups, channels // groups), name=f'{name}_split')(x)
  x = keras.layers.Permute((1, 3, 2), name=f'{name}_permute')(x)
  return keras.layers.Reshape((height, width, channels), name=f'{name}_join')(x)
