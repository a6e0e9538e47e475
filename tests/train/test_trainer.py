"""Steps of a training written out: decay in the gradient, RMSProp, averages, dropout, several replicas; and scores."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests import forks
from tf_proxyless.train import dropout
from tf_proxyless.train import recipe as recipe_lib
from tf_proxyless.train import trainer as trainer_lib
from tf_proxyless.train import training

CLASSES = 7


def linear(dropout_rate=0.0):
  """Logits = x W + b, with start values of a seed."""
  inputs = keras.Input((2, 2, 1))
  x = keras.layers.Dropout(dropout_rate)(keras.layers.Flatten()(inputs))
  return keras.Model(inputs, keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.GlorotUniform(seed=1))(x))


def a_batch(count=4):
  random = np.random.default_rng(0)
  return random.random((count, 2, 2, 1), np.float32), random.integers(CLASSES, size=count).astype(np.int32)


def gradient_of(kernel, bias, batch):
  """Of the mean cross-entropy by the kernel and the bias."""
  images, labels = batch
  x = images.reshape(len(images), -1).astype(np.float64)
  logits = x @ kernel + bias
  probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  gradient = (probabilities - np.eye(CLASSES)[labels]) / len(images)
  return x.T @ gradient, gradient.sum(0)


def weights_of(model):
  return [weight.numpy().astype(np.float64) for weight in model.trainable_weights]


def test_decay_in_the_gradient_goes_through_the_momentum():
  """PyTorch's SGD: g + wd w, v <- m v + g, w <- w - lr (g + m v); the bias is not decayed."""
  model, batch = linear(), a_batch()
  recipe = recipe_lib.Recipe(1, 3, learning_rate=0.3, momentum=0.8, weight_decay=0.05, label_smoothing=0.0, decoupled=False)
  trainer = trainer_lib.Trainer(model, recipe, seed=0)
  expected, velocities = weights_of(model), [0.0, 0.0]
  for step in range(3):
    trainer.train(batch)
    rate = recipe.learning_rate_at(step)
    for i, (gradient, decay) in enumerate(zip(gradient_of(*expected, batch), (0.05, 0.0))):
      gradient = gradient + decay * expected[i]
      # Keras keeps v with the learning rate in it, which differs once the rate changes.
      velocities[i] = 0.8 * velocities[i] - rate * gradient
      expected[i] = expected[i] + 0.8 * velocities[i] - rate * gradient
  for found, value in zip(model.trainable_weights, expected):
    np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)
  assert int(trainer.progress.total_steps) == 3 and int(trainer.progress.images) == 12


def test_rmsprop():
  """s <- rho s + (1 - rho) g^2; m <- momentum m + lr g / sqrt(s + epsilon); w <- w - m."""
  model, batch = linear(), a_batch()
  recipe = recipe_lib.Recipe(1, 2, learning_rate=0.1, momentum=0.7, weight_decay=0.0, label_smoothing=0.0, optimizer='rmsprop', rho=0.6,
                             epsilon=0.01)
  trainer = trainer_lib.Trainer(model, recipe, seed=0)
  expected, squares, steps = weights_of(model), [0.0, 0.0], [0.0, 0.0]
  for step in range(2):
    trainer.train(batch)
    for i, gradient in enumerate(gradient_of(*expected, batch)):
      squares[i] = 0.6 * squares[i] + 0.4 * gradient**2
      steps[i] = 0.7 * steps[i] + recipe.learning_rate_at(step) * gradient / np.sqrt(squares[i] + 0.01)
      expected[i] = expected[i] - steps[i]
  for found, value in zip(model.trainable_weights, expected):
    np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)


def test_averages_follow_and_are_the_result():
  """a <- d a + (1 - d) w with d = min(momentum, (1 + n) / (10 + n))."""
  model, batch = linear(), a_batch()
  trainer = trainer_lib.Trainer(model, recipe_lib.Recipe(1, 4, average_momentum=0.25), seed=0)
  expected = weights_of(model)
  for n in range(4):
    trainer.train(batch)
    d = min(0.25, (1 + n) / (10 + n))
    expected = [d * average + (1 - d) * weight for average, weight in zip(expected, weights_of(model))]
  kept = weights_of(model)
  with trainer.averaged():
    for found, value in zip(weights_of(model), expected):
      np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-7)
  assert all(np.array_equal(*pair) for pair in zip(weights_of(model), kept))
  trainer.keep_averages()
  np.testing.assert_allclose(weights_of(model)[0], expected[0], rtol=1e-5, atol=1e-7)


