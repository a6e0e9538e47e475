"""What commands show while they run: bars with the time left, and epochs for the log and for TensorBoard. For mains and their parts.

Bars are for people: they are shown on terminals only, and with --verbosity below that of warnings not there either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from absl import logging
import tqdm

if TYPE_CHECKING:  # mains show bars before they load it
  import tensorflow as tf

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


def _no_bar() -> tqdm.tqdm:
  return tqdm.tqdm(disable=True)


def over(items: Iterable[_Item], text: str, total: int | None, unit: str = 'it') -> Iterator[_Item]:
  """Yields items under a bar; arguments as for `bar`."""
  with bar(text, total, unit=unit) as shown:
    for item in items:
      yield item
      shown.update()


def over_batches(batches: tf.data.Dataset, text: str) -> Iterator[Any]:
  """The same for batches, of which datasets mostly know how many there are."""
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


def scalars(entry: Mapping[str, Any]) -> dict[str, float]:
  """The numbers of an entry of history.jsonl by name; lists and objects in it give a name for each number, with / between."""
  found = {}
  for name, value in entry.items():
    if isinstance(value, (list, tuple)):
      value = {str(index): item for index, item in enumerate(value)}
    if isinstance(value, Mapping):
      found.update({f'{name}/{below}': number for below, number in scalars(value).items()})
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
      found[name] = float(value)
  return found


class _TensorBoard:
  """Puts what history.jsonl has into TensorBoard, under the same names."""

  def __init__(self, logs: os.PathLike | None):
    import tensorflow as tf

    self._tf = tf
    self._writer = tf.summary.create_noop_writer() if logs is None else tf.summary.create_file_writer(os.fspath(logs))

  def write(self, entry: Mapping[str, Any]) -> None:
    with self._writer.as_default(step=entry['epoch']):
      for name, number in scalars(entry).items():
        if name != 'epoch':
          self._tf.summary.scalar(name, number)
    self._writer.flush()


class SearchProgress:
  """A bar over all steps of a search, or of what follows it, and its epochs for the log and TensorBoard."""

  def __init__(self, logs: os.PathLike, format_cost: Callable[[float], str]):
    self._bar = _no_bar()
    self._format_cost = format_cost
    self._tensorboard = _TensorBoard(logs)

  def start(self, text: str, total: int, done: int) -> None:
    """Shows a new bar."""
    self.close()
    self._bar = bar(text, total, done, 'step')

  def close(self) -> None:
    """Removes the bar."""
    self._bar.close()

  def on_step(self, loss: float, accuracy: float, state: dict[str, float]) -> None:
    """See `search.loop.Observer`."""
    self._bar.set_postfix_str(f'loss {loss:.3f}, accuracy {100 * accuracy:.1f} %, '
                              f'expected cost {self._format_cost(state["expected_cost"])}', refresh=False)
    self._bar.update()

  def on_scored(self, accuracy: float) -> None:
    """See `search.loop.Observer`."""
    self._bar.set_postfix_str(f'accuracy {100 * accuracy:.1f} %', refresh=False)
    self._bar.update()

  def on_epoch(self, entry: dict) -> None:
    """See `search.loop.Observer`."""
    logging.info('epoch %d (%s): loss %.4f, accuracy %.2f %%, most likely network %.2f %% at %s, expected cost %s', entry['epoch'],
                 entry['phase'], entry['loss'], 100 * entry['accuracy'], 100 * entry['most_likely_accuracy'],
                 self._format_cost(entry['most_likely_cost']), self._format_cost(entry['expected_cost']))
    self._tensorboard.write(entry)


class TrainingProgress:
  """A bar over all steps of a training, and its epochs for the log and TensorBoard."""

  def __init__(self, text: str, logs: os.PathLike | None, total: int, done: int):
    """Starts.

    Args:
      text: In front of the bar.
      logs: Directory for TensorBoard; None shows and writes nothing, as all workers but the chief do.
      total: Steps.
      done: Of these.
    """
    self._bar = _no_bar() if logs is None else bar(text, total, done, 'step')
    self._tensorboard = _TensorBoard(logs)

  def close(self) -> None:
    """Removes the bar."""
    self._bar.close()

  def on_steps(self, steps: int, figures: dict[str, float]) -> None:
    """See `train.loop.Observer`."""
    self._bar.set_postfix_str(f'loss {figures["loss"]:.3f}, accuracy {100 * figures["accuracy"]:.1f} %', refresh=False)
    self._bar.update(steps)

  def on_epoch(self, entry: dict) -> None:
    """See `train.loop.Observer`."""
    evaluated = f', evaluation {100 * entry["evaluation_top1"]:.2f} %' if 'evaluation_top1' in entry else ''
    logging.info('epoch %d: loss %.4f, accuracy %.2f %%%s', entry['epoch'], entry['loss'], 100 * entry['accuracy'], evaluated)
    self._tensorboard.write(entry)
