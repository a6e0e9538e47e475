"""Kills real programs at random moments and starts them again with the same command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import pathlib
import random
import signal
import subprocess
import sys
import time

from tests import forks

LIMIT_S = 300  # for a main that is not killed, on a busy machine
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Before a main has taken over the signals, they end it as they end any Python program.
_CODES = {signal.SIGKILL: {-9}, signal.SIGTERM: {0, -15, 143}, signal.SIGINT: {130, -2}}


@dataclasses.dataclass(frozen=True)
class Job:
  """A program to be killed.

  Attributes:
    name: Name of the folder.
    command: From its folder to the module or file of the main, and its arguments.
    check: Given the folder of a run that was killed and of one that was not, asserts that they are the same.
    writing: From its folder to a path that is there while a checkpoint is written.
    after_kill: Given the folder, asserts what must hold at any moment.
    is_done: Given the folder, whether only the exit was left to do when the signal came.
  """

  name: str
  command: Callable[[pathlib.Path], Sequence[str]]
  check: Callable[[pathlib.Path, pathlib.Path], None]
  writing: Callable[[pathlib.Path], pathlib.Path]
  after_kill: Callable[[pathlib.Path], None]
  is_done: Callable[[pathlib.Path], bool]


def start(folder: pathlib.Path, command: Sequence[str], plain: bool = False) -> forks.Process | subprocess.Popen:
  """Starts a main with its output beside its folder; plainly as a user does, or forked, so that a kill does not cost an import."""
  outputs = [pathlib.Path(f'{folder}.{name}') for name in ('stdout', 'stderr')]
  parts = command if command[0].endswith('.py') else ('-m', *command)
  if not plain:
    return forks.start(*parts, cwd=forks.ROOT, outputs=outputs)
  with open(outputs[0], 'w') as stdout, open(outputs[1], 'w') as stderr:
    return subprocess.Popen([sys.executable, *parts], stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, env=forks.environment(),
                            start_new_session=True)


def wait(process: forks.Process | subprocess.Popen, limit_s: float, until: Callable[[], bool] = lambda: False) -> int | None:
  """The exit code, None if the time is over or `until()` is true before."""
  deadline = time.monotonic() + limit_s
  while (code := process.poll()) is None and time.monotonic() < deadline and not until():
    time.sleep(0.001)
  return code


@dataclasses.dataclass
class Tally:
  """What was injected and survived."""

  kills: dict[str, int] = dataclasses.field(default_factory=dict)
  while_writing: int = 0
  before_anything: int = 0
  finished: int = 0
  slowest_end_s: float = 0.0

  @property
  def total(self) -> int:
    return sum(self.kills.values())


class Killer:
  """Kills a job again and again.

  Args:
    job: Program to kill.
    folder: Parent folder of all runs.
    seed: Seed of moments and signals.
    plain_every: One in so many is started as a user does; 0 for none.
  """

  def __init__(self, job: Job, folder: pathlib.Path, seed: int, plain_every: int = 0):
    self._job = job
    self._plain_every = plain_every
    self._started = 0
    self._folder = folder
    self._random = random.Random(f'{job.name} {seed}')
    self.tally = Tally()
    self._whole = folder / f'{job.name}_whole'
    start = time.monotonic()
    self._finish(self._whole, self._start(self._whole))
    self._length_s = time.monotonic() - start
    self._runs = 0

  def _start(self, folder: pathlib.Path) -> forks.Process | subprocess.Popen:
    self._started += 1
    plain = bool(self._plain_every) and self._started % self._plain_every == 0
    return start(folder, self._job.command(folder), plain)

  def kill(self, times: int, in_a_row: int = 3) -> None:
    """Injects so many kills, at most `in_a_row` into one run, and compares each run with the one that nobody killed."""
    while self.tally.total < times:
      folder = self._folder / f'{self._job.name}_{self._runs}'
      self._runs += 1
      for _ in range(min(in_a_row, times - self.tally.total)):
        if not self._kill_once(folder):
          break  # it was faster
      else:
        self._finish(folder, self._start(folder))
      self._job.check(folder, self._whole)
      self.tally.finished += 1

  def _kill_once(self, folder: pathlib.Path) -> bool:
    """Starts the main and sends it a signal; False if it has done all, so that there is nothing to continue."""
    process = self._start(folder)
    chosen, moment = self._random.choice(SIGNALS), self._random.uniform(0, self._length_s)
    aimed = self._random.random() < 1 / 3
    writing = self._job.writing(folder)
    if wait(process, moment) is None and aimed:
      wait(process, LIMIT_S, writing.exists)
    if process.poll() is not None:
      self._finish(folder, process)
      return False
    self.tally.while_writing += writing.exists()
    process.send_signal(chosen)
    start = time.monotonic()
    code = wait(process, LIMIT_S)
    what = f'{self._job.name}, {chosen.name} after {moment:.3f} s{" and at a checkpoint" if aimed else ""}, exit code {code}'
    errors = pathlib.Path(f'{folder}.stderr').read_text()
    done = self._job.is_done(folder)
    assert code in _CODES[chosen] | ({0} if done else set()), f'{what}:\n{errors}'
    if chosen == signal.SIGTERM:
      self.tally.slowest_end_s = max(self.tally.slowest_end_s, time.monotonic() - start)
    self.tally.kills[chosen.name] = self.tally.kills.get(chosen.name, 0) + 1
    self.tally.before_anything += not folder.exists()
    self._job.after_kill(folder)
    return not done

  def _finish(self, folder: pathlib.Path, process: forks.Process | subprocess.Popen) -> None:
    code = wait(process, LIMIT_S)
    errors = pathlib.Path(f'{folder}.stderr').read_text()
    assert code == 0, f'{self._job.name} ended with {code}:\n{errors}'
