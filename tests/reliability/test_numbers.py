"""Losses, weights and scores that are not finite, from real faults: one line reports each with its place, and the search stops or recovers.

Rules: tf_proxyless/search/checks.py and docs/file_formats.md. As a user meets them: test_failures.py.
"""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.nn import spaces
from tests.reliability import searches
from tests.search import landscapes
from tests.search import test_landscapes
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.search import checks
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path

COST_MODEL = landscapes.COST_MODEL
OPTIMIZERS = ('reinforce', 'gradient')


def make_optimizer(name, landscape, objective, learning_rate):
  parameters = policy_lib.Policy(landscapes.CHOICE_COUNTS, exploration=0.1)
  if name == 'reinforce':
    return reinforce.Reinforce(parameters, COST_MODEL, objective, landscape.score, learning_rate=learning_rate)
  return two_path.TwoPath(parameters, COST_MODEL, objective, landscape.gate_gradients, learning_rate=learning_rate)


def check(optimizer):
  """As the loop does after each update."""
  scalars = {name: float(value) for name, value in optimizer.state().items()}
  checks.check_architecture(optimizer.parameters.alpha.numpy(), landscapes.CHOICE_COUNTS, landscapes.DECISIONS, scalars)


# Losses and weights.


def test_a_learning_rate_that_explodes_stops_at_once_and_says_where(tmp_path, data_dir):
  """The bad step changes no weight, so the reported place is where it happened."""
  search = searches.assemble(tmp_path / 'run', f'--data_dir={data_dir}', '--warmup_learning_rate=1e30')
  with pytest.raises(checks.SearchDivergedError) as error:
    search.search.run()
  assert re.fullmatch(r'epoch 0, step 1: the loss became (nan|inf) at blocks/\w+(/op \(\w+\))?, which overflows in float32; lower '
                      '`warmup_learning_rate` and `search_learning_rate`, and start again in another `run_dir`', str(error.value))
  assert all(np.isfinite(weight).all() for weight in search.steps._supernet.weights)
  assert search.run.newest_checkpoint() is None


@pytest.fixture(scope='module')
def damaged():
  """A supernet of which one candidate's weights are NaN: the first decision's choice 1."""
  supernet = spaces.supernet(spaces.tiny())
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
  weight = supernet.choices[0].candidates[1].weights[0]
  weight.assign(np.full(weight.shape, np.nan))
  return supernet, steps, spaces.batch(supernet.space, 8)


@pytest.mark.long
def test_a_sampled_network_that_fails_is_named_and_others_are_not(damaged):
  supernet, steps, (images, labels) = damaged
  sound, failing = np.zeros((2, len(supernet.choices)), np.int32)
  failing[0] = 1
  name = supernet.choices[0].name
  where = rf'blocks/{name}/op \(\w+\), whose weights are not finite'
  assert np.isfinite(steps.accuracies(sound[None], (images, labels))).all()
  for score in (lambda paths: steps.accuracies(paths, (images, labels)), lambda paths: steps.accuracies_over(paths, [(images, labels)])):
    with pytest.raises(checks.SearchDivergedError, match=f'a sampled network gives no finite output at {where}; lower'):
      score(np.stack([sound, failing]))
  with pytest.raises(checks.SearchDivergedError, match=f'the loss became nan at {where}'):
    steps.gate_gradients(failing, sound, (images, labels))
  before = [weight.numpy() for weight in supernet.weights]
  loss, _ = steps.train(images, labels, tf.constant(failing), tf.constant(0.1))
  assert np.isnan(loss)
  for weight, value in zip(supernet.weights, before):
    np.testing.assert_array_equal(weight, value)


def test_the_inactive_network_of_the_gradient_rule_is_named_too(damaged):
  """Its outputs are no part of the loss; its gate gradient tells."""
  supernet, steps, batch = damaged
  sound, failing = np.zeros((2, len(supernet.choices)), np.int32)
  failing[:] = 1
  loss, gradients = steps.gate_gradients(sound, failing, batch)
  assert np.isfinite(loss)
  decisions = [f'blocks/{layer.name}/op' for layer in supernet.choices]
  with pytest.raises(checks.SearchDivergedError, match=f'the gate gradients of {decisions[0]} are .*nan'):
    checks.check_gate_gradients(np.asarray(gradients), np.stack([sound, failing], axis=1), decisions)


