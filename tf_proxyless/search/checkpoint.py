"""All state of a search in one checkpoint, so that an interrupted search ends as an uninterrupted one, bit for bit."""

from __future__ import annotations

import tensorflow as tf

from tf_proxyless.infra import run_directory as run_directory_lib
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import run_directory
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import base


class Progress(tf.Module):
  """Where a search stands.

  Attributes:
    epoch: int64, the epoch under way; steps of it done: `step`.
    step: int64.
    loss_sum, correct, images: float64 and int64 sums over the epoch so far.
    samples: int64, scored networks in the file of samples.
  """

  def __init__(self):
    super().__init__(name='progress')
    integer = lambda name: tf.Variable(0, dtype=tf.int64, trainable=False, name=name)
    self.epoch, self.step, self.correct, self.images, self.samples = map(
        integer, ('epoch', 'step', 'correct', 'images', 'samples'))
    self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False, name='loss_sum')

  def start_epoch(self, epoch: int) -> None:
    """Stands before the first step of an epoch."""
    self.epoch.assign(epoch)
    for variable in (self.step, self.correct, self.images):
      variable.assign(0)
    self.loss_sum.assign(0.0)


class Checkpoint:
  """Saves and restores a search in its run directory; the two newest checkpoints are kept."""

  def __init__(self, run: run_directory.RunDirectory, supernet: supernet_lib.Supernet, optimizer: weight_optimizer.SupernetSGD,
               architecture: base.ArchitectureOptimizer, progress: Progress):
    self._checkpoint = tf.train.Checkpoint(
        supernet=supernet, optimizer=optimizer, architecture=architecture, progress=progress)
    self._run = run

  def save(self) -> None:
    """Writes a checkpoint, and deletes all but the two newest."""
    self._run.add_checkpoint(self._checkpoint.write)

  def restore(self) -> bool:
    """Restores the newest checkpoint.

    Returns:
      Whether there was one.

    Raises:
      ValueError: It is damaged or of another search.
    """
    newest = self._run.newest_checkpoint()
    if newest is None:
      return False
    with run_directory_lib.restoring(newest):
      self._checkpoint.read(newest).assert_consumed()
    return True


def restore_architecture(run: run_directory.RunDirectory, architecture: base.ArchitectureOptimizer) -> None:
  """Restores the architecture optimizer alone from the newest checkpoint of a run.

  Raises:
    ValueError: There is none, or it is damaged or of another search.
  """
  newest = run.newest_checkpoint()
  if newest is None:
    raise ValueError(f'{run.checkpoints} holds no checkpoint; run the search first')
  with run_directory_lib.restoring(newest):
    tf.train.Checkpoint(architecture=architecture).read(newest).assert_existing_objects_matched().expect_partial()
