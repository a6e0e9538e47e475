"""What callers may give as images: arrays, tf.data datasets, or the name of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def open_source(train: Any, validation: Any = None, test: Any = None, class_names: Sequence[str] | None = None) -> tuple[
    str, np.ndarray | None]:
  """The name by which `data.sources.open_dataset` finds the images in this process, and which of them are for validation.

  Args:
    train: The name of a dataset ('digits', 'folder:PATH', a name of tensorflow-datasets), (images, labels), or a tf.data.Dataset.
    validation: Like `train`, but no name; None takes them from the training images.
    test: Likewise.
    class_names: Names by label, for arrays and datasets.

  Raises:
    TypeError, ValueError: The data is not of that kind.
  """
  from tf_proxyless.data import arrays
  from tf_proxyless.data import sources

  if isinstance(train, str):
    if validation is not None or test is not None or class_names is not None:
      raise ValueError(f'the dataset {train!r} has its own validation and test images and class names; leave the other arguments out')
    return train, None
  source, held_out = arrays.open_arrays(train, validation, test, class_names)
  sources.keep_in_memory(source)
  return source.name, held_out
