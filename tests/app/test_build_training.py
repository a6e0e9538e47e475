"""Parts of a training as a command puts them together: pixels, start values, precision."""

import numpy as np
import pytest
import tensorflow as tf

from tests.train import runs
from tf_proxyless.app import architectures
from tf_proxyless.app import build_training
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import training_images


def config_of(*arguments):
  return flags.from_flagfile(arguments, config_lib.TrainConfig)


@pytest.fixture
def model_of(tmp_path):
  """Makes the tiny network."""
  def make(classes, seed=0, precision='float32', filters=8):
    architecture = architectures.find(str(runs.architecture(tmp_path / 'a.json', classes, filters)), classes)
    return build_training.build(config_of(f'--seed={seed}'), architecture, precision)
  return make


def test_normalization_is_of_channels():
  images = np.random.default_rng(0).random((4, 2, 2, 3), np.float32)
  batches = tf.data.Dataset.from_tensor_slices((images, np.arange(4))).batch(2)
  mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  found = np.concatenate([pixels for pixels, _ in training_images.normalize(batches, {'mean': mean, 'std': std})])
  np.testing.assert_allclose(found, (images - np.array(mean)) / np.array(std), rtol=1e-5)
  assert training_images.normalize(batches, None) is batches


def test_start_values_are_copied_by_layer(model_of):
  model, start = model_of(10), model_of(10, seed=1)
  assert build_training.copy_weights(model, start) == []
  assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), start.get_weights(), strict=True))


def test_a_classifier_of_other_classes_keeps_its_own(model_of):
  model, start = model_of(10), model_of(7, seed=1)
  own = model.get_layer('classifier_dense').get_weights()
  assert build_training.copy_weights(model, start) == ['classifier_dense']
  assert np.array_equal(model.get_layer('classifier_dense').get_weights()[0], own[0])
  assert np.array_equal(model.get_layer('stem_conv').get_weights()[0], start.get_layer('stem_conv').get_weights()[0])


def test_another_network_is_refused_and_nothing_is_hidden(model_of):
  with pytest.raises(ValueError, match='7 layers differ, for instance stem_conv, stem_conv_bn'):
    build_training.copy_weights(model_of(10), model_of(10, filters=16))


def test_precision_is_of_the_computation(model_of):
  """Names, order and values of the weights are the same, so that a model trained in one is saved in the other."""
  plain, mixed = model_of(10), model_of(10, precision='mixed_bfloat16')
  assert [weight.name for weight in mixed.weights] == [weight.name for weight in plain.weights]
  assert all(np.array_equal(*pair) for pair in zip(mixed.get_weights(), plain.get_weights()))
  assert (mixed.output.dtype, plain.output.dtype) == ('bfloat16', 'float32')
  assert model_of(10).output.dtype == 'float32'  # the policy does not stay


@pytest.mark.parametrize('arguments, rate', [
    ((), 0.05), (('--batch_size=32',), 0.00625), (('--batch_size=32', '--learning_rate=0.3'), 0.3)])
def test_the_default_learning_rate_is_in_proportion_to_the_batch(arguments, rate):
  assert build_training.make_recipe(config_of(*arguments), 10).learning_rate == rate


def test_flags_come_to_the_recipe():
  config = config_of('--epochs=7', '--momentum=0.1', '--weight_decay=0.2', '--label_smoothing=0.3', '--decoupled_weight_decay',
                     '--warmup_epochs=4', '--optimizer=rmsprop', '--schedule=exponential', '--decay_rate=0.5', '--decay_epochs=6',
                     '--rho=0.7', '--epsilon=0.8', '--average_momentum=0.9')
  recipe = build_training.make_recipe(config, 10)
  for name in ('epochs', 'momentum', 'weight_decay', 'label_smoothing', 'warmup_epochs', 'optimizer', 'schedule', 'decay_rate',
               'decay_epochs', 'rho', 'epsilon', 'average_momentum'):
    assert getattr(recipe, name) == options.flat(config)[name], name
  assert recipe.decoupled and recipe.steps_per_epoch == 10
