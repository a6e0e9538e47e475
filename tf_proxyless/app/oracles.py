"""keras-tuner's oracles, by name, with its own store; and its chief and workers, who ask one oracle together. Loads TensorFlow.

keras-tuner writes `oracle.json` and a `trial.json` of each trial one after the other, and neither atomically: a kill leaves half a file, or
a trial that nobody runs. Here both are whole at any moment, a trial that is not in `oracle.json` did not begin, and one that has not ended
there is run again, which costs nothing where its run directory is finished. What an oracle suggests is a function of its store and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import contextlib
import copy
import json
import os
import pathlib
import sys
import threading
import time
from typing import Any, TypeVar
import warnings

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief
from keras_tuner.src.distribute import oracle_client
from keras_tuner.src.engine import metrics_tracking
from keras_tuner.src.engine import trial as trial_lib
import numpy as np
from sklearn import exceptions
import threadpoolctl

from tf_proxyless.app import tuning
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory

ACCURACY = 'accuracy'
_MOST_FAILURES = 3  # in a row
# Of the upper confidence bound. keras-tuner's 2.6 is for many trials: of 20 on a simulated landscape with noise, its last six fell short
# of the top by 0.032 on average, with 0.5 by 0.006; the best of the 20 by 0.005 with either.
_BETA = 0.5
_PAUSE_S = 1.0
_AT = 'trial'  # file beside a worker's lock
_GOODBYES = 3  # pauses in which workers that wait for a trial ask once more
_PATIENCE_S = oracle_client.TIMEOUT  # an hour
oracle_client.TIMEOUT = 5  # of one attempt, between which a worker can be stopped
_Answer = TypeVar('_Answer')


class _Kept(keras_tuner.Oracle):
  """What our oracles have beside keras-tuner's: a store that survives, a first trial without values, and trials of workers that died."""

  def __init__(self, folder: files.PathLike, hyperparameters: Sequence[tuning.Hyperparameter], trials: int, seed: int,
               is_alive: Callable[[str], bool], on_end: Callable[[Any], None], **settings: Any):
    """Makes the oracle, or reads it from its store.

    Args:
      folder: Of the store.
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


def work(oracle: Any, tuner_id: str, run_trial: Callable[[Any], float | None], stop: Callable[[], bool]) -> bool:
  """Runs trials one after the other, until there are none.

  Args:
    oracle: Whom to ask: an oracle, or the client of a chief.
    tuner_id: Who asks.
    run_trial: Runs a trial and returns its accuracy; NaN if it failed, None if it was stopped.
    stop: Whether to end.

  Returns:
    Whether there are none left; False if it was stopped.
  """
  while not stop():
    trial = oracle.create_trial(tuner_id)
    if trial.status == 'STOPPED':
      return True
    if trial.status == 'IDLE':
      time.sleep(_PAUSE_S)
      continue
    accuracy = run_trial(trial)
    if accuracy is None:
      break
    trial.status = 'FAILED' if np.isnan(accuracy) else 'COMPLETED'
    if trial.status == 'COMPLETED':
      oracle.update_trial(trial.trial_id, {ACCURACY: accuracy})
    oracle.end_trial(trial)
  return False


class StoppedError(Exception):
  """A worker was asked to stop while it waited for its chief."""


class Client:
  """Asks a chief as keras-tuner's client does, and waits for one that is away: it may be started again."""

  def __init__(self, role: tuning.Role, stop: Callable[[], bool], is_over: Callable[[], bool]):
    """Stores its settings; see `work`.

    Args:
      role: Who asks, and where the chief is.
      stop: Whether to end.
      is_over: Whether a chief that is away has nothing left to run, and does not come back.
    """
    self._address, self._stop, self._is_over = role.address, stop, is_over
    self._met = False
    self._client = oracle_client.OracleClient(None)

  def wait(self) -> None:
    """Returns as soon as there is a chief."""
    self._ask(self._client.get_space)

  def create_trial(self, tuner_id: str) -> Any:
    """See `_Kept`."""
    trial = self._ask(lambda: self._client.create_trial(tuner_id))
    if not trial.trial_id.strip('0'):  # the first, to which keras-tuner's messages add default values
      trial.hyperparameters.values = {}
    return trial

  def update_trial(self, trial_id: str, metrics: Any) -> None:
    """See `_Kept`."""
    self._ask(lambda: self._client.update_trial(trial_id, metrics))

  def end_trial(self, trial: Any) -> None:
    """See `_Kept`."""
    self._ask(lambda: self._client.end_trial(trial))

  def _ask(self, call: Callable[[], _Answer]) -> _Answer:
    """What the chief answers.

    Raises:
      StoppedError: Asked to stop meanwhile, or there is nothing left to run.
      ValueError: There is no chief for an hour, or it refuses; in one line.
    """
    started, said = time.monotonic(), False
    while True:
      try:
        answer = call()
        self._met = True
        return answer
      except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
          raise ValueError(f'the chief at {self._address} failed: {errors.one_line(error.details())}') from error
        waited = time.monotonic() - started
        if waited > _PATIENCE_S:
          raise ValueError(f'no chief has answered at {self._address} for {waited / 60:.0f} minutes') from error
      if self._stop() or self._met and self._is_over():
        raise StoppedError
      if not said:
        print(f'no chief answers at {self._address}; waiting for it', file=sys.stderr, flush=True)
        said = True
      time.sleep(_PAUSE_S)


