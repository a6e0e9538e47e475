"""The processes that work in one run directory, each of which has a lock of its own. Loads no TensorFlow before it is asked to."""

from __future__ import annotations

import pathlib
from typing import Any, TextIO

from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import stderr as stderr_lib


class Workers:
  """The processes that work in a run directory, each of which locks a folder of its own."""

  def __init__(self, run: files.PathLike):
    self.path = pathlib.Path(run) / 'workers'

  def join(self, tuner_id: str) -> TextIO:
    """The lock of a process, which its trials keep.

    Raises:
      ValueError: Another process has this id; the message names it.
    """
    folder = self.path / tuner_id
    folder.mkdir(parents=True, exist_ok=True)
    return locking.take(folder)

  def is_alive(self, tuner_id: str) -> bool:
    """Whether a process, or what it has started, still works; True where that cannot be known."""
    return not locking.is_free(self.path / tuner_id)


def load_chief() -> Any:
  """Loads `chief` and its `oracles`, with keras-tuner and TensorFlow, but no device: these are for the trials."""

  def load() -> Any:
    from tf_proxyless.app import chief

    return chief

  return stderr_lib.load_tensorflow(load)
