"""Labelled images that tensorflow-datasets has prepared."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import io
import os
import sys
import tempfile

from absl import logging
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_proxyless.data import names as dataset_names
from tf_proxyless.data import cluttered_digits  # noqa: F401, registers its builder
from tf_proxyless.data import digits  # noqa: F401, registers its builder
from tf_proxyless.data import idx
from tf_proxyless.data import records

IN_MEMORY_BYTES = 2**30  # datasets up to this size are read once and held in memory, still encoded
_READ_BATCH = 64
_PARALLEL_FILES = 16


def open_builder(name: str, data_dir: str | None, download: bool) -> tfds.core.DatasetBuilder:
  """The builder of a prepared dataset of labelled images.

  Args:
    name: 'name', 'name:version', 'name/config' or 'name/config:version'.
    data_dir: Folder of prepared datasets; None is ~/tensorflow_datasets.
    download: True lets a missing dataset be downloaded and prepared. An embedded one, and one whose IDX files are there, is always
      prepared.

  Returns:
    The builder, whose dataset is prepared.

  Raises:
    ValueError: Unknown name, not prepared, or not a dataset of images with one label each.
  """
  data_dir = os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR)
  dataset_names.check(name, data_dir)
  shown = sys.stderr.isatty() and logging.get_verbosity() >= logging.WARNING
  with _quiet(), _own_temporary_folder():
    builder = _builder(name, data_dir)
    _check_labelled_images(builder.info, name)
    if not builder.is_prepared():
      _prepare(builder, name, download, shown)
      builder = _builder(name, data_dir)
  if 'train' not in builder.info.splits:
    raise ValueError(f'dataset {name!r} has no train split, only {sorted(builder.info.splits)}')
  return builder


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
  try:
    return tfds.builder(name, data_dir=data_dir)
  except (ValueError, AssertionError) as error:  # an unknown configuration or version
    raise ValueError(f'dataset {name!r} cannot be opened: {" ".join(str(error).split())}') from error


def _check_labelled_images(info: tfds.core.DatasetInfo, name: str) -> None:
  """Refuses everything but 8-bit images with one class label."""
  features = dict(info.features) if isinstance(info.features, tfds.features.FeaturesDict) else {}
  image, label = features.get('image'), features.get('label')
  if isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8 and isinstance(label, tfds.features.ClassLabel):
    return
  found = ', '.join(f'{key}: {type(feature).__name__}' for key, feature in features.items())
  raise ValueError(f'dataset {name!r} is not made of labelled images: it needs the features image (Image of uint8) and label '
                   f'(ClassLabel), and has {{{found}}}')


def _prepare(builder: tfds.core.DatasetBuilder, name: str, download: bool, shown: bool) -> None:
  """Prepares a dataset; an embedded one without having been asked to. If it is to be shown, with bars."""
  if builder.name in dataset_names.EMBEDDED:
    _prepare_offline(builder)
    return
  files = idx.find_files(builder) if builder.name in dataset_names.IDX else {}
  if files:
    print(f'preparing {name} from {os.path.dirname(files["train", "images"])}, once; kept in {builder.data_dir}', file=sys.stderr)
    _prepare_offline(idx.make_builder(builder, idx.read_parts(files, builder.info.features)))
    return
  if not download:
    raise ValueError(f'dataset {name!r} is not prepared: looked in {builder.data_dir}{_ways(builder)}pass `download` to prepare it')
  try:
    with _telling(shown):
      builder.download_and_prepare()
  except (AssertionError, OSError, tf.errors.OpError) as error:  # files that only the user can get; no space, no network
    raise ValueError(f'dataset {name!r} cannot be prepared in {builder.data_dir}: {" ".join(str(error).split())}') from error


def _ways(builder: tfds.core.DatasetBuilder) -> str:
  """How a dataset can come here besides by download, within a sentence."""
  if builder.name in dataset_names.IDX:
    package = f'apt-get install {idx.DEBIAN[builder.name][0]}, ' if builder.name in idx.DEBIAN else ''
    return f', and for IDX files in {" and ".join(idx.folders(builder))}; {package}name the folder of its IDX files by `data_dir`, or '
  manual = os.path.join(builder.data_dir_root, 'downloads', 'manual')
  return f'; place its archives in {manual} and ' if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else '; '


def _prepare_offline(builder: tfds.core.DatasetBuilder) -> None:
  try:
    with _telling(shown=False):  # it would say that it downloads
      builder.download_and_prepare()
  except OSError as error:
    if not builder.is_prepared():  # otherwise another process was a moment faster
      raise ValueError(f'{builder.name} cannot be prepared in {builder.data_dir}: {error}') from error


@contextlib.contextmanager
def _telling(shown: bool):
  """What tensorflow-datasets says while it prepares goes to stderr, and its bars with it, or nowhere: stdout is for results."""
  if not shown:
    tfds.disable_progress_bar()
  try:
    with contextlib.redirect_stdout(sys.stderr if shown else io.StringIO()):
      yield
  finally:
    tfds.enable_progress_bar()


@contextlib.contextmanager
def _own_temporary_folder():
  """For tensorflow-datasets, which leaves one behind when it prepares (4.9.10, DatasetInfo.initialize_from_bucket)."""
  with tempfile.TemporaryDirectory() as folder:
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
      yield
    finally:
      tempfile.tempdir = before


@contextlib.contextmanager
def _quiet():
  """Silences tensorflow-datasets: its notes on datasets that are not there yet, and on deprecations of its own."""
  logger = tf.get_logger()
  levels = logging.get_verbosity(), logger.level
  logging.set_verbosity(logging.ERROR)
  logger.setLevel('ERROR')
  try:
    yield
  finally:
    logging.set_verbosity(levels[0])
    logger.setLevel(levels[1])


def find_splits(builder: tfds.core.DatasetBuilder) -> dict[str, str]:
  """The split that is each part: 'train', and 'test' and 'validation' where there are such.

  A split called test may have no labels, as that of imagenet2012; the one called validation is then the test set, as it is without test.
  """
  there = builder.info.splits
  found = {part: part for part in ('train', 'validation', 'test') if part in there and there[part].num_examples}
  if 'test' in found and (builder.name == 'imagenet2012' or not _has_labels(builder, 'test')):  # of which nobody needs the files
    del found['test']
  if 'test' not in found and 'validation' in found:
    found['test'] = found.pop('validation')
  return found


def _has_labels(builder: tfds.core.DatasetBuilder, split: str) -> bool:
  """Whether the first example of a split has a label; of files of other formats, which are read at once, `load` says it."""
  if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
    return True
  paths = [os.fspath(path) for path in builder.info.splits[split].filepaths]
  first = tf.data.TFRecordDataset(paths).take(1).map(
      lambda serialized: tf.io.parse_single_example(serialized, {'label': records.EXAMPLE_FEATURES['label']})['label'])
  return next(first.as_numpy_iterator(), 0) >= 0


def load(builder: tfds.core.DatasetBuilder, split: str) -> records.Records:
  """The records of a prepared split: in memory up to IN_MEMORY_BYTES, otherwise by their place in the files.

  Args:
    builder: From `open_builder`.
    split: A split of the dataset.

  Returns:
    The records, sorted by id. No image has been decoded.

  Raises:
    ValueError: Labels that are not a class, or a large dataset that is not stored as TFRecord.
  """
  info = builder.info.splits[split]
  found = _load_images(builder, split) if info.num_bytes <= IN_MEMORY_BYTES else _locate(builder, split)
  classes = builder.info.features['label'].num_classes
  if not (0 <= found.labels.min() and found.labels.max() < classes):
    raise ValueError(f'labels of split {split!r} of {builder.info.full_name} lie in '
                     f'{found.labels.min()}..{found.labels.max()}, not in 0..{classes - 1}')
  return found


def _load_images(builder: tfds.core.DatasetBuilder, split: str) -> records.InMemory:
  """All records of a split, read in one pass."""
  if builder.info.file_format == tfds.core.FileFormat.TFRECORD:  # ten times as fast as what reads every format
    names, shard, labels, images = _read_files(
        builder, split, lambda serialized: tf.io.parse_example(serialized, records.EXAMPLE_FEATURES)['image'])
    ids = records.ids_in_order(names, shard)
  else:
    decoders = tfds.decode.PartialDecoding({'image': True, 'label': True}, decoders={'image': tfds.decode.SkipDecoding()})
    read_config = tfds.ReadConfig(add_tfds_id=True, try_autocache=False)
    with _quiet():
      dataset = builder.as_dataset(split=split, decoders=decoders, read_config=read_config)
    batches = list(dataset.batch(_READ_BATCH).as_numpy_iterator())
    ids, labels, images = (np.concatenate([batch[key] for batch in batches]) for key in ('tfds_id', 'label', 'image'))
    ids = ids.astype(np.bytes_)
  order = np.argsort(ids)
  shape = builder.info.features['image'].shape
  return records.InMemory(ids[order], labels[order], tf.constant(images[order]), None if None in shape else shape)


def _locate(builder: tfds.core.DatasetBuilder, split: str) -> records.TfRecords:
  """Where each record of a split lies, and its label: one pass over the files, in which no image is decoded."""
  if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
    raise ValueError(f'{builder.info.full_name} is stored as {builder.info.file_format.value}; a dataset of more than '
                     f'{IN_MEMORY_BYTES} bytes must be stored as tfrecord')
  names, shard, labels, sizes = _read_files(builder, split, lambda serialized: tf.cast(tf.strings.length(serialized), tf.int64))
  return records.TfRecords.in_order(str(builder.data_dir), names, shard, labels, sizes)


def _read_files(builder: tfds.core.DatasetBuilder, split: str, column: Callable[[tf.Tensor], tf.Tensor]) -> tuple[
    list[str], np.ndarray, np.ndarray, np.ndarray]:
  """Names of a split's TFRecord files, and of each record in their order the index of its file, its label, and a column.

  Args:
    builder: A prepared dataset.
    split: A split of it.
    column: From a batch of serialized examples, string [batch], to one value for each.
  """
  def read(index, path):
    def parse(serialized):
      label = tf.io.parse_example(serialized, {'label': records.EXAMPLE_FEATURES['label']})['label']
      return tf.fill(tf.shape(label), index), label, column(serialized)
    return tf.data.TFRecordDataset(path).batch(_READ_BATCH).map(parse)

  paths = [os.fspath(path) for path in builder.info.splits[split].filepaths]
  batches = list(tf.data.Dataset.from_tensor_slices(paths).enumerate().interleave(
      read, _PARALLEL_FILES, 1, num_parallel_calls=_PARALLEL_FILES, deterministic=True).as_numpy_iterator())
  shard, labels, values = (np.concatenate(found) for found in zip(*batches))
  order = np.argsort(shard, kind='stable')
  return [os.path.basename(path) for path in paths], shard[order], labels[order], values[order]
