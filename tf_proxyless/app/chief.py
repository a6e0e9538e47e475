"""keras-tuner's chief and workers, who ask one oracle together. Loads TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import contextlib
import pathlib
import sys
import threading
import time
from typing import Any, TypeVar

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief
from keras_tuner.src.distribute import oracle_client
from keras_tuner.src.engine import trial as trial_lib
import numpy as np

from tf_proxyless.app import oracles
from tf_proxyless.app import tuning
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory

_PAUSE_S = 1.0
_AT = 'trial'  # file beside a worker's lock
_GOODBYES = 3  # pauses in which workers that wait for a trial ask once more
_PATIENCE_S = oracle_client.TIMEOUT  # an hour
oracle_client.TIMEOUT = 5  # of one attempt, between which a worker can be stopped
_Answer = TypeVar('_Answer')


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
      oracle.update_trial(trial.trial_id, {oracles.ACCURACY: accuracy})
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
      names: Names of the trials, all different.
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
