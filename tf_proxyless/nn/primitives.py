"""What each primitive layer computes, as functions of its input and its weights; batch normalisation is on batch statistics.

The supernet and the fixed blocks in it are built from these; `keras_network` makes stock Keras layers of the same primitives. Images are
NHWC. Sizes may be unknown when a graph is made, so that one graph serves candidates of many sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import zlib

import tensorflow as tf

from tf_proxyless.nn import depthwise
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import ops

BN_EPSILON = 1e-3  # official networks: momentum 0.1 (Keras: 0.9), epsilon 1e-3
BN_MOMENTUM = 0.9


def weight_specs(op: ops.Op, input_shape: ops.Shape) -> tuple[layers_lib.WeightSpec, ...]:
  """The trainable weights of an operation, layer by layer."""
  return tuple(spec for traced in layers_lib.trace(op.layers(input_shape), input_shape) for spec in traced.weights)


def block_seed(seed: int, position: int) -> int:
  """The seed of the block at a position of a network; candidates of a decision count on from it."""
  return seed * 1_000_003 + 1_009 * position


def initial_value(spec: layers_lib.WeightSpec, seed: int) -> tf.Tensor:
  """A weight's float32 start value, a pure function of (spec, seed), the name of the spec included."""
  if spec.distribution == 'constant':
    return tf.fill(spec.shape, spec.scale)
  seed = zlib.crc32(spec.name.encode()) ^ (seed * 0x9E3779B1 & 0xFFFFFFFFFFFFFF)
  seeds = [seed & 0x7FFFFFFF, seed >> 31]
  if spec.distribution == 'uniform':
    return tf.random.stateless_uniform(spec.shape, seeds, -spec.scale, spec.scale)
  return tf.random.stateless_normal(spec.shape, seeds, stddev=spec.scale)


def hard_swish(x: tf.Tensor) -> tf.Tensor:
  """x * relu6(x + 3) / 6 (Howard et al. 2019, arXiv 1905.02244)."""
  return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {'relu6': tf.nn.relu6, 'relu': tf.nn.relu, 'hard_swish': hard_swish}


def batch_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
  """Normalises by the statistics of the batch; nothing is averaged over time (moving averages of unsampled paths would drift).

  Args:
    x: float [batch, height, width, channels]; statistics are float32 for images in half precision too.
    gamma: float32 [channels].
    beta: float32 [channels].
  """
  y, *_ = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=BN_EPSILON, is_training=True)
  return y


def _conv(layer: layers_lib.Conv, x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
  if layer.groups > 1:
    return _grouped_conv(layer, x, kernel, padding)
  if padding == 'symmetric' and layer.strides > 1:
    return tf.nn.conv2d(depthwise.pad_symmetric(x, kernel), kernel, layer.strides, 'VALID')
  return tf.nn.conv2d(x, kernel, layer.strides, 'SAME')


def _grouped_conv(layer: layers_lib.Conv, x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
  """Each group by itself: TensorFlow's CPU kernels have no gradients of grouped convolutions."""
  parts = zip(_split(x, layer.groups), _split(kernel, layer.groups))
  single = layers_lib.Conv(layer.name, layer.filters // layer.groups, layer.kernel_size, layer.strides)
  return tf.concat([_conv(single, part, weights, padding) for part, weights in parts], axis=-1)


def _split(x: tf.Tensor, groups: int) -> list[tf.Tensor]:
  """The last axis in equal parts; its size may be unknown."""
  size = tf.shape(x)[-1] // groups
  return [x[..., i * size:(i + 1) * size] for i in range(groups)]


def _shuffle(x: tf.Tensor, groups: int) -> tf.Tensor:
  shape = tf.shape(x)
  grouped = tf.reshape(x, tf.concat([shape[:-1], [groups, shape[-1] // groups]], axis=0))
  return tf.ensure_shape(tf.reshape(tf.transpose(grouped, [0, 1, 2, 4, 3]), shape), x.shape)


def _spatial_mean(x: tf.Tensor, keepdims: bool = False) -> tf.Tensor:
  """float32 means over height and width: a sum over many pixels would overflow float16."""
  return tf.reduce_mean(tf.cast(x, tf.float32), axis=[1, 2], keepdims=keepdims)


def _squeeze_excite(x: tf.Tensor, weights: Sequence[tf.Tensor]) -> tf.Tensor:
  reduce_kernel, reduce_bias, expand_kernel, expand_bias = weights
  gate = tf.cast(_spatial_mean(x, keepdims=True), x.dtype)
  gate = tf.nn.relu(tf.nn.conv2d(gate, reduce_kernel, 1, 'SAME') + reduce_bias)
  gate = tf.nn.conv2d(gate, expand_kernel, 1, 'SAME') + expand_bias
  return x * (tf.nn.relu6(gate + 3.0) * (1.0 / 6.0))


def apply(layer: layers_lib.Layer, x: tf.Tensor, weights: Sequence[tf.Tensor], padding: str = 'same',
          geometry: depthwise.Geometry | None = None) -> tf.Tensor:
  """Runs one layer.

  Args:
    layer: Its filters and units are taken from the weights, so that layers of many sizes share one graph.
    x: float [batch, height, width, channels], whose type the computation has, or float32 [batch, channels] behind global pooling.
    weights: As `layer.weights` orders them, float32; of `ChannelPad` its filters, int32, or nothing.
    padding: 'same' or 'symmetric'.
    geometry: Geometry of a depthwise convolution.

  Returns:
    float, as `layer.output_shape`; float32 and without height and width behind global pooling.
  """
  if not isinstance(layer, (layers_lib.BatchNorm, layers_lib.ChannelPad)):
    weights = [tf.cast(weight, x.dtype) for weight in weights]
  match layer:
    case layers_lib.Conv():
      return _conv(layer, x, *weights, padding)
    case layers_lib.DepthwiseConv():
      kernel, = weights
      return depthwise.depthwise_conv(x, depthwise.dilate(kernel, layer.dilation), geometry)
    case layers_lib.BatchNorm():
      return batch_norm(x, *weights)
    case layers_lib.Activation():
      return ACTIVATIONS[layer.kind](x)
    case layers_lib.SqueezeExcite():
      return _squeeze_excite(x, weights)
    case layers_lib.Pool():
      pool = tf.nn.avg_pool2d if layer.kind == 'average' else tf.nn.max_pool2d
      return pool(x, layer.pool_size, layer.strides, 'SAME')
    case layers_lib.ChannelShuffle():
      return _shuffle(x, layer.groups)
    case layers_lib.ChannelSlice():
      return _split(x, layer.parts)[layer.index]
    case layers_lib.ChannelPad():
      filters, = weights or (layer.filters,)
      return tf.pad(x, [[0, 0], [0, 0], [0, 0], [0, filters - tf.shape(x)[3]]])
    case layers_lib.Zeros():
      return tf.zeros_like(x)
    case layers_lib.GlobalPool():
      return _spatial_mean(x)
    case layers_lib.Dropout():
      return x  # a supernet has many networks instead
    case layers_lib.Dense():
      kernel, bias = weights
      return tf.matmul(x, kernel) + bias
    case _:
      raise TypeError(f'not a primitive layer: {layer!r}')
