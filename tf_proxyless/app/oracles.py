"""keras-tuner's oracles, by name, with its own store. Loads TensorFlow.

keras-tuner writes `oracle.json` and a `trial.json` of each trial one after the other, and neither atomically: a kill leaves half a file, or
a trial that nobody runs. Here both are whole at any moment, a trial that is not in `oracle.json` did not begin, and one that has not ended
there is run again, which costs nothing where its run directory is finished. What an oracle suggests is a function of its store and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import copy
import json
import os
from typing import Any
import warnings

import keras_tuner
from keras_tuner.src.engine import metrics_tracking
from keras_tuner.src.engine import trial as trial_lib
import numpy as np
from sklearn import exceptions
import threadpoolctl

from tf_proxyless.app import tuning
from tf_proxyless.infra import errors
from tf_proxyless.infra import files

ACCURACY = 'accuracy'
_MOST_FAILURES = 3  # in a row
# Of the upper confidence bound. keras-tuner's 2.6 is for many trials: of 20 on a simulated landscape with noise, its last six fell short
# of the top by 0.032 on average, with 0.5 by 0.006; the best of the 20 by 0.005 with either.
_BETA = 0.5


class _Kept(keras_tuner.Oracle):
  """What our oracles have beside keras-tuner's: a store that survives, a first trial without values, and trials of workers that died."""

  def __init__(self, folder: files.PathLike, hyperparameters: Sequence[tuning.Hyperparameter], trials: int, seed: int,
               is_alive: Callable[[str], bool], on_end: Callable[[Any], None], **settings: Any):
    """Makes the oracle, or reads it from its store.

    Args:
      folder: Folder of the store.
      hyperparameters: What is varied.
      trials: In all, the first included, which has no values.
      seed: Seed of the values.
      is_alive: Whether a process still works at its trial, by its id.
      on_end: Called with each trial that has ended and is stored.
      **settings: Of the keras-tuner oracle.

    Raises:
      ValueError: The store is damaged; in one line.
    """
    space = keras_tuner.HyperParameters()
    for each in hyperparameters:
      each.register(space)
    super().__init__(objective=keras_tuner.Objective(ACCURACY, 'max'), hyperparameters=space, max_consecutive_failed_trials=None,
                     seed=seed + 1, **settings)  # it takes 0 for no seed
    self.max_trials, self.verbose = trials, 0
    self._hyperparameters, self._is_alive, self._on_end = hyperparameters, is_alive, on_end
    self.error: OSError | None = None  # of a file
    self._set_project_dir(os.fspath(folder), '')
    self._known, self._exhausted = 0, False  # trials that had ended before, and whether there are no more values
    if os.path.exists(self._get_oracle_fname()):
      self.reload()

  def texts(self, trial: Any) -> dict[str, str]:
    """Text by flag of a trial's values."""
    values = trial.hyperparameters.values
    return {each.name: each.text(values[each.name]) for each in self._hyperparameters if each.name in values}

  @property
  def best(self) -> Any:
    """The most accurate trial, the first of equals; None if none is finished."""
    return next((trial for trial in self.get_best_trials(1) if trial.status == 'COMPLETED'), None)

  @property
  def failures(self) -> list[Any]:
    """The last trials, if all of them failed and they are too many to go on."""
    last = [self.trials[number] for number in self.end_order[self._known:][-_MOST_FAILURES:]]
    return last if len(last) == _MOST_FAILURES and all(trial.status == 'FAILED' for trial in last) else []

  @property
  def is_over(self) -> bool:
    """Whether there is nothing left to run."""
    return not self.ongoing_trials and not self._retry_queue and (len(self.trials) >= self.max_trials or self._exhausted)

  def save(self) -> None:
    """Writes oracle.json."""
    self._write(self._get_oracle_fname(), self.get_state())

  def _save_trial(self, trial: Any) -> None:
    self._write(os.path.join(self._get_trial_dir(trial.trial_id), 'trial.json'), trial.get_state())

  def _write(self, path: str, state: Any) -> None:
    with self._noting_errors():
      files.write_atomically(path, json.dumps(state))

  @contextlib.contextmanager
  def _noting_errors(self) -> Iterator[None]:
    """Keeps what a worker would be told of, for the chief to end."""
    try:
      yield
    except OSError as error:
      self.error = error
      raise

  def reload(self) -> None:
    """Reads the store; trials that had not ended stay with the process that ran them."""
    path = self._get_oracle_fname()
    state = files.read_object(path)
    try:
      self.trials = {number: trial_lib.Trial.from_state(files.read_object(self._get_trial_dir(number) + '/trial.json'))
                     for number in state['start_order']}
      self.set_state(state)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
      raise ValueError(f'{path}: not as keras-tuner writes it: {errors.describe(error)}') from error
    for tuner_id in [tuner_id for tuner_id, trial in self.ongoing_trials.items() if trial.trial_id in self.end_order]:
      self.ongoing_trials.pop(tuner_id)
    self._known = len(self.end_order)

  @keras_tuner.synchronized
  def create_trial(self, tuner_id: str) -> Any:
    """A trial to run; IDLE where there is none now, STOPPED where there will be none."""
    for other in [other for other in self.ongoing_trials if other != tuner_id and not self._is_alive(other)]:
      self._retry_queue.append(self.ongoing_trials.pop(other).trial_id)
    trial = super().create_trial(tuner_id)
    if trial.status == 'STOPPED':
      self._exhausted = True
      if self.ongoing_trials:  # whose processes may die
        trial.status = 'IDLE'
    return trial

  def populate_space(self, trial_id: str) -> dict[str, Any]:
    """Status and values of a new trial; the first has none."""
    if self.failures:
      return {'status': 'STOPPED'}
    return self._suggest(trial_id) if self.start_order else {'status': 'RUNNING', 'values': {}}

  def _suggest(self, trial_id: str) -> dict[str, Any]:
    return super().populate_space(trial_id)

  def _record_values(self, trial: Any) -> None:
    if trial.hyperparameters.values:  # to none, those of the first trial, it would add some
      super()._record_values(trial)

  @keras_tuner.synchronized
  def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
    """Stores a trial's accuracy, in place of what was stored before: a worker repeats itself where a chief was killed."""
    trial = self.trials[trial_id]
    if trial_id in self.end_order:
      return trial
    trial.metrics = metrics_tracking.MetricsTracker()
    return super().update_trial(trial_id, metrics, step)

  @keras_tuner.synchronized
  def end_trial(self, trial: Any) -> None:
    """Stores that a trial has ended, once."""
    if trial.trial_id in self.end_order:
      return
    known = self.trials[trial.trial_id]
    trial.hyperparameters = known.hyperparameters  # from which a worker's differ
    super().end_trial(trial)
    with self._noting_errors():
      self._on_end(known)


