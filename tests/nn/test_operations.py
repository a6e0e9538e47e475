"""One operation, one truth: whatever counts, computes, names or stores an operation walks the same layers."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests import suites
from tests.nn import spaces
from tf_proxyless.cost import counting
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import registry
from tf_proxyless.space import schema

CONFIGURATIONS = {
    'conv_bn': [ops.ConvBn(8), ops.ConvBn(16, 1, 2, 'hard_swish'), ops.ConvBn(12, 5, 2, 'relu', groups=4), ops.ConvBn(12, 5, 2, 'relu')],
    'mbconv': [
        ops.MBConv(8, 3, 1, 1), ops.MBConv(12, 5, 2, 3), ops.MBConv(8, 3, 1, 6, 'hard_swish', 0.25), ops.MBConv(8, 3, 1, 6, 'relu', 0.5),
        ops.MBConv(8, 7, 2, 4, groups=4), ops.MBConv(8, 3, 1, 1, 'hard_swish', 0.25, expanded_filters=20),
        ops.MBConv(8, 3, 1, 1, se_ratio=1.0)],
    'separable_conv': [ops.SeparableConv(8), ops.SeparableConv(12, 5, 2, 'hard_swish')],
    'pool': [ops.Pool('average'), ops.Pool('max'), ops.Pool('average', 5, 2), ops.Pool('max', 2, 2)],
    'sequence': [ops.Sequence((ops.ConvBn(12, 1, 1), ops.MBConv(8, 3, 2, 3)))],
    'zero': [ops.Zero()],
    'identity': [ops.Identity()],
    'preactivated_separable_conv': [cifar_tree.PreactivatedSeparableConv(5), cifar_tree.PreactivatedSeparableConv(3, 2)],
    'tree_entry': [cifar_tree.TreeEntry(6), cifar_tree.TreeEntry(10, 2)],
    'tree_exit': [cifar_tree.TreeExit(24)],
    'channel_slice': [cifar_tree.ChannelSlice(0), cifar_tree.ChannelSlice(1), cifar_tree.ChannelSlice(2, 4)],
    'batch_norm': [cifar_tree.BatchNorm(), cifar_tree.BatchNorm('relu')],
    'padded_shortcut': [cifar_tree.PaddedShortcut(20), cifar_tree.PaddedShortcut(16, 2)],
    'classifier': [ops.Classifier(5), ops.Classifier(5, hidden=24), ops.Classifier(5, hidden=24, activation='relu')],
}
SHAPES = ((8, 8, 8), (7, 5, 8), (9, 12, 16))
CASES = [(op, shape, padding) for configurations in CONFIGURATIONS.values() for op in configurations for shape in SHAPES
         for padding in ops.PADDINGS]


def test_every_registered_operation_is_here():
  ours = {name for name, kind in registry.classes().items() if kind.__module__.startswith('tf_proxyless.')}
  assert ours == set(CONFIGURATIONS)
  assert all(registry.name_of(type(op)) == name for name, configurations in CONFIGURATIONS.items() for op in configurations)


def network_of(op, shape, padding):
  """Of this operation alone, with a shortcut where it may have one."""
  residual = ops.output_shape(op, shape) == shape
  return network_lib.Network('network', shape, (network_lib.Block('op', op, residual),), padding)


def keras_count(model):
  """Multiply-adds and trainable weights of a Keras model, of its layers and their shapes."""
  macs = 0
  for layer in model.layers:
    if layer.trainable and isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
      kernel = next(weight for weight in layer.weights if 'kernel' in weight.name)
      macs += math.prod(kernel.shape) * (1 if isinstance(layer, keras.layers.Dense) else math.prod(layer.output_shape[1:3]))
  return counting.Count(macs, sum(math.prod(weight.shape) for weight in model.trainable_weights))


@pytest.mark.parametrize('op, shape, padding', suites.few([*CASES[::3], *CASES[1::3], *CASES[2::3]], len(CASES[::3])), ids=str)
def test_one_operation_one_truth(op, shape, padding, tmp_path):
  network = network_of(op, shape, padding)
  count = counting.count_network(network)
  model = keras_network.build(network)
  assert keras_count(model) == count
  open_network = dataclasses.replace(network, blocks=(dataclasses.replace(network.blocks[0], op=schema.OneOf((op, op), 'op')),))
  if not ops.is_zero(op):  # a choice needs a candidate that computes something
    candidate = supernet_lib.Supernet(open_network).choices[0].candidates[1]
    assert sum(math.prod(weight.shape) for weight in candidate.weights) == count.parameters
  random = np.random.default_rng(0)
  for weight in model.trainable_weights:
    weight.assign_add(random.uniform(-0.3, 0.3, weight.shape))
  images = random.standard_normal((3, *shape)).astype(np.float32)
  traced, = network_lib.trace(network)
  weights = [variable for _, variable in keras_network.block_weights(model, traced)]
  assert len(weights) == len(model.trainable_weights)
  expected = spaces.apply_op(op, tf.constant(images), weights, padding) + (images if network.blocks[0].residual else 0.0)
  np.testing.assert_allclose(model(images, training=True), expected, atol=1e-5 * np.abs(expected).max())
  assert expected.shape[-1] == ops.output_shape(op, shape)[2]
  io.save_architecture(io.Architecture(network, {}), tmp_path / 'architecture.json')
  assert io.load_architecture(tmp_path / 'architecture.json').network == network


def test_signatures_have_names_of_their_own():
  signatures = {network_lib.op_signature(op, shape, residual, padding) for op, shape, padding in CASES for residual in (False, True)
                if not residual or ops.output_shape(op, shape) == shape} - {None}
  assert len(signatures) > 80
  for names in (set(map(str, signatures)), {signature.file_name for signature in signatures}):
    assert len(names) == len(signatures)
  for signature in signatures:
    assert network_lib.op_signatures(network_lib.network_of_signature(signature)) == (signature,)


@pytest.mark.parametrize('op', suites.few([
    ops.ConvBn(8, 3, groups=2), ops.MBConv(8, 3, 1, 3, 'hard_swish', 0.25, groups=2), ops.Pool('max')], 1))
def test_keras_networks_learn(op):
  """A grouped convolution too, for whose gradient TensorFlow has no kernel on processors: Keras compiles it."""
  blocks = (network_lib.Block('op', op), network_lib.Block('classifier', ops.Classifier(4, hidden=8)))
  model = keras_network.build(network_lib.Network('network', (8, 8, 8), blocks))
  images = np.random.default_rng(0).standard_normal((8, 8, 8, 8)).astype(np.float32)
  model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  history = model.fit(images, np.arange(8) % 4, 8, epochs=8, verbose=0).history['loss']
  assert np.isfinite(history).all() and history[-1] < history[0]
