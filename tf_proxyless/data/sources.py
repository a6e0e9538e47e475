"""Labelled image datasets by name: `digits`, `cluttered_digits`, any name of tensorflow-datasets, or `folder:PATH`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tf_proxyless.data import image_folder
from tf_proxyless.data import names as dataset_names
from tf_proxyless.data import records
from tf_proxyless.data import selection
from tf_proxyless.data import tfds_records


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
  """An opened dataset: what it is made of, and access to its records.

  Attributes:
    name: Name as given by the user.
    class_names: Names by label.
    num_train: Examples that a search or a training may see.
    num_test: Examples of the test set.
    image_shape: Greatest (height, width, channels) of the images; None where that is not known without reading them all. Of a folder,
      of some of them.
    directory: Folder of the files.
    load: Reads the records of a part. The first call passes once over the dataset, later ones cost nothing.
    num_validation: Examples of the dataset's own validation part, which takes the place of one held out of `train`; 0 without it.
    rows: What was understood of the dataset, for people: headings and texts.
    folder: The folder, of a dataset that is one.
  """

  name: str
  class_names: tuple[str, ...]
  num_train: int
  num_test: int
  image_shape: tuple[int | None, int | None, int | None]
  directory: str
  load: Callable[[str], records.Records]
  num_validation: int = 0
  rows: tuple[tuple[str, str], ...] = ()
  folder: image_folder.ImageFolder | None = None

  @property
  def classes(self) -> int:
    """The number of classes."""
    return len(self.class_names)

  @property
  def channels(self) -> int:
    """Channels of a network for the images: 1 if they are grey, else 3."""
    return dataset_names.channels(self.name) or (1 if self.image_shape[2] == 1 else 3)

  def records(self, part: str) -> tf.data.Dataset:
    """The examples of a part in the order of their ids.

    Args:
      part: 'train', 'test', or 'validation' where there is one.

    Returns:
      A dataset of {'id': string [], 'image': string [] (encoded), 'label': int64 []}.
    """
    loaded = self.load(part)
    examples = tf.data.Dataset.from_tensor_slices(
        {'id': loaded.ids, 'label': loaded.labels, 'position': np.arange(len(loaded.ids))})
    return loaded.attach_images(examples).map(lambda example: {key: example[key] for key in ('id', 'image', 'label')})


_IN_MEMORY: dict[str, Source] = {}  # of this process, by name


def keep_in_memory(source: Source) -> None:
  """Lets `open_dataset` find a source of `data.arrays` by its name in this process; an earlier one of its name is the same."""
  _IN_MEMORY[source.name] = source


def open_dataset(name: str, data_dir: str | None = None, download: bool = False) -> Source:
  """Opens a dataset of labelled images, one label an image.

  The test set is the dataset's `test`, else (or if that has no labels) its `validation`, and otherwise a stratified fifth of `train` that
  does not depend on any seed of a search. A `validation` beside `test` is the validation set.

  Args:
    name: 'digits', 'cluttered_digits', 'folder:PATH', or a name of tensorflow-datasets: 'name', 'name:version', 'name/config:version'.
    data_dir: Folder of datasets that tensorflow-datasets has prepared, or of IDX files; None is ~/tensorflow_datasets.
    download: True lets tensorflow-datasets download and prepare a missing dataset. Embedded ones need no download.

  Returns:
    The source. No image has been decoded.

  Raises:
    ValueError: The name is unknown, the dataset is not there, or it is not a labelled image dataset.
  """
  if name.startswith(dataset_names.ARRAYS_PREFIX):
    if name not in _IN_MEMORY:
      raise ValueError(f'the images {name} were given as arrays to a Python process; call the function with the same arrays again')
    return _IN_MEMORY[name]
  if name.startswith(dataset_names.FOLDER_PREFIX):
    return of_folder(image_folder.scan(name.removeprefix(dataset_names.FOLDER_PREFIX)))
  return _open_tfds(name, data_dir, download)


def of_folder(folder: image_folder.ImageFolder) -> Source:
  """The dataset that a folder is."""
  parts = folder.parts if folder.test is not None else _hold_out(folder.train)
  return Source(dataset_names.FOLDER_PREFIX + folder.directory, folder.class_names, len(parts['train'].ids), len(parts['test'].ids),
                image_folder.largest_shape(folder.train), folder.directory, _checked(parts.__getitem__, tuple(parts)),
                len(parts['validation'].ids) if 'validation' in parts else 0, image_folder.describe(folder, parts), folder)


def _open_tfds(name: str, data_dir: str | None, download: bool) -> Source:
  builder = tfds_records.open_builder(name, data_dir, download)
  info = builder.info
  splits = tfds_records.find_splits(builder)
  sizes = {part: info.splits[split].num_examples for part, split in splits.items()}
  load = lambda part: tfds_records.load(builder, splits[part])
  if 'test' not in splits:
    sizes['test'] = selection.fifth(sizes['train'])
    sizes['train'] -= sizes['test']
    held_out = functools.cache(lambda: _hold_out(tfds_records.load(builder, 'train')))
    load = lambda part: held_out()[part]
  rows = []
  if 'validation' in splits:
    rows.append(('validation images', f"{sizes['validation']:,} of the dataset's own, whatever `validation_images` says"))
  if splits.get('test') != 'test':
    of = f'its split {splits["test"]!r}' if 'test' in splits else 'a stratified fifth of the training images'
    rows.append(('test images', f"{sizes['test']:,}, {of}: {name} has no test images with labels"))
  return Source(name, tuple(info.features['label'].names), sizes['train'], sizes['test'], tuple(info.features['image'].shape),
                str(builder.data_dir), _checked(load, tuple(sizes)), sizes.get('validation', 0), tuple(rows))


def _hold_out(all_records: records.Records) -> dict[str, records.Records]:
  """Splits records into 'train' and the stratified fifth that is 'test'."""
  test = selection.held_out_fifth(all_records.ids, all_records.labels)
  return {'train': all_records.select(np.flatnonzero(~test)), 'test': all_records.select(np.flatnonzero(test))}


def _checked(load: Callable[[str], records.Records], parts: Sequence[str]) -> Callable[[str], records.Records]:
  """`load` that refuses unknown parts and reads each part once."""
  cached = functools.cache(load)

  def checked(part: str) -> records.Records:
    if part not in parts:
      raise ValueError(f'the dataset has the parts {", ".join(parts)}, got {part!r}')
    return cached(part)

  return checked
