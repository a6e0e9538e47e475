"""Suppresses what native libraries write by themselves; loads TensorFlow quietly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
import sys
import tempfile
from typing import TextIO, TypeVar

_T = TypeVar('_T')


def suppress_stderr() -> contextlib.AbstractContextManager[None]:
  """A context in which nothing reaches stderr; the text is shown only after an exception.

  Native libraries write by themselves, so the file descriptor is diverted.
  """
  return _suppress(2, sys.stderr)


def suppress_stdout() -> contextlib.AbstractContextManager[None]:
  """The same of stdout."""
  return _suppress(1, sys.stdout)


@contextlib.contextmanager
def _suppress(descriptor: int, stream: TextIO) -> Iterator[None]:
  stream.flush()
  saved = os.dup(descriptor)
  with tempfile.TemporaryFile() as sink:
    os.dup2(sink.fileno(), descriptor)
    try:
      yield
    except BaseException:
      stream.flush()
      sink.seek(0)
      os.write(saved, sink.read())
      raise
    finally:
      stream.flush()
      os.dup2(saved, descriptor)
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
