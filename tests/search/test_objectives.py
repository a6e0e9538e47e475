"""Objectives against numbers computed by hand from the published formulas."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless.search import objectives

ACCURACY, COST = tf.constant([0.5, 0.7]), tf.constant([40.0, 160.0])


def loss_and_gradients(objective, loss, cost):
  loss, cost = tf.constant(loss), tf.constant(cost)
  with tf.GradientTape() as tape:
    tape.watch([loss, cost])
    total = objective.loss(loss, cost)
  return float(total), [float(gradient) for gradient in tape.gradient(total, [loss, cost], unconnected_gradients='zero')]


def test_accuracy_alone():
  objective = objectives.Objective()
  np.testing.assert_array_equal(objective.reward(ACCURACY, COST), ACCURACY)
  assert loss_and_gradients(objective, 2.0, 90.0) == (2.0, [1.0, 0.0])
  assert float(objective.multiplier) == 0.0


def test_reward_power():
  reward = objectives.RewardPower(80.0, 0.5).reward(ACCURACY, COST)
  np.testing.assert_allclose(reward, [0.5 * math.sqrt(2), 0.7 * math.sqrt(0.5)], rtol=1e-6)


def test_reward_absolute():
  reward = objectives.RewardAbsolute(80.0, 0.1).reward(ACCURACY, COST)
  np.testing.assert_allclose(reward, [0.5 - 0.1 * 0.5, 0.7 - 0.1 * 1.0], rtol=1e-6)


def test_rewards_leave_the_loss_alone():
  for objective in (objectives.RewardPower(80.0), objectives.RewardAbsolute(80.0)):
    assert loss_and_gradients(objective, 2.0, 90.0) == (2.0, [1.0, 0.0])


def test_penalty_log():
  """alpha * loss * (log E / log T)^beta: at 100 and 10 the ratio of the logarithms is 2."""
  total, (by_loss, by_cost) = loss_and_gradients(objectives.PenaltyLog(10.0, 5.0, weight=0.2, exponent=0.3), 3.0, 100.0)
  assert total == pytest.approx(0.2 * 3.0 * 2**0.3, rel=1e-6)
  assert by_loss == pytest.approx(0.2 * 2**0.3, rel=1e-6)
  assert by_cost == pytest.approx(0.2 * 3.0 * 0.3 * 2**-0.7 / (100.0 * math.log(10.0)), rel=1e-5)


@pytest.mark.parametrize('target, smallest', [(0.5, 0.2), (2.0, 0.9), (1.0, 2.0), (80.0, 1.0)])
def test_penalty_log_refuses_costs_around_1(target, smallest):
  """Below 1 it would reward slowness, across it it is NaN."""
  with pytest.raises(ValueError, match=f'got a target of {target} and a smallest network of {smallest}; use the constrained'):
    objectives.PenaltyLog(target, smallest)


def test_penalty_linear():
  total, gradients = loss_and_gradients(objectives.PenaltyLinear(80.0, weight=0.4), 3.0, 100.0)
  assert total == pytest.approx(3.0 + 0.4 * 0.25, rel=1e-6)
  np.testing.assert_allclose(gradients, [1.0, 0.4 / 80.0], rtol=1e-6)


def test_constrained():
  """The gradient by E[cost] is scale * (lambda + kp * v) / T: the violation in the weight is a number, not differentiated."""
  objective = objectives.Constrained(80.0, scale=3.0, proportional=0.5, rate=0.02)
  violation = 100.0 / 80.0 - 1.0
  total, gradients = loss_and_gradients(objective, 2.0, 100.0)
  assert total == pytest.approx(2.0 + 3.0 * 0.5 * violation * 100.0 / 80.0, rel=1e-6)
  assert gradients == pytest.approx([1.0, 3.0 * 0.5 * violation / 80.0], rel=1e-6)
  np.testing.assert_array_equal(objective.reward(ACCURACY, COST), ACCURACY)
  for cost in (100.0, 90.0):
    objective.step(tf.constant(cost))
  multiplier = 0.02 * (violation + 90.0 / 80.0 - 1.0)
  assert float(objective.multiplier) == pytest.approx(multiplier, rel=1e-5)
  total, (_, by_cost) = loss_and_gradients(objective, 2.0, 60.0)
  weight = multiplier + 0.5 * (60.0 / 80.0 - 1.0)
  assert weight < 0  # below the target, cost is rewarded
  assert (total, by_cost) == pytest.approx((2.0 + 3.0 * weight * 0.75, 3.0 * weight / 80.0), rel=1e-5)


def test_the_multiplier_is_signed_and_still_at_the_target():
  objective = objectives.Constrained(80.0, scale=1.0, rate=0.1)
  objective.step(tf.constant(80.0))
  assert float(objective.multiplier) == 0.0
  objective.step(tf.constant(60.0))
  assert float(objective.multiplier) == pytest.approx(-0.025)
  assert [variable.name for variable in objective.variables] == ['lambda:0']  # so that the checkpoint holds it


@pytest.mark.parametrize('cost, step', [(104.0, 0.3), (120.0, 0.5 * 0.6**3), (240.0, 2.0 * 0.15**3), (56.0, -0.3), (40.0, -0.5 * 0.6**3)])
def test_far_from_the_target_the_multiplier_moves_less(cost, step):
  objective = objectives.Constrained(80.0, scale=1.0, rate=0.1)
  objective.step(tf.constant(cost))
  assert float(objective.multiplier) == pytest.approx(0.1 * step, rel=1e-5)