# Rewards.


@pytest.mark.parametrize('optimizer, message', [
    ('reinforce', r'the score of the sampled network \[.*\] \(its choice in each decision\) is nan'),
    ('gradient', f'the gate gradients of {landscapes.DECISIONS[3]} are .* for choices'),
])
def test_a_choice_whose_gain_is_not_a_number(optimizer, message):
  landscape = landscapes.Landscape(0)
  landscape.supernet_gains[3, 2] = np.nan
  made = make_optimizer(optimizer, landscape, objectives.Objective(), 0.01)
  with pytest.raises(checks.SearchDivergedError, match=message):
    for _ in range(100):
      made.update()
  assert np.isfinite(made.parameters.alpha).all()


def scored(landscape, updates):
  """REINFORCE on a landscape: the optimizer, and what it scored."""
  made = make_optimizer('reinforce', landscape, objectives.Constrained(landscapes.TARGET_MS, scale=1.0), 0.05)
  found = [made.update() for _ in range(updates)]
  paths = np.concatenate([one.paths for one in found])
  accuracies = np.concatenate([one.accuracies for one in found])
  return made, evaluations_lib.Evaluations(landscapes.CHOICE_COUNTS, paths, accuracies, landscapes.costs_of(paths),
                                         np.repeat(np.arange(updates), 10))


def test_rewards_without_differences():
  """Nothing is made of nothing: only the cost moves the architecture, and after a hundred such updates the search stops."""
  flat = landscapes.Landscape(0, gain_scale=0.0, noise=0.0)
  made, samples = scored(flat, 300)
  check(made)
  assert float(made.state()['expected_cost']) == pytest.approx(landscapes.TARGET_MS, rel=0.05)
  with pytest.raises(checks.SearchDivergedError,
                     match=r'the last 100 updates all networks scored alike \(55.0 % on average\).*`warmup_epochs`'):
    checks.check_samples(samples)
  checks.check_samples(samples[:990])  # not yet


def test_one_difference_in_a_hundred_updates_is_enough_and_equal_networks_are_no_evidence():
  _, samples = scored(landscapes.Landscape(0, gain_scale=0.0, noise=0.0), 100)
  accuracy = samples.accuracy.copy()
  accuracy[7] += 0.01
  checks.check_samples(evaluations_lib.Evaluations(samples.choice_counts, samples.paths, accuracy, samples.cost, samples.batch))
  paths = np.repeat(samples.paths[:1], len(samples), axis=0)
  checks.check_samples(evaluations_lib.Evaluations(samples.choice_counts, paths, samples.accuracy, samples.cost, samples.batch))
  checks.check_samples(samples[:0])


# Architecture parameters.


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_architecture_parameters_that_explode(optimizer):
  made = make_optimizer(optimizer, landscapes.Landscape(0), objectives.Constrained(landscapes.TARGET_MS, scale=1.0), 100.0)
  made.update()
  with pytest.raises(checks.SearchDivergedError,
                     match='the architecture parameters of blocks/block_1/op lie [0-9]+ apart, more than 40: choice '
                                                  '[0-6] is lost to the search; lower `architecture_learning_rate`'):
    check(made)
  made.parameters.alpha.assign(tf.where(landscapes.MASK, np.nan, made.parameters.alpha))
  with pytest.raises(checks.SearchDivergedError, match=r'the architecture parameters of blocks/block_1/op became \[nan'):
    check(made)


@pytest.mark.long
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_healthy_searches_stay_far_from_the_limit(optimizer):
  objective = objectives.Constrained(landscapes.TARGET_MS, scale=1.0)
  made = make_optimizer(optimizer, landscapes.Landscape(0), objective, 0.05)
  for _ in range(300):
    made.update()
    check(made)
  rows = [row[:count] for row, count in zip(made.parameters.alpha.numpy(), landscapes.CHOICE_COUNTS)]
  assert max(map(np.ptp, rows)) < 20.0  # where the projection pushes no further than 15


