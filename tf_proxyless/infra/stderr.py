"""Suppresses what native libraries write to stderr; loads TensorFlow quietly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
import sys
import tempfile
from typing import TypeVar

_T = TypeVar('_T')


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
  """A context in which nothing reaches stderr; the text is shown only after an exception.

  Native libraries write by themselves, so the file descriptor is diverted.
  """
  sys.stderr.flush()
  saved = os.dup(2)
  with tempfile.TemporaryFile() as sink:
    os.dup2(sink.fileno(), 2)
    try:
      yield
    except BaseException:
      sys.stderr.flush()
      sink.seek(0)
      os.write(saved, sink.read())
      raise
    finally:
      sys.stderr.flush()
      os.dup2(saved, 2)
      os.close(saved)


def _list_devices() -> None:
  import tensorflow as tf

  tf.config.list_logical_devices()


def load_tensorflow(then: Callable[[], _T] = _list_devices) -> _T:
  """Imports TensorFlow and looks for devices, without what its libraries print about absent GPUs and CPU instructions.

  They write before any log level of theirs applies.

  Args:
    then: Called at once, for instance to configure TensorFlow before it looks for devices.

  Returns:
    The result of `then`.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  with suppress_stderr():
    return then()
