"""REINFORCE: what it learns, its gradient in expectation and exactly, and its baseline."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search.optimizers import reinforce

COUNTS = (2, 4, 3)
COSTS = ((1.0, 3.0), (4.0, 2.0, 6.0, 5.0), (5.0, 0.0, 1.0))
COST_MODEL = model_lib.additive('ms', ('a', 'b', 'c'), 2.0, COSTS)
VALUES = (np.array([0.1, 0.3]), np.array([0.0, 0.2, 0.05, 0.3]), np.array([0.1, 0.0, 0.2]))  # accuracy is their sum
EXPLORATION = 0.2


def accuracies(paths, batch=None):
  del batch
  return np.sum([values[column] for values, column in zip(VALUES, paths.T)], axis=0)


def make(objective=None, score=accuracies, plain=False, **settings):
  """`plain` descends by the gradient itself in place of Adam, so that the gradient can be read off."""
  parameters = policy_lib.Policy(COUNTS, exploration=EXPLORATION, seed=1)
  parameters.alpha.assign(np.random.default_rng(0).standard_normal((3, 4)))
  optimizer = reinforce.Reinforce(parameters, COST_MODEL, objective or objectives.Objective(), score,
                                  **{'learning_rate': 0.05, **settings})
  if plain:
    optimizer._adam = keras.optimizers.SGD(1.0)
    optimizer._adam.build([parameters.alpha])
  return optimizer


def softmax(alpha):
  return [np.exp(row[:n]) / np.exp(row[:n]).sum() for row, n in zip(alpha, COUNTS)]


def pad(rows):
  padded = np.zeros((3, 4))
  for row, values in zip(padded, rows):
    row[:len(values)] = values
  return padded


def step_of(optimizer):
  """What an update adds to alpha, and the networks it scored."""
  before = optimizer.parameters.alpha.numpy().copy()
  scored = optimizer.update()
  return optimizer.parameters.alpha.numpy() - before, scored


def test_the_gradient_in_expectation_is_the_analytic_one():
  """d E[reward] / d alpha_j = (1 - exploration) p_j (v_j - sum_i p_i v_i) where accuracies add up."""
  optimizer = make(plain=True, networks=100_000)
  p = softmax(optimizer.parameters.alpha.numpy())
  step, _ = step_of(optimizer)
  expected = pad([(1 - EXPLORATION) * p_d * (values - p_d @ values) for p_d, values in zip(p, VALUES)])
  assert np.abs(expected).max() > 0.02
  np.testing.assert_allclose(step, expected, atol=2e-3)


def test_the_gradient_of_the_expected_cost_is_exact():
  """p_i (c_i - sum_j p_j c_j), without any sampling: all networks score alike here."""
  optimizer = make(objectives.PenaltyLinear(9.0, 0.6), lambda paths, _: np.full(len(paths), 0.5), plain=True)
  p = softmax(optimizer.parameters.alpha.numpy())
  expected_cost = 2.0 + sum(p_d @ costs for p_d, costs in zip(p, COSTS))
  assert float(optimizer.state()['expected_cost']) == pytest.approx(expected_cost, rel=1e-6)
  step, _ = step_of(optimizer)
  expected = pad([-0.6 / 9.0 * p_d * (np.array(costs) - p_d @ costs) for p_d, costs in zip(p, COSTS)])
  np.testing.assert_allclose(step, expected, atol=1e-7)


def test_an_update_ends_at_the_target_and_weighs_costs_by_what_they_are_worth():
  """The first update descends accuracy alone: afterwards lambda is its share of what least squares say of that gradient."""
  optimizer = make(objectives.Constrained(9.0, scale=1e3, rate=0.1), plain=True)
  optimizer._adam = keras.optimizers.SGD(0.0)  # leaves alpha to the projection
  optimizer._adam.build([optimizer.parameters.alpha])
  p = softmax(optimizer.parameters.alpha.numpy())
  scored = optimizer.update()
  by_cost = [p_d * (np.array(costs) - p_d @ costs) / 9.0 for p_d, costs in zip(p, COSTS)]
  by_loss = [np.zeros(len(p_d)) for p_d in p]
  for path, accuracy in zip(scored.paths, scored.accuracies):
    for gradient, choice, p_d in zip(by_loss, path, p):
      policy = (1 - EXPLORATION) * p_d[choice] + EXPLORATION / len(p_d)
      log_gradient = (1 - EXPLORATION) * p_d[choice] * (np.eye(len(p_d))[choice] - p_d) / policy
      gradient -= (accuracy - scored.accuracies.mean()) * log_gradient / len(scored.paths)
  by_cost, by_loss = np.concatenate(by_cost), np.concatenate(by_loss)
  state = optimizer.state()
  assert float(state['multiplier']) == pytest.approx(-0.1 * (by_loss @ by_cost) / (by_cost @ by_cost), rel=1e-4)
  assert float(state['expected_cost']) == pytest.approx(9.0, rel=1e-4)


def test_the_baseline_is_used_before_it_moves():
  """The first mean is the first baseline; advantages of the second update are against it."""
  optimizer = make(plain=True, baseline_momentum=0.9)
  _, scored = step_of(optimizer)
  first = scored.accuracies.mean()
  assert float(optimizer.baseline) == pytest.approx(first, rel=1e-6)
  p = softmax(optimizer.parameters.alpha.numpy())
  step, scored = step_of(optimizer)
  expected = np.zeros((3, 4))
  for path, accuracy in zip(scored.paths, scored.accuracies):
    for decision, (choice, p_d) in enumerate(zip(path, p)):
      policy = (1 - EXPLORATION) * p_d[choice] + EXPLORATION / len(p_d)
      log_gradient = (1 - EXPLORATION) * p_d[choice] * (np.eye(len(p_d))[choice] - p_d) / policy
      expected[decision, :len(p_d)] += (accuracy - first) * log_gradient / len(scored.paths)
  np.testing.assert_allclose(step, expected, atol=1e-6)
  assert float(optimizer.baseline) == pytest.approx(0.9 * first + 0.1 * scored.accuracies.mean(), rel=1e-6)


def test_equal_networks_teach_nothing():
  optimizer = make(score=lambda paths, _: np.full(len(paths), 0.5))
  step, _ = step_of(optimizer)
  assert not step.any()


def test_rewards_hold_the_cost_of_the_network_itself():
  """Where all networks are equally accurate, acc * (T / cost)^w alone makes networks cheap."""
  optimizer = make(objectives.RewardPower(9.0, 1.0), lambda paths, _: np.full(len(paths), 0.5))
  _, scored = step_of(optimizer)
  costs = [COST_MODEL.cost(path.tolist()) for path in scored.paths]
  assert float(optimizer.baseline) == pytest.approx(np.mean(0.5 * 9.0 / np.array(costs)), rel=1e-6)
  for _ in range(150):
    optimizer.update()
  np.testing.assert_array_equal(optimizer.parameters.mode(), [np.argmin(costs) for costs in COSTS])


def test_what_was_scored_is_handed_back():
  seen = []

  def score(paths, batch):
    seen.append((paths, batch))
    return accuracies(paths)

  scored = make(score=score, networks=7).update('the batch')
  (paths, batch), = seen
  assert batch == 'the batch' and paths.shape == (7, 3)
  np.testing.assert_array_equal(scored.paths, paths)
  np.testing.assert_array_equal(scored.accuracies, accuracies(paths).astype(np.float32))


def test_paths_of_weight_steps_follow_the_policy_and_the_step_alone():
  optimizer = make()
  path = lambda step: optimizer.next_path(tf.constant(step, tf.int64)).numpy()
  paths = [path(step) for step in range(8)]
  assert len({tuple(path) for path in paths}) > 3
  np.testing.assert_array_equal(path(5), paths[5])


@pytest.mark.parametrize('settings, message', [
    ({'networks': 0}, 'networks must be at least 1, got 0'),
    ({'baseline_momentum': 1.0}, r'baseline_momentum must be in \[0, 1\), got 1.0'),
])
def test_refuses(settings, message):
  with pytest.raises(ValueError, match=message):
    make(**settings)