class Bayesian(_Kept, keras_tuner.oracles.BayesianOptimizationOracle):
  """A Gaussian process, and the upper confidence bound."""

  def __init__(self, *arguments: Any, random_trials: int, **named: Any):
    """See `_Kept`; `random_trials` finish with values drawn evenly before there is a model."""
    super().__init__(*arguments, num_initial_points=random_trials + 1, beta=_BETA, **named)

  def _suggest(self, trial_id: str) -> dict[str, Any]:
    self._random_state = np.random.RandomState([self.seed, int(trial_id)])  # its state is not in the store
    with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():  # its matrices are tiny: threads make it ten times slower
      warnings.simplefilter('ignore', exceptions.ConvergenceWarning)  # of kernel widths at their bounds, as few trials leave them
      found = super()._suggest(trial_id)
    trial = trial_lib.Trial(self.get_space())
    trial.hyperparameters.values = found['values'] or {}
    tried = self.texts(trial) in map(self.texts, self.trials.values())
    return self._random_populate_space() if tried else found  # nothing to learn there

  def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
    """Trials as keras-tuner has them, but for the first, which has no values; one that failed counts as the worst that finished."""
    known, ongoing = self.trials, set(self.ongoing_trials.values())
    varied = [trial for trial in known.values() if trial.hyperparameters.values]
    worst = min((trial.score for trial in varied if trial.status == 'COMPLETED'), default=0.0)
    try:
      self.trials = {trial.trial_id: _scored(trial, worst) for trial in varied if trial not in ongoing}
      found = super()._vectorize_trials()
      if len(self.trials) < len(varied):
        self.gpr.fit(*found)  # which guesses how the others will end, and else would by what was asked of it last
        self.trials.update({trial.trial_id: trial for trial in varied if trial in ongoing})
        found = super()._vectorize_trials()
      return found
    finally:
      self.trials = known


def _scored(trial: Any, worst: float) -> Any:
  if trial.status != 'FAILED':
    return trial
  stand_in = copy.copy(trial)
  stand_in.status, stand_in.score = 'COMPLETED', worst
  return stand_in


class Random(_Kept, keras_tuner.oracles.RandomSearchOracle):
  """Values drawn evenly."""


class Grid(_Kept, keras_tuner.oracles.GridSearchOracle):
  """All combinations in turn, of ranges ten values; keras-tuner's order, whose state is not in its store, by the last trial alone."""

  def _suggest(self, trial_id: str) -> dict[str, Any]:
    last = self.trials[self.start_order[-1]].hyperparameters.values
    values = self._get_next_combination(last) if last else {each.name: each.default for each in self.get_space().space}
    return {'status': 'RUNNING' if values else 'STOPPED', 'values': values}


class Hyperband(_Kept, keras_tuner.oracles.HyperbandOracle):
  """Many short trials, of the best of which longer ones are made: with values for `tuner/epochs`."""


ORACLES = {'bayesian': Bayesian, 'random': Random, 'grid': Grid, 'hyperband': Hyperband}
