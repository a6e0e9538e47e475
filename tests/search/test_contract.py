"""What every architecture optimizer and every designer keeps: valid paths, a restored one continues as if it had not stopped, and the best
arms of a bandit are found; and every admitted pair of space and optimizer runs."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.docs import examples
from tests.nn import spaces as nn_spaces
from tests.space import spaces
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import solver
from tf_proxyless.search import ask_tell
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.designers import base as designers_base
from tf_proxyless.search.designers import bayesian
from tf_proxyless.search.designers import evolution
from tf_proxyless.search.designers import genetic
from tf_proxyless.search.designers import local_search
from tf_proxyless.search.designers import random as random_designer
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path
from tf_proxyless.space import schema

GAINS = np.array([[0.0, 0.1, 0.3], [0.3, 0.1, 0.0]], np.float32)  # accuracy is 0.3 and the sum of the gains of the two decisions
BEST = [2, 0]
BANDIT = model_lib.additive('ms', ('first', 'second'), 1.0, ((1.0, 1.0 + 1e-6, 1.0),) * 2)  # the second is the dearest

OPTIMIZERS = {'reinforce': reinforce.ReinforceConfig(0.05), 'two_path': two_path.TwoPathConfig(0.05),
              'leave_one_out': examples.load('optimizer').LeaveOneOutConfig(0.05)}
DESIGNERS = {'bayesian': bayesian.Bayesian, 'random': random_designer.Random,
             'evolution': functools.partial(evolution.Evolution, population=20, tournament=5),
             'genetic': functools.partial(genetic.Genetic, population=20), 'local_search': local_search.LocalSearch,
             'annealing': examples.load('designer').Annealing}


class Bandit:
  """What `SupernetSteps` gives an optimizer, of known gains."""

  def accuracies(self, paths, batch):
    del batch
    return 0.3 + GAINS[[0, 1], paths].sum(axis=1)

  def gate_gradients(self, active, inactive, batch):
    return -self.accuracies(active[None], batch)[0], -np.stack([GAINS[[0, 1], active], GAINS[[0, 1], inactive]], axis=1)


def make_optimizer(name, seed=0):
  policy = policy_lib.Policy((3, 3), exploration=0.1, seed=seed)
  return OPTIMIZERS[name].build(policy, BANDIT, objectives.Objective(), Bandit(), updates=300)


@pytest.mark.parametrize('name', OPTIMIZERS)
class TestOptimizers:

  def test_paths_are_valid(self, name):
    optimizer = make_optimizer(name)
    for step in range(20):
      path = optimizer.next_path(tf.constant(step, tf.int64)).numpy()
      assert path.dtype == np.int32 and path.shape == (2,) and (path >= 0).all() and (path < 3).all()
    for dearest, expected in ((1.0, {1}), (0.0, {0, 1, 2})):  # of the choices of the warm-up
      paths = [optimizer.warmup_path(tf.constant(step, tf.int64), tf.constant(dearest)).numpy() for step in range(64)]
      assert [set(column) for column in np.transpose(paths).tolist()] == [expected] * 2
    scored = optimizer.update()
    assert (scored is not None) == optimizer.scores_networks
    if scored is not None:
      np.testing.assert_allclose(scored.accuracies, Bandit().accuracies(scored.paths, None))

  def test_a_restored_one_continues_bit_by_bit(self, name, tmp_path):
    whole = make_optimizer(name)
    for _ in range(3):
      whole.update()
    saved = tf.train.Checkpoint(optimizer=whole).write(str(tmp_path / 'saved'))
    restored = make_optimizer(name)
    tf.train.Checkpoint(optimizer=restored).read(saved).assert_consumed()
    for optimizer in (whole, restored):
      for _ in range(3):
        optimizer.update()
    np.testing.assert_array_equal(whole.parameters.alpha, restored.parameters.alpha)
    np.testing.assert_array_equal(whole.next_path(tf.constant(7, tf.int64)), restored.next_path(tf.constant(7, tf.int64)))
    assert {name: float(value) for name, value in whole.state().items()} == {
        name: float(value) for name, value in restored.state().items()}

  def test_finds_the_best_arms(self, name):
    optimizer = make_optimizer(name)
    for _ in range(150):
      optimizer.update()
    assert optimizer.parameters.mode().numpy().tolist() == BEST


def space_of(name):
  space = spaces.COUPLED[name]()
  return schema.decisions(space), model_lib.from_macs(space)


@pytest.mark.parametrize('name', DESIGNERS)
class TestDesigners:

  def test_paths_are_canonical(self, name):
    for space in spaces.COUPLED:
      decisions, cost_model = space_of(space)
      designer = DESIGNERS[name](decisions)
      assert isinstance(designer, designers_base.Designer)
      found = ask_tell.ask_tell(designer, lambda paths: np.full(len(paths), 0.5), cost_model, 60)
      assert len(found) == 60
      assert all(schema.canonical(decisions, path) == tuple(path) for path in found.paths.tolist())

  def test_no_network_is_over_a_limit(self, name):
    decisions, cost_model = space_of('widths')
    limit = (cost_model.smallest + cost_model.largest) / 2
    constraint = solver.Constraint(cost_model, limit)
    found = ask_tell.ask_tell(DESIGNERS[name](decisions, [constraint]), lambda paths: cost_model.costs(paths) / cost_model.largest,
                              cost_model, 60)
    assert found.cost.max() <= limit

  def test_a_continued_file_is_that_of_an_uninterrupted_search(self, name, tmp_path):
    decisions, cost_model = space_of('nested')

    def evaluate(paths):
      return cost_model.costs(paths) / cost_model.largest

    def stopped(paths):
      if stopped.rounds == 3:
        raise KeyboardInterrupt
      stopped.rounds += 1
      return evaluate(paths)

    stopped.rounds = 0
    with pytest.raises(KeyboardInterrupt):
      ask_tell.ask_tell(DESIGNERS[name](decisions), stopped, cost_model, 55, path=tmp_path / 'stopped.bin')
    continued = ask_tell.ask_tell(DESIGNERS[name](decisions), evaluate, cost_model, 55, path=tmp_path / 'stopped.bin')
    whole = ask_tell.ask_tell(DESIGNERS[name](decisions), evaluate, cost_model, 55, path=tmp_path / 'whole.bin')
    np.testing.assert_array_equal(continued.paths, whole.paths)
    assert (tmp_path / 'stopped.bin').read_bytes() == (tmp_path / 'whole.bin').read_bytes()

  def test_finds_the_best_arms(self, name):
    found = ask_tell.ask_tell(DESIGNERS[name](BANDIT.decisions), lambda paths: Bandit().accuracies(paths, None), BANDIT, 100)
    assert found.paths[found.accuracy.argmax()].tolist() == BEST


def test_limits_that_no_network_keeps():
  decisions, cost_model = space_of('widths')
  designer = random_designer.Random(decisions, [solver.Constraint(cost_model, 1.0)])
  with pytest.raises(ValueError, match='of 100,000 networks drawn at random, 0 are within the limits 1 macs'):
    designer.suggest(1)


SPACES = {**spaces.COUPLED, 'chain': nn_spaces.tiny}


QUICK = (('reinforce', 'widths'),)


@pytest.mark.parametrize('name, space_name', [
    pair if pair in QUICK else pytest.param(*pair, marks=pytest.mark.long) for pair in itertools.product(OPTIMIZERS, SPACES)])
def test_every_admitted_pair_of_space_and_optimizer_takes_two_steps(name, space_name):
  space, config = SPACES[space_name](), OPTIMIZERS[name]
  if name == 'two_path' and space_name not in ('chain', 'tree'):
    with pytest.raises(ValueError, match='^block .* depends on .*: two paths need decisions .*; use reinforce$'):
      config.check(space)
    return
  config.check(space)
  supernet = nn_spaces.supernet(space)
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet, 0.9, 1e-4))
  cost_model = model_lib.from_macs(space)
  policy = policy_lib.Policy(cost_model.choice_counts, parents=schema.parent_indices(cost_model.decisions))
  optimizer = config.build(policy, cost_model, objectives.ConstrainedConfig().build(
      (cost_model.smallest + cost_model.largest) / 2, cost_model.smallest, config.SCALE, 100), steps, 100)
  batch = (tf.random.stateless_uniform([16, *supernet.input_size], [1, 2]), tf.range(16) % 10)
  before = policy.alpha.numpy().copy()
  for step in range(2):
    loss, _ = steps.train(*batch, optimizer.next_path(tf.constant(step, tf.int64)), tf.constant(0.5))
    optimizer.update(batch)
    assert np.isfinite(loss)
  assert np.isfinite(policy.alpha).all() and not np.array_equal(before, policy.alpha)
  assert all(np.isfinite(float(value)) for value in optimizer.state().values())
