"""Runs a training or a fine-tuning with progress and status."""

from __future__ import annotations

from collections.abc import Callable
import sys

from tf_proxyless.app import progress as progress_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import shutdown
from tf_proxyless.train import loop
from tf_proxyless.train import run_directory
from tf_proxyless.train import trainer as trainer_lib


def run(text: str, directory: run_directory.RunDirectory, write_status: Callable[..., object], trainer: trainer_lib.Trainer,
        training: loop.Training, stop: shutdown.StopRequest) -> bool:
  """Trains to the end, or until it is asked to stop.

  Args:
    text: What is done, for the progress bar.
    directory: Directory of the run.
    write_status: See `run_directory.RunDirectory`.
    trainer: Trainer of the network.
    training: Its loop, prepared.
    stop: Asked after each step.

  Returns:
    Whether it came to the end.

  Raises:
    UserError: A loss was not finite.
  """
  progress = progress_lib.TrainingProgress(text, directory.logs if trainer.is_chief else None, trainer.recipe.steps,
                                           int(trainer.progress.total_steps))
  try:
    finished = training.run(loop.Observer(progress.on_steps, progress.on_epoch, stop))
  except trainer_lib.NotFiniteError as error:
    write_status('failed', reason=str(error), repeats=True)
    raise errors.UserError(str(error)) from error
  finally:
    progress.close()
  if not finished:
    write_status('interrupted', epoch=training.epoch, step=training.step)
    print(f'stopped and saved; the same command continues in {directory.path}', file=sys.stderr)
  return finished
