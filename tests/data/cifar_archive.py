"""A tiny CIFAR-10 in the genuine binary format, put where tensorflow-datasets keeps a finished download."""

from __future__ import annotations

import io
import pathlib
import tarfile

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource

NAMES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')


def images(part: int, count: int) -> tuple[np.ndarray, np.ndarray]:
  """uint8 [count, 32, 32, 3] and labels of one of the six files; the labels go round."""
  pixels = np.random.default_rng(part).integers(0, 256, (count, 32, 32, 3), np.uint8)
  return pixels, np.arange(count, dtype=np.uint8) % 10


def place(data_dir: str, images_per_file: int = 20) -> None:
  """Writes the archive of five training files and a test file into the download cache of a data_dir."""
  url, _, checksum, _ = tfds.core.tfds_path('url_checksums/cifar10.txt').read_text().split()
  cache = pathlib.Path(data_dir) / 'downloads' / 'cifar10'
  cache.mkdir(parents=True)
  path = cache / resource.get_dl_fname(url, checksum)
  with tarfile.open(path, 'w:gz') as archive:
    _add(archive, 'batches.meta.txt', '\n'.join(NAMES).encode())
    for part, name in enumerate(['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch']):
      pixels, labels = images(part, images_per_file)
      rows = np.concatenate([labels[:, np.newaxis], pixels.transpose(0, 3, 1, 2).reshape(images_per_file, -1)], axis=1)
      _add(archive, f'{name}.bin', rows.tobytes())
  path.with_suffix(path.suffix + '.INFO').write_text('{}')


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
  entry = tarfile.TarInfo(f'cifar-10-batches-bin/{name}')
  entry.size = len(content)
  archive.addfile(entry, io.BytesIO(content))
