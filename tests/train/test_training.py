"""The training room on tiny models: one step of the recipe written out, determinism, and what it refuses."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.train import training

CLASSES = 3


def linear(dropout_rate=0.0):
  """Logits = x W + b, with start values of a seed."""
  inputs = keras.Input((2, 2, 1))
  x = keras.layers.Dropout(dropout_rate)(keras.layers.Flatten()(inputs))
  return keras.Model(inputs, keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.GlorotUniform(seed=1))(x))


def convolutional():
  inputs = keras.Input((8, 8, 1))
  x = keras.layers.Conv2D(8, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=1), use_bias=False)(inputs)
  x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
  x = keras.layers.GlobalMaxPooling2D()(x)
  return keras.Model(inputs, keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.GlorotUniform(seed=2))(x))


def random_batches(count=2, batch=4, size=2):
  """The same batches in each epoch."""
  random = np.random.default_rng(0)
  images = random.random((count * batch, size, size, 1), np.float32)
  labels = random.integers(CLASSES, size=count * batch).astype(np.int32)
  return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)


def bars(count, seed):
  """Images 8 x 8 of a vertical bar, a horizontal bar, or noise alone: learnable by a convolution."""
  random = np.random.default_rng(seed)
  images, labels = random.normal(0, 0.1, (count, 8, 8, 1)).astype(np.float32), random.integers(CLASSES, size=count).astype(np.int32)
  for image, label, place in zip(images, labels, random.integers(8, size=count)):
    if label < 2:
      image[(place, slice(None)) if label else (slice(None), place)] += 1
  return tf.data.Dataset.from_tensor_slices((images, labels)).batch(32, drop_remainder=True)


def test_one_step_is_the_recipe():
  """w <- w - lr wd w, then - lr (1 + momentum) g, as Nesterov's first step is; b is not decayed; g of the smoothed cross-entropy."""
  model = linear()
  kernel, bias = (weight.numpy().astype(np.float64) for weight in model.trainable_weights)
  batches = random_batches(count=1)
  images, labels = next(batches.as_numpy_iterator())
  recipe = training.Recipe(1, 1, learning_rate=0.3, momentum=0.8, weight_decay=0.05, label_smoothing=0.2)
  x = images.reshape(len(images), -1)
  targets = 0.8 * np.eye(CLASSES)[labels] + 0.2 / CLASSES
  logits = x @ kernel + bias
  probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  gradient = (probabilities - targets) / len(images)
  (figures,) = training.fit(model, lambda epoch: batches, recipe, seed=0)
  assert figures['loss'] == pytest.approx(-(targets * np.log(probabilities)).sum(-1).mean(), rel=1e-5)
  assert figures['accuracy'] == pytest.approx((logits.argmax(-1) == labels).mean())
  np.testing.assert_allclose(model.trainable_weights[0], kernel - 0.3 * 0.05 * kernel - 0.3 * 1.8 * x.T @ gradient, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(model.trainable_weights[1], bias - 0.3 * 1.8 * gradient.sum(0), rtol=1e-4, atol=1e-6)


def test_learns_and_is_deterministic():
  test = bars(320, seed=1)
  found = []
  for _ in range(2):
    model = convolutional()
    history = training.fit(model, lambda epoch: bars(640, seed=2).shuffle(20, seed=epoch), training.Recipe(6, 20), seed=0)
    found.append((history, training.accuracy(model, test), [weight.numpy() for weight in model.weights]))
  (first_history, first_accuracy, first_weights), (history, accuracy, weights) = found
  assert len(history) == 6 and history[-1]['loss'] < history[0]['loss']
  assert accuracy > 0.9
  assert (first_history, first_accuracy) == (history, accuracy)
  assert all(np.array_equal(*pair) for pair in zip(first_weights, weights))


def test_the_seed_is_that_of_dropout():
  def weights(seed):
    model = linear(dropout_rate=0.5)
    training.fit(model, lambda epoch: random_batches(), training.Recipe(1, 2), seed)
    return model.get_weights()[0]
  assert np.array_equal(weights(1), weights(1)) and not np.array_equal(weights(1), weights(2))


def test_accuracy_counts_images_not_batches():
  model = linear()
  model.set_weights([np.zeros((4, CLASSES)), np.array([0.0, 1.0, 0.0])])  # always says 1
  images, labels = np.zeros((5, 2, 2, 1), np.float32), np.array([1, 1, 0, 2, 1], np.int32)
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  assert training.accuracy(model, dataset.batch(4)) == 0.6
  with pytest.raises(ValueError, match='no images'):
    training.accuracy(model, dataset.take(0).batch(4))


def test_refusals():
  with pytest.raises(ValueError, match='epoch 0 has 2 batches; the recipe says 3'):
    training.fit(linear(), lambda epoch: random_batches(), training.Recipe(1, 3), seed=0)
  with pytest.raises(ValueError, match='not finite after epoch 0'):
    nan = random_batches().map(lambda images, labels: (images * math.nan, labels))
    training.fit(linear(), lambda epoch: nan, training.Recipe(1, 2), seed=0)
