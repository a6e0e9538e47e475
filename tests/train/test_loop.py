"""A training that was interrupted ends as an uninterrupted one, bit for bit: in one process here, killed processes in test_resume."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.train import loop
from tf_proxyless.train import recipe as recipe_lib
from tf_proxyless.train import run_directory
from tf_proxyless.train import trainer as trainer_lib

STEPS, EPOCHS = 5, 3


def make_model():
  """Every kind of state: batch normalisation, dropout."""
  inputs = keras.Input((6, 6, 1))
  x = keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=1))(inputs)
  x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(keras.layers.BatchNormalization()(x)))
  x = keras.layers.Dropout(0.3)(x)
  return keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=2))(x))


def batches(epoch, first=0):
  """Different in each epoch."""
  random = np.random.default_rng(epoch)
  images, labels = random.random((STEPS * 8, 6, 6, 1), np.float32), random.integers(3, size=STEPS * 8).astype(np.int32)
  return tf.data.Dataset.from_tensor_slices((images, labels)).batch(8).skip(first)


def start(path, training=batches, evaluation=None, every=2, **arguments):
  """A training as a new process has it."""
  recipe = recipe_lib.Recipe(**{'epochs': EPOCHS, 'steps_per_epoch': STEPS, 'average_momentum': 0.9, **arguments})
  run = run_directory.RunDirectory(path)
  run.create()
  trainer = trainer_lib.Trainer(make_model(), recipe, seed=3)
  return run, trainer, loop.Training(trainer, loop.Data(training, evaluation), run, every)


def stop_after(steps):
  """Asks to stop after a number of steps."""
  made = []
  return loop.Observer(should_stop=lambda: made.append(1) or len(made) >= steps)


def state(run, trainer):
  """All that a training is, but for times."""
  variables = [*trainer.model.variables, *trainer.optimizer.variables, *trainer.averages]
  history = [{name: value for name, value in entry.items() if name != 'seconds'} for entry in run.read_history()]
  return [variable.numpy() for variable in variables], history


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  run, trainer, training = start(tmp_path_factory.mktemp('whole'))
  assert not training.prepare() and training.run(loop.Observer())
  return state(run, trainer)


def check_equal(found, expected):
  assert found[1] == expected[1]
  assert all(np.array_equal(*pair) for pair in zip(found[0], expected[0], strict=True))


@pytest.mark.parametrize('stops', [
    (2, 5, 1), *(pytest.param(stops, marks=pytest.mark.long) for stops in [(1,), (5,), (1, 1, 1, 7), (14,)])])
def test_stopped_and_continued(tmp_path, whole, stops):
  """In the midst of an epoch, at its end, several times, before the last step."""
  for steps in stops:
    run, trainer, training = start(tmp_path)
    training.prepare()
    before = int(trainer.progress.total_steps)
    assert not training.run(stop_after(steps))
    assert int(trainer.progress.total_steps) in (before + steps, before + steps + 1)
  run, trainer, training = start(tmp_path)
  assert training.prepare() and training.run(loop.Observer())
  check_equal(state(run, trainer), whole)


@pytest.mark.long
def test_killed(tmp_path, whole):
  """What was done after the last checkpoint, that of step 4 in the second epoch, is lost and done again."""

  class Killed(BaseException):
    pass

  def kill():
    made.append(1)
    if len(made) == STEPS + 4:
      raise Killed

  made = []
  run, trainer, training = start(tmp_path)
  training.prepare()
  with pytest.raises(Killed):
    training.run(loop.Observer(should_stop=kill))
  run, trainer, training = start(tmp_path)
  assert training.prepare()
  assert (training.epoch, training.step) == (1, 2)
  assert training.run(loop.Observer())
  check_equal(state(run, trainer), whole)


def test_a_finished_training_stays_as_it_is(tmp_path):
  run, trainer, training = start(tmp_path)
  training.prepare()
  training.run(loop.Observer())
  expected = state(run, trainer)
  run, trainer, training = start(tmp_path)
  assert training.prepare() and training.run(stop_after(1))
  check_equal(state(run, trainer), expected)


def test_history_and_evaluation_of_every_second_epoch(tmp_path):
  run, trainer, training = start(tmp_path, evaluation=lambda: batches(9), epochs=4)
  training._evaluate_every_epochs = 2
  seen, steps = [], []
  training.prepare()
  training.run(loop.Observer(on_steps=lambda count, figures: steps.append(count), on_epoch=seen.append))
  assert seen == run.read_history() and sum(steps) == 4 * STEPS
  assert ['evaluation_top1' in entry for entry in seen] == [False, True, False, True]
  scores = trainer.evaluate(batches(9))
  assert seen[-1]['evaluation_top1'] == scores.top1 and seen[-1]['evaluation_loss'] == pytest.approx(scores.loss)
  assert [entry['learning_rate'] for entry in seen] == [trainer.recipe.learning_rate_at(STEPS * epoch + 4) for epoch in range(4)]
  assert 0 <= seen[0]['accuracy'] <= 1 and json.dumps(seen)


def test_refusals(tmp_path):
  nan = lambda epoch, first: batches(epoch, first).map(lambda images, labels: (images * math.nan, labels))
  run, trainer, training = start(tmp_path / 'nan', nan, every=100)
  training.prepare()
  with pytest.raises(trainer_lib.NotFiniteError, match='epoch 0, before step 5: the loss became nan; lower'):
    training.run(loop.Observer())
  assert run.newest_checkpoint() is None and run.read_history() == []
  run, trainer, training = start(tmp_path / 'short', lambda epoch, first: batches(epoch, first).take(3))
  training.prepare()
  with pytest.raises(ValueError, match='epoch 0 has 3 batches, not 5'):
    training.run(loop.Observer())


def test_after_a_damaged_checkpoint_the_one_before_is_used(tmp_path, whole):
  run, trainer, training = start(tmp_path)
  training.prepare()
  training.run(stop_after(9))
  newest = run.newest_checkpoint()
  data = next(run.checkpoints.glob(f'{newest.rsplit("/", 1)[1]}.data*'))
  data.write_bytes(data.read_bytes()[:100])
  run, trainer, training = start(tmp_path)
  assert training.prepare() and training.run(loop.Observer())
  check_equal(state(run, trainer), whole)
