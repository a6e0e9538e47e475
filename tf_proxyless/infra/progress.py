"""Progress bars on a terminal, with the time left; not shown elsewhere, nor if warnings are not logged either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
import sys
import threading
from typing import Any, TypeVar

from absl import logging
import tqdm

_REFRESH_SECONDS = 1.0
_Item = TypeVar('_Item')


def visible() -> bool:
  """Whether bars are shown."""
  return sys.stderr.isatty() and logging.get_verbosity() >= logging.WARNING


def bar(text: str, total: int | None, done: int = 0, unit: str = 'it') -> tqdm.tqdm:
  """A bar on stderr, which is gone once it is closed.

  Args:
    text: In front of it.
    total: Of whatever `unit` names; None if that is not known, which leaves the time it took so far.
    done: Of these, before now.
    unit: For the speed.
  """
  return tqdm.tqdm(total=total, initial=done, desc=text, unit=unit, disable=not visible(), dynamic_ncols=True, leave=False, file=sys.stderr)


def hidden() -> tqdm.tqdm:
  """A bar that is never shown."""
  return tqdm.tqdm(disable=True)


def over(items: Iterable[_Item], text: str, total: int | None, unit: str = 'it') -> Iterator[_Item]:
  """Yields items under a bar; arguments as for `bar`."""
  with bar(text, total, unit=unit) as shown:
    for item in items:
      yield item
      shown.update()


def over_batches(batches: Any, text: str) -> Iterator[Any]:
  """The same for a tf.data.Dataset, which mostly knows how many batches it has."""
  count = int(batches.cardinality())
  return over(batches, text, count if count >= 0 else None, 'batch')


def counter(text: str) -> Callable[[int, int], None]:
  """A function of what is done and how much there is, which shows a bar until all is done."""
  shown: list[tqdm.tqdm] = []

  def update(done: int, total: int) -> None:
    if not shown:
      shown.append(bar(text, total))
    shown[0].update(done - shown[0].n)
    if done == total:
      shown[0].close()

  return update


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
  """Shows for how long something is under way of which nobody knows how long it takes."""
  if not visible():
    yield
    return
  ended = threading.Event()
  with tqdm.tqdm(desc=text, bar_format='{desc}: {elapsed}', leave=False, file=sys.stderr) as shown:
    def refresh() -> None:
      while not ended.wait(_REFRESH_SECONDS):
        shown.refresh()

    thread = threading.Thread(target=refresh, daemon=True)
    thread.start()
    try:
      yield
    finally:
      ended.set()
      thread.join()
