"""Architecture parameters: closed forms of a softmax, and samples that are a pure function of (seed, stream, counter)."""

import numpy as np
import pytest
import tensorflow as tf

from tests.space import spaces
from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import policy as policy_lib

COUNTS = (2, 7, 3)


def make(alpha=None, **settings):
  parameters = policy_lib.Policy(COUNTS, **settings)
  if alpha is not None:
    parameters.alpha.assign(alpha)
  return parameters


def random_alpha(seed=0):
  """Entries that are no choices are large, so that a mistake with them shows."""
  alpha = np.random.default_rng(seed).standard_normal((3, 7))
  return np.where(np.arange(7) < np.array(COUNTS)[:, None], alpha, 50.0)


def softmax(alpha):
  return [np.exp(row[:n]) / np.exp(row[:n]).sum() for row, n in zip(alpha, COUNTS)]


def test_uniform():
  parameters = make(np.zeros((3, 7)))
  assert float(parameters.entropy()) == pytest.approx(np.mean(np.log(COUNTS)), rel=1e-6)
  for row, n in zip(parameters.probabilities().numpy(), COUNTS):
    np.testing.assert_allclose(row, [1 / n] * n + [0] * (7 - n), rtol=1e-6)


def test_starts_nearly_uniform():
  alpha = make(seed=3).alpha.numpy()
  assert 0 < np.abs(alpha).max() < 5e-3
  np.testing.assert_array_equal(alpha, make(seed=3).alpha)
  assert not np.array_equal(alpha, make(seed=4).alpha)


def test_closed_forms():
  alpha = random_alpha()
  parameters = make(alpha, exploration=0.2)
  expected = softmax(alpha)
  np.testing.assert_allclose(parameters.entropy(), np.mean([-(p * np.log(p)).sum() for p in expected]), rtol=1e-5)
  np.testing.assert_array_equal(parameters.mode(), [p.argmax() for p in expected])
  for n, p, probability, log_probability, policy in zip(
      COUNTS, expected, parameters.probabilities().numpy(), parameters.log_probabilities().numpy(),
      parameters.sampling_probabilities().numpy()):
    np.testing.assert_allclose(probability[:n], p, rtol=1e-5)
    np.testing.assert_allclose(log_probability[:n], np.log(p), rtol=1e-5)
    np.testing.assert_allclose(policy[:n], 0.8 * p + 0.2 / n, rtol=1e-5)
    assert not probability[n:].any() and not policy[n:].any()


def test_a_certain_decision_is_one_hot_and_has_finite_gradients():
  parameters = make(np.array([[200.0, 0, 0, 0, 0, 0, 0]] * 3))
  np.testing.assert_array_equal(parameters.probabilities(), np.eye(7)[[0, 0, 0]])
  with tf.GradientTape() as tape:
    entropy = parameters.entropy()
  assert float(entropy) == 0.0
  assert np.isfinite(tape.gradient(entropy, parameters.alpha)).all()


@pytest.mark.parametrize('exploration', [0.0, 0.3])
def test_frequencies_are_the_policy(exploration):
  alpha = random_alpha(1)
  paths = make(alpha, exploration=exploration).sample(1, tf.constant(0, tf.int64), 20_000).numpy()
  for column, n, p in zip(paths.T, COUNTS, softmax(alpha)):
    policy = (1 - exploration) * p + exploration / n
    counts = np.bincount(column, minlength=n)
    assert len(counts) == n  # never an entry that is no choice
    assert (np.abs(counts - 20_000 * policy) < 5 * np.sqrt(20_000 * policy * (1 - policy))).all()


def test_decisions_are_independent():
  paths = make(np.zeros((3, 7))).sample(1, tf.constant(0, tf.int64), 20_000).numpy()
  joint = np.histogram2d(paths[:, 0], paths[:, 2], bins=(2, 3))[0]
  assert (np.abs(joint - 20_000 / 6) < 5 * np.sqrt(20_000 / 6)).all()


