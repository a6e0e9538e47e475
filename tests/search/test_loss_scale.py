"""The loss scale of float16: its rule, what it skips, and what it does not hide."""

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.nn import spaces
from tests.space import spaces as coupled
from tf_proxyless.search import checks
from tf_proxyless.search import loss_scale
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer

PATH, OTHER = np.array([0, 1, 2, 3], np.int32), np.array([1, 2, 3, 4], np.int32)
RATE = tf.constant(0.05)


def make(space=spaces.tiny):
  supernet = spaces.supernet(space(), precision='mixed_float16')
  optimizer = weight_optimizer.SupernetSGD(supernet)
  return supernet, optimizer, steps_lib.SupernetSteps(supernet, optimizer)


@pytest.fixture(name='parts', scope='module')
def _parts():
  return make()


def state(scale):
  return float(scale.factor), int(scale.steps)


def test_the_rule():
  scale = loss_scale.LossScale()
  assert state(scale) == (2.0**15, 0)
  update = tf.function(scale.update, input_signature=[tf.TensorSpec([], tf.bool)], autograph=False)
  update(True)
  assert state(scale) == (2.0**15, 1)
  update(False)
  assert state(scale) == (2.0**14, 0)
  for _ in range(2000):
    update(True)
  assert state(scale) == (2.0**15, 0)
  for _ in range(20):
    update(False)
  assert state(scale) == (1.0, 0)


def test_a_step_whose_gradients_overflow_changes_nothing_but_the_scale(parts):
  supernet, optimizer, steps = parts
  optimizer.loss_scale.factor.assign(2.0**24)
  values = lambda: [np.array(variable) for variable in (*supernet.weights, *tf.nest.flatten(optimizer.candidate_slots))]
  before, images = values(), spaces.batch(supernet.space)
  loss, _ = steps.train(*images, tf.constant(PATH), RATE)
  assert np.isfinite(loss) and state(optimizer.loss_scale) == (2.0**23, 0)
  for value, now in zip(before, values(), strict=True):
    np.testing.assert_array_equal(value, now)
  while state(optimizer.loss_scale)[1] == 0:
    steps.train(*images, tf.constant(PATH), RATE)
  assert state(optimizer.loss_scale)[0] < 2.0**23 and not all(map(np.array_equal, before, values()))


def test_timing_a_step_leaves_the_scale_alone(parts):
  supernet, optimizer, steps = parts
  optimizer.loss_scale.factor.assign(2.0**24)
  before = state(optimizer.loss_scale)
  steps.train(*spaces.batch(supernet.space), tf.constant(PATH), tf.constant(float('nan')))
  assert state(optimizer.loss_scale) == before


@pytest.mark.long
def test_gradients_of_gates_lower_the_scale_until_they_are_finite(parts):
  supernet, optimizer, steps = parts
  optimizer.loss_scale.factor.assign(2.0**10)
  _, expected = steps.gate_gradients(PATH, OTHER, spaces.batch(supernet.space))
  assert state(optimizer.loss_scale)[0] == 2.0**10
  optimizer.loss_scale.factor.assign(2.0**24)
  _, found = steps.gate_gradients(PATH, OTHER, spaces.batch(supernet.space))
  assert 2.0**10 < state(optimizer.loss_scale)[0] < 2.0**24
  np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())


@pytest.mark.long
@pytest.mark.parametrize('space', suites.few([spaces.tiny, coupled.tree], 1))  # a pool of what is no number is one
def test_what_is_no_number_is_reported_in_the_end(space):
  supernet, optimizer, steps = make(space)
  path = tf.constant([len(decision.choices) - 1 for decision in supernet.decisions])
  losses = [float(steps.train(tf.fill([4, *supernet.input_size], float('nan')), tf.zeros([4], tf.int32), path, RATE)[0]) for _ in range(17)]
  assert np.isnan(losses[-1]) and all(np.isfinite(weight).all() for weight in supernet.weights)


@pytest.mark.long
def test_outputs_beyond_float16_are_reported_as_such(parts):
  supernet, optimizer, steps = parts
  optimizer.loss_scale.factor.assign(1.0)
  kernel = supernet.fixed_weights[0]
  value = kernel.numpy()
  kernel.assign(value * 1e6)
  with pytest.raises(checks.SearchDivergedError, match='at blocks/stem, which overflows in mixed_float16; lower'):
    steps.gate_gradients(PATH, OTHER, spaces.batch(supernet.space))
  kernel.assign(value)


def test_it_is_in_checkpoints_of_float16_alone(tmp_path, parts):
  _, optimizer, _ = parts
  optimizer.loss_scale.factor.assign(8.0)
  optimizer.loss_scale.steps.assign(3)
  path = tf.train.Checkpoint(optimizer=optimizer).write(str(tmp_path / 'state'))
  other = weight_optimizer.SupernetSGD(spaces.supernet(spaces.tiny(), precision='mixed_float16'))
  tf.train.Checkpoint(optimizer=other).read(path).assert_consumed()
  assert state(other.loss_scale) == (8.0, 3)
  assert weight_optimizer.SupernetSGD(spaces.supernet(spaces.tiny())).loss_scale is None
