"""Images in IDX files, the format of MNIST and of the datasets that took its place, as builders of tensorflow-datasets.

tensorflow-datasets has these datasets, but only downloads them. What is prepared here from files is the same dataset in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
import gzip
import math
import os
import re
import zlib

import numpy as np
import tensorflow_datasets as tfds

DEBIAN = {'fashion_mnist': ('dataset-fashion-mnist', '/usr/share/datasets/fashion-mnist')}  # package, and where it puts the files

_PARTS = {'train': 'train', 'test': 't10k|test'}
_KINDS = {'images': 3, 'labels': 1}  # and the dimensions of their files
_UINT8 = b'\0\0\x08'
_GZIP = b'\x1f\x8b'
_MAX_BYTES = 2**30

Parts = Mapping[str, tuple[np.ndarray, np.ndarray]]  # uint8 images [images, height, width] and labels [images] of 'train' and 'test'


def folders(own: tfds.core.DatasetBuilder) -> list[str]:
  """Where the IDX files of a dataset may lie: in its data_dir, and where a package of Debian puts them."""
  return [str(own.data_dir_root), *([DEBIAN[own.name][1]] if own.name in DEBIAN else [])]


def find_files(own: tfds.core.DatasetBuilder) -> dict[tuple[str, str], str]:
  """The IDX files of a dataset of tensorflow-datasets, by (part, kind); none if there are none.

  Raises:
    ValueError: A folder has some of the four, and not all.
  """
  prefix = f'emnist-{own.builder_config.name}-' if own.name == 'emnist' else ''
  return next((found for found in (_find(folder, prefix) for folder in folders(own)) if found), {})


def _find(folder: str, prefix: str) -> dict[tuple[str, str], str]:
  """Those in a folder, whose names begin with a prefix."""
  names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
  found, missing = {}, []
  for part, words in _PARTS.items():
    for kind, dimensions in _KINDS.items():
      pattern = re.compile(rf'{re.escape(prefix)}({words})-{kind}[-.]idx{dimensions}-ubyte(\.gz)?')
      matching = [name for name in names if pattern.fullmatch(name)]
      if matching:
        found[part, kind] = os.path.join(folder, matching[0])
      else:
        missing.append(f'{prefix}{words.split("|")[0]}-{kind}-idx{dimensions}-ubyte')
  if found and missing:
    raise ValueError(f'{folder} holds IDX files, but lacks {", ".join(missing)} (or the same with .gz)')
  return found


def read(path: str) -> np.ndarray:
  """The array of bytes in an IDX file.

  Args:
    path: The file, compressed by gzip or not.

  Returns:
    uint8 of the file's shape.

  Raises:
    ValueError: The file is damaged, cut off, or something else; one line.
    OSError: It cannot be read.
  """
  try:
    with open(path, 'rb') as file:
      packed = file.read(2) == _GZIP
    with gzip.open(path) if packed else open(path, 'rb') as file:
      content = file.read(_MAX_BYTES + 1)
  except (EOFError, zlib.error, gzip.BadGzipFile) as error:
    raise ValueError(f'{path} is damaged: {error}') from error
  dimensions = content[3] if len(content) > 3 else 0
  start = 4 + 4 * dimensions
  if content[:3] != _UINT8 or not 1 <= dimensions <= max(_KINDS.values()) or len(content) < start:
    raise ValueError(f'{path} is not an IDX file of images or labels in bytes: it begins with {content[:4].hex(" ") or "nothing"}')
  shape = np.frombuffer(content[4:start], '>u4').tolist()
  if len(content) - start != math.prod(shape):
    raise ValueError(f'{path} is damaged: by its header it holds {" x ".join(map(str, shape))} bytes, and there are '
                     f'{"more" if len(content) > _MAX_BYTES else len(content) - start}')
  return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_parts(paths: Mapping[tuple[str, str], str], features: tfds.features.FeaturesDict) -> Parts:
  """Images and labels of the files that `find_files` found.

  Args:
    paths: Four paths.
    features: Features of the dataset: the shape of an image and the number of classes.

  Raises:
    ValueError: A file is damaged, or of another dataset; one line.
    OSError: It cannot be read.
  """
  parts = {}
  for part in _PARTS:
    images, labels = (read(paths[part, kind]) for kind in _KINDS)
    path, shape, classes = paths[part, 'images'], tuple(features['image'].shape[:2]), features['label'].num_classes
    if images.ndim != 3 or not len(images) or images.shape[1:] != shape:
      raise ValueError(f'{path} must hold images of {" x ".join(map(str, shape))} pixels, its shape is {list(images.shape)}')
    if labels.shape != images.shape[:1]:
      raise ValueError(f'{paths[part, "labels"]} must hold a label for each of {len(images):,} images, its shape is {list(labels.shape)}')
    if labels.max() >= classes:
      raise ValueError(f'{paths[part, "labels"]} holds the label {labels.max()}, the dataset has {classes} classes')
    parts[part] = images, labels
  return parts


def make_builder(own: tfds.core.DatasetBuilder, parts: Parts) -> tfds.core.DatasetBuilder:
  """A builder that prepares what tensorflow-datasets' own would, from images that are here."""

  class FromIdx(type(own), skip_registration=True):
    """The same dataset."""

    name = own.name

    def _split_generators(self, dl_manager):
      del dl_manager  # nothing to download
      return {part: self._generate_examples(*arrays) for part, arrays in parts.items()}

    def _generate_examples(self, images, labels):
      for index, (image, label) in enumerate(zip(images, labels)):
        yield index, {'image': image[..., np.newaxis], 'label': int(label)}

  return FromIdx(data_dir=own.data_dir_root, config=own.builder_config, version=str(own.version))
