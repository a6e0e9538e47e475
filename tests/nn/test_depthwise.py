"""The depthwise convolution is TensorFlow's in value and in both gradients, whatever padding they were computed with."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless.nn import depthwise


def _tensors(height, width, kernel_size, channels=3):
  random = np.random.default_rng(height * 100 + width)
  x = random.standard_normal((2, height, width, channels)).astype(np.float32)
  return tf.constant(x), tf.constant(random.standard_normal((kernel_size, kernel_size, channels, 1)).astype(np.float32))


def _value_and_gradients(function, x, kernel):
  with tf.GradientTape() as tape:
    tape.watch([x, kernel])
    y = function(x, kernel)
    loss = tf.reduce_sum(tf.sin(y))
  return y, *tape.gradient(loss, [x, kernel])


def _assert_equal(ours, stock):
  for a, b in zip(ours, stock, strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('kernel_size', [3, 5, 7])
def test_same_padding_equals_tensorflow(kernel_size, strides):
  for size in range(4, 16):
    for width in (size, size + 3):
      x, kernel = _tensors(size, width, kernel_size)
      geometry = depthwise.Geometry(strides, 'same', ((size % strides, width % strides),), (kernel_size,))
      _assert_equal(
          _value_and_gradients(lambda x, w, geometry=geometry: depthwise.depthwise_conv(x, w, geometry), x, kernel),
          _value_and_gradients(lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, strides, strides, 1], 'SAME'), x, kernel))


@pytest.mark.parametrize('size', [6, 7])
@pytest.mark.parametrize('kernel_size', [3, 5, 7])
def test_symmetric_padding_pads_half_the_kernel_on_every_side(kernel_size, size):
  x, kernel = _tensors(size, size + 3, kernel_size)
  half = kernel_size // 2
  geometry = depthwise.Geometry(2, 'symmetric', ((size % 2, (size + 3) % 2),), (kernel_size,))
  _assert_equal(
      _value_and_gradients(lambda x, w: depthwise.depthwise_conv(x, w, geometry), x, kernel),
      _value_and_gradients(lambda x, w: tf.nn.depthwise_conv2d(
          tf.pad(x, [[0, 0], [half, half], [half, half], [0, 0]]), w, [1, 2, 2, 1], 'VALID'), x, kernel))


@pytest.mark.parametrize('padding', ['same', 'symmetric'])
@pytest.mark.parametrize('strides', [1, 2])
def test_one_graph_serves_all_kernel_sizes_and_inputs(strides, padding):
  sizes = ((9, 9), (8, 8), (9, 8))
  shared = depthwise.Geometry(strides, padding, tuple((height % strides, width % strides) for height, width in sizes), (3, 5, 7))

  @tf.function(input_signature=[tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, None, 1])])
  def run(x, kernel):
    return _value_and_gradients(lambda x, w: depthwise.depthwise_conv(x, w, shared), x, kernel)

  for kernel_size, (height, width) in itertools.product((3, 5, 7), sizes):
    x, kernel = _tensors(height, width, kernel_size)
    alone = depthwise.Geometry(strides, padding, ((height % strides, width % strides),), (kernel_size,))
    _assert_equal(run(x, kernel), _value_and_gradients(
        lambda x, w, alone=alone: depthwise.depthwise_conv(x, w, alone), x, kernel))
