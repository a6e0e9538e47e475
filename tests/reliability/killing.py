"""Kills real programs at random moments and starts them again with the same command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from tests.search import runs

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


class Server:
  """Starts mains by `tests.reliability.server`, or one in `plain_every` as a user does."""

  def __init__(self, plain_every: int = 0):
    environment = {**runs.environment(), 'TF_CPP_MIN_LOG_LEVEL': '3', 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}
    self._process = subprocess.Popen([sys.executable, '-m', 'tests.reliability.server'], cwd=runs.ROOT, env=environment,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self._plain: dict[int, subprocess.Popen] = {}
    self._plain_every = plain_every
    self._started = 0
    self._alive: set[int] = set()
    if self._process.stdout.readline() != '"ready"\n':
      raise RuntimeError('the server did not start, see above')

  def _ask(self, request: Sequence[str]):
    print(json.dumps(request), file=self._process.stdin, flush=True)
    return json.loads(self._process.stdout.readline())

  def start(self, folder: pathlib.Path, command: Sequence[str]) -> int:
    """Starts a main with its output beside its folder; returns the process's number."""
    self._started += 1
    outputs = [f'{folder}.stdout', f'{folder}.stderr']
    if self._plain_every and self._started % self._plain_every == 0:
      program = (command[0],) if command[0].endswith('.py') else ('-m', command[0])
      with open(outputs[0], 'w') as stdout, open(outputs[1], 'w') as stderr:
        process = subprocess.Popen([sys.executable, *program, *command[1:]], stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL,
                                   env=runs.environment(), start_new_session=True)
      self._plain[process.pid] = process
      number = process.pid
    else:
      number = self._ask([*outputs, *command])
    self._alive.add(number)
    return number

  def poll(self, number: int) -> int | None:
    """The exit code, None as long as it runs."""
    code = self._plain[number].poll() if number in self._plain else self._ask([]).get(str(number))
    if code is not None:
      self._alive.discard(number)
    return code

  def wait(self, number: int, limit_s: float, until: Callable[[], bool] = lambda: False) -> int | None:
    """The exit code, None if the time is over or `until()` is true before."""
    deadline = time.monotonic() + limit_s
    while (code := self.poll(number)) is None and time.monotonic() < deadline and not until():
      time.sleep(0.001)
    return code

  def close(self) -> None:
    """Ends the server and what it started."""
    for number in list(self._alive):
      os.kill(number, signal.SIGKILL)
    self._process.stdin.close()
    self._process.wait()


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
    server: Starts it.
    job: Program to kill.
    folder: Parent folder of all runs.
    seed: Seed of moments and signals.
  """

  def __init__(self, server: Server, job: Job, folder: pathlib.Path, seed: int):
    self._server = server
    self._job = job
    self._folder = folder
    self._random = random.Random(f'{job.name} {seed}')
    self.tally = Tally()
    self._whole = folder / f'{job.name}_whole'
    start = time.monotonic()
    self._finish(self._whole, server.start(self._whole, job.command(self._whole)))
    self._length_s = time.monotonic() - start
    self._runs = 0

  def kill(self, times: int, in_a_row: int = 3) -> None:
    """Injects so many kills, at most `in_a_row` into one run, and compares each run with the one that nobody killed."""
    while self.tally.total < times:
      folder = self._folder / f'{self._job.name}_{self._runs}'
      self._runs += 1
      for _ in range(min(in_a_row, times - self.tally.total)):
        if not self._kill_once(folder):
          break  # it was faster
      else:
        self._finish(folder, self._server.start(folder, self._job.command(folder)))
      self._job.check(folder, self._whole)
      self.tally.finished += 1

  def _kill_once(self, folder: pathlib.Path) -> bool:
    """Starts the main and sends it a signal; False if it has done all, so that there is nothing to continue."""
    number = self._server.start(folder, self._job.command(folder))
    chosen, moment = self._random.choice(SIGNALS), self._random.uniform(0, self._length_s)
    aimed = self._random.random() < 1 / 3
    writing = self._job.writing(folder)
    if self._server.wait(number, moment) is None and aimed:
      self._server.wait(number, LIMIT_S, writing.exists)
    if self._server.poll(number) is not None:
      self._finish(folder, number)
      return False
    self.tally.while_writing += writing.exists()
    os.kill(number, chosen)
    start = time.monotonic()
    code = self._server.wait(number, LIMIT_S)
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

  def _finish(self, folder: pathlib.Path, number: int) -> None:
    code = self._server.wait(number, LIMIT_S)
    errors = pathlib.Path(f'{folder}.stderr').read_text()
    assert code == 0, f'{self._job.name} ended with {code}:\n{errors}'
