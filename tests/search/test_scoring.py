"""Networks scored after a search: which are drawn, that an interrupted scoring ends as an uninterrupted one, and fine-tuning."""

import dataclasses

import numpy as np
import pytest

from tests.nn import spaces
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.search import loop
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import scoring
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import two_path

POLICY = (np.array([0.9, 0.1]), np.array([0.0, 0.25, 0.7, 0.05]))


def test_draws_are_a_pure_function():
  first = scoring.draw(POLICY, 100, (3, 1))
  assert first.dtype == np.int32 and first.shape == (100, 2)
  np.testing.assert_array_equal(first, scoring.draw(POLICY, 100, (3, 1)))
  assert not np.array_equal(first, scoring.draw(POLICY, 100, (3, 2)))
  assert not np.array_equal(first, scoring.draw(POLICY, 100, (4, 1)))


@pytest.mark.parametrize('exploration', [0.0, 0.3, 1.0])
def test_frequencies_have_the_floor(exploration):
  paths = scoring.draw(POLICY, 50_000, (0,), exploration)
  for column, p in zip(paths.T, POLICY):
    expected = 50_000 * ((1 - exploration) * p + exploration / len(p))
    counts = np.bincount(column, minlength=len(p))
    assert len(counts) == len(p)
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


def test_a_certain_policy_draws_one_network():
  paths = scoring.draw([np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0])], 1000, (0,), exploration=0.0)
  np.testing.assert_array_equal(paths, [[1, 0]] * 1000)


def _learned():
  """Steps of a tiny supernet, and data for a schedule of two epochs, whose validation images are its training images."""
  space = spaces.tiny()
  supernet = spaces.supernet(space)
  optimizer = weight_optimizer.SupernetSGD(supernet)
  steps = steps_lib.SupernetSteps(supernet, optimizer)
  batches = [spaces.batch(space, 16, seed=index) for index in range(4)]
  data = loop.Data(lambda epoch, step: batches[step:], lambda first: batches, lambda: batches)
  return supernet, optimizer, steps, data, schedule_lib.Schedule(4, 0, 48, search_learning_rate=0.1, weight_steps_per_update=1)


def test_a_network_is_scored_after_steps_of_its_own_and_the_weights_are_kept():
  supernet, optimizer, steps, data, schedule = _learned()
  assert scoring.fine_tuning_steps(schedule) == 4
  for images, labels in data.training(0, 0):
    steps.train(images, labels, np.zeros(len(steps.decisions), np.int32), np.float32(0.1))  # momenta are not zero any more
  variables = [*supernet.weights, *optimizer.fixed_slots, *(slot for choice in optimizer.candidate_slots for row in choice for slot in row)]
  before = [variable.numpy() for variable in variables]
  paths = np.array([[0] * len(steps.decisions), [1] * len(steps.decisions)], np.int32)
  score = lambda paths: scoring.score_fine_tuned(steps, schedule, data, loop.Observer(), paths)
  tuned = score(paths)
  np.testing.assert_array_equal(tuned, score(paths))
  np.testing.assert_array_equal(tuned[1:], score(paths[1:]))  # whatever came before
  for variable, value in zip(variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)
  with pytest.raises(scoring.StoppedError):
    scoring.score_fine_tuned(steps, schedule, data, loop.Observer(should_stop=lambda: True), paths)
  for step, (images, labels) in enumerate(data.training(48, 0)):
    steps.train(images, labels, paths[0], np.float32(0.05 * (1 + np.cos(np.pi * step / 4))))
  assert steps.accuracies_over(paths[:1], data.validation_pass())[0] == tuned[0]


def test_fine_tuning_is_a_part_of_the_search():
  steps = lambda steps_per_epoch: scoring.fine_tuning_steps(schedule_lib.Schedule(steps_per_epoch, 1, 4, weight_steps_per_update=1))
  assert steps(3) == 0 and steps(421) == 43 and steps(5000) == 100


@pytest.mark.long
def test_an_interrupted_scoring_ends_as_an_uninterrupted_one(tmp_path):
  space = spaces.tiny()
  supernet = spaces.supernet(space)
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
  model = model_lib.from_macs(space)
  counts = tuple(map(len, model.choice_costs))
  architecture = two_path.TwoPath(policy_lib.Policy(counts), model, objectives.Objective(),
                                       steps.gate_gradients, learning_rate=0.01)
  architecture.updates.assign(40)
  stream = lambda first: (spaces.batch(space, 8, seed=index) for index in range(first, first + 100))

  def score(name, scored, networks, observer):
    file = evaluations_lib.EvaluationLog(str(tmp_path / name), model.paths, counts)
    if not scored:
      file.create()
    finished = scoring.score_policy(steps, architecture, stream, file, scored, networks, 5, observer)
    return finished, evaluations_lib.load(file.path)[1]

  told = []
  finished, whole = score('whole', 0, 45, loop.Observer(on_scored=told.append))
  assert finished and len(whole) == 50 and len(told) == 5
  np.testing.assert_array_equal(whole.batch, np.repeat(np.arange(40, 45), 10))
  for path, cost, accuracy, batch in zip(whole.paths[::7], whole.cost[::7], whole.accuracy[::7], whole.batch[::7]):
    assert cost == model.cost([int(choice) for choice in path])
    expected, = steps.accuracies(path[None].astype(np.int32), spaces.batch(space, 8, seed=batch))
    assert accuracy == expected

  stops = iter([False, True])
  finished, part = score('part', 0, 45, loop.Observer(should_stop=lambda: next(stops)))
  assert not finished and len(part) == 20
  finished, part = score('part', 20, 45, loop.Observer())
  assert finished
  for field in dataclasses.fields(part):
    np.testing.assert_array_equal(getattr(part, field.name), getattr(whole, field.name))
  assert (tmp_path / 'part').read_bytes() == (tmp_path / 'whole').read_bytes()
