"""Small datasets in the genuine IDX format."""

from __future__ import annotations

import gzip
import os
import pathlib
import struct

import numpy as np

COUNTS = {'train': 40, 'test': 20}


def images(part: str, count: int | None = None, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
  """uint8 [count, 28, 28] and labels, which go round: noise in which the row of the class is bright."""
  count = COUNTS[part] if count is None else count
  pixels = np.random.default_rng(len(part)).integers(0, 100, (count, 28, 28), np.uint8)
  labels = np.arange(count, dtype=np.uint8) % classes
  pixels[np.arange(count), 2 * labels.astype(int) % 28] = 250
  return pixels, labels


def encode(array: np.ndarray) -> bytes:
  """An IDX file of bytes."""
  return b'\0\0\x08' + struct.pack(f'>B{array.ndim}I', array.ndim, *array.shape) + array.tobytes()


def write(folder: str | os.PathLike, prefix: str = '', test: str = 't10k', packed: bool = True, counts: dict[str, int] = COUNTS) -> str:
  """Writes the four files of a dataset.

  Args:
    folder: Folder to write to.
    prefix: Prefix of the file names.
    test: The name of the test set.
    packed: Whether they are compressed.
    counts: Images by part.
  """
  pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
  for part, name in (('train', 'train'), ('test', test)):
    pixels, labels = images(part, counts[part])
    for kind, array in (('images-idx3', pixels), ('labels-idx1', labels)):
      content = encode(array)
      path = pathlib.Path(folder) / f'{prefix}{name}-{kind}-ubyte{".gz" * packed}'
      path.write_bytes(gzip.compress(content, 1) if packed else content)
  return str(folder)
