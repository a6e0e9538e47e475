"""A tiny search space and what the tests of this room do with it."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tf_proxyless.nn import primitives
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import template
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

ZERO = 6  # its choice index in the decisions that have it: all but DOWN
DOWN = 2  # the decision of stride 2


def tiny(input_shape=(16, 16, 3), padding='same') -> network_lib.Network:
  """Four decisions of 7, 7, 6 and 7 candidates."""
  space = proxyless.proxyless(
      stage_filters=(8, 12), stage_blocks=(2, 2), stage_strides=(1, 2), stem_filters=8, first_block_filters=8,
      head_filters=16, resolution=16, classes=5, padding=padding)
  return dataclasses.replace(space, input_shape=input_shape)


def apply_op(op, x: tf.Tensor, weights, padding: str = 'same') -> tf.Tensor:
  """Runs one operation on float [batch, height, width, channels] of known size; a classifier gives logits [batch, units]."""
  remaining, shape = list(weights), tuple(x.shape[1:])
  for traced in layers_lib.trace(op.layers(shape), shape):
    count = len(traced.weights)
    x = primitives.apply(traced.layer, x, remaining[:count], padding, template.geometry([traced], padding))
    remaining = remaining[count:]
  return x


def resolve(space: network_lib.Network, path) -> network_lib.Network:
  return schema.resolve(space, {name: int(index) for (name, _), index in zip(schema.walk(space), path, strict=True)})


def batch(space: network_lib.Network, count: int = 4, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
  """Random images and labels."""
  random = np.random.default_rng(seed)
  images = random.standard_normal((count, *space.input_shape)).astype(np.float32)
  return tf.constant(images), tf.constant(random.integers(space.classes, size=count), tf.int32)


def supernet(space: network_lib.Network, seed: int = 1, nested: bool = False, precision: str = 'float32') -> supernet_lib.Supernet:
  """With gammas and betas away from 1 and 0, which would hide mistakes."""
  model = supernet_lib.Supernet(space, seed, nested, precision)
  random = np.random.default_rng(seed)
  for variable in all_weights(model):
    if variable.shape.rank == 1:
      variable.assign_add(random.uniform(-0.3, 0.3, variable.shape).astype(np.float32))
  return model


def all_weights(model: supernet_lib.Supernet) -> list[tf.Variable]:
  """Of the fixed blocks and of all candidates."""
  return model.fixed_weights + [weight for layer in model.choices for op in layer.candidates for weight in op.weights]


def sampled_weights(model: supernet_lib.Supernet, path) -> list[tf.Variable]:
  """Of the chosen candidates, in the order of the blocks."""
  return [weight for layer, index in zip(model.choices, path) for weight in layer.candidates[index].weights]


def reference_logits(model: supernet_lib.Supernet, images, active, inactive=None, gates=None) -> tf.Tensor:
  """The forward pass written out: at each decision m = g_0 * active(x) + g_1 * stop_gradient(inactive(stop_gradient(x)))."""
  x, decision = images, 0
  padding = model.space.padding
  for block, layer in zip(model.space.blocks, model.block_layers):
    if layer not in model.choices:
      outputs = apply_op(layer.op, x, layer.weights, padding)
    else:
      chosen = layer.candidates[active[decision]]
      outputs = apply_op(chosen.op, x, chosen.weights, padding)
      if gates is not None:
        other = layer.candidates[inactive[decision]]
        other_outputs = apply_op(other.op, tf.stop_gradient(x), other.weights, padding)
        outputs = gates[decision, 0] * outputs + gates[decision, 1] * tf.stop_gradient(other_outputs)
      decision += 1
    x = x + outputs if block.residual else outputs
  return x
