"""State dicts of the official code by name and shape, and how those of other networks are refused. PyTorch itself: tests/torch."""

import numpy as np
import pytest

from tests.nn import spaces
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import torch_weights
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published


def state_of(network, seed=0):
  """A state dict that fits a network; variances are positive."""
  generator = np.random.default_rng(seed)
  return {entry.name: generator.uniform(0.5, 1.5, entry.shape).astype(np.float32) for entry in torch_weights.entries(network)}


@pytest.fixture
def network():
  return spaces.resolve(spaces.tiny((16, 16, 3), 'symmetric'), (6, 0, 5, 2))


def test_names_of_the_published_mobile_network():
  shapes = {entry.name: entry.shape for entry in torch_weights.entries(published.network('proxyless_mobile'))}
  block = 'blocks.1.mobile_inverted_conv'
  assert shapes['first_conv.conv.weight'] == (32, 3, 3, 3)
  assert not any(name.startswith('blocks.0.mobile_inverted_conv.inverted_bottleneck') for name in shapes)
  assert shapes[f'{block}.inverted_bottleneck.conv.weight'] == (48, 16, 1, 1)
  assert shapes[f'{block}.depth_conv.conv.weight'] == (48, 1, 5, 5)
  assert shapes[f'{block}.point_linear.conv.weight'] == (32, 48, 1, 1)
  assert {shapes[f'{block}.point_linear.bn.{name}'] for name in ('weight', 'bias', 'running_mean', 'running_var')} == {(32,)}
  assert shapes['feature_mix_layer.conv.weight'] == (1280, 320, 1, 1)
  assert shapes['classifier.linear.weight'] == (1000, 1280) and shapes['classifier.linear.bias'] == (1000,)
  used = {int(name.split('.')[1]) for name in shapes if name.startswith('blocks.')}
  assert used == set(range(22)) - {3, 4}, 'skipped blocks keep their numbers and have no weights'


def test_every_weight_is_set_once_and_by_axes(network):
  model = keras_network.build(network)
  state = state_of(network)
  torch_weights.assign(model, network, state)
  assert sum(array.size for array in state.values()) == sum(weight.numpy().size for weight in model.weights)
  assert len({id(getattr(model.get_layer(entry.layer), entry.weight)) for entry in torch_weights.entries(network)}) == len(model.weights)
  depthwise = state['blocks.0.mobile_inverted_conv.depth_conv.conv.weight']
  kernel = model.get_layer('block_0_depthwise').depthwise_kernel.numpy()
  assert kernel[0, 2, 1, 0] == depthwise[1, 0, 0, 2]
  stem = model.get_layer('stem_conv').kernel.numpy()
  assert stem[0, 2, 1, 3] == state['first_conv.conv.weight'][3, 1, 0, 2]
  assert model.get_layer('classifier_dense').kernel.numpy()[1, 2] == state['classifier.linear.weight'][2, 1]
  bn = model.get_layer('stem_conv_bn')
  for weight, name in ((bn.gamma, 'weight'), (bn.beta, 'bias'), (bn.moving_mean, 'running_mean'), (bn.moving_variance, 'running_var')):
    np.testing.assert_array_equal(weight, state[f'first_conv.bn.{name}'])


def test_a_state_dict_is_found_in_what_surrounds_it(network):
  state = state_of(network)
  counted = {**state, 'first_conv.bn.num_batches_tracked': np.array(3)}
  parallel = {f'module.{name}': value for name, value in counted.items()}
  for checkpoint in (state, counted, parallel, {'state_dict': parallel, 'epoch': 3}):
    found = torch_weights.find_state_dict(checkpoint)
    assert found.keys() == state.keys()
    torch_weights.check(network, found)


@pytest.mark.parametrize('checkpoint, held', [
    ({}, 'a dict of nothing'), ([1], 'a list'), (None, 'a NoneType'), ({'epoch': 3, 'optimizer': {}}, "a dict of 'epoch', 'optimizer'"),
    ({'state_dict': {}}, "a dict of 'state_dict'"), ({'state_dict': {'a': 1}}, "'state_dict'"), ({3: np.zeros(2)}, 'a dict of 3'),
])
def test_what_is_no_state_dict(checkpoint, held):
  with pytest.raises(ValueError, match='no state dict') as error:
    torch_weights.find_state_dict(checkpoint)
  assert held in str(error.value)


@pytest.mark.parametrize('right', published.PROXYLESS_NAMES)
@pytest.mark.parametrize('given', published.PROXYLESS_NAMES)
def test_the_right_network_is_suggested(given, right):
  network, state = published.network(given), state_of(published.network(right, classes=10))
  with pytest.raises(ValueError) as error:
    torch_weights.check(network, state)
  message = str(error.value)
  assert message.endswith(f'These are the weights of {right!r} with 10 classes')
  assert 'classifier.linear.' in message or given != right


def test_differences_are_listed(network):
  state = state_of(network)
  first, *rest = state
  del state[first]
  state['classifier.linear.bias'] = np.zeros(9, np.float32)
  state['blocks.7.mobile_inverted_conv.depth_conv.conv.weight'] = np.zeros((8, 1, 3, 3), np.float32)
  state['blocks.7.mobile_inverted_conv.depth_conv.bn.weight'] = np.zeros(8, np.float32)
  state['extra'] = np.zeros((), np.float32)
  with pytest.raises(ValueError) as error:
    torch_weights.check(network, state)
  assert str(error.value) == (
      "not the weights of 'proxyless': missing: first_conv.conv.weight; unexpected: blocks.7.*, extra; "
      'of another shape: classifier.linear.bias 9, not 5')


def test_long_lists_are_cut():
  network = published.network('proxyless_cpu')
  with pytest.raises(ValueError, match=r'missing: first_conv\.\*, blocks\.0\.\*, .* and 17 more') as error:
    torch_weights.check(network, {'a': np.zeros(1)})
  assert '\n' not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize('name, value, reason', [
    ('first_conv.bn.bias', np.nan, 'first_conv.bn.bias must hold finite floating-point numbers, got NaN or infinity'),
    ('first_conv.conv.weight', np.inf, 'first_conv.conv.weight must hold finite'),
    ('feature_mix_layer.bn.running_var', -1.0, 'feature_mix_layer.bn.running_var must hold variances, got -1.0'),
])
def test_numbers_that_no_network_has(network, name, value, reason):
  model, state = keras_network.build(network), state_of(network)
  before = model.get_weights()
  state[name].flat[1] = value
  with pytest.raises(ValueError, match=reason):
    torch_weights.assign(model, network, state)
  for old, new in zip(before, model.get_weights()):
    np.testing.assert_array_equal(old, new)  # nothing was set


def test_integers_are_no_weights(network):
  state = {name: value.astype(np.int64) for name, value in state_of(network).items()}
  with pytest.raises(ValueError, match='got int64'):
    torch_weights.assign(keras_network.build(network), network, state)


def test_networks_of_another_form():
  blocks = (network_lib.Block('stem', ops.ConvBn(8)), network_lib.Block('classifier', ops.Classifier(5)))
  with pytest.raises(ValueError, match="'net' is not of the ProxylessNAS form .* ConvBn, Classifier"):
    torch_weights.entries(network_lib.Network('net', (8, 8, 3), blocks))
