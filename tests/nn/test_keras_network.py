"""Plain networks: the published parameter counts, stock flat layers, and the round trip through a file."""

import numpy as np
import pytest
import tf_keras as keras

from tests.nn import spaces
from tf_proxyless.cost import counting
from tf_proxyless.nn import keras_network
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published

STOCK = (keras.layers.InputLayer, keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization,
         keras.layers.ReLU, keras.layers.Add, keras.layers.ZeroPadding2D, keras.layers.GlobalAveragePooling2D,
         keras.layers.Dropout, keras.layers.Dense)


def test_a_published_network_has_the_published_parameters():
  network = published.network('proxyless_gpu', resolution=32)
  model = keras_network.build(network)
  assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == counting.count_network(network).parameters == 7_119_848
  assert {type(layer) for layer in model.layers} <= set(STOCK)
  assert model.output_shape == (None, 1000)
  rate, = (layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout))
  assert rate == network.blocks[-1].op.dropout_rate


def test_layers_and_their_settings():
  network = spaces.resolve(spaces.tiny((16, 16, 3), 'symmetric'), (6, 0, 5, 6))
  model = keras_network.build(network)
  assert [layer.name for layer in model.layers] == [
      'images', 'stem_conv_pad', 'stem_conv', 'stem_conv_bn', 'stem_conv_relu',
      *(f'block_0_{layer}' for layer in ('depthwise', 'depthwise_bn', 'depthwise_relu', 'project', 'project_bn')),
      *(f'block_2_{layer}' for layer in ('expand', 'expand_bn', 'expand_relu', 'depthwise', 'depthwise_bn', 'depthwise_relu',
                                         'project', 'project_bn', 'add')),
      *(f'block_3_{layer}' for layer in ('expand', 'expand_bn', 'expand_relu', 'depthwise_pad', 'depthwise', 'depthwise_bn',
                                         'depthwise_relu', 'project', 'project_bn')),
      'feature_mix_conv', 'feature_mix_conv_bn', 'feature_mix_conv_relu', 'classifier_pool', 'classifier_dense']
  for layer in model.layers:
    match layer:
      case keras.layers.BatchNormalization():
        assert (layer.momentum, layer.epsilon) == (0.9, 1e-3)
      case keras.layers.ReLU():
        assert layer.max_value == 6.0
      case keras.layers.Conv2D():
        assert not layer.use_bias
  pad = model.get_layer('block_3_depthwise_pad')
  assert pad.padding == ((3, 3), (3, 3))


def test_sizes_may_be_odd_and_differ():
  narrow = spaces.resolve(spaces.tiny((11, 30, 1)), (0, 1, 2, 3))
  images, _ = spaces.batch(narrow)
  assert keras_network.build(narrow)(images).shape == (4, 5)


@pytest.mark.parametrize('padding', ['same', 'symmetric'])
def test_shapes_are_those_of_the_trace(padding):
  network = spaces.resolve(spaces.tiny((16, 13, 3), padding), (0, 6, 5, 2))
  model = keras_network.build(network)
  for traced in network_lib.trace(network):
    for suffix in ('add', 'project_bn', 'conv_relu'):
      if f'{traced.block.name}_{suffix}' in [layer.name for layer in model.layers]:
        assert model.get_layer(f'{traced.block.name}_{suffix}').output_shape[1:] == traced.output_shape


def test_start_values_are_a_function_of_the_seed():
  network = spaces.resolve(spaces.tiny(), (0, 1, 2, 3))
  first, again, other = (keras_network.build(network, seed).trainable_weights for seed in (2, 2, 3))
  for a, b, c in zip(first, again, other):
    np.testing.assert_array_equal(a, b)
    assert a.shape.rank == 1 or (a.numpy() != c.numpy()).all()


def test_file_round_trip(tmp_path):
  network = spaces.resolve(spaces.tiny((16, 16, 3), 'symmetric'), (0, 6, 5, 2))
  model = keras_network.build(network, seed=4)
  for weight in model.weights:
    weight.assign(weight + 0.25)  # values that no default gives
  model.save(tmp_path / 'model.keras')
  loaded = keras.models.load_model(tmp_path / 'model.keras')
  images, _ = spaces.batch(network)
  for training in (False, True):
    np.testing.assert_array_equal(model(images, training=training), loaded(images, training=training))
  for traced in network_lib.trace(network):
    pairs = zip(keras_network.block_weights(model, traced), keras_network.block_weights(loaded, traced), strict=True)
    for (spec, variable), (_, other) in pairs:
      assert tuple(variable.shape) == spec.shape
      np.testing.assert_array_equal(variable, other)


def test_what_is_refused():
  space = spaces.tiny()
  with pytest.raises(ValueError, match="'proxyless' has open decisions"):
    keras_network.build(space)
  blocks = (network_lib.Block('stem', ops.ConvBn(8)), network_lib.Block('nothing', ops.Zero()),
            network_lib.Block('classifier', ops.Classifier(5)))
  with pytest.raises(ValueError, match="block 'nothing' is Zero without a shortcut"):
    keras_network.build(network_lib.Network('net', (8, 8, 3), blocks))


def test_drops():
  """Whole images of a branch or beside a shortcut, growing linearly; the rest is scaled up, and nothing happens outside of training."""
  network = cifar_tree.cifar_tree(stage_blocks=(1, 1), widening=4, resolution=8)
  network = spaces.resolve(network, [0] * 24)
  model = keras_network.build(network, drops=keras_network.Drops(path=0.25, cell=0.3))
  rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
  branches = [f'block_{i}.{branch}.{part}_drop' for i in (1, 2) for branch in 'ab' for part in ('1.sum', '2.sum', 'sum')]
  assert rates == pytest.approx({**dict.fromkeys(branches, 0.25), 'block_1.exit_drop': 0.2, 'block_2.exit_drop': 0.4})
  outputs = keras.Model(model.input, [model.get_layer('block_2.exit_out_bn').output, model.get_layer('block_2.exit_drop').output])
  images = np.random.default_rng(0).uniform(size=(500, 8, 8, 3)).astype(np.float32)
  before, after = outputs(images, training=True)
  kept = np.any(np.asarray(after) != 0, axis=(1, 2, 3))
  assert 0.5 < kept.mean() < 0.7
  np.testing.assert_allclose(after[kept], before[kept] / 0.6, rtol=1e-5)
  plain = keras_network.build(network)
  assert [weight.name for weight in plain.weights] == [weight.name for weight in model.weights]
  plain.set_weights(model.get_weights())  # training moved averages
  np.testing.assert_array_equal(plain(images[:4]), model(images[:4]))
