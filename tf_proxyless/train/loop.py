"""A training in a run directory: epochs, evaluation, checkpoints; started again, it continues with the next step."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import math
import os
import tempfile
import time
from typing import Any

import tensorflow as tf

from tf_proxyless.infra import run_directory
from tf_proxyless.train import trainer as trainer_lib

_LOOK_EVERY_STEPS = 20  # to read figures waits for the device
_CHANGE = 'lower `learning_rate`, and start again in another `run_dir`'


@dataclasses.dataclass(frozen=True)
class Data:
  """Batches for all replicas: images float32 NHWC, labels int32.

  Attributes:
    training: (epoch, first step) -> the epoch's batches from that step on.
    evaluation: () -> all images to evaluate on after epochs; None for no evaluation.
  """

  training: Callable[[int, int], tf.data.Dataset]
  evaluation: Callable[[], tf.data.Dataset] | None = None


@dataclasses.dataclass(frozen=True)
class Observer:
  """Callbacks of a training.

  Attributes:
    on_steps: Called with the number of steps made and the statistics of the epoch so far.
    on_epoch: Called after each epoch with its entry of the history.
    should_stop: Called after each step; True saves and ends the training early.
  """

  on_steps: Callable[[int, dict[str, float]], None] = lambda steps, figures: None
  on_epoch: Callable[[dict[str, Any]], None] = lambda entry: None
  should_stop: Callable[[], bool] = lambda: False


class Training:
  """One training: its parts, and how they work together."""

  def __init__(self, trainer: trainer_lib.Trainer, data: Data, run: run_directory.RunDirectory, checkpoint_every_steps: int,
               evaluate_every_epochs: int = 1):
    """Stores its parts; `prepare` and `run` do the work."""
    self._trainer = trainer
    self._data = data
    self._run = run
    self._checkpoint_every_steps = checkpoint_every_steps
    self._evaluate_every_epochs = evaluate_every_epochs
    self._observer = Observer()
    self._checkpoint = tf.train.Checkpoint(model=trainer.model, optimizer=trainer.optimizer, averages=trainer.averages,
                                           progress=trainer.progress)

  def prepare(self) -> bool:
    """Restores the newest checkpoint and rewinds the history to where it stood; whether there was one.

    Raises:
      ValueError: The checkpoint is damaged.
    """
    newest = self._run.newest_checkpoint()
    if newest is None:
      self._run.write_history([])
      return False
    with run_directory.restoring(newest):
      self._checkpoint.read(newest).assert_consumed()
    self._run.rewind_history(self.epoch - self._unfinished)
    return True

  @property
  def _unfinished(self) -> bool:
    """Whether all steps of the epoch before are made, and it is still to be evaluated."""
    return self.step == 0 and int(self._trainer.progress.images) > 0

  @property
  def epoch(self) -> int:
    """The epoch under way, from 0."""
    return int(self._trainer.progress.total_steps) // self._trainer.recipe.steps_per_epoch

  @property
  def step(self) -> int:
    """Steps made in this epoch."""
    return int(self._trainer.progress.total_steps) % self._trainer.recipe.steps_per_epoch

  def run(self, observer: Observer) -> bool:
    """Runs or continues the training after `prepare`; False if it was asked to stop, with everything saved.

    Raises:
      NotFiniteError: The training went wrong.
    """
    self._observer = observer
    self._check_weights('at the start', 'look at the model that the training starts from')
    if self._unfinished:
      self._finish_epoch(self.epoch - 1, time.monotonic())
    for epoch in range(self.epoch, self._trainer.recipe.epochs):
      started = time.monotonic()
      if not self._run_epoch(epoch):
        return False
      self._finish_epoch(epoch, started)
    return True

  def save(self) -> None:
    """Writes a checkpoint; all workers take part, and the chief keeps it."""
    if self._trainer.is_chief:
      self._run.add_checkpoint(self._checkpoint.write)
      return
    with tempfile.TemporaryDirectory() as folder:
      self._checkpoint.write(os.path.join(folder, 'ckpt'))

  def _run_epoch(self, epoch: int) -> bool:
    last = self._trainer.recipe.steps_per_epoch
    first = step = seen = self.step
    for step, batch in enumerate(self._trainer.distribute(self._data.training(epoch, first)), first + 1):
      self._trainer.train(batch)
      stop = self._trainer.agree(self._observer.should_stop())
      save = step < last and (stop or step % self._checkpoint_every_steps == 0)
      if save or step == last or step % _LOOK_EVERY_STEPS == 0:
        self._look(epoch, step, step - seen)
        seen = step
      if save:
        self.save()
      if stop and step < last:
        return False
    if step != last:
      raise ValueError(f'epoch {epoch} has {step} batches, not {last}')
    return True

  def _look(self, epoch: int, step: int, steps: int) -> None:
    figures = self._trainer.progress.figures()
    if not math.isfinite(figures['loss']):
      raise trainer_lib.NotFiniteError(f'epoch {epoch}, before step {step}: the loss became {figures["loss"]}; {_CHANGE}')
    self._observer.on_steps(steps, figures)

  def _check_weights(self, when: str, change: str) -> None:
    name = self._trainer.first_not_finite()
    if name is not None:
      raise trainer_lib.NotFiniteError(f'{when}: {name} is not finite; {change}')

  def _finish_epoch(self, epoch: int, started: float) -> None:
    trainer = self._trainer
    self._check_weights(f'epoch {epoch}, after the last step', _CHANGE)  # what its gradients made of them, no loss has shown yet
    last_step = int(trainer.progress.total_steps) - 1
    entry = {'epoch': epoch, **trainer.progress.figures(), 'learning_rate': trainer.recipe.learning_rate_at(last_step)}
    if self._data.evaluation is not None and (epoch + 1) % self._evaluate_every_epochs == 0:
      self.save()  # an evaluation can fail
      try:
        scores = trainer.evaluate(self._data.evaluation())
      except trainer_lib.NotFiniteError as error:
        raise trainer_lib.NotFiniteError(f'epoch {epoch}, evaluation: {error}; {_CHANGE}') from error
      entry.update(evaluation_top1=scores.top1, evaluation_top5=scores.top5, evaluation_loss=scores.loss)
    entry['seconds'] = time.monotonic() - started
    self._run.append_history(entry)
    trainer.progress.start_epoch()
    self.save()
    self._observer.on_epoch(entry)
