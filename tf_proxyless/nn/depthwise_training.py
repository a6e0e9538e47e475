"""Stock Keras models with the depthwise gradients of `depthwise`, without another layer in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import depthwise


@contextlib.contextmanager
def fast_depthwise(model: keras.Model) -> Iterator[None]:
  """While it lasts, every DepthwiseConv2D of the model, wrapped ones too, has the filter gradient that is fast on the CPU.

  For the time in which a training step is traced; the model stays as it is, so that it can be quantised, saved and exported.
  """
  layers = [layer for layer in model.submodules if type(layer) is keras.layers.DepthwiseConv2D and _is_plain(layer)]
  for layer in layers:
    layer.call = _call(layer)
  try:
    yield
  finally:
    for layer in layers:
      del layer.call


def _is_plain(layer: keras.layers.DepthwiseConv2D) -> bool:
  """Whether it is one that `depthwise` computes."""
  return (layer.depth_multiplier == 1 and layer.data_format == 'channels_last' and tuple(layer.dilation_rate) == (1, 1)
          and len(set(layer.strides)) == len(set(layer.kernel_size)) == 1 and layer.padding in ('same', 'valid'))


def _call(layer: keras.layers.DepthwiseConv2D) -> Callable[[tf.Tensor], tf.Tensor]:

  def call(inputs):
    strides = layer.strides[0]
    remainders = (inputs.shape[1] % strides, inputs.shape[2] % strides)
    geometry = depthwise.Geometry(strides, layer.padding.upper(), (remainders,), (layer.kernel_size[0],))
    y = depthwise.convolve(inputs, layer.depthwise_kernel, geometry)
    if layer.use_bias:
      y = tf.nn.bias_add(y, layer.bias)
    return y if layer.activation is None else layer.activation(y)

  return call
