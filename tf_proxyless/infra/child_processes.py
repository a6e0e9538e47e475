"""Child processes that receive signals once and die with the parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

from tf_proxyless.infra import errors

TERMINATED = 143
_ROOT = pathlib.Path(__file__).resolve().parents[2]  # also where the package is used without being installed

# Linux tells a process that whoever started it has ended (PR_SET_PDEATHSIG, kept by exec), even by SIGKILL. Set here rather than between
# fork and exec, where a process with TensorFlow's threads should run as little as possible.
_BEGINNING = ('import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.getppid() == int(sys.argv[1]) or sys.exit(143); '
              'os.execv(sys.executable, [sys.executable, *sys.argv[2:]])')


def environment() -> dict[str, str]:
  """Environment variables of a process that imports this package."""
  return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])}


def start(arguments: Sequence[str], variables: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen:
  """Starts Python on a module or script.

  It has a session of its own, so that Ctrl-C in a terminal reaches it through this process only; when this process ends, however it
  ends, the other gets SIGTERM (on Linux).

  Args:
    arguments: After the interpreter.
    variables: Environment variables that it has besides.
    **options: Arguments of subprocess.Popen: stdout, stderr, pass_fds.
  """
  beginning = ('-I', '-S', '-c', _BEGINNING, str(os.getpid())) if sys.platform == 'linux' else ()
  return subprocess.Popen([sys.executable, *beginning, *arguments], stdin=subprocess.DEVNULL, start_new_session=True,
                          env={**environment(), **(variables or {})}, **options)


def run(arguments: Sequence[str], **options: Any) -> int:
  """Runs Python on a main to its end, passing on SIGINT and SIGTERM; call it in the main thread.

  Args:
    arguments: After the interpreter.
    **options: Arguments of `start`.

  Returns:
    The exit code, 128 + n for a signal n.

  Raises:
    KeyboardInterrupt: SIGINT has ended it, or came meanwhile, whatever the process made of it.
    SystemExit: Likewise for SIGTERM, with 143.
  """
  received: list[int] = []
  process: subprocess.Popen | None = None

  def forward(number: int, frame: Any) -> None:
    del frame
    received.append(number)
    if process is not None:
      process.send_signal(number)

  before: dict[int, Any] = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    process = start(arguments, **options)
    for number in list(received):  # came before there was a process to have it
      process.send_signal(number)
    code = process.wait()
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
  code = code if code >= 0 else 128 - code
  for number in received:
    if callable(before[number]):
      before[number](number, None)
  if signal.SIGINT in received or code == errors.INTERRUPTED:
    raise KeyboardInterrupt
  if received or code == TERMINATED:
    sys.exit(TERMINATED)
  return code
