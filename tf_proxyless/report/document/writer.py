"""report.html of a run: written by a search while it runs, and by tools/report.py. Loads no TensorFlow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging

from tf_proxyless.infra import files
from tf_proxyless.infra import versions
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.search import run_directory

_PAUSE = 20.0  # times what the last report took: 5 % of a search at most


def write(run_dir: files.PathLike, output: files.PathLike, cards: Sequence[files.PathLike],
          headings: Mapping[str, str] | None = None) -> None:
  """Writes the page of a run atomically; arguments as for `document_lib.document`.

  Raises:
    OSError: It cannot be written.
  """
  files.write_atomically(output, page_lib.render(document_lib.document(run_dir, cards=cards, headings=headings)))


class RunReport:
  """State and report of the search in this process. A report that cannot be made is a warning, and does not end the search.

  A refresh is left out as long as less than 20 times the time has passed that the last report took, so that a search gives at most 5 %
  of its time to them.

  Args:
    run: Directory of the search.
    clock: Monotonic clock, in seconds.
    headings: See `document_lib.document`.
  """

  def __init__(self, run: run_directory.RunDirectory, clock: Callable[[], float] = time.monotonic,
               headings: Mapping[str, str] | None = None):
    self._run = run
    self._headings = headings
    self._clock = clock
    self._next = -math.inf
    self._warned = False
    self._document: dict[str, Any] | None = None  # of the last report

  def write_status(self, state: str, **details: Any) -> None:
    """Writes status.json, see `RunDirectory.write_status`, and the report."""
    self._run.write_status(state, **details)
    self._write()

  def refresh(self) -> None:
    """Writes the report, unless the last one is too recent."""
    if self._clock() >= self._next:
      self._write()

  def on_deadline(self) -> None:
    """Writes that the search was interrupted, in other respects the last report again: for when there is no time to read the run.

    Raises:
      OSError: A file cannot be written.
    """
    self._run.write_status(document_lib.INTERRUPTED)
    if self._document is not None:
      run = {**self._document['runs'][0], 'state': document_lib.INTERRUPTED, 'refreshing': False}
      files.write_atomically(self._run.report, page_lib.render({**self._document, 'runs': [run]}))

  def _write(self) -> None:
    if not self._run.writes:
      return
    start = self._clock()
    try:
      self._document = document_lib.document(self._run.path, versions=versions.installed(), headings=self._headings)
      files.write_atomically(self._run.report, page_lib.render(self._document))
    except OSError as error:
      self._warn('%s cannot be written: %s', error.strerror or error)
    except Exception as error:  # a defect of the page must not cost anybody days of search; it is logged with its traceback
      self._warn('%s could not be made, please report this: %r', error, exc_info=True)
    end = self._clock()
    self._next = end + _PAUSE * (end - start)

  def _warn(self, message: str, *details: Any, exc_info: bool = False) -> None:
    if not self._warned:
      logging.warning(message, self._run.report, *details, exc_info=exc_info)
    self._warned = True
