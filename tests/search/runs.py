"""A tiny search on digits as a user runs it: a process, its output, its exit code and its run directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

from tests import forks
from tf_proxyless.infra import run_directory as run_directory_lib

ROOT = forks.ROOT
environment = forks.environment

# Two decisions of seven choices between 30,880 and 435,872 multiply-adds; 8 weight steps an epoch.
TINY = (
    '--dataset=digits', '--validation_images=0.2', '--resolution=8', '--stem_filters=8', '--stem_strides=1',
    '--first_block_filters=8', '--stage_filters=8', '--stage_blocks=2', '--stage_strides=1', '--head_filters=16',
    '--target_macs=3e5', '--batch_size=128', '--validation_batch_size=100', '--warmup_epochs=2', '--search_epochs=3',
    '--weight_steps_per_update=2', '--checkpoint_every_steps=3', '--scored_networks=100')


def start(*arguments: str | os.PathLike, cwd: os.PathLike | None = None) -> forks.Process:
  """`python -m tf_proxyless.search` with arguments."""
  return forks.start('-m', 'tf_proxyless.search', *arguments, cwd=cwd)


def run(*arguments: str | os.PathLike, cwd: os.PathLike | None = None, limit_s: float = 600) -> subprocess.CompletedProcess:
  """The same, waited for."""
  return forks.run('-m', 'tf_proxyless.search', *arguments, cwd=cwd, timeout=limit_s)


def start_tool(name: str, *arguments: str | os.PathLike, cwd: os.PathLike | None = None) -> forks.Process:
  """`python tools/NAME.py` with arguments."""
  return forks.start(ROOT / 'tools' / f'{name}.py', *arguments, cwd=cwd)


def tool(name: str, *arguments: str | os.PathLike, cwd: os.PathLike | None = None, limit_s: float = 600,
         kind: str = 'tensorflow') -> subprocess.CompletedProcess:
  """The same, waited for; 'light' is faster for what does without TensorFlow, see `forks.start`."""
  return forks.run(ROOT / 'tools' / f'{name}.py', *arguments, cwd=cwd, timeout=limit_s, kind=kind)


def free_port() -> str:
  """A port of this machine that nobody listens at."""
  with socket.socket() as listener:
    listener.bind(('localhost', 0))
    return str(listener.getsockname()[1])


def start_as(tuner_id: str, port: str, *command: str | os.PathLike) -> forks.Process:
  """A command of tf-proxyless as a chief or worker of keras-tuner's."""
  names = {'KERASTUNER_TUNER_ID': tuner_id, 'KERASTUNER_ORACLE_IP': 'localhost', 'KERASTUNER_ORACLE_PORT': port}
  return forks.start('-m', 'tf_proxyless', *command, env={**environment(), **names})


def stop_when(process: forks.Process, reached, number: signal.Signals, limit_s: float = 300) -> subprocess.CompletedProcess:
  """Sends a signal as soon as `reached()` is true, and waits for the end."""
  deadline = time.monotonic() + limit_s
  while not reached():
    if process.poll() is not None or time.monotonic() > deadline:
      process.kill()
      stdout, stderr = process.communicate()
      raise AssertionError(f'ended with {process.returncode} before it was to be stopped:\n{stdout}\n{stderr}')
    time.sleep(0.005)
  process.send_signal(number)
  stdout, stderr = process.communicate(timeout=limit_s)
  return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def checkpoint_number(run: run_directory_lib.RunDirectory) -> int:
  """Of the newest checkpoint, 0 if there is none."""
  newest = run.newest_checkpoint()
  return 0 if newest is None else int(newest.rsplit('-', 1)[1])


def history(run: run_directory_lib.RunDirectory) -> list[dict]:
  """Its epochs but for the time that they took."""
  return [{name: value for name, value in entry.items() if name != 'seconds'} for entry in run.read_history()]


def variables(run: run_directory_lib.RunDirectory) -> dict:
  """Every variable of the newest checkpoint by its name."""
  import tensorflow as tf  # which most users of this module do without

  reader = tf.train.load_checkpoint(run.newest_checkpoint())
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name != '_CHECKPOINTABLE_OBJECT_GRAPH'}


def results(result: subprocess.CompletedProcess) -> list[str]:
  """The lines on stdout without those that say before the work what will be done."""
  return [line for line in result.stdout.splitlines() if not line.startswith(('space ', 'images ', 'plan: '))]


def check_mistake(result: subprocess.CompletedProcess, *messages: str, work_began: bool = False) -> None:
  """One line on stderr that holds the messages, nothing on stdout but the plan of work that began, exit code 2."""
  assert result.stderr.startswith('error: ') and result.stderr.count('\n') == 1, result.stderr
  for message in messages:
    assert message in result.stderr, result.stderr
  assert (results(result) if work_began else result.stdout.splitlines(), result.returncode) == ([], 2)
