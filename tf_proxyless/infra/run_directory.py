"""The files that every run has: their paths, history, status and checkpoints, and when a run may continue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
import json
import os
import pathlib
from typing import Any

from tf_proxyless.infra import checkpoints
from tf_proxyless.infra import files
from tf_proxyless.infra import locking

STATES = ('running', 'interrupted', 'finished', 'failed')
_MAX_HISTORY_BYTES = 2**28


class RunDirectory:
  """Paths of a run's files, and its history.

  Attributes:
    path: The run directory.
    writes: Whether this process writes files there; of several workers one does.
    written: The state that this object has written last; None if it has written none.
  """

  def __init__(self, path: files.PathLike, writes: bool = True):
    self.path = pathlib.Path(path)
    self.writes = writes
    self.written: str | None = None
    self.flags = self.path / 'flags.txt'
    self.identity = self.path / 'identity.json'
    self.status = self.path / 'status.json'
    self.split = self.path / 'split.npz'
    self.skipped_images = self.path / 'skipped_images.json'
    self.history = self.path / 'history.jsonl'
    self.checkpoints = self.path / 'checkpoints'
    self.logs = self.path / 'logs'
    self._kept = checkpoints.Checkpoints(self.checkpoints)
    self.architecture = self.path / 'architecture.json'

  def create(self) -> None:
    """Makes the directory.

    Raises:
      OSError: It cannot be made or written to.
    """
    if self.writes:
      self.checkpoints.mkdir(parents=True, exist_ok=True)
    if self.writes and not os.access(self.path, os.W_OK | os.X_OK):
      raise PermissionError(13, 'the run directory cannot be written to', str(self.path))

  def newest_checkpoint(self) -> str | None:
    """Path of the newest checkpoint that is not damaged, without its suffixes, or None; see `checkpoints.Checkpoints`.

    Raises:
      ValueError: There are some, and all are damaged.
    """
    return self._kept.newest()

  def add_checkpoint(self, write: Callable[[str], None]) -> None:
    """Adds a checkpoint, which is whole whenever it can be seen, and deletes all but the two newest.

    Args:
      write: Makes the files of a checkpoint, given their path without suffixes.

    Raises:
      OSError: It cannot be written.
    """
    if self.writes:
      self._kept.add(write)

  def check(self, identity: Mapping[str, Any]) -> bool:
    """Checks that a run may continue here, or begin.

    Args:
      identity: Flags and content hashes of inputs, JSON values by name.

    Returns:
      Whether this very run is already there.

    Raises:
      ValueError: A run with other settings is there and has made a checkpoint (the message names each difference), or this very run
        has failed in a way that it would fail again.
    """
    if not self.identity.exists():
      return False
    known = files.read_json(self.identity, 'run_identity').get('identity')
    if not isinstance(known, dict):
      raise ValueError(f'{self.identity}: no object "identity"')
    differing = differences(known, identity)
    if differing and self.begun:  # without one there is nothing to lose, for instance after a mistake
      raise ValueError(f'{self.path} holds a run with other settings: {differing}; restore them to continue it, or choose another '
                       '`run_dir`')
    if not differing:
      self._check_not_failed()
    return not differing

  def _check_not_failed(self) -> None:
    if reason := self.lasting_failure():
      raise ValueError(f'{self.path} failed, and the same settings would fail again: {reason}; delete {self.status} to continue from its '
                       'last checkpoint nevertheless')

  def lasting_failure(self) -> str | None:
    """Why the run failed, where the same settings would fail again; else None."""
    status = self.read_status()
    return status['reason'] if status and status['state'] == 'failed' and status.get('repeats') else None

  def claim(self, identity: Mapping[str, Any], **chosen: str) -> None:
    """Writes what the run is, once its inputs are here.

    Args:
      identity: As for `check`.
      **chosen: What was decided as it began, and stays so; texts.
    """
    if self.writes:
      files.write_json(self.identity, 'run_identity', {'identity': dict(identity), 'chosen': chosen})

  def chosen(self, name: str) -> str | None:
    """What `claim` was told by that name; None if it was not, and of runs of earlier editions."""
    chosen = files.read_json(self.identity, 'run_identity').get('chosen') if self.identity.exists() else None
    found = chosen.get(name) if isinstance(chosen, dict) else None
    return found if isinstance(found, str) else None

  @property
  def begun(self) -> bool:
    """Whether a run is here that has made a checkpoint."""
    return self.identity.exists() and self._kept.exist()

  def write_status(self, state: str, **details: Any) -> None:
    """Writes status.json: 'running', 'interrupted', 'finished' or 'failed', with details.

    Args:
      state: One of these.
      **details: JSON values; of a failure its `reason`, and `repeats=True` where the same run would fail again, which `check` refuses.
    """
    if self.writes:
      files.write_json(self.status, 'status', {'state': state, **details})
    self.written = state

  def read_status(self) -> dict[str, Any] | None:
    """What status.json says: its 'state', of a failure its 'reason', and details; None if there is none.

    A run that is said to be running, but whose process has ended, was interrupted.

    Raises:
      ValueError: It is damaged.
    """
    if not self.status.exists():
      return None
    status = files.read_json(self.status, 'status')
    if status.get('state') not in STATES:
      raise ValueError(f'{self.status}: state must be one of {", ".join(STATES)}, got {files.shorten(status.get("state"))}')
    if status['state'] == 'failed':
      reason = status.get('reason')
      status['reason'] = files.one_line(reason) if isinstance(reason, str) else 'no reason given'
    if status['state'] == 'running' and locking.is_free(self.path):
      status.update(state='interrupted', reason='its process has ended without saying so; the same command continues from the last '
                    'checkpoint')
    return status

  def is_finished(self) -> bool:
    """Whether status.json says so."""
    status = self.read_status()
    return status is not None and status['state'] == 'finished'

  def append_history(self, entry: Mapping[str, Any]) -> None:
    """Adds one JSON object as a line, on disk when this returns."""
    if not self.writes:
      return
    with open(self.history, 'a', encoding='utf-8') as file:
      file.write(json.dumps(entry, allow_nan=False) + '\n')
      file.flush()
      os.fsync(file.fileno())
    files.sync_folder(self.path)

  def read_history(self) -> list[dict[str, Any]]:
    """The epochs logged so far; a last line that was cut off is left out.

    Raises:
      ValueError: Another line is not a JSON object with the number of its epoch and the seconds that it took.
    """
    if not self.history.exists():
      return []
    entries = []
    *lines, rest = files.read_bytes(self.history, _MAX_HISTORY_BYTES).split(b'\n')
    del rest  # without its newline it was cut off
    for number, line in enumerate(lines, 1):
      try:
        entry = files.parse_json(line)
      except ValueError as error:
        raise ValueError(f'{self.history}:{number}: {error}') from error
      if not isinstance(entry, dict):
        raise ValueError(f'{self.history}:{number}: not a JSON object')
      if type(entry.get('epoch')) is not int or type(entry.get('seconds')) not in (int, float):
        raise ValueError(f'{self.history}:{number}: epoch must be an integer and seconds a number')
      entries.append(entry)
    return entries

  def rewind_history(self, epochs: int) -> None:
    """Keeps the first `epochs` epochs, for a run that continues from a checkpoint made then."""
    self.write_history(entry for entry in self.read_history() if entry['epoch'] < epochs)

  def write_history(self, entries: Iterable[Mapping[str, Any]]) -> None:
    """Replaces the history."""
    if self.writes:
      files.write_atomically(self.history, ''.join(json.dumps(entry, allow_nan=False) + '\n' for entry in entries))


def differences(known: Mapping[str, Any], given: Mapping[str, Any]) -> str:
  """How settings differ, in one line of bounded length; '' if they do not.

  Args:
    known: Settings read from an untrusted file.
    given: Settings of this run, JSON values by name.
  """
  given = json.loads(json.dumps(given))
  return files.one_line('; '.join(
      f'{files.one_line(name, 60)} was {files.shorten(known.get(name))}, is now {files.shorten(given.get(name))}'
      for name in sorted(known.keys() | given.keys()) if not _same(known.get(name), given.get(name))), 2000)


def _same(known: Any, given: Any) -> bool:
  """Whether settings are equal; paths, which earlier editions kept as they were typed, 'folder:PATH' too, if they lead to one place."""
  if isinstance(known, dict) and isinstance(given, dict):
    return known.keys() == given.keys() and all(_same(known[name], given[name]) for name in known)
  if isinstance(known, list) and isinstance(given, list):
    return len(known) == len(given) and all(map(_same, known, given))
  if known == given or not (isinstance(known, str) and isinstance(given, str) and '/' in given):
    return known == given
  before = given.partition('/')[0]  # 'folder:', '--dataset=folder:', or nothing of an absolute path
  return known.startswith(before) and files.resolve(known.removeprefix(before)) == given.removeprefix(before)


@contextlib.contextmanager
def restoring(path: str) -> Iterator[None]:
  """Turns what TensorFlow raises on a damaged checkpoint into one line.

  Raises:
    ValueError: The checkpoint cannot be restored.
  """
  import tensorflow as tf  # commands use the paths before they load it

  try:
    yield
  except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:  # IndexError: its data file is too short
    reason = str(error).strip().split('\n')[0][:200]
    raise ValueError(f'checkpoint {path} cannot be restored: {reason}; delete {path}.* to continue from the one before, or from the '
                     'start if it is the only one') from error
