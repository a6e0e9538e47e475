"""What a training shows while it runs. For mains only."""

from __future__ import annotations

import os
import sys

from absl import logging
import tensorflow as tf
import tqdm


class TrainingProgress:
  """A progress bar over all steps, shown on terminals only, and epochs for the log and TensorBoard."""

  def __init__(self, text: str, logs: os.PathLike | None, total: int, done: int):
    """Starts.

    Args:
      text: In front of the bar.
      logs: Directory for TensorBoard; None shows and writes nothing.
      total: Steps.
      done: Of these.
    """
    self._bar = tqdm.tqdm(total=total, initial=done, desc=text, unit='step', disable=logs is None or not sys.stderr.isatty(),
                          dynamic_ncols=True, leave=False)
    self._writer = tf.summary.create_noop_writer() if logs is None else tf.summary.create_file_writer(os.fspath(logs))

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
    with self._writer.as_default(step=entry['epoch']):
      for name, value in entry.items():
        if isinstance(value, float):
          tf.summary.scalar(name, value)