def test_dropout_depends_on_seed_and_step_alone():
  def kept(seed, step):
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dropout(0.25), keras.layers.Dropout(0.0)])
    with dropout.stateless(model, tf.constant([seed, step], tf.int64)):
      outputs = model(tf.ones([50, 100]), training=True).numpy()
      assert np.array_equal(model(tf.ones([2, 100]), training=False), np.ones([2, 100]))
    assert 'call' not in vars(model.layers[0])
    return outputs
  first = kept(1, 2)
  assert set(np.unique(first)) == {0.0, np.float32(1 / 0.75)}
  assert 0.72 < (first > 0).mean() < 0.78
  assert np.array_equal(first, kept(1, 2))
  assert not np.array_equal(first, kept(2, 2)) and not np.array_equal(first, kept(1, 3))


def test_dropouts_of_a_model_differ():
  inputs = keras.Input((100,))
  model = keras.Model(inputs, [keras.layers.Dropout(0.5)(inputs), keras.layers.Dropout(0.5)(inputs)])
  with dropout.stateless(model, tf.constant([0, 0], tf.int64)):
    one, other = model(tf.ones([10, 100]), training=True)
  assert not np.array_equal(one, other)


def test_what_holds_while_tracing_holds_only_then():
  entered = []

  @contextlib.contextmanager
  def note(model):
    entered.append(model)
    yield

  model = linear()
  trainer = trainer_lib.Trainer(model, recipe_lib.Recipe(1, 3), seed=0, while_tracing=note)
  for _ in range(3):
    trainer.train(a_batch())
  assert entered and set(map(id, entered)) == {id(model)} and len(entered) <= 2


def test_scores():
  """Of an identity: ranks and losses are those of the inputs."""
  inputs = keras.Input((1, 1, 6))
  model = keras.Model(inputs, keras.layers.Flatten()(inputs))
  logits = np.array([[5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0]], np.float32)
  labels = np.array([0, 4, 5], np.int32)
  batches = tf.data.Dataset.from_tensor_slices((logits[:, None, None], labels)).batch(2)
  found = training.evaluate(model, batches)
  total = np.log(np.exp(np.arange(6)).sum())
  assert (found.top1, found.top5, found.images) == (1 / 3, 2 / 3, 3)
  assert found.loss == pytest.approx(np.mean([total - 5, total - 1, total - 0]))


@pytest.mark.parametrize('policy', ['mixed_bfloat16', 'mixed_float16'])
def test_mixed_precision_keeps_float32_weights(policy):
  keras.mixed_precision.set_global_policy(policy)
  try:
    model = linear()
  finally:
    keras.mixed_precision.set_global_policy('float32')
  trainer = trainer_lib.Trainer(model, recipe_lib.Recipe(1, 4, 0.05, weight_decay=0.0), seed=0)
  plain = linear()
  reference = trainer_lib.Trainer(plain, recipe_lib.Recipe(1, 4, 0.05, weight_decay=0.0), seed=0)
  for _ in range(4):
    trainer.train(a_batch())
    reference.train(a_batch())
  assert model(a_batch()[0]).dtype == policy.removeprefix('mixed_') and model.weights[0].dtype == tf.float32
  assert hasattr(trainer.optimizer, 'loss_scale') == (policy == 'mixed_float16')
  for found, value in zip(model.weights, plain.weights):
    np.testing.assert_allclose(found, value, atol=2e-3)


# With the same batches, two replicas make the steps of one: gradients are means over all images, decay is added once.
_REPLICAS = '''
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.train import test_trainer
from tf_proxyless.train import recipe, trainer
images, labels = test_trainer.a_batch(8)
batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
found = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])):
  with strategy.scope():
    model = test_trainer.linear()
  made = trainer.Trainer(model, recipe.Recipe(3, 2, 0.3, weight_decay=0.05, decoupled=False, average_momentum=0.5), 0, strategy)
  for _ in range(3):
    for batch in made.distribute(batches):
      made.train(batch)
  scores = made.evaluate(batches)
  found.append([made.replicas, scores.images, scores.loss, made.progress.figures()['accuracy'], *model.get_weights()[0][0]])
assert (found[0][0], found[1][0]) == (1, 2), found
np.testing.assert_allclose(found[0][1:], found[1][1:], atol=1e-5)
'''


def test_two_replicas_make_the_steps_of_one():
  result = forks.run('-c', _REPLICAS, env={**forks.environment(), 'CUDA_VISIBLE_DEVICES': ''})
  assert result.returncode == 0, result.stderr[-2000:]
