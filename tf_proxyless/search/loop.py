"""The search loop: weights and architecture in turn, epoch by epoch. It never asks which architecture optimizer it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import dataclasses
import math
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.search import checkpoint as checkpoint_lib
from tf_proxyless.search import checks
from tf_proxyless.search import run_directory
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search.optimizers import base

Batch = tuple[tf.Tensor, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Data:
  """Where batches (images float32 NHWC, labels int32) come from; each call is a pure function of its arguments.

  Of several workers each gives its own part: of each batch for weight steps and gradients of gates, of the batches of a whole pass.

  Attributes:
    training: (epoch, first step) -> the epoch's batches from that step on.
    validation_stream: (first batch) -> endless validation batches from that one on, for architecture updates.
    validation_pass: () -> the whole validation set once.
  """

  training: Callable[[int, int], Iterable[Batch]]
  validation_stream: Callable[[int], Iterable[Batch]]
  validation_pass: Callable[[], Iterable[Batch]]


@dataclasses.dataclass(frozen=True)
class Observer:
  """Callbacks of a search.

  Attributes:
    on_step: Called after each weight step with its loss, the accuracy of the epoch so far, and the optimizer's scalars.
    on_epoch: Called after each epoch with its entry of the history.
    on_warning: Called with one line where a search goes wrong that may come right again.
    on_scored: Called after each batch of networks scored after the search, with their mean accuracy.
    should_stop: Asked after each step; True saves and ends the search early.
  """

  on_step: Callable[[float, float, dict[str, float]], None] = lambda loss, accuracy, state: None
  on_epoch: Callable[[dict[str, Any]], None] = lambda entry: None
  on_scored: Callable[[float], None] = lambda accuracy: None
  should_stop: Callable[[], bool] = lambda: False
  on_warning: Callable[[str], None] = lambda line: None


class Search:
  """One search: its parts, and how they work together."""

  def __init__(
      self,
      steps: steps_lib.SupernetSteps,
      architecture: base.ArchitectureOptimizer,
      schedule: schedule_lib.Schedule,
      data: Data,
      run: run_directory.RunDirectory,
      progress: checkpoint_lib.Progress,
      checkpoint: checkpoint_lib.Checkpoint,
      sample_file: evaluations_lib.EvaluationLog,
      checkpoint_every_steps: int,
      observer: Observer,
      target: float | None = None,
  ):
    """Stores its parts; `run` does the work. `target` is what the network is to cost, None without a constraint."""
    self._steps = steps
    self._architecture = architecture
    self._schedule = schedule
    self._data = data
    self._run = run
    self._progress = progress
    self._checkpoint = checkpoint
    self._sample_file = sample_file
    self._checkpoint_every_steps = checkpoint_every_steps
    self._observer = observer
    self._unsaved: list[evaluations_lib.Evaluations] = []
    self._target = architecture.cost_model.largest if target is None else target
    self._scalars: dict[str, float] = {}  # of the architecture, which changes in its updates only

  def prepare(self) -> bool:
    """Restores the newest checkpoint and rewinds the files that grow to where it stood; whether there was one."""
    restored = self._checkpoint.restore()
    if restored:
      self._run.rewind_history(int(self._progress.epoch))
      if int(self._progress.epoch) < self._schedule.epochs:  # what was scored after the search stays
        self._sample_file.truncate(int(self._progress.samples))
    else:
      self._run.write_history([])
      self._sample_file.create()
    self._read_scalars()
    return restored

  def _read_scalars(self) -> None:
    self._scalars = {name: float(value) for name, value in self._architecture.state().items()}

  def run(self) -> bool:
    """Runs or continues the search after `prepare`; False if it was asked to stop, with everything saved.

    Raises:
      SearchDivergedError: The search went wrong.
    """
    validation: Iterator[Batch] | None = None
    for epoch in range(int(self._progress.epoch), self._schedule.epochs):
      start_time, first_step = time.monotonic(), int(self._progress.step)
      for step, batch in enumerate(self._data.training(epoch, first_step), first_step):
        with checks.located(epoch, step):
          self._train(epoch, step, batch)
          if self._schedule.updates_after(epoch, step):
            if validation is None:
              validation = iter(self._data.validation_stream(int(self._architecture.updates)))
            self._update_architecture(next(validation))
        stop = self._observer.should_stop()
        if stop or (step + 1) % self._checkpoint_every_steps == 0:
          self.save()
        if stop:
          return False
      with checks.located(epoch, self._schedule.steps_per_epoch - 1):
        self._finish_epoch(epoch, time.monotonic() - start_time)
    return True

  def save(self) -> None:
    """Puts scored networks on disk, then the checkpoint that counts them."""
    for scored in self._unsaved:
      self._sample_file.append(scored)
      self._progress.samples.assign_add(len(scored))
    self._unsaved = []
    self._checkpoint.save()
    self._steps.devices.meet()  # other workers may read what is written now

  def _train(self, epoch: int, step: int, batch: Batch) -> None:
    weight_step = epoch * self._schedule.steps_per_epoch + step
    counter = tf.constant(weight_step, tf.int64)
    if self._schedule.phase(epoch) == schedule_lib.WARMUP:
      path = self._architecture.warmup_path(counter, tf.constant(self._schedule.dearest(epoch, step), tf.float32))
    else:
      path = self._architecture.next_path(counter)
    loss, correct = self._steps.train(*batch, path, tf.constant(self._schedule.learning_rate(epoch, step), tf.float32))
    loss = float(loss)
    if not math.isfinite(loss):
      raise checks.bad_loss(loss, self._steps.explain(path.numpy(), batch[0]))
    progress = self._progress
    progress.step.assign(step + 1)
    progress.loss_sum.assign_add(loss)
    progress.correct.assign_add(int(correct))
    progress.images.assign_add(len(batch[1]) * self._steps.devices.workers)
    accuracy = int(progress.correct) / int(progress.images)
    self._observer.on_step(loss, accuracy, self._scalars)

  def _update_architecture(self, batch: Batch) -> None:
    update = int(self._architecture.updates)
    scored = self._architecture.update(batch)
    if scored is not None:
      self._unsaved.append(make_evaluations(self._architecture, scored.paths, scored.accuracies, update))
    self._read_scalars()
    parameters, model = self._architecture.parameters, self._architecture.cost_model
    checks.check_architecture(parameters.alpha.numpy(), model.choice_counts, model.paths, self._scalars)

  def _finish_epoch(self, epoch: int, seconds: float) -> None:
    architecture, progress = self._architecture, self._progress
    most_likely = architecture.parameters.mode().numpy()
    accuracy, = self._steps.accuracies_over(most_likely[None], self._data.validation_pass())
    probabilities = architecture.parameters.probabilities().numpy()
    entry = {
        'epoch': epoch,
        'phase': self._schedule.phase(epoch),
        'loss': float(progress.loss_sum) / self._schedule.steps_per_epoch,
        'accuracy': int(progress.correct) / int(progress.images),
        'most_likely_accuracy': float(accuracy),
        **self._scalars,
        'most_likely_cost': architecture.cost_model.cost([int(index) for index in most_likely]),
        'updates': int(architecture.updates),
        'probabilities': {path: [float(p) for p in row[:count]] for path, row, count in zip(
            architecture.cost_model.paths, probabilities, architecture.cost_model.choice_counts)},
        'seconds': seconds,
    }
    self._run.append_history(entry)
    progress.start_epoch(epoch + 1)
    self.save()
    self._observer.on_epoch(entry)
    self._check_health()

  def _check_health(self) -> None:
    """Judges the run by its files, whether or not it was interrupted."""
    history = self._run.read_history()
    checks.check_samples(evaluations_lib.load(self._sample_file.path)[1])
    warning = checks.check_collapse(history, self._architecture.cost_model.choice_costs, self._target)
    if warning is not None:
      self._observer.on_warning(warning)


def make_evaluations(architecture: base.ArchitectureOptimizer, paths: np.ndarray, accuracies: np.ndarray,
                 batch: int) -> evaluations_lib.Evaluations:
  """Networks scored on one batch, with their costs.

  Args:
    architecture: Whose cost model counts.
    paths: int [networks, decisions].
    accuracies: float [networks].
    batch: Which batch scored them.
  """
  model = architecture.cost_model
  return evaluations_lib.Evaluations(model.choice_counts, paths, accuracies, model.costs(paths),
                                   np.full(len(paths), batch, np.int64))
