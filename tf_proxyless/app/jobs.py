"""Runs commands as child processes, some at a time, each in a folder of its own; stopped, all of them save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import os
import pathlib
import signal
import subprocess
import time
from typing import TextIO

from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import files

_PAUSE_S = 0.1


@dataclasses.dataclass(frozen=True)
class Job:
  """A command.

  Attributes:
    name: For people.
    kind: Jobs of a kind take about as long as each other.
    command: Arguments after the interpreter.
    folder: The folder that the job writes to.
  """

  name: str
  kind: str
  command: tuple[str, ...]
  folder: pathlib.Path

  @property
  def output(self) -> pathlib.Path:
    """Gets what it prints."""
    return self.folder / 'output.txt'


def of_command(kind: str, name: str, command: str, config: options.Config, folder: pathlib.Path) -> Job:
  """A command of tf-proxyless, with its flags in a file beside its folder."""
  flagfile, content = folder.with_name(f'{folder.name}.flags'), flags.to_flagfile(config)
  if not flagfile.exists() or flagfile.read_text(encoding='utf-8') != content:
    files.write_atomically(flagfile, content)
  return Job(name, kind, ('-m', 'tf_proxyless', command, f'--flagfile={flagfile}'), folder)


def cores() -> int:
  """Of this machine, those that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def threads(processes: int) -> int:
  """Threads of each of so many processes at a time."""
  return max(1, cores() // processes)


def _variables(processes: int) -> dict[str, str]:
  """The environment in which several processes share the cores, and a GPU's memory; one alone has what it would have by itself."""
  if processes == 1:
    return {}
  names = ('TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'OMP_NUM_THREADS')
  return {**dict.fromkeys(names, str(threads(processes))), 'TF_FORCE_GPU_ALLOW_GROWTH': 'true'}


@dataclasses.dataclass
class _Running:
  job: Job
  process: subprocess.Popen
  started: float


def run(next_jobs: Callable[[], Sequence[Job]], on_start: Callable[[Job], None], on_end: Callable[[Job, float, int], None],
        stop_signal: Callable[[], int | None], processes: int, lock: TextIO) -> None:
  """Runs jobs until there are none, or until it is asked to stop and all have ended.

  Args:
    next_jobs: Jobs that can run now and are not finished, the most urgent first; those that are running may be among them.
    on_start: Called with each job that begins.
    on_end: Called with each job that ended, the seconds it took and its exit code (-n for a signal n).
    stop_signal: The signal, if there was one, that asks the running jobs to save and end.
    processes: Most jobs at a time; the cores are shared among them.
    lock: An open lock, which the processes keep.

  Raises:
    What these functions raise, once the other jobs have saved and ended.
  """
  running: list[_Running] = []
  asked, candidates = False, next_jobs()
  try:
    while True:
      if not asked and (number := stop_signal()) is not None:
        asked = True
        _ask(running, number)
      while not asked and len(running) < processes:
        folders = {each.job.folder for each in running}
        job = next((job for job in candidates if job.folder not in folders), None)
        if job is None:
          break
        running.append(_start(job, processes, lock))
        on_start(job)
      if not running:
        return
      time.sleep(_PAUSE_S)
      ended = [each for each in running if each.process.poll() is not None]
      for each in ended:
        running.remove(each)
        on_end(each.job, time.monotonic() - each.started, each.process.returncode)
      if ended:
        candidates = next_jobs()
  except Exception:
    _ask(running, signal.SIGINT)  # which gives them all the time that they need
    for each in running:
      each.process.wait()
    raise
  finally:
    for each in running:  # after a second Ctrl-C
      if each.process.poll() is None:
        each.process.kill()
        each.process.wait()


def _start(job: Job, processes: int, lock: TextIO) -> _Running:
  job.folder.mkdir(parents=True, exist_ok=True)
  with open(job.output, 'w', encoding='utf-8') as output:
    process = child_processes.start(job.command, _variables(processes), stdout=output, stderr=subprocess.STDOUT, pass_fds=(lock.fileno(),))
  return _Running(job, process, time.monotonic())


def _ask(running: Sequence[_Running], number: int) -> None:
  for each in running:
    each.process.send_signal(number)


def explain(job: Job, code: int) -> str:
  """Why a job failed, in one line."""
  lines = job.output.read_text(encoding='utf-8', errors='replace').strip().splitlines()
  if code == errors.MISTAKE and lines:
    return f'{job.name}: {errors.one_line(lines[-1]).removeprefix("error: ")}'
  how = f'signal {-code}' if code < 0 else f'exit code {code}'
  return f'{job.name} ended with {how}, see {job.output}; the same command continues'