def test_samples_are_a_pure_function_of_seed_stream_and_counter():
  draw = lambda seed, stream, counter: make(np.zeros((3, 7)), seed=seed).sample(stream, tf.constant(counter, tf.int64), 50).numpy()
  first = draw(5, 1, 9)
  np.testing.assert_array_equal(first, draw(5, 1, 9))
  for other in ((6, 1, 9), (5, 2, 9), (5, 1, 10), (4, 1, 9)):
    assert not np.array_equal(first, draw(*other))


@pytest.mark.parametrize('counts, settings, message', [
    ((), {}, 'at least 2 choices'),
    ((3, 1), {}, r'at least 2 choices, got \[3, 1\]'),
    ((2, 2), {'exploration': 1.0}, r'exploration must be in \[0, 1\), got 1.0'),
    ((2, 2), {'exploration': float('nan')}, 'exploration must be in'),
])
def test_refuses(counts, settings, message):
  with pytest.raises(ValueError, match=message):
    policy_lib.Policy(counts, **settings)


# The first decision has the second inside its choice 0, which has the third inside its choice 1.
PARENTS = ((), ((0, 0),), ((0, 0), (1, 1)))


def nested(**settings):
  return policy_lib.Policy((2, 2, 3), parents=PARENTS, **settings)


def test_decisions_inside_choices_that_are_not_made_are_0():
  paths = nested(stddev=1.0).sample(1, tf.constant(0, tf.int64), 500).numpy()
  assert {tuple(path) for path in paths} == {(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 1, 2), (1, 0, 0)}


def test_the_probabilities_of_all_networks_add_up_to_one():
  """Each network once: a decision that does not count adds no factor."""
  networks = tf.constant([(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 1, 2), (1, 0, 0)])
  parameters = nested(stddev=1.0, exploration=0.2)
  probabilities = np.exp(parameters.log_probability(networks))
  assert probabilities.sum() == pytest.approx(1.0, rel=1e-5)
  assert probabilities[-1] == pytest.approx(float(parameters.sampling_probabilities()[0, 1]), rel=1e-5)
  drawn = parameters.sample(1, tf.constant(0, tf.int64), 20_000).numpy()
  frequencies = [np.mean((drawn == network).all(axis=1)) for network in networks.numpy()]
  np.testing.assert_allclose(frequencies, probabilities, atol=5 * 0.5 / np.sqrt(20_000))


def test_decisions_that_do_not_count_get_no_gradient():
  parameters = nested()
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(parameters.log_probability(tf.constant([(1, 0, 0)])))
  gradient = tape.gradient(total, parameters.alpha).numpy()
  assert gradient[0].any() and not gradient[1:].any()


