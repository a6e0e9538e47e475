"""Labelled, still encoded images with random access, wherever they lie.

A `Records` has `ids`, `labels`, `fingerprints`, `attach_images`, and `pixels`, which are None but of small datasets. Random access is what
makes the order of training a full permutation, a resumed epoch start at once, and a validation set that is scattered over a large dataset
cheap to read.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import math
import os
from typing import ClassVar, Union

import numpy as np
import tensorflow as tf

from tf_proxyless.data import crops
from tf_proxyless.data import selection

DECODED_BYTES = 2**28  # images up to this size are decoded once

_DECODED_AT_ONCE = 500
_PNG = b'\x89PNG'
_RECORD_OVERHEAD_BYTES = 16  # a TFRecord is length (8 bytes), its checksum (4), data, checksum of the data (4)
_PARALLEL_READS = 16

EXAMPLE_FEATURES = {'image': tf.io.FixedLenFeature([], tf.string), 'label': tf.io.FixedLenFeature([], tf.int64)}


@dataclasses.dataclass(frozen=True, eq=False)
class InMemory:
  """Records whose encoded images are held in memory.

  Attributes:
    ids: Bytes [examples], sorted and unique.
    labels: int64 [examples].
    images: string tensor [examples] of encoded images.
    shape: (height, width, channels) of every image; None where they differ.
  """

  ids: np.ndarray
  labels: np.ndarray
  images: tf.Tensor
  shape: tuple[int, int, int] | None = None

  def select(self, positions: np.ndarray) -> InMemory:
    """The records at some positions."""
    return InMemory(self.ids[positions], self.labels[positions], tf.gather(self.images, positions), self.shape)

  @functools.cached_property
  def pixels(self) -> tf.Tensor | None:
    """The images decoded, uint8 [examples, *shape], at the first use; None where shapes differ or they take over `DECODED_BYTES`."""
    if self.shape is None or len(self.ids) * math.prod(self.shape) > DECODED_BYTES:
      return None
    all_png = tf.reduce_all(tf.strings.substr(self.images, 0, len(_PNG)) == _PNG)
    decode = tf.io.decode_png if all_png else crops.decode_whole  # which any file can be given to, and takes twice the time
    spec = tf.TensorSpec(self.shape, tf.uint8)
    decode_some = lambda images: tf.map_fn(lambda image: decode(image, self.shape[2]), images, fn_output_signature=spec)
    batches = tf.data.Dataset.from_tensor_slices(self.images).batch(_DECODED_AT_ONCE)
    return tf.concat(list(batches.map(decode_some, tf.data.AUTOTUNE, deterministic=True)), 0)

  def fingerprints(self, positions: np.ndarray) -> np.ndarray:
    """Hashes of the ids at some positions, int64: they say nothing of the class."""
    return selection.fingerprints(self.ids[positions]).numpy()

  def attach_images(self, examples: tf.data.Dataset) -> tf.data.Dataset:
    """Adds 'image', the encoded bytes, to elements with a 'position'; the order stays."""
    return examples.map(lambda example: {**example, 'image': self.images[example['position']]})


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
  """Records that are one file each.

  Attributes:
    directory: Folder that the ids are relative to.
    ids: Bytes [examples], sorted: paths with forward slashes.
    labels: int64 [examples].
  """

  pixels: ClassVar[None] = None

  directory: str
  ids: np.ndarray
  labels: np.ndarray

  def select(self, positions: np.ndarray) -> Files:
    """The records at some positions."""
    return Files(self.directory, self.ids[positions], self.labels[positions])

  def fingerprints(self, positions: np.ndarray) -> np.ndarray:
    """Hashes of the contents of the files at some positions, int64: they say nothing of the class, nor of the names. Reads the files."""
    examples = self.attach_images(tf.data.Dataset.from_tensor_slices({'position': positions}))
    hashes = examples.map(lambda example: selection.fingerprints(example['image']))
    return np.fromiter(hashes.as_numpy_iterator(), np.int64, len(positions))

  def attach_images(self, examples: tf.data.Dataset) -> tf.data.Dataset:
    """Adds 'image', the encoded bytes, to elements with a 'position'; the order stays."""
    ids, root = tf.constant(self.ids), tf.constant(os.fsencode(self.directory))

    def read(example):
      path = tf.strings.join([root, ids[example['position']]], separator='/')
      return {**example, 'image': tf.io.read_file(path)}

    return examples.map(read, num_parallel_calls=_PARALLEL_READS)


@dataclasses.dataclass(frozen=True, eq=False)
class TfRecords:
  """Records inside TFRecord files of tf.train.Example, found by their byte offset.

  Attributes:
    directory: Folder of the files.
    files: Names of the files.
    ids: Bytes [examples], sorted: '<file>__<index in file>', as tensorflow-datasets names them.
    labels: int64 [examples].
    shard: int32 [examples], index into `files`.
    offset: int64 [examples], bytes from the start of the file.
  """

  pixels: ClassVar[None] = None
  INDEX: ClassVar[tuple[str, ...]] = ('ids', 'labels', 'shard', 'offset')  # what took a pass over the files to find

  directory: str
  files: tuple[str, ...]
  ids: np.ndarray
  labels: np.ndarray
  shard: np.ndarray
  offset: np.ndarray

  @classmethod
  def in_order(cls, directory: str, files: Sequence[str], shard: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> TfRecords:
    """Records from the list of all that the files hold, in their order.

    Args:
      directory: Folder of the files.
      files: Names of the files.
      shard: int64 [examples], not decreasing: index into `files`.
      labels: int64 [examples].
      sizes: int64 [examples], bytes of each record's data.

    Returns:
      The records, sorted by id.
    """
    first = _first_of_files(files, shard)
    ends = np.cumsum(sizes + _RECORD_OVERHEAD_BYTES)
    starts = ends - sizes - _RECORD_OVERHEAD_BYTES
    ids = ids_in_order(files, shard)
    order = np.argsort(ids)
    offset = starts - starts[first[shard]]
    return cls(directory, tuple(files), ids[order], labels[order], shard[order].astype(np.int32), offset[order])

  def select(self, positions: np.ndarray) -> TfRecords:
    """The records at some positions."""
    return dataclasses.replace(self, **{name: getattr(self, name)[positions] for name in self.INDEX})

  def fingerprints(self, positions: np.ndarray) -> np.ndarray:
    """Hashes of the ids at some positions, int64: they say nothing of the class."""
    return selection.fingerprints(self.ids[positions]).numpy()

  def attach_images(self, examples: tf.data.Dataset) -> tf.data.Dataset:
    """Adds 'image', the encoded bytes, to elements with a 'position'; the order stays."""
    paths = tf.constant([os.path.join(self.directory, name) for name in self.files])
    shard, offset = tf.constant(self.shard), tf.constant(self.offset)

    def read(example):
      position = example['position']
      record = _record_at(paths[shard[position]], offset[position])
      return record.map(lambda data: {**example, 'image': tf.io.parse_single_example(data, EXAMPLE_FEATURES)['image']})

    # Deterministic interleaving of datasets of one element each keeps their order.
    return examples.interleave(read, _PARALLEL_READS, 1, num_parallel_calls=_PARALLEL_READS, deterministic=True)


def ids_in_order(files: Sequence[str], shard: np.ndarray) -> np.ndarray:
  """Ids of all records of some files in their order, bytes [examples], as tensorflow-datasets names them: '<file>__<index in file>'.

  Args:
    files: Names of the files.
    shard: int64 [examples], not decreasing: index into `files`.
  """
  indices = np.arange(len(shard)) - _first_of_files(files, shard)[shard]
  return np.array([f'{files[s]}__{i}' for s, i in zip(shard, indices)], np.bytes_)


def _first_of_files(files: Sequence[str], shard: np.ndarray) -> np.ndarray:
  return np.searchsorted(shard, np.arange(len(files)))


def _record_at(path: tf.Tensor, offset: tf.Tensor) -> tf.data.Dataset:
  """The one record that starts at a byte offset of a file."""
  reader = tf.raw_ops.TFRecordDatasetV2(
      filenames=path[tf.newaxis], compression_type='', buffer_size=tf.constant(0, tf.int64), byte_offsets=offset[tf.newaxis])
  return tf.data.experimental.from_variant(reader, tf.TensorSpec([], tf.string)).take(1)


Records = Union[InMemory, Files, TfRecords]


def join(first: Records, second: Records) -> tuple[Records, np.ndarray]:
  """The records of two parts of a dataset.

  Args:
    first: Some records.
    second: Others of the same kind, with other ids.

  Returns:
    All, sorted by id, and which of them are of `second`, bool [examples].
  """
  ids, labels = (np.concatenate([getattr(part, name) for part in (first, second)]) for name in ('ids', 'labels'))
  order = np.argsort(ids, kind='stable')
  if isinstance(first, Files):
    joined: Records = Files(first.directory, ids, labels)
  elif isinstance(first, InMemory):
    joined = InMemory(ids, labels, tf.concat([first.images, second.images], 0), first.shape)
  else:
    shard = np.concatenate([first.shard, second.shard + len(first.files)])
    joined = TfRecords(first.directory, (*first.files, *second.files), ids, labels, shard, np.concatenate([first.offset, second.offset]))
  return joined.select(order), (np.arange(len(ids)) >= len(first.ids))[order]
