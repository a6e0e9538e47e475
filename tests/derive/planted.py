"""A dataset whose classes only a 7x7 kernel can tell apart, and a space in which one decision meets them.

Every image shows noise and, from each pixel that the reduction (a 1x1 convolution of stride 8) will keep, a dot three pixels away;
the class is the direction. What block_1 did not bring to the kept pixels is lost at the reduction, so block_2 and block_3 cannot
make up for it, and pooling has nothing to add.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

SIZE, STRIDE = 16, 8
OFFSETS = ((0, 3), (3, 0), (3, 3), (2, 3))  # (down, right), by class
K7E3, K7E6, ZERO = 4, 5, 6
WIDE = (K7E3, K7E6)
BEST = (K7E3, ZERO, ZERO)  # the cheapest network that sees the classes


def space() -> network_lib.Network:
  """Three decisions of the seven official choices; the first one alone stands before the reduction."""
  def searched(name, filters):
    choices = tuple(ops.MBConv(filters, kernel, 1, expand) for kernel, expand in proxyless.CANDIDATES)
    return network_lib.Block(name, schema.OneOf((*choices, ops.Zero()), 'op'), residual=True)

  return network_lib.Network('planted', (SIZE, SIZE, 3), (
      network_lib.Block('stem', ops.ConvBn(8, 1)),
      searched('block_1', 8),
      network_lib.Block('reduction', ops.ConvBn(48, 1, STRIDE)),
      searched('block_2', 48),
      searched('block_3', 48),
      network_lib.Block('classifier', ops.Classifier(len(OFFSETS))),
  ))


def batch(count: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Images float32 [count, 16, 16, 3] and labels int32 [count], a pure function of the seed."""
  random = np.random.default_rng(seed)
  labels = random.integers(len(OFFSETS), size=count).astype(np.int32)
  images = random.uniform(0.0, 0.6, (count, SIZE, SIZE, 3)).astype(np.float32)
  down, right = np.array(OFFSETS)[labels].T
  for y in range(0, SIZE, STRIDE):
    for x in range(0, SIZE, STRIDE):
      images[np.arange(count), y + down, x + right] += 0.4
  return tf.constant(images), tf.constant(labels)