def test_the_most_likely_network_is_canonical():
  parameters = nested()
  parameters.alpha.assign([[0, 1, 0], [0, 1, 0], [0, 0, 1]])
  assert parameters.mode().numpy().tolist() == [1, 0, 0]
  parameters.alpha.assign([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
  assert parameters.mode().numpy().tolist() == [0, 1, 2]


def test_samples_in_proportion_leave_nothing_to_chance():
  """In 64 draws in a row a choice comes as often as its probability says, but for one; in an order of its own."""
  policy = policy_lib.Policy((3, 7, 3, 2), exploration=0.1, seed=4)
  policy.alpha.assign(np.random.default_rng(2).standard_normal((4, 7)))
  probabilities = policy.sampling_probabilities()
  sample = tf.function(lambda step: policy.sample_in_proportion(1, step, probabilities), autograph=False)
  paths = np.array([sample(tf.constant(step, tf.int64)) for step in range(192)])
  for decision, count in enumerate((3, 7, 3, 2)):
    sets = paths[:, decision].reshape(3, 64)
    counts = np.array([np.bincount(row, minlength=count) for row in sets])
    expected = 64 * probabilities.numpy()[decision, :count]
    assert (np.abs(counts - expected) < 2).all() and len({tuple(row) for row in sets.tolist()}) == 3
  assert (paths[:, 0] != paths[:, 2]).any()


def test_samples_in_proportion_of_decisions_inside_others_are_canonical():
  policy = policy_lib.Policy((2, 3), parents=[(), [(0, 1)]])
  even = policy.sampling_probabilities()
  paths = np.array([policy.sample_in_proportion(1, tf.constant(step, tf.int64), even) for step in range(64)])
  assert (paths[paths[:, 0] == 0, 1] == 0).all() and set(paths[paths[:, 0] == 1, 1].tolist()) == {0, 1, 2}


def test_even_decisions_of_weight_steps():
  """Whatever the policy is; scored networks are its own."""
  policy = policy_lib.Policy((2, 3), exploration=0.1, even=(0,))
  policy.alpha.assign([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
  probabilities = policy.weight_step_probabilities()
  np.testing.assert_allclose(probabilities[0], [0.5, 0.5, 0.0])
  np.testing.assert_array_equal(probabilities[1], policy.sampling_probabilities()[1])
  drawn = policy.sample(1, tf.constant(0, tf.int64), 400, probabilities).numpy()
  assert 150 < drawn[:, 0].sum() < 250 and (drawn[:, 1] == 2).mean() > 0.9
  assert policy.sample(1, tf.constant(0, tf.int64), 400).numpy()[:, 0].sum() < 60


COSTS = ((1.0, 3.0), (4.0, 2.0, 6.0, 5.0, 5.5, 0.0, 60.0), (0.05, 0.0, 0.02))  # in one decision nearly all, in another nearly nothing
COST_MODEL = model_lib.additive('ms', ('a', 'b', 'c'), 0.5, COSTS)


def between(cost_model, share):
  return cost_model.smallest + share * (cost_model.largest - cost_model.smallest)


@pytest.mark.parametrize('spread', [0.0, 1.0, 10.0])
@pytest.mark.parametrize('share', [0.001, 0.02, 0.5, 0.98])
def test_the_projection_meets_any_cost_from_anywhere(share, spread):
  """By the exponential tilt, which is what is nearest in Kullback-Leibler divergence, and no choice is lost to it."""
  target = between(COST_MODEL, share)
  for seed in range(3):
    alpha = spread * random_alpha(seed)
    parameters = make(alpha)
    before = softmax(alpha)
    parameters.project(COST_MODEL, target)
    after = softmax(parameters.alpha.numpy().astype(np.float64))
    assert 0.5 + sum(p @ costs for p, costs in zip(after, COSTS)) == pytest.approx(target, rel=2e-4)
    changes = [np.log(new / old) for new, old in zip(after, before)]
    mu = (changes[0][0] - changes[0][1]) / 2.0
    for old, new, change, costs in zip(before, after, changes, map(np.array, COSTS)):
      assert new.min() / new.max() > 0.99 * min(3e-7, old.min() / old.max())
      free = new > 1e-6 * new.max()
      if spread < 10.0:  # else some were that unlikely before
        np.testing.assert_allclose((change - change[free][0])[free], -mu * (costs - costs[free][0])[free], atol=1e-3)


@pytest.mark.parametrize('name', spaces.COUPLED)
@pytest.mark.parametrize('share', [0.02, 0.25, 0.9])
def test_so_where_decisions_share_costs(name, share):
  cost_model = model_lib.from_macs(spaces.COUPLED[name]())
  parameters = policy_lib.Policy(cost_model.choice_counts)
  parameters.project(cost_model, between(cost_model, share))
  assert float(cost_model.expected(parameters.probabilities())) == pytest.approx(between(cost_model, share), rel=2e-4)


def test_what_meets_the_cost_stays_as_it_is():
  parameters = make(random_alpha())
  parameters.project(COST_MODEL, float(COST_MODEL.expected(parameters.probabilities())))
  np.testing.assert_array_equal(parameters.alpha, random_alpha().astype(np.float32))
