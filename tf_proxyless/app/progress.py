"""Progress of searches and trainings: a bar, the log, and TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import os
from typing import Any, TYPE_CHECKING

from absl import logging

from tf_proxyless.infra import progress
from tf_proxyless.report import units

if TYPE_CHECKING:  # it loads TensorFlow
  from tf_proxyless.search import plan as plan_lib


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


def describe(plan: Sequence[plan_lib.Part], devices: str = 'this machine') -> str:
  """What a search will cost on some devices, in a line."""
  total = sum(part.seconds for part in plan)
  each = ', '.join(f'{part.name} {units.count(part.images)} images ({100 * part.seconds / total:.0f} %)' for part in plan)
  return f'plan: about {units.duration(total)} on {devices}; {each}'


def describe_reading(plan: Sequence[plan_lib.Part], images_per_second: float) -> str:
  """Whether images come as fast as weight steps take them, in a line; on a CPU both use the same cores."""
  steps = next(part.images / part.seconds for part in plan if part.name == 'weights')
  slower = 'reading images' if images_per_second < steps else 'the steps'
  return f'plan: images can be read at {images_per_second:,.0f} a second, weight steps take {steps:,.0f}: {slower} will be the bottleneck'


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

  def __init__(self, logs: os.PathLike | None, format_cost: Callable[[float], str]):
    """Without a directory for TensorBoard nothing is shown or written, as by all workers but the chief."""
    self._shown = logs is not None
    self._bar = progress.hidden()
    self._format_cost = format_cost
    self._tensorboard = _TensorBoard(logs)

  def start(self, text: str, total: int, done: int) -> None:
    """Shows a new bar."""
    self.close()
    self._bar = progress.bar(text, total, done, 'step') if self._shown else progress.hidden()

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
      done: Steps done before.
    """
    self._bar = progress.hidden() if logs is None else progress.bar(text, total, done, 'step')
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
