"""Child processes that have a time limit and that Ctrl-C does not reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

_KILL_ROUNDS = 200
_POLL_S = 0.1
_thread = threading.local()


@contextlib.contextmanager
def interruptible(interrupt: threading.Event) -> Iterator[None]:
  """A context in which an event is to this thread what Ctrl-C is to the main one, which alone gets that: it happens once."""
  _thread.interrupt = interrupt
  try:
    yield
  finally:
    _thread.interrupt = None


def sleep(seconds: float) -> None:
  """Sleeps, unless this thread is interrupted; see `check_interrupt`."""
  end = time.monotonic() + seconds
  while (left := end - time.monotonic()) > 0:
    check_interrupt()
    time.sleep(min(_POLL_S, left))


def check_interrupt() -> None:
  """For whoever waits in a thread.

  Raises:
    KeyboardInterrupt: The thread is interrupted; not again until the event is set again.
  """
  interrupt = getattr(_thread, 'interrupt', None)
  if interrupt is not None and interrupt.is_set():
    interrupt.clear()
    raise KeyboardInterrupt


def run(command: Sequence[str], timeout_s: float, everything: bool = False) -> subprocess.CompletedProcess:
  """Runs a program to its end, with nothing on its standard input.

  It gets a session of its own: Ctrl-C in a terminal goes to the whole foreground group, and settings are still to be restored
  through adb (whose server is a child too) after it.

  Args:
    command: Program and arguments.
    timeout_s: Seconds after which it is killed.
    everything: True kills the processes that it started too.

  Returns:
    Exit code, negative for a signal, and output as text.

  Raises:
    subprocess.TimeoutExpired: It was killed.
    KeyboardInterrupt: It was killed, because this thread is interrupted.
    OSError: There is no such program.
  """
  check_interrupt()
  with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        start_new_session=True) as process:
    try:
      stdout, stderr = _communicate(process, timeout_s)
    finally:
      if process.returncode is None:  # its time is over, or Ctrl-C: nobody waits for it any more
        if everything:
          kill_session(process.pid)
        process.kill()
        process.wait()
  return subprocess.CompletedProcess(command, process.returncode, stdout.decode(errors='replace'), stderr.decode(errors='replace'))


def _communicate(process: subprocess.Popen, timeout_s: float) -> tuple[bytes, bytes]:
  poll_s = timeout_s if getattr(_thread, 'interrupt', None) is None else _POLL_S
  end = time.monotonic() + timeout_s
  while True:
    try:
      return process.communicate(timeout=max(0.0, min(poll_s, end - time.monotonic())))
    except subprocess.TimeoutExpired:
      check_interrupt()
      if time.monotonic() > end:
        raise


def kill_session(leader: int) -> None:
  """Kills all processes of a session. Its process group alone is not enough: `timeout` puts itself into one of its own."""
  try:
    os.killpg(leader, signal.SIGKILL)
  except ProcessLookupError:
    pass  # it has ended, what it started may not have
  for _ in range(_KILL_ROUNDS):  # they start others meanwhile, and a signal takes its time
    members = _session(leader)
    if not members:
      return
    for member in members:
      try:
        os.kill(member, signal.SIGKILL)
      except ProcessLookupError:
        pass  # ended meanwhile
    time.sleep(0.01)


def _session(leader: int) -> list[int]:
  """Numbers of the processes in a session that have not ended, where /proc shows them."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      # After the program's name, which may hold anything: state, parent, process group, session.
      state, _, _, session = (path / 'stat').read_text(errors='replace').rpartition(')')[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError):
      continue  # ended meanwhile
    if int(session) == leader and state not in 'ZX':
      found.append(int(path.name))
  return found
