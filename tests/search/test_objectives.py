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
  """The Lagrangian: what is descended weighs E[cost] by lambda / T, and by nothing else."""
  objective = objectives.Constrained(80.0, scale=3.0)
  np.testing.assert_array_equal(objective.reward(ACCURACY, COST), ACCURACY)
  assert loss_and_gradients(objective, 2.0, 100.0) == (2.0, [1.0, 0.0])
  objective._lambda.assign(0.4)
  total, gradients = loss_and_gradients(objective, 2.0, 100.0)
  assert total == pytest.approx(2.0 + 0.4 * 100.0 / 80.0, rel=1e-6)
  assert gradients == pytest.approx([1.0, 0.4 / 80.0], rel=1e-6)
  assert [variable.name for variable in objective.variables] == ['lambda:0']  # so that the checkpoint holds it


def test_the_multiplier_is_the_mean_of_least_squares_estimates():
  """lambda for which |gradient of the loss + lambda * gradient of E[cost] / T| is least; signed."""
  objective, rng, mean = objectives.Constrained(80.0, scale=1.0, rate=0.1), np.random.default_rng(1), 0.0
  for _ in range(5):
    by_loss, by_cost = rng.standard_normal((2, 3, 4)).astype(np.float32)
    by_cost *= 800.0  # estimates below 1
    estimate, = np.linalg.lstsq(by_cost.reshape(-1, 1) / 80.0, -by_loss.ravel(), rcond=None)[0]
    objective.weigh(tf.constant(by_loss + float(objective.multiplier) * by_cost / 80.0), tf.constant(by_cost))
    mean += 0.1 * (estimate - mean)
    assert float(objective.multiplier) == pytest.approx(mean, abs=1e-6)
  assert abs(mean) > 1e-4


@pytest.mark.parametrize('gradient, change', [(-1e20, 0.02), (1e20, -0.02), (0.0, 0.0)])
def test_one_update_moves_the_multiplier_by_its_share_of_the_scale_at_most(gradient, change):
  objective = objectives.Constrained(80.0, scale=2.0, rate=0.01)
  objective.weigh(tf.constant([[gradient, 0.0]]), tf.constant([[3.0, 1.0]]))
  assert float(objective.multiplier) == pytest.approx(change)
  objective.weigh(tf.constant([[gradient, 0.0]]), tf.constant([[0.0, 0.0]]))  # no choice is left
  assert float(objective.multiplier) == pytest.approx(change)


@pytest.mark.parametrize('proportional, aim', [(0.0, 100.0), (0.5, 90.0), (1.0, 80.0), (3.0, 80.0)])
def test_aims_at_the_target(proportional, aim):
  assert float(objectives.Constrained(80.0, scale=1.0, proportional=proportional).aim(tf.constant(100.0))) == aim
  assert objectives.PenaltyLinear(80.0).aim(tf.constant(100.0)) is None
