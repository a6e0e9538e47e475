"""The gradient rule on two paths: Eq. 4 written out for the pair, and no trace of it anywhere else."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search.optimizers import two_path

DECISIONS = 60
COSTS = tuple(tuple(costs) for costs in np.random.default_rng(1).uniform(0.0, 5.0, (DECISIONS, 4)))
COST_MODEL = model_lib.additive('ms', tuple(map(str, range(DECISIONS))), 2.0, COSTS)


def random_gradients(active, inactive, batch):
  """dL/dg of a batch whose number is its seed."""
  return 1.5, np.random.default_rng(batch).standard_normal((len(active), 2)).astype(np.float32)


class Recorder:
  """Gate gradients that remember which pairs were asked for."""

  def __init__(self, gate_gradients):
    self.gate_gradients = gate_gradients
    self.pairs = []

  def __call__(self, active, inactive, batch):
    self.pairs.append(np.stack([active, inactive], axis=1))
    return self.gate_gradients(active, inactive, batch)


def make(objective=None, gate_gradients=random_gradients, plain=False, learning_rate=0.01, exploration=0.0, alpha=None):
  """`plain` descends by the gradient itself in place of Adam, so that the gradient can be read off."""
  parameters = policy_lib.Policy([4] * DECISIONS, exploration=exploration, seed=1)
  parameters.alpha.assign(np.random.default_rng(0).standard_normal((DECISIONS, 4)) if alpha is None else alpha)
  recorder = Recorder(gate_gradients)
  optimizer = two_path.TwoPath(parameters, COST_MODEL, objective or objectives.Objective(), recorder,
                                    learning_rate=learning_rate)
  if plain:
    optimizer._adam = keras.optimizers.SGD(1.0)
    optimizer._adam.build([parameters.alpha])
  return optimizer, recorder.pairs


def softmax(alpha):
  p = np.exp(alpha - alpha.max(axis=-1, keepdims=True))
  return p / p.sum(axis=-1, keepdims=True)


def test_one_update_is_equation_4_for_the_pair():
  """dL/d alpha_i = sum_j dL/dg_j p_j (delta_ij - p_i) with p of the pair alone; then the pair gets its probability back."""
  weight = 0.4
  optimizer, pairs = make(objectives.PenaltyLinear(80.0, weight), plain=True)
  before = optimizer.parameters.alpha.numpy().astype(np.float64)
  optimizer.update(7)
  after = optimizer.parameters.alpha.numpy()
  _, gate_gradients = random_gradients(range(DECISIONS), None, 7)
  expected = before.copy()
  for row, pair, by_gate, costs in zip(expected, pairs[0], gate_gradients, COSTS):
    p = softmax(row[pair])
    by_choice = by_gate + weight / 80.0 * np.array(costs)[pair]
    moved = np.array([row[pair[i]] - sum(by_choice[j] * p[j] * ((i == j) - p[i]) for j in range(2)) for i in range(2)])
    row[pair] = moved + np.log(np.exp(row[pair]).sum() / np.exp(moved).sum())
  np.testing.assert_allclose(after, expected, atol=2e-6)


def test_no_update_touches_what_was_not_sampled():
  """Many updates of Adam, of which momentum would be a trace: alphas bit for bit, probabilities to 1e-7."""
  optimizer, pairs = make(objectives.PenaltyLinear(150.0, 3.0), learning_rate=0.05)
  moved = np.zeros((DECISIONS, 4), bool)
  for update in range(60):
    alpha = optimizer.parameters.alpha.numpy().copy()
    optimizer.update(update)
    sampled = np.zeros((DECISIONS, 4), bool)
    np.put_along_axis(sampled, pairs[-1], True, axis=1)
    new_alpha = optimizer.parameters.alpha.numpy()
    p, new_p = softmax(alpha.astype(np.float64)), softmax(new_alpha.astype(np.float64))
    np.testing.assert_array_equal(new_alpha[~sampled], alpha[~sampled])
    np.testing.assert_allclose(new_p[~sampled], p[~sampled], rtol=0, atol=1e-7)
    np.testing.assert_allclose(np.where(sampled, new_p, 0).sum(axis=1), np.where(sampled, p, 0).sum(axis=1), atol=1e-7)
    assert (new_alpha[sampled] != alpha[sampled]).mean() > 0.95
    moved |= sampled
  assert moved.mean() > 0.9


def test_the_constraint_moves_what_was_not_sampled_by_its_cost_alone():
  """Only the projection reaches it: the logarithm of the ratio of two probabilities changes by mu times the difference of their costs."""
  optimizer, pairs = make(objectives.Constrained(150.0, scale=3.0), learning_rate=0.05)
  for update in range(5):
    before = softmax(optimizer.parameters.alpha.numpy().astype(np.float64))
    optimizer.update(update)
    after = softmax(optimizer.parameters.alpha.numpy().astype(np.float64))
    assert 2.0 + (after * np.array(COSTS)).sum() == pytest.approx(150.0, rel=1e-4)
    spared = np.ones((DECISIONS, 4), bool)
    np.put_along_axis(spared, pairs[-1], False, axis=1)
    changes = np.log(after / before)[spared].reshape(DECISIONS, 2) @ [1.0, -1.0]
    differences = np.array(COSTS)[spared].reshape(DECISIONS, 2) @ [1.0, -1.0]
    mu = -(changes @ differences) / (differences @ differences)
    np.testing.assert_allclose(changes, -mu * differences, atol=1e-5)
    assert abs(mu) > 1e-4


def test_a_choice_that_is_never_sampled_stays_where_it_is():
  alpha = np.zeros((DECISIONS, 4))
  alpha[:, 2] = -60.0
  optimizer, pairs = make(alpha=alpha, learning_rate=0.05)
  for update in range(100):
    optimizer.update(update)
  assert not (np.array(pairs) == 2).any()
  np.testing.assert_array_equal(optimizer.parameters.alpha.numpy()[:, 2], -60.0)


def test_pairs_and_who_acts_follow_the_policy():
  """Without replacement: P({i, j}) = q_i q_j / (1 - q_i) + q_j q_i / (1 - q_j); of the pair, i acts with p_i / (p_i + p_j)."""
  alpha, exploration, updates = np.array([1.0, 0.0, -1.0, -2.0]), 0.2, 150
  optimizer, pairs = make(gate_gradients=lambda active, inactive, batch: (0.0, np.zeros((DECISIONS, 2))), exploration=exploration,
                          alpha=np.tile(alpha, (DECISIONS, 1)), learning_rate=0.0)
  for _ in range(updates):
    optimizer.update()
  counts = collections.Counter(map(tuple, np.concatenate(pairs).tolist()))
  total = DECISIONS * updates
  p = softmax(alpha)
  q = (1 - exploration) * p + exploration / 4
  for i in range(4):
    assert counts[i, i] == 0
    for j in range(i):
      together = q[i] * q[j] * (1 / (1 - q[i]) + 1 / (1 - q[j]))
      for active, other in ((i, j), (j, i)):
        expected = together * p[active] / (p[i] + p[j])
        assert abs(counts[active, other] - total * expected) < 5 * np.sqrt(total * expected), (active, other)


def test_only_choices_are_sampled():
  parameters = policy_lib.Policy((2, 5), exploration=0.5)
  model = model_lib.additive('ms', ('a', 'b'), 0.0, ((1.0, 2.0), (1.0, 2.0, 3.0, 4.0, 5.0)))
  recorder = Recorder(random_gradients)
  optimizer = two_path.TwoPath(parameters, model, objectives.Objective(), recorder, learning_rate=0.1)
  for update in range(30):
    optimizer.update(update)
  first, second = np.array(recorder.pairs).transpose(1, 0, 2)
  np.testing.assert_array_equal(np.sort(first, axis=1), [[0, 1]] * 30)
  assert second.max() == 4 and (second[:, 0] != second[:, 1]).all()


def test_renormalise_keeps_the_pairs_mass_and_its_ratio():
  random = np.random.default_rng(0)
  old, new = (tf.constant(random.standard_normal((100, 2)) * 5, tf.float32) for _ in range(2))
  result = two_path.renormalise(old, new).numpy().astype(np.float64)
  np.testing.assert_allclose(np.exp(result).sum(axis=1), np.exp(old).sum(axis=1), rtol=2e-6)
  np.testing.assert_allclose(result[:, 0] - result[:, 1], new[:, 0] - new[:, 1], atol=5e-6)
  np.testing.assert_allclose(two_path.renormalise(old, old), old, atol=2e-6)


@pytest.mark.parametrize('objective, weight', [
    (objectives.PenaltyLinear(80.0, 0.4), lambda cost: 0.4 / 80.0),
    (objectives.PenaltyLog(80.0, 20.0, 0.2, 0.3),
     lambda cost: 0.2 * 1.5 * 0.3 * (np.log(cost) / np.log(80.0))**-0.7 / (cost * np.log(80.0))),
], ids=['linear', 'log'])
def test_the_expected_cost_has_its_exact_value(objective, weight):
  """Its weight is taken at E[cost] over all choices, though the gradient reaches the pair alone."""
  optimizer, pairs = make(objective, lambda active, inactive, batch: (1.5, np.zeros((DECISIONS, 2))), plain=True)
  before = optimizer.parameters.alpha.numpy().astype(np.float64)
  expected_cost = 2.0 + (softmax(before) * np.array(COSTS)).sum()
  optimizer.update()
  after = optimizer.parameters.alpha.numpy()
  for row, new, pair, costs in zip(before, after, pairs[0], np.array(COSTS)):
    p = softmax(row[pair])
    by_difference = weight(expected_cost) * p[0] * p[1] * (costs[pair[0]] - costs[pair[1]])
    old_difference, difference = row[pair[0]] - row[pair[1]], float(new[pair[0]]) - float(new[pair[1]])
    assert difference == pytest.approx(old_difference - 2.0 * by_difference, abs=2e-6)
