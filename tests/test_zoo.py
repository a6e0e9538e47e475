"""The published networks by name: sizes, and weights from files of the same network only."""

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless import zoo
from tf_proxyless.cost import counting
from tf_proxyless.space import published

IMAGES = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype(np.float32)


QUICK = {'mobilenet_v3_large'}  # the others are of the same operations


@pytest.mark.parametrize('name', [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.by_hand if name == 'proxyless_cifar' else pytest.mark.long)
    for name in published.NAMES])
def test_is_the_network_of_the_archive(name):
  model = getattr(zoo, name)(resolution=64, classes=10)
  network = published.network(name, resolution=64, classes=10)
  assert model.name == name and model.input_shape == (None, 64, 64, 3) and model.output_shape == (None, 10)
  assert sum(weight.numpy().size for weight in model.trainable_weights) == counting.count_network(network).parameters
  assert not any(layer.name.endswith('_pad') for layer in model.layers)


def test_default_is_the_published_size():
  model = zoo.proxyless_mobile()
  assert model.input_shape == (None, 224, 224, 3) and model.output_shape == (None, 1000)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A model with weights and statistics of its own, and its file."""
  model = zoo.proxyless_mobile(resolution=32, classes=10, padding='symmetric')
  generator = np.random.default_rng(1)
  for weight in model.weights:
    weight.assign(weight * generator.uniform(0.9, 1.1, weight.shape) + 0.01)
  path = tmp_path_factory.mktemp('zoo') / 'weights.keras'
  model.save(path)
  return model, path


@pytest.mark.long
def test_weights_of_a_file_also_at_another_resolution(trained):
  model, path = trained
  loaded = zoo.proxyless_mobile(resolution=32, classes=10, padding='symmetric', weights=path)
  np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
  larger = zoo.proxyless_mobile(resolution=64, classes=10, padding='symmetric', weights=str(path))
  for a, b in zip(larger.get_weights(), model.get_weights(), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.long
def test_weights_of_mobilenet_v3(tmp_path):
  """Its file names a function of ours, h-swish."""
  model = zoo.mobilenet_v3_large(resolution=32, classes=10)
  model.layers[1].kernel.assign_add(tf.ones_like(model.layers[1].kernel))
  model.save(tmp_path / 'v3.keras')
  loaded = zoo.mobilenet_v3_large(resolution=32, classes=10, weights=tmp_path / 'v3.keras')
  np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.long
def test_files_that_do_not_fit(trained):
  _, path = trained
  with pytest.raises(ValueError, match="needs padding='symmetric'"):
    zoo.proxyless_mobile(resolution=32, classes=10, weights=path)
  with pytest.raises(ValueError, match="not of 'proxyless_mobile' with 11 classes: 2 weights differ, classifier_dense/kernel"):
    zoo.proxyless_mobile(resolution=32, classes=11, padding='symmetric', weights=path)
  with pytest.raises(ValueError, match="not of 'proxyless_cpu' with 10 classes"):
    zoo.proxyless_cpu(resolution=32, classes=10, padding='symmetric', weights=path)


def test_files_that_are_none(tmp_path):
  with pytest.raises(FileNotFoundError, match='there is no file'):
    zoo.proxyless_mobile(weights=tmp_path / 'nothing.keras')
  corrupt = tmp_path / 'corrupt.keras'
  corrupt.write_bytes(b'PK\x03\x04' + bytes(5000))
  with pytest.raises(ValueError, match='corrupt.keras is not a .keras file, or a damaged one'):
    zoo.proxyless_mobile(resolution=32, classes=10, padding='symmetric', weights=corrupt)


def test_arguments_that_are_refused():
  with pytest.raises(ValueError, match='padding must be one of'):
    zoo.proxyless_gpu(padding='valid')
  with pytest.raises(ValueError, match='resolution must be a positive multiple of the total stride 32, got 100'):
    zoo.proxyless_gpu(resolution=100)
