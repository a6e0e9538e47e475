"""Graceful shutdown: checkpoint on SIGINT or SIGTERM, hard exit 8 s after SIGTERM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
import signal
import threading
import types

from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import run_directory

DEADLINE_S = 8.0  # preemptible machines give ten at least
LATE_S = 1.0  # and a disk that hangs must not take the rest of them


class StopRequest:
  """Remembers SIGINT or SIGTERM, which ask a run to save and end. A second SIGINT ends it at once.

  Where the main thread does not come to ask in time, because it traces, evaluates or waits, the process ends 8 s after SIGTERM without
  saving: what is on the disk is whole at any moment, and the same command continues from there.

  Args:
    on_deadline: Called at the deadline in another thread, for a second at most; usually writes the status.
    deadline_s: Seconds from SIGTERM to the deadline.

  Attributes:
    signal: Number of the first signal; None before.
  """

  def __init__(self, on_deadline: Callable[[], None] = lambda: None, deadline_s: float = DEADLINE_S):
    self.signal: int | None = None
    self._on_deadline = on_deadline
    self._deadline_s = deadline_s
    self._settled = threading.Event()
    # A handler in Python has to wait until the main thread comes back from native code; the byte that announces it does not.
    self._reader, self._writer = os.pipe()
    os.set_blocking(self._writer, False)
    threading.Thread(target=self._watch, name='deadline', daemon=True).start()
    self.listen()

  def listen(self) -> None:
    """Takes the signals, again if a library has taken them meanwhile: TensorFlow takes SIGTERM where there are several workers.

    Only the main thread gets signals; in another nothing is taken, and nothing stops the run early.
    """
    if threading.current_thread() is not threading.main_thread():
      return
    signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, self._receive)

  def settle(self) -> None:
    """What is to be on the disk is there: the process may take its time to end."""
    self._settled.set()

  def _receive(self, number: int, frame: types.FrameType | None) -> None:
    self.signal = self.signal or number
    if number == signal.SIGINT:  # SIGTERM may come twice, to a process and to its group; it has its deadline
      signal.signal(number, signal.default_int_handler)

  def _watch(self) -> None:
    while signal.SIGTERM not in os.read(self._reader, 64):
      pass
    if not self._settled.wait(self._deadline_s):
      late = threading.Thread(target=self._late, daemon=True)
      late.start()
      late.join(LATE_S)
      os.write(2, b'\nstopped without saving, for lack of time; the same command continues from the last checkpoint\n')
      os._exit(0)

  def _late(self) -> None:
    with contextlib.suppress(OSError):  # for instance a full disk; without it the status says running, and that is found out
      self._on_deadline()

  def __call__(self) -> bool:
    return self.signal is not None

  @property
  def exit_code(self) -> int:
    """Exit code of a run that ended as requested."""
    return errors.INTERRUPTED if self.signal == signal.SIGINT else 0


@contextlib.contextmanager
def signals_given_back() -> Iterator[None]:
  """Afterwards signals go to whoever had them before, a notebook for instance."""
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
  wakeup = signal.set_wakeup_fd(-1)
  signal.set_wakeup_fd(wakeup)
  try:
    yield
  finally:
    signal.set_wakeup_fd(wakeup)
    for number, handler in before.items():
      signal.signal(number, handler)


@contextlib.contextmanager
def status_kept(run: run_directory.RunDirectory, write_status: Callable[..., object], stop: StopRequest) -> Iterator[None]:
  """Writes into the status of a run that it was interrupted or failed, where this comes as an exception.

  After SIGTERM while another process worked for the run, the block is left without an exception: the run ends with `stop.exit_code`.

  Args:
    run: Its directory. What fails before this process has written that the run is running, did not happen to the run.
    write_status: Its `write_status`, or one that does more.
    stop: Settled at the end.

  Raises:
    KeyboardInterrupt: After SIGINT.
    UserError: A file could not be written or read, for instance since the disk is full.
    Whatever else ended the run; the status says so, if there is room for it.
  """
  try:
    yield
  except KeyboardInterrupt:
    write_status('interrupted')
    raise
  except SystemExit as error:
    write_status('interrupted')
    if error.code != child_processes.TERMINATED or stop.signal != signal.SIGTERM:
      raise
  except BrokenPipeError:  # of what is printed
    raise
  except Exception as error:
    if run.written == 'running':
      with contextlib.suppress(OSError):
        write_status('failed', reason=errors.describe(error))
    if isinstance(error, (OSError, *errors.of_operations())):
      raise errors.UserError(errors.describe(error)) from error
    raise
  finally:
    stop.settle()
