"""The compiled steps: losses and accuracies against the network written out."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.nn import spaces
from tests.space import spaces as coupled
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer

PATHS = np.array([(0, 6, 2, 3), (5, 1, 0, 6), (2, 2, 2, 2)], np.int32)


@pytest.fixture(scope='module')
def supernet():
  return spaces.supernet(spaces.tiny())


@pytest.fixture(scope='module')
def steps(supernet):
  return steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet), label_smoothing=0.2)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes():
  for smoothing in (0.0, 0.3):
    loss = steps_lib.cross_entropy(tf.constant([0, 4, 2]), tf.zeros([3, 5]), smoothing)
    assert float(loss) == pytest.approx(math.log(5), rel=1e-6)


def test_cross_entropy_towards_smoothed_targets():
  logits, labels, smoothing = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]), [2, 0], 0.15
  log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
  expected = -np.mean([0.85 * row[label] + 0.05 * row.sum() for row, label in zip(log_p, labels)])
  found = steps_lib.cross_entropy(tf.constant(labels), tf.constant(logits, tf.float32), smoothing)
  assert float(found) == pytest.approx(expected, rel=1e-6)


def test_count_correct():
  logits = tf.constant([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
  assert int(steps_lib.count_correct(tf.constant([1, 1, 1]), logits)) == 2


def _right(supernet, path, images, labels):
  logits = spaces.reference_logits(supernet, images, path).numpy()
  return int((logits.argmax(axis=1) == labels.numpy()).sum())


def test_accuracies(supernet, steps):
  images, labels = spaces.batch(supernet.space, 24)
  expected = [_right(supernet, path, images, labels) / 24 for path in PATHS]
  assert len(set(expected)) > 1
  np.testing.assert_allclose(steps.accuracies(PATHS, (images, labels)), expected, rtol=1e-6)


def test_accuracies_over_batches_weigh_images_alike(supernet, steps):
  batches = [spaces.batch(supernet.space, count, seed=count) for count in (20, 6)]
  expected = [sum(_right(supernet, path, *batch) for batch in batches) / 26 for path in PATHS]
  np.testing.assert_allclose(steps.accuracies_over(PATHS, iter(batches)), expected, rtol=1e-6)
  with pytest.raises(ValueError, match='no images'):
    steps.accuracies_over(PATHS, [])


def test_gate_gradients_are_of_the_plain_loss(supernet, steps):
  """Without label smoothing, as the official search takes it on validation data; the weights stay as they are."""
  images, labels = spaces.batch(supernet.space, 8)
  active, inactive = PATHS[0], PATHS[1]
  before = [weight.numpy().copy() for weight in spaces.all_weights(supernet)]
  loss, gradients = steps.gate_gradients(active, inactive, (images, labels))
  gates = tf.constant([[1.0, 0.0]] * 4)
  with tf.GradientTape() as tape:
    tape.watch(gates)
    logits = spaces.reference_logits(supernet, images, active, inactive, gates)
    expected_loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
  expected = tape.gradient(expected_loss, gates).numpy()
  assert float(loss) == pytest.approx(float(expected_loss), rel=1e-5)
  np.testing.assert_allclose(gradients, expected, atol=1e-4 * np.abs(expected).max())
  for value, weight in zip(before, spaces.all_weights(supernet)):
    np.testing.assert_array_equal(value, weight)


def test_training_reports_the_smoothed_loss_before_the_step_and_lowers_it(supernet, steps):
  images, labels = spaces.batch(supernet.space, 16)
  path = PATHS[2]
  losses = []
  for _ in range(4):
    logits = spaces.reference_logits(supernet, images, path)
    loss, correct = steps.train(images, labels, tf.constant(path), tf.constant(0.02))
    assert float(loss) == pytest.approx(float(steps_lib.cross_entropy(labels, logits, 0.2)), rel=1e-4)
    assert int(correct) == int(steps_lib.count_correct(labels, logits))
    losses.append(float(loss))
  assert losses == sorted(losses, reverse=True)


@pytest.mark.long
@pytest.mark.parametrize('space', [
    spaces.tiny, coupled.tree,
    *(pytest.param(space, marks=pytest.mark.by_hand) for space in coupled.COUPLED.values() if space != coupled.tree)
], ids=lambda space: space.__name__)
@pytest.mark.parametrize('precision, close', [('mixed_bfloat16', 0.85), ('mixed_float16', 0.98)])
def test_half_precision_gives_the_same_losses_and_directions(space, precision, close):
  """Losses, and cosines of gradients of gates, of mixtures and of weights; gradients of other images have cosines around 0.5."""
  plain, half = (spaces.supernet(space(), precision=each) for each in ('float32', precision))
  random = np.random.default_rng(2)
  images = tf.constant(random.uniform(size=(32, *plain.input_size)), tf.float32)
  labels = tf.constant(random.integers(plain.space.classes, size=32), tf.int32)
  counts = np.array([len(decision.choices) for decision in plain.decisions])
  path = random.integers(counts).astype(np.int32)
  one_gate = [layer.decisions for layer in plain.choices] == [(i,) for i in range(len(counts))]
  weights = np.stack([np.pad(random.dirichlet(np.ones(count)), (0, max(counts) - count)) for count in counts]).astype(np.float32)
  found = []
  for supernet in (plain, half):
    steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
    before = [weight.numpy() for weight in supernet.weights]
    results = [steps.mixture_gradients(weights, (images, labels)), steps.sampled_gradients(weights, (images, labels)),
               steps.gate_gradients(path, (path + 1) % counts.astype(np.int32), (images, labels))] if one_gate else []
    loss, _ = steps.train(images, labels, tf.constant(path), tf.constant(0.1))
    changes = [weight.numpy() - value for weight, value in zip(supernet.weights, before)]
    results.append((loss, np.concatenate(list(map(np.ravel, changes)))))
    found.append(results)
  for (loss, gradients), (loss_half, gradients_half) in zip(*found, strict=True):
    assert np.asarray(gradients_half).dtype == np.float32
    assert float(loss_half) == pytest.approx(float(loss), rel=0.01)
    a, b = np.ravel(gradients), np.ravel(gradients_half)
    assert a @ b > close * np.linalg.norm(a) * np.linalg.norm(b)


@pytest.mark.parametrize('space', suites.few([spaces.tiny, coupled.tree], 1))  # a pool of what is no number is one
def test_what_is_no_number_changes_no_weight(space):
  supernet = spaces.supernet(space())
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
  paths = np.zeros([2, len(supernet.decisions)], np.int32)
  paths[1] = [len(decision.choices) - 1 for decision in supernet.decisions]
  before = [weight.numpy() for weight in supernet.weights]
  for path in paths:
    loss, _ = steps.train(tf.fill([4, *supernet.input_size], float('nan')), tf.zeros([4], tf.int32), path, 0.1)
    assert np.isnan(loss)
  for weight, value in zip(supernet.weights, before):
    np.testing.assert_array_equal(weight, value)
