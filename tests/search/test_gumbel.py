"""The Gumbel-softmax: one update written out, its temperature, gains on landscapes, and a whole search."""

import numpy as np
import pytest
import tf_keras as keras

from tests.nn import spaces as nn_spaces
from tests.search import landscapes
from tests.search import runs
from tests.search import test_landscapes
from tests.space import spaces
from tf_proxyless.cost import model as model_lib
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import gumbel
from tf_proxyless.space import fbnet
from tf_proxyless.space import io

COUNTS = (4, 3, 4)
COSTS = ((1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 3.0), (0.0, 2.0, 1.0, 5.0))
COST_MODEL = model_lib.additive('ms', ('a', 'b', 'c'), 2.0, COSTS)
GRADIENTS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def make(objective, updates=11, temperatures=(5.0, 0.5), gradients=GRADIENTS):
  policy = policy_lib.Policy(COUNTS, seed=3)
  policy.alpha.assign(np.random.default_rng(2).standard_normal((3, 4)))
  seen = []
  optimizer = gumbel.Gumbel(policy, COST_MODEL, objective, lambda weights, batch: (seen.append(weights), (1.5, gradients))[1],
                            learning_rate=0.1, temperatures=temperatures, updates=updates)
  optimizer._adam = keras.optimizers.SGD(1.0)  # so that the gradient can be read off
  optimizer._adam.build([policy.alpha])
  return optimizer, seen


def test_one_update_is_the_gradient_of_the_softmax_at_its_temperature():
  optimizer, seen = make(objectives.PenaltyLinear(10.0, 0.4))
  before = optimizer.parameters.alpha.numpy().astype(np.float64)
  optimizer.update()
  moved = before - optimizer.parameters.alpha.numpy()
  for d, count in enumerate(COUNTS):
    m = seen[0][d, :count].astype(np.float64)
    p = np.exp(before[d, :count]) / np.exp(before[d, :count]).sum()
    jacobian = lambda q: np.diag(q) - np.outer(q, q)
    expected = jacobian(m) @ GRADIENTS[d, :count] / 5.0 + 0.4 / 10.0 * jacobian(p) @ np.array(COSTS[d])
    np.testing.assert_allclose(moved[d, :count], expected, atol=2e-6)
  assert seen[0][1, 3] == 0 and moved[1, 3] == 0  # a choice that is not there


def test_the_temperature_falls_from_the_first_update_to_the_last():
  optimizer, seen = make(objectives.Objective(), gradients=np.zeros((3, 4), np.float32))
  temperatures = []
  for _ in range(11):
    temperatures.append(float(optimizer.temperature))
    optimizer.update()
  np.testing.assert_allclose(temperatures, 5.0 * 0.1**(np.arange(11) / 10), rtol=1e-5)
  np.testing.assert_allclose(np.sum(seen, axis=2), 1.0, rtol=1e-5)
  assert len({weights.tobytes() for weights in seen}) == 11  # another noise each time


@pytest.mark.long
def test_probabilities_of_the_largest_weight_are_those_of_the_policy():
  """The Gumbel trick: whatever the temperature, choice i is the largest with probability p_i."""
  optimizer, seen = make(objectives.Objective(), updates=2000, gradients=np.zeros((3, 4), np.float32))
  p = optimizer.parameters.probabilities().numpy()
  for _ in range(2000):
    optimizer.update()
  found = np.stack([np.bincount(largest, minlength=4) / 2000 for largest in np.argmax(seen, axis=2).T])
  np.testing.assert_allclose(found, p, atol=4 * np.sqrt(0.25 / 2000))


@pytest.mark.parametrize('straight_through, updates, seeds, least', [
    (False, 300, 1, 0.8), pytest.param(False, 1000, 10, 0.8, marks=pytest.mark.by_hand),
    (True, 300, 1, 0.6), pytest.param(True, 1000, 10, 0.75, marks=pytest.mark.by_hand)])
def test_on_additive_landscapes(straight_through, updates, seeds, least):
  found = []
  for seed in range(seeds):
    landscape, settings = landscapes.Landscape(seed), gumbel.GumbelConfig(straight_through=straight_through)
    policy = policy_lib.Policy(landscapes.CHOICE_COUNTS, exploration=0.1, seed=seed)
    optimizer = gumbel.Gumbel(policy, landscapes.COST_MODEL, objectives.Constrained(landscapes.TARGET_MS, scale=1.0),
                              landscape.sampled_gradients if straight_through else landscape.mixture_gradients,
                              learning_rate=settings.rate(updates),
                              temperatures=(settings.first_temperature, settings.last_temperature), updates=updates)
    search = test_landscapes.search_and_score(landscape, optimizer, updates, seed)
    assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.001)
    found.append((search.ratio(search.by_probability()), search.ratio(search.by_evidence(recency=False))))
  print(found)
  assert np.mean(found, axis=0)[0] > least and np.min(found, axis=0)[1] > 0.98


@pytest.mark.long
def test_the_gradient_of_a_sampled_network():
  """That of a mixture at one-hot weights, by the weights that are 1; the other candidates do not run."""
  space = nn_spaces.tiny()
  supernet = nn_spaces.supernet(space)
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet, 0.9, 1e-4))
  batch = nn_spaces.batch(space)
  weights = np.random.default_rng(0).dirichlet(np.ones(7), 4).astype(np.float32)
  weights[nn_spaces.DOWN, nn_spaces.ZERO] = 0
  weights[3, nn_spaces.ZERO] = 2  # Zero is sampled there
  one_hot = np.eye(7, dtype=np.float32)[weights.argmax(axis=1)]
  loss, gradients = steps.sampled_gradients(weights, batch)
  expected_loss, expected = steps.mixture_gradients(one_hot, batch)
  np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
  np.testing.assert_allclose(gradients, one_hot * expected.numpy(), rtol=1e-4, atol=1e-6)
  assert (gradients != 0).sum(axis=1).tolist() == [1, 1, 1, 0]


@pytest.mark.long
@pytest.mark.parametrize('optimizer', ['gumbel', pytest.param('straight_through', marks=pytest.mark.by_hand)])
def test_a_whole_search(optimizer, tmp_path, data_dir):
  run = tmp_path / 'run'
  result = runs.run(*runs.TINY, f'--run_dir={run}', f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}')
  assert result.returncode == 0, result.stderr
  assert 'chosen by validation' in result.stdout and io.load_architecture(run / 'architecture.json').cost.macs


def test_spaces_that_it_cannot_search():
  with pytest.raises(ValueError, match='mixtures need decisions that choose the operation of one block each; use reinforce'):
    gumbel.GumbelConfig().check(spaces.widths())
  with pytest.raises(ValueError, match='temperatures must be positive and not rise, got 1 to 2'):
    gumbel.GumbelConfig(first_temperature=1.0, last_temperature=2.0).check(fbnet.fbnet())
