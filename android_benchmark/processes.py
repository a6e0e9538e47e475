"""Child processes that have a time limit and that Ctrl-C does not reach."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib
import signal
import subprocess


def run(command: Sequence[str], timeout_s: float, everything: bool = False) -> subprocess.CompletedProcess:
  """Runs a program to its end, with nothing on its standard input.

  It gets a session of its own: Ctrl-C in a terminal goes to the whole foreground group, and settings are still to be restored
  through adb (whose server is a child too) after it.

  Args:
    command: Program and arguments.
    timeout_s: Seconds after which it is killed.
    everything: Whether what it started is killed with it.

  Returns:
    Exit code, negative for a signal, and output as text.

  Raises:
    subprocess.TimeoutExpired: It was killed.
    OSError: There is no such program.
  """
  process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
  try:
    stdout, stderr = process.communicate(timeout=timeout_s)
  except BaseException:  # Ctrl-C among them: nobody waits for it any more
    if everything:
      kill_session(process.pid)
    process.kill()
    for pipe in (process.stdout, process.stderr):
      pipe.close()
    process.wait()
    raise
  return subprocess.CompletedProcess(command, process.returncode, stdout.decode(errors='replace'), stderr.decode(errors='replace'))


def kill_session(leader: int) -> None:
  """Kills all processes of a session. Its process group alone is not enough: `timeout` puts itself into one of its own."""
  try:
    os.killpg(leader, signal.SIGKILL)
  except ProcessLookupError:
    pass  # it has ended, what it started may not have
  for member in _session(leader):
    try:
      os.kill(member, signal.SIGKILL)
    except ProcessLookupError:
      pass


def _session(leader: int) -> list[int]:
  """Process numbers in a session, where /proc shows them."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      if os.getsid(int(path.name)) == leader:
        found.append(int(path.name))
    except (ProcessLookupError, PermissionError):
      pass  # ended meanwhile; or another user's
  return found