def spiking(landscape, at, factor):
  """The gate gradients of a landscape, of which one update's are larger by a factor."""
  seen = []

  def gate_gradients(active, inactive, batch=None):
    seen.append(active)
    loss, gradients = landscapes.Landscape.gate_gradients(landscape, active, inactive, batch)
    return loss, gradients * (factor if len(seen) == at else 1.0)

  return gate_gradients


@pytest.mark.long
@pytest.mark.parametrize('factor', [1e2, 1e4, 1e8])
def test_one_explosion_of_gate_gradients_is_survived(factor):
  """Adam divides by it: the step is bounded, and learning is slow for a while."""
  landscape = landscapes.Landscape(0)
  landscape.gate_gradients = spiking(landscape, 300, factor)
  search = test_landscapes.search_gradient(landscape, 1000, 0.05)
  assert search.expected_cost == pytest.approx(landscapes.TARGET_MS, rel=0.05)
  assert search.ratio(search.by_probability()) > 0.75


def test_an_explosion_beyond_numbers_stops():
  landscape = landscapes.Landscape(0)
  landscape.gate_gradients = spiking(landscape, 5, 1e25)  # Adam squares it
  made = make_optimizer('gradient', landscape, objectives.Constrained(landscapes.TARGET_MS, scale=1.0), 0.05)
  with pytest.raises(checks.SearchDivergedError, match='the architecture parameters of blocks/block_1/op became .*nan'):
    for _ in range(6):
      made.update()
      check(made)
  assert int(made.updates) <= 6


# Collapse to skips.


def entry(optimizer, epoch):
  """What the history would say."""
  rows = optimizer.parameters.probabilities().numpy()
  return {'epoch': epoch, 'expected_cost': float(optimizer.state()['expected_cost']),
          'probabilities': {path: row[:count].tolist() for path, row, count in zip(landscapes.DECISIONS, rows, landscapes.CHOICE_COUNTS)}}


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_the_constraint_leads_out_of_a_collapse_to_skips(optimizer):
  objective = objectives.Constrained(landscapes.TARGET_MS, scale=1.0 if optimizer == 'reinforce' else 3.0)
  made = make_optimizer(optimizer, landscapes.Landscape(0), objective, 0.0125 if optimizer == 'reinforce' else 0.03)
  may_skip = np.array(landscapes.CHOICE_COUNTS) == 7
  alpha = made.parameters.alpha.numpy()
  alpha[may_skip, landscapes.ZERO] = 6.0  # 98.5 %
  made.parameters.alpha.assign(alpha)
  history = [entry(made, 0)]
  warning = checks.check_collapse(history, COST_MODEL.choice_costs, landscapes.TARGET_MS)
  assert re.fullmatch(r'epoch 0: the search has collapsed to skips: 15 decisions \(blocks/block_2/op, .*\) skip with a probability above '
                      r'0.95, the expected cost is [0-9]+ % of the target; the objective may still lead out of it', warning)
  for epoch in range(1, 7):  # of 100 updates
    for _ in range(100):
      made.update()
    history.append(entry(made, epoch))
    if checks.check_collapse(history, COST_MODEL.choice_costs, landscapes.TARGET_MS) is None:
      break
  else:
    pytest.fail(f'still there after {epoch} hundred updates, at {history[-1]["expected_cost"]} ms')


def test_ten_epochs_of_collapse_are_the_end_and_a_small_target_is_no_collapse():
  made = make_optimizer('reinforce', landscapes.Landscape(0), objectives.Objective(), 0.01)
  alpha = made.parameters.alpha.numpy()
  alpha[np.array(landscapes.CHOICE_COUNTS) == 7, landscapes.ZERO] = 6.0
  made.parameters.alpha.assign(alpha)
  history = [entry(made, epoch) for epoch in range(10)]
  assert checks.check_collapse(history[:9], COST_MODEL.choice_costs, landscapes.TARGET_MS).startswith('epoch 8: ')
  with pytest.raises(checks.SearchDivergedError, match='for 10 epochs; raise `warmup_epochs`, take `objective=constrained`'):
    checks.check_collapse(history, COST_MODEL.choice_costs, landscapes.TARGET_MS)
  assert checks.check_collapse(history, COST_MODEL.choice_costs, 1.02 * history[0]['expected_cost']) is None
