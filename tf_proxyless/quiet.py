"""Loads TensorFlow without what its native libraries print about absent GPUs and CPU instructions."""

from __future__ import annotations

import os
import sys
import tempfile


def load_tensorflow() -> None:
  """Imports TensorFlow and looks for devices; what was printed meanwhile is shown only if that fails.

  Its native libraries write before any log level of theirs applies, so the file descriptor is diverted.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  sys.stderr.flush()
  saved = os.dup(2)
  with tempfile.TemporaryFile() as sink:
    os.dup2(sink.fileno(), 2)
    try:
      import tensorflow as tf

      tf.config.list_logical_devices()
    except BaseException:
      sink.seek(0)
      os.write(saved, sink.read())
      raise
    finally:
      sys.stderr.flush()
      os.dup2(saved, 2)
      os.close(saved)
