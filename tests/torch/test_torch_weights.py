"""Logits of Keras networks with PyTorch's weights are those of PyTorch; for the four published networks, at full size."""

import numpy as np
import pytest

from tests.torch import networks
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import torch_weights
from tf_proxyless.space import published

pytestmark = pytest.mark.torch
NAMES = published.PROXYLESS_NAMES


def arrays(net):
  return torch_weights.find_state_dict({name: tensor.numpy() for name, tensor in net.state_dict().items()})


def both(network, seed):
  """The PyTorch network with weights and statistics of a seed, and the Keras network with the same."""
  net = networks.ProxylessNet(network)
  networks.randomize(net, seed)
  model = keras_network.build(network)
  torch_weights.assign(model, network, arrays(net))
  return net, model


def images(network, count, seed=0):
  return np.random.default_rng(seed).normal(size=(count, *network.input_shape)).astype(np.float32)


@pytest.mark.parametrize('name', NAMES)
def test_logits_agree(name):
  network = published.network(name, padding='symmetric')
  net, model = both(network, seed=1)
  batch = images(network, 2)
  theirs, ours = networks.logits(net, batch), model(batch, training=False).numpy()
  assert theirs.shape == (2, 1000) and theirs.std() > 0.05
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)
  assert np.abs(theirs[0] - theirs[1]).max() > 0.02, 'the images make no difference, so that agreement would show little'


def test_keras_padding_would_not_agree():
  network = published.network('proxyless_mobile', resolution=96, classes=10, padding='symmetric')
  net, _ = both(network, seed=2)
  other = published.network('proxyless_mobile', resolution=96, classes=10, padding='same')
  model = keras_network.build(other)
  torch_weights.assign(model, other, arrays(net))
  batch = images(network, 2)
  assert np.abs(model(batch, training=False).numpy() - networks.logits(net, batch)).max() > 1e-3


@pytest.mark.parametrize('resolution', [95, 97])
def test_odd_sizes_agree(resolution):
  from tf_proxyless.space import proxyless
  from tf_proxyless.space import schema

  space = proxyless.proxyless(stage_filters=(24, 40), stage_blocks=(2, 3), stage_strides=(2, 2), resolution=resolution, classes=10,
                              padding='symmetric', allow_uneven=True)
  network = schema.resolve(space, {path: (3 * i + 1) % len(one_of.choices) for i, (path, one_of) in enumerate(schema.walk(space))})
  net, model = both(network, seed=3)
  batch = images(network, 3)
  np.testing.assert_allclose(model(batch, training=False), networks.logits(net, batch), rtol=0, atol=1e-3)


@pytest.mark.parametrize('name', NAMES)
def test_names_and_shapes_are_those_of_the_modules(name):
  network = published.network(name, resolution=32, classes=7)
  net = networks.ProxylessNet(network)
  assert {entry.name: entry.shape for entry in torch_weights.entries(network)} == {
      name: tuple(value.shape) for name, value in arrays(net).items()}


def test_other_networks_are_refused():
  with pytest.raises(ValueError, match='mobilenet_v3_large.* is not of the ProxylessNAS form: .* has squeeze-excite'):
    torch_weights.entries(published.network('mobilenet_v3_large'))
