"""The plain network of an architecture: a flat Functional model of stock Keras layers, which can be quantised and exported."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import primitives
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema


def build(network: network_lib.Network, seed: int = 0) -> keras.Model:
  """Builds the plain network of an architecture.

  Layers are named '{block}_{layer}', with the layer names of `primitives.weight_specs`. A skipped block leaves no layer.

  Args:
    network: Without open decisions.
    seed: Of the weights' start values, which are those of a supernet of the same network and seed.

  Returns:
    A Functional model from float32 images [batch, height, width, channels] to logits [batch, classes].

  Raises:
    ValueError: Decisions are open, or a Zero has no shortcut.
  """
  if not schema.is_resolved(network):
    raise ValueError(f'the network {network.name!r} has open decisions; resolve it first')
  inputs = keras.Input(network.input_shape, name='images')
  x = inputs
  for block in network.blocks:
    x = _block(x, block, network.padding)
  model = keras.Model(inputs, x, name=network.name)
  for i, traced in enumerate(network_lib.trace(network)):
    for spec, variable in block_weights(model, traced):
      variable.assign(primitives.initial_value(spec, primitives.block_seed(seed, i)))
  return model


def block_weights(model: keras.Model, traced: network_lib.TracedBlock) -> Iterator[tuple[primitives.WeightSpec, tf.Variable]]:
  """Yields the trainable weights of one block of a plain network, in the order of `primitives.weight_specs`.

  Args:
    model: From `build`, or loaded from a file.
    traced: A block of its network, from `network.trace`.

  Raises:
    ValueError: The model lacks a layer.
  """
  for spec in primitives.weight_specs(traced.block.op, traced.input_shape[-1]):
    layer, weight = spec.name.split('/')
    yield spec, getattr(model.get_layer(f'{traced.block.name}_{layer}'), weight)


def _block(x, block: network_lib.Block, padding: str):
  """One block with its shortcut on a symbolic tensor."""
  op, name = block.op, block.name
  match op:
    case ops.Zero():
      if not block.residual:
        raise ValueError(f'block {name!r} is Zero without a shortcut: nothing would pass it')
      return x
    case ops.ConvBn():
      y = _conv_bn(x, op.filters, op.kernel_size, op.strides, padding, f'{name}_conv', activate=True)
    case ops.MBConv():
      y = x
      if op.expand_ratio > 1:
        y = _conv_bn(y, ops.expanded_filters(op, x.shape[-1]), 1, 1, padding, f'{name}_expand', activate=True)
      y, keras_padding = _pad(y, op.kernel_size, op.strides, padding, f'{name}_depthwise')
      y = keras.layers.DepthwiseConv2D(
          op.kernel_size, op.strides, keras_padding, use_bias=False, name=f'{name}_depthwise')(y)
      y = _bn(y, f'{name}_depthwise', activate=True)
      y = _conv_bn(y, op.filters, 1, 1, padding, f'{name}_project', activate=False)
    case ops.Classifier():
      y = keras.layers.GlobalAveragePooling2D(name=f'{name}_pool')(x)
      if op.dropout_rate:
        y = keras.layers.Dropout(op.dropout_rate, name=f'{name}_dropout')(y)
      y = keras.layers.Dense(op.units, name=f'{name}_dense')(y)
    case _:
      raise TypeError(f'not an operation: {op!r}')
  return keras.layers.Add(name=f'{name}_add')([x, y]) if block.residual else y


def _pad(x, kernel_size: int, strides: int, padding: str, name: str):
  """The input of a convolution, padded where Keras's own padding is another, and the padding left to the convolution."""
  if padding == 'same' or strides == 1 or kernel_size == 1:
    return x, 'same'
  return keras.layers.ZeroPadding2D(kernel_size // 2, name=f'{name}_pad')(x), 'valid'


def _bn(x, name: str, activate: bool):
  x = keras.layers.BatchNormalization(
      momentum=primitives.BN_MOMENTUM, epsilon=primitives.BN_EPSILON, name=f'{name}_bn')(x)
  return keras.layers.ReLU(6.0, name=f'{name}_relu')(x) if activate else x


def _conv_bn(x, filters: int, kernel_size: int, strides: int, padding: str, name: str, activate: bool):
  x, keras_padding = _pad(x, kernel_size, strides, padding, name)
  x = keras.layers.Conv2D(filters, kernel_size, strides, keras_padding, use_bias=False, name=name)(x)
  return _bn(x, name, activate)