def assist(role: tuning.Role, run: run_directory.RunDirectory, identity: Mapping[str, Any], run_trial: Callable[[Any], float | None],
           stop: Callable[[], bool]) -> None:
  """Runs trials for a chief, until there are none left or it is asked to stop.

  Args:
    role: Who works, and where the chief is.
    run: The directory that the chief works in.
    identity: What makes the run this run.
    run_trial: See `work`.
    stop: Whether to end.

  Raises:
    ValueError: It is not the chief's folder, or that does something else; in one line.
  """
  client = Client(role, stop, lambda: (run.read_status() or {}).get('state') in ('finished', 'failed'))
  finished = False
  with contextlib.suppress(StoppedError):
    client.wait()
    if not run.check(identity):
      raise ValueError(f'{run.path} is not the folder of the chief at {role.address}, or that does something else')
    finished = work(client, role.tuner_id, run_trial, stop)
  if stop() and not finished:
    print('stopped and saved; the same command goes on working', file=sys.stderr)


@contextlib.contextmanager
def served(oracle: Any, role: tuning.Role) -> Iterator[None]:
  """A context in which a chief answers workers, in threads of its own.

  Args:
    oracle: What is asked.
    role: Where to listen.

  Raises:
    ValueError: It cannot listen there; in one line.
  """
  server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[('grpc.so_reuseport', 0)])
  protos.get_service_grpc().add_OracleServicer_to_server(oracle_chief.OracleServicer(oracle), server)
  try:
    server.add_insecure_port(role.address)
  except RuntimeError as error:
    raise ValueError(f'cannot listen at {role.address}, which is in use or not an address of this machine; set {tuning.ORACLE_IP} and '
                     f'{tuning.ORACLE_PORT}') from error
  server.start()
  try:
    yield
  finally:
    server.stop(grace=1).wait()


def wait(oracle: Any, stop: Callable[[], bool], is_alive: Callable[[str], bool]) -> None:
  """Returns when there is nothing left to run and all workers know, or it is asked to stop.

  Args:
    oracle: What they ask.
    stop: Whether to end.
    is_alive: Whether a worker still works, by its id.

  Raises:
    OSError: The store cannot be written.
  """
  over = 0
  while over < _GOODBYES and not stop():
    time.sleep(_PAUSE_S)
    if oracle.error is not None:
      raise oracle.error
    over = over + 1 if oracle.is_over and not any(map(is_alive, tuple(oracle.tuner_ids))) else 0


class Dealer:
  """Deals trials that are given to workers: an oracle for keras-tuner's chief that learns nothing, and keeps only who is at what.

  Each trial is a run directory, which says how it ended, and its name is its id.
  """

  error = None  # of a file

  def __init__(self, folder: pathlib.Path, is_alive: Callable[[str], bool]):
    """Reads what workers are at since before the chief was started again.

    Args:
      folder: With a folder for each worker by its id.
      is_alive: Whether a worker still works, by its id.
    """
    self._folder, self._is_alive, self._lock = folder, is_alive, threading.Lock()
    self._dealt = {file.parent.name: file.read_text(encoding='utf-8') for file in folder.glob(f'*/{_AT}')}
    self._open: list[str] = []
    self._ended: list[tuple[str, bool]] = []
    self.is_over = False
    self.tuner_ids: set[str] = set()

  def run(self, names: Sequence[str], on_end: Callable[[str, bool], None], stop: Callable[[], bool]) -> None:
    """Has trials run, until all have ended or it is asked to stop.

    Args:
      names: Of the trials, all different.
      on_end: Called with the name of each that ended, and whether it is finished.
      stop: Whether to stop.
    """
    with self._lock:
      self._open = list(names)
    while not stop():
      with self._lock:
        ended, self._ended = self._ended, []
        left = bool(self._open)
      for name, finished in ended:
        on_end(name, finished)
      if not left:
        break
      time.sleep(_PAUSE_S / 5)

  def get_space(self) -> Any:
    """What is varied: nothing."""
    return keras_tuner.HyperParameters()

  def create_trial(self, tuner_id: str) -> Any:
    """A trial to run, by its name; IDLE where there is none now, STOPPED where there will be none."""
    with self._lock:
      self.tuner_ids.add(tuner_id)
      self._dealt = {other: name for other, name in self._dealt.items() if self._is_alive(other)}
      name = self._dealt.get(tuner_id)
      if name not in self._open:
        name = next((name for name in self._open if name not in self._dealt.values()), None)
      if name is not None:
        self._dealt[tuner_id] = name
        files.write_atomically(self._folder / tuner_id / _AT, name)
      elif self.is_over:
        self.tuner_ids.remove(tuner_id)
      status = 'RUNNING' if name else 'STOPPED' if self.is_over else 'IDLE'
      return trial_lib.Trial(self.get_space(), name or '', status)

  def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
    """Nothing, since the run directory says it."""
    return trial_lib.Trial(self.get_space(), trial_id, 'RUNNING')

  def end_trial(self, trial: Any) -> None:
    """Says that a trial has ended."""
    with self._lock:
      if trial.trial_id in self._open:
        self._open.remove(trial.trial_id)
        self._ended.append((trial.trial_id, trial.status == 'COMPLETED'))
