"""A weight step is that of one network alone: the same numbers for what was sampled, and nothing at all for the rest."""

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.nn import spaces
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import steps
from tf_proxyless.search import weight_optimizer

Z = spaces.ZERO
PATHS = ((0, Z, 2, 3), (0, 1, 5, Z))
RATE = 0.05


def _variables_and_slots(supernet, optimizer):
  """(weight, slot) of every variable, by the identity of the weight."""
  pairs = list(zip(supernet.fixed_weights, optimizer.fixed_slots, strict=True))
  for mixed_op, slots in zip(supernet.choices, optimizer.candidate_slots, strict=True):
    for candidate, candidate_slots in zip(mixed_op.candidates, slots, strict=True):
      pairs += zip(candidate.weights, candidate_slots, strict=True)
  return {id(weight): (weight, slot) for weight, slot in pairs}


def _values(pairs):
  """Copies: `numpy()` of a variable may be a view of its memory."""
  return {key: tuple(np.array(variable.numpy(), copy=True) for variable in pair) for key, pair in pairs.items()}


def _train(space, paths, momentum=0.9, weight_decay=0.01, precision='float32'):
  """Supernet and optimizer after one step on each path, its (weight, slot) pairs, and their values after every step."""
  supernet = spaces.supernet(space, precision=precision)
  optimizer = weight_optimizer.SupernetSGD(supernet, momentum, weight_decay)
  compiled = steps.SupernetSteps(supernet, optimizer)
  pairs = _variables_and_slots(supernet, optimizer)
  history = [_values(pairs)]
  for i, path in enumerate(paths):
    images, labels = spaces.batch(space, seed=i)
    compiled.train(images, labels, tf.constant(path, tf.int32), tf.constant(RATE))
    history.append(_values(pairs))
  return supernet, pairs, history, compiled


@pytest.fixture(scope='module')
def trained():
  return _train(spaces.tiny(), PATHS)


@pytest.mark.parametrize('precision', suites.few(['float32', 'mixed_float16'], 1))
def test_a_step_changes_the_sampled_weights_and_slots_and_no_other_bit(trained, precision):
  supernet, pairs, history, _ = trained if precision == 'float32' else _train(trained[0].space, PATHS, precision=precision)
  for path, before, after in zip(PATHS, history, history[1:]):
    sampled = {id(weight) for weight in supernet.fixed_weights + spaces.sampled_weights(supernet, path)}
    assert 0 < len(sampled) < len(pairs)
    for key in pairs:
      changed = [not np.array_equal(a, b) for a, b in zip(before[key], after[key])]
      assert changed == [key in sampled] * 2


def test_steps_are_those_of_the_rule_written_out(trained):
  """accum = m * accum + g and w -= lr * (g + m * accum), g with decay, on the loss of the operations alone."""
  supernet, _, history, _ = trained
  other = spaces.supernet(supernet.space)
  slots = {}
  for i, path in enumerate(PATHS):
    images, labels = spaces.batch(other.space, seed=i)
    weights = other.fixed_weights + spaces.sampled_weights(other, path)
    with tf.GradientTape() as tape:
      loss = steps.cross_entropy(labels, spaces.reference_logits(other, images, path), 0.1)
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
      gradient = gradient.numpy() + 0.01 * weight.numpy()
      slots[id(weight)] = 0.9 * slots.get(id(weight), 0.0) + gradient
      weight.assign_sub(RATE * (gradient + 0.9 * slots[id(weight)]))
    for ours, theirs in zip(spaces.all_weights(supernet), spaces.all_weights(other), strict=True):
      value, slot = history[i + 1][id(ours)]
      np.testing.assert_allclose(value, theirs, rtol=1e-5, atol=1e-6)
      np.testing.assert_allclose(slot, np.broadcast_to(slots.get(id(theirs), 0.0), slot.shape), rtol=1e-4, atol=1e-5)


def test_one_trace_serves_all_paths(trained):
  supernet, _, _, compiled = trained
  batch = spaces.batch(supernet.space)
  for path in PATHS:
    compiled.gate_gradients(np.array(path, np.int32), np.array([5, 5, 5, 5], np.int32), batch)
    compiled.accuracies(np.array([path], np.int32), batch)
  for function in (compiled.train, compiled._gate_gradients, compiled._correct):
    assert function.experimental_get_tracing_count() == 1


def test_other_steps_touch_no_weight(trained):
  supernet, pairs, history, compiled = trained
  batch = spaces.batch(supernet.space)
  compiled.gate_gradients(np.array(PATHS[0], np.int32), np.array([5, 5, 5, 5], np.int32), batch)
  compiled.accuracies(np.array(PATHS, np.int32), batch)
  compiled.accuracies_over(np.array(PATHS, np.int32), [batch])
  for key, values in _values(pairs).items():
    for now, after in zip(values, history[-1][key]):
      np.testing.assert_array_equal(now, after)


@pytest.mark.long
def test_decay_alone_shrinks_by_its_closed_form():
  """At gradient 0, momentum 0: w <- (1 - rate * decay) w."""
  space = spaces.tiny()
  supernet = spaces.supernet(space)
  optimizer = weight_optimizer.SupernetSGD(supernet, momentum=0.0, weight_decay=0.5)
  before = _values(_variables_and_slots(supernet, optimizer))
  path = tf.constant(PATHS[0])

  @tf.function(autograph=False)
  def step(path):
    gates = supernet.sample(path)
    gradients = [[tf.zeros_like(weight) for weight in gate.weights] for gate in gates]
    optimizer.apply(gates, gradients, [tf.zeros_like(weight) for weight in supernet.fixed_weights], tf.constant(0.2), tf.constant(True))

  step(path)
  sampled = {id(weight) for weight in supernet.fixed_weights + spaces.sampled_weights(supernet, PATHS[0])}
  for key, (weight, _) in _variables_and_slots(supernet, optimizer).items():
    np.testing.assert_allclose(weight, before[key][0] * (0.9 if key in sampled else 1.0), rtol=1e-6)


def test_slots_are_in_a_checkpoint(tmp_path, trained):
  supernet, pairs, _, _ = trained
  space = supernet.space
  optimizer = trained[3]._optimizer
  path = tf.train.Checkpoint(model=supernet, optimizer=optimizer).write(str(tmp_path / 'state'))
  restored = supernet_lib.Supernet(space, seed=7)
  restored_optimizer = weight_optimizer.SupernetSGD(restored)
  tf.train.Checkpoint(model=restored, optimizer=restored_optimizer).read(path).assert_consumed()
  others = _variables_and_slots(restored, restored_optimizer)
  for pair, other in zip(pairs.values(), others.values(), strict=True):
    for a, b in zip(pair, other):
      np.testing.assert_array_equal(a, b)
