"""What each operation computes, as functions of its input and its weights, with batch normalisation on batch statistics.

`weight_specs` says which weights an operation has and `apply` what it does with them; the supernet and the fixed blocks around it
are built from these two. Images are NHWC.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
import zlib

import tensorflow as tf

from tf_proxyless.nn import depthwise
from tf_proxyless.space import ops

BN_EPSILON = 1e-3  # official networks: momentum 0.1 (Keras: 0.9), epsilon 1e-3
BN_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class WeightSpec:
  """One weight of an operation.

  Attributes:
    name: 'LAYER/WEIGHT'; the plain network has a stock Keras layer of that name suffix with a weight of that name.
    shape: As Keras stores it.
    distribution: 'normal' or 'uniform' with `scale` as standard deviation or bound, or 'constant' with `scale` as value.
    scale: See `distribution`.
  """

  name: str
  shape: tuple[int, ...]
  distribution: str
  scale: float


def _conv_bn_specs(layer: str, shape: tuple[int, ...], kernel: str = 'kernel') -> tuple[WeightSpec, ...]:
  """Kernel, gamma, beta. The official he_fout initialisation divides by k * k * filters, for depthwise kernels too."""
  filters = shape[-2] if kernel == 'depthwise_kernel' else shape[-1]
  stddev = math.sqrt(2.0 / (shape[0] * shape[1] * filters))
  return (
      WeightSpec(f'{layer}/{kernel}', shape, 'normal', stddev),
      WeightSpec(f'{layer}_bn/gamma', (filters,), 'constant', 1.0),
      WeightSpec(f'{layer}_bn/beta', (filters,), 'constant', 0.0),
  )


def weight_specs(op: ops.Op, input_filters: int) -> tuple[WeightSpec, ...]:
  """The trainable weights of an operation in the order that `apply` takes them; none for Zero."""
  match op:
    case ops.Zero():
      return ()
    case ops.ConvBn():
      return _conv_bn_specs('conv', (op.kernel_size, op.kernel_size, input_filters, op.filters))
    case ops.MBConv():
      middle = ops.expanded_filters(op, input_filters)
      expand = _conv_bn_specs('expand', (1, 1, input_filters, middle)) if op.expand_ratio > 1 else ()
      return (
          *expand,
          *_conv_bn_specs('depthwise', (op.kernel_size, op.kernel_size, middle, 1), 'depthwise_kernel'),
          *_conv_bn_specs('project', (1, 1, middle, op.filters)),
      )
    case ops.Classifier():
      bound = 1.0 / math.sqrt(input_filters)
      return (
          WeightSpec('dense/kernel', (input_filters, op.units), 'uniform', bound),
          WeightSpec('dense/bias', (op.units,), 'constant', 0.0),
      )
    case _:
      raise TypeError(f'not an operation: {op!r}')


def block_seed(seed: int, position: int) -> int:
  """The seed of the block at a position of a network; candidates of a decision count on from it."""
  return seed * 1_000_003 + 1_009 * position


def initial_value(spec: WeightSpec, seed: int) -> tf.Tensor:
  """A weight's float32 start value, a pure function of (spec, seed), the name of the spec included."""
  if spec.distribution == 'constant':
    return tf.fill(spec.shape, spec.scale)
  seed = zlib.crc32(spec.name.encode()) ^ (seed * 0x9E3779B1 & 0xFFFFFFFFFFFFFF)
  seeds = [seed & 0x7FFFFFFF, seed >> 31]
  if spec.distribution == 'uniform':
    return tf.random.stateless_uniform(spec.shape, seeds, -spec.scale, spec.scale)
  return tf.random.stateless_normal(spec.shape, seeds, stddev=spec.scale)


def batch_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
  """Normalises by the statistics of the batch; nothing is averaged over time (DESIGN: unsampled paths would drift)."""
  gamma, beta = tf.cast(gamma, tf.float32), tf.cast(beta, tf.float32)  # the kernel's types for half precision images too
  y, *_ = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=BN_EPSILON, is_training=True)
  return y


def _conv_bn(x: tf.Tensor, weights: Sequence[tf.Tensor], strides: int = 1, padding: str = 'same') -> tf.Tensor:
  kernel, gamma, beta = weights
  if padding == 'symmetric' and strides > 1:
    y = tf.nn.conv2d(depthwise.pad_symmetric(x, kernel), kernel, strides, 'VALID')
  else:
    y = tf.nn.conv2d(x, kernel, strides, 'SAME')
  return batch_norm(y, gamma, beta)


def mbconv(x: tf.Tensor, weights: Sequence[tf.Tensor], geometry: depthwise.Geometry) -> tf.Tensor:
  """Mobile inverted bottleneck without its shortcut; dimensions may be unknown, ranks are known.

  Args:
    x: float [batch, height, width, channels].
    weights: As `weight_specs` orders them: nine tensors, or six without expansion.
    geometry: Of the depthwise convolution.

  Returns:
    float [batch, ceil(height / strides), ceil(width / strides), filters].
  """
  *expand, kernel, gamma, beta, project_kernel, project_gamma, project_beta = weights
  if expand:
    x = tf.nn.relu6(_conv_bn(x, expand))
  x = tf.nn.relu6(batch_norm(depthwise.depthwise_conv(x, kernel, geometry), gamma, beta))
  return _conv_bn(x, (project_kernel, project_gamma, project_beta))


def geometry_of(candidates: Sequence[ops.MBConv], input_shape: ops.Shape, padding: str) -> depthwise.Geometry:
  """The depthwise geometry that all of these MBConvs share at a place; they differ in kernel size and expansion only."""
  strides, = {op.strides for op in candidates}
  remainders = (input_shape[0] % strides, input_shape[1] % strides)
  return depthwise.Geometry(strides, padding, remainders, tuple(sorted({op.kernel_size for op in candidates})))


def apply(op: ops.Op, x: tf.Tensor, weights: Sequence[tf.Tensor], padding: str = 'same') -> tf.Tensor:
  """Runs one operation on float [batch, height, width, channels]; a classifier gives logits [batch, units]."""
  match op:
    case ops.Zero():
      return tf.zeros_like(x)
    case ops.ConvBn():
      return tf.nn.relu6(_conv_bn(x, weights, op.strides, padding))
    case ops.MBConv():
      return mbconv(x, weights, geometry_of([op], tuple(x.shape[1:]), padding))
    case ops.Classifier():
      kernel, bias = weights
      return tf.matmul(tf.reduce_mean(x, axis=[1, 2]), kernel) + bias
    case _:
      raise TypeError(f'not an operation: {op!r}')
