"""report.html of a run: written by a search while it runs, and by tools/report.py. For mains only; loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import math
import time
from typing import Any

from absl import logging

from tf_proxyless import files
from tf_proxyless.mains import report_data
from tf_proxyless.mains import versions
from tf_proxyless.report import page
from tf_proxyless.search import run_directory

_PAUSE = 20.0  # times what the last report took: 5 % of a search at most


def write(run_dir: files.PathLike, output: files.PathLike, compare: Sequence[files.PathLike] = (), cards: Sequence[files.PathLike] = (),
          installed: Mapping[str, str] | None = None) -> None:
  """Writes the page of a run atomically; arguments as for `report_data.document`, `installed` for its `versions`.

  Raises:
    OSError: It cannot be written.
  """
  files.write_atomically(output, page.render(report_data.document(run_dir, compare, cards, installed)))


class RunReport:
  """The state and the report of the search that goes on in this process. A report that cannot be made ends no search: a warning says so.

  A refresh is left out as long as less than 20 times the time has passed that the last report took, so that a search gives at most 5 %
  of its time to them.

  Args:
    run: Of the search.
    clock: Seconds that never fall.
  """

  def __init__(self, run: run_directory.RunDirectory, clock: Callable[[], float] = time.monotonic):
    self._run = run
    self._clock = clock
    self._next = -math.inf
    self._warned = False

  def tell(self, state: str, **details: Any) -> None:
    """Writes status.json, see `RunFiles.write_status`, and the report."""
    self._run.write_status(state, **details)
    self._write()

  def refresh(self) -> None:
    """Writes the report, unless the last one is too recent."""
    if self._clock() >= self._next:
      self._write()

  def _write(self) -> None:
    start = self._clock()
    try:
      write(self._run.path, self._run.report, installed=versions.installed())
    except OSError as error:
      self._warn('%s cannot be written: %s', error.strerror or error)
    except Exception as error:  # a defect of the page must not cost anybody days of search; it is told with its traceback
      self._warn('%s could not be made, please report this: %r', error, exc_info=True)
    end = self._clock()
    self._next = end + _PAUSE * (end - start)

  def _warn(self, message: str, *details: Any, exc_info: bool = False) -> None:
    if not self._warned:
      logging.warning(message, self._run.report, *details, exc_info=exc_info)
    self._warned = True
