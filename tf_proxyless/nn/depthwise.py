"""Depthwise convolution with a filter gradient that is fast on the CPU.

TensorFlow's CPU filter gradient for kernels above 3 is up to 40 times slower with padding SAME or VALID than with the same
amounts given as EXPLICIT padding, and for kernel 3 it is mostly the other way round (docs/performance.md). The forward pass and
the input gradient are TensorFlow's own.
"""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Geometry:
  """What must be known of a depthwise convolution when its graph is made; sizes and channels need not be.

  Attributes:
    strides: In both directions.
    padding: 'same' or 'symmetric', see `space.ops`.
    remainders: Input heights and widths that may occur, modulo `strides`, which decide the amounts of padding.
    kernel_sizes: Which kernel sizes may occur, ascending.
  """

  strides: int
  padding: str
  remainders: tuple[tuple[int, int], ...]
  kernel_sizes: tuple[int, ...]


def _amounts(remainder: int, kernel_size: int, geometry: Geometry) -> tuple[int, int]:
  """Rows (or columns) that the geometry's padding, SAME or VALID, adds before and after."""
  total = max(kernel_size - (remainder or geometry.strides), 0) if geometry.padding == 'SAME' else 0
  return total // 2, total - total // 2


def _filter_gradient(x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor, geometry: Geometry, kernel_size: int) -> tf.Tensor:
  explicit = kernel_size > 3
  paddings = [(0, 0, *_amounts(height, kernel_size, geometry), *_amounts(width, kernel_size, geometry), 0, 0) if explicit else ()
              for height, width in geometry.remainders]
  branches = [functools.partial(
      tf.raw_ops.DepthwiseConv2dNativeBackpropFilter,
      input=x,
      filter_sizes=tf.shape(kernel),
      out_backprop=dy,
      strides=[1, geometry.strides, geometry.strides, 1],
      padding='EXPLICIT' if explicit else geometry.padding,
      explicit_paddings=list(amounts),
  ) for amounts in paddings]
  if len(set(paddings)) == 1:
    return branches[0]()
  met = tf.reduce_all(tf.shape(x)[1:3] % geometry.strides == tf.constant(geometry.remainders), axis=1)
  return tf.switch_case(tf.argmax(tf.cast(met, tf.int32), output_type=tf.int32), branches)


def pad_symmetric(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  """Pads half the kernel size on each side of float [batch, height, width, channels], as the official PyTorch code does."""
  amounts = tf.tensor_scatter_nd_update(tf.zeros([4, 2], tf.int32), [[1], [2]], tf.fill([2, 2], tf.shape(kernel)[0] // 2))
  return tf.pad(x, amounts)


def dilate(kernel: tf.Tensor, rate: int) -> tf.Tensor:
  """A kernel float [k, k, channels, 1] with `rate` - 1 zeros between its taps: TensorFlow's CPU kernels know no other dilation."""
  if rate == 1:
    return kernel
  size, channels = tf.shape(kernel)[0], tf.shape(kernel)[2]
  spread = tf.pad(kernel[:, None, :, None], [[0, 0], [0, rate - 1], [0, 0], [0, rate - 1], [0, 0], [0, 0]])
  extent = (size - 1) * rate + 1
  return tf.reshape(spread, [size * rate, size * rate, channels, 1])[:extent, :extent]


def depthwise_conv(x: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
  """Depthwise convolution with depth multiplier 1.

  Args:
    x: float [batch, height, width, channels].
    kernel: float [k, k, channels, 1], of unknown k if need be.
    geometry: How it moves.

  Returns:
    float [batch, ceil(height / strides), ceil(width / strides), channels].
  """
  if geometry.padding == 'symmetric' and geometry.strides > 1:
    x, padding = pad_symmetric(x, kernel), 'VALID'
  else:
    padding = 'SAME'  # at stride 1 both paddings are one computation
  return convolve(x, kernel, dataclasses.replace(geometry, padding=padding))


def convolve(x: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
  """`depthwise_conv` with TensorFlow's own paddings: that of the geometry is 'SAME' or 'VALID'."""
  padding, strides = geometry.padding, [1, geometry.strides, geometry.strides, 1]
  if tf.config.list_physical_devices('GPU'):  # the slow filter gradient is that of the CPU kernels
    return tf.nn.depthwise_conv2d(x, kernel, strides, padding)

  @tf.custom_gradient
  def run(x, kernel):
    y = tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, strides=strides, padding=padding)

    def gradient(dy):
      dx = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
          input_sizes=tf.shape(x), filter=kernel, out_backprop=dy, strides=strides, padding=padding)
      branches = [lambda k=k: _filter_gradient(x, kernel, dy, geometry, k) for k in geometry.kernel_sizes]
      if len(branches) == 1:
        return dx, branches[0]()
      smaller = tf.constant(geometry.kernel_sizes[:-1]) < tf.shape(kernel)[0]
      return dx, tf.switch_case(tf.reduce_sum(tf.cast(smaller, tf.int32)), branches)

    return y, gradient

  # In a tf.cond branch the gradient may refer to tensors of that branch only, not to those that it captures from outside.
  return run(tf.identity(x), tf.identity(kernel))
