"""Gate gradients: those of m = g_0 * o_0 + g_1 * stop_gradient(o_1), written out independently, and finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from tests.nn import spaces
from tf_proxyless.nn import gates as gates_lib

Z = spaces.ZERO
STEP = 3e-4  # larger ones cross the kinks of ReLU6, smaller ones drown in float32
PAIRS = {
    'no zero': ((0, 3, 5, 2), (1, 4, 0, 5)),
    'zero active': ((Z, 3, 1, Z), (1, 2, 0, 5)),
    'zero inactive': ((2, 3, 4, 0), (Z, 1, 3, Z)),
}


def _loss(labels, logits):
  return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


@pytest.fixture(scope='module')
def setting():
  space = spaces.tiny()
  supernet = spaces.supernet(space)

  @tf.function(autograph=False)
  def differentiate(images, labels, active, inactive):
    gates = supernet.sample_pair(active, inactive)
    values = [gate.gates for gate in gates]
    weights = [gate.active.weights + gate.inactive.weights for gate in gates]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch([values, weights, images])
      loss = _loss(labels, supernet(images, gates))
    gate_gradients, weight_gradients, dx = tape.gradient(loss, (values, weights, images), unconnected_gradients='zero')
    return loss, tf.stack(gate_gradients), weight_gradients, dx

  return supernet, spaces.batch(space), differentiate


@pytest.mark.parametrize('active, inactive', PAIRS.values(), ids=PAIRS)
def test_equal_autodiff_of_the_written_out_form(setting, active, inactive):
  supernet, (images, labels), differentiate = setting
  loss, gradients, weight_gradients, dx = differentiate(images, labels, tf.constant(active), tf.constant(inactive))
  gates = tf.constant([[1.0, 0.0]] * 4)
  with tf.GradientTape() as tape:
    tape.watch([gates, images])
    expected_loss = _loss(labels, spaces.reference_logits(supernet, images, active, inactive, gates))
  expected, expected_dx = tape.gradient(expected_loss, [gates, images])
  np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
  np.testing.assert_allclose(gradients, expected, atol=1e-5 * np.abs(expected).max())
  np.testing.assert_allclose(dx, expected_dx, atol=1e-5 * np.abs(expected_dx).max())
  assert not any(gradient.numpy().any() for gradient in tf.nest.flatten(weight_gradients))
  # Zero's own gradient is 0, and the one beside it is not lost (DESIGN trap 4).
  is_zero = np.array([[index == Z and decision != spaces.DOWN for index in pair]
                      for decision, pair in enumerate(zip(active, inactive))])
  np.testing.assert_array_equal(gradients.numpy() == 0.0, is_zero)


@pytest.mark.parametrize('active, inactive', PAIRS.values(), ids=PAIRS)
def test_equal_finite_differences(setting, active, inactive):
  supernet, (images, labels), differentiate = setting
  gradients = differentiate(images, labels, tf.constant(active), tf.constant(inactive))[1].numpy()
  for decision in range(4):
    for side in range(2):
      losses = []
      for step in (-STEP, STEP):
        gates = np.array([[1.0, 0.0]] * 4, np.float32)
        gates[decision, side] += step
        losses.append(float(_loss(labels, spaces.reference_logits(supernet, images, active, inactive, gates))))
      difference = (losses[1] - losses[0]) / (2.0 * STEP)
      assert gradients[decision, side] == pytest.approx(difference, abs=0.02 * float(np.abs(gradients).max()))


def test_combine_is_its_closed_form():
  random = np.random.default_rng(0)
  active, inactive, dy = (tf.constant(random.standard_normal((2, 3, 3, 4)).astype(np.float32)) for _ in range(3))
  gates = tf.constant([1.0, 0.0])
  with tf.GradientTape() as tape:
    tape.watch([active, inactive, gates])
    output = gates_lib.combine(active, inactive, gates)
  np.testing.assert_array_equal(output, active)
  d_active, d_inactive, d_gates = tape.gradient(output, [active, inactive, gates], dy)
  np.testing.assert_array_equal(d_active, dy)
  assert d_inactive is None
  np.testing.assert_allclose(d_gates, [np.vdot(dy, active), np.vdot(dy, inactive)], rtol=1e-5)


@pytest.mark.long
def test_a_mixture_is_the_weighted_sum_of_all_candidates(setting):
  """And its gradients are those of the written-out form; none reaches a weight."""
  supernet, (images, labels), _ = setting
  mixture = np.random.default_rng(1).dirichlet(np.ones(7), 4).astype(np.float32)
  mixture[spaces.DOWN, 6] = 0.0  # which has six candidates

  def written_out(weights):
    x, decision = images, 0
    for block, layer in zip(supernet.space.blocks, supernet.block_layers):
      if layer not in supernet.choices:
        outputs = spaces.apply_op(layer.op, x, layer.weights, supernet.space.padding)
      else:
        outputs = tf.add_n([weights[decision, i] * spaces.apply_op(each.op, x, each.weights, supernet.space.padding)
                            for i, each in enumerate(layer.candidates)])
        decision += 1
      x = x + outputs if block.residual else outputs
    return x

  found = []
  for run in (written_out, lambda weights: supernet(images, supernet.mix(weights))):
    weights = tf.constant(mixture)
    with tf.GradientTape() as tape:
      tape.watch([weights, images])
      loss = _loss(labels, run(weights))
    found.append((loss, *tape.gradient(loss, [weights, images])))
  for expected, value in zip(*found):
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.long
def test_no_gradient_of_a_mixture_reaches_a_candidates_weights(setting):
  supernet, (images, labels), _ = setting
  gates = supernet.mix(tf.fill([4, 7], 1 / 7))
  members = [member.weights for gate in gates for member in gate.members]
  with tf.GradientTape() as tape:
    tape.watch(members)
    loss = _loss(labels, supernet(images, gates))
  gradients = tape.gradient(loss, members, unconnected_gradients='zero')
  assert not any(gradient.numpy().any() for gradient in tf.nest.flatten(gradients))
