"""The validation split: balanced, disjoint from everything else, a function of ids and seed, and the same after a round trip."""

import dataclasses

import numpy as np
from PIL import Image
import pytest

from tf_proxyless.data import records
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.data import tfds_records


@pytest.fixture(scope='module')
def digits(data_dir):
  return sources.open_dataset('digits', data_dir)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Classes of 12, 6 and 4 images, none of them held out for testing by hand."""
  path = tmp_path_factory.mktemp('folder')
  for name, count in (('large', 12), ('middle', 6), ('small', 4)):
    (path / 'train' / name).mkdir(parents=True)
    (path / 'test' / name).mkdir(parents=True)
    for index in range(count):
      Image.new('RGB', (4, 4), (index, 0, 0)).save(path / 'train' / name / f'{index}.png')
    Image.new('RGB', (4, 4)).save(path / 'test' / name / '0.png')
  return path


def _per_class(split):
  return np.bincount(split.records.labels[split.validation]).tolist()


@pytest.mark.parametrize('validation_images, per_class', [
    (100, [10] * 10), (100.0, [10] * 10), (107, [11] * 7 + [10] * 3), (10, [1] * 10),
    (0.2, [29] * 7 + [28] * 3),  # 0.2 * 1437 = 287.4
    (0.5, [72] * 8 + [71] * 2),
])
def test_each_class_gives_the_same_number(digits, validation_images, per_class):
  split = splits.make(digits, validation_images, seed=0)
  assert _per_class(split) == per_class
  assert sorted([*split.training, *split.validation]) == list(range(1437))


def test_no_example_is_in_two_of_training_validation_and_test(digits):
  split = splits.make(digits, 0.2, seed=0)
  images = [bytes(image) for image in split.records.images.numpy()]
  parts = [{images[position] for position in split.training}, {images[position] for position in split.validation},
           {record['image'] for record in digits.records('test').as_numpy_iterator()}]
  assert [len(part) for part in parts] == [1150, 287, 360]
  assert len(set.union(*parts)) == 1797  # all images of the digits are different


def test_split_is_a_function_of_the_seed(digits, data_dir):
  first, other = splits.make(digits, 100, seed=1), splits.make(digits, 100, seed=2)
  again = splits.make(sources.open_dataset('digits', data_dir), 100, seed=1)
  assert np.array_equal(first.validation, again.validation) and np.array_equal(first.training, again.training)
  # Independent choices of 100 out of 1,437 share 7 on average.
  assert np.isin(first.validation, other.validation).sum() < 25


def test_only_classes_that_occur_count(imagenet_data_dir):
  split = splits.make(sources.open_dataset('imagenet2012', imagenet_data_dir), 16, seed=0)
  assert sorted(_per_class(split), reverse=True)[:9] == [2] * 8 + [0]


@pytest.mark.parametrize('value, message', [
    (1437, 'validation_images=1437 leaves nothing to train on: the dataset has 1437 training images'),
    (10**9, 'leaves nothing to train on'),
    (0.9999, 'leaves nothing to train on'),
    (9, 'validation_images=9 means 9 images, fewer than the 10 classes'),
    (1, 'means 1 images, fewer than the 10 classes'),
    (0.001, 'validation_images=0.001 means 1 images, fewer than the 10 classes'),
    (1400, "takes 140 images of each of 10 classes, but class '8' has 139 training images and must keep one; "
           'at most 1380 are possible'),
])
def test_impossible_numbers_name_both_sides(digits, value, message):
  with pytest.raises(ValueError, match=message):
    splits.make(digits, value, seed=0)
  if value == 1400:
    assert _per_class(splits.make(digits, 1380, seed=0)) == [138] * 10


def test_round_trip(digits, tmp_path):
  split = splits.make(digits, 100, seed=3)
  splits.save(split, tmp_path / 'split.npz')
  loaded = splits.load(tmp_path / 'split.npz', digits)
  assert (loaded.dataset, loaded.seed) == ('digits', 3)
  assert np.array_equal(loaded.training, split.training) and np.array_equal(loaded.validation, split.validation)


def test_a_large_dataset_is_not_read_again(imagenet_data_dir, tmp_path, monkeypatch):
  monkeypatch.setattr(tfds_records, 'IN_MEMORY_BYTES', 1000)
  split = splits.make(sources.open_dataset('imagenet2012', imagenet_data_dir), 16, seed=0)
  assert isinstance(split.records, records.TfRecords)
  splits.save(split, tmp_path / 'split.npz')

  def refuse(part):
    raise AssertionError(f'{part} was read')
  source = dataclasses.replace(sources.open_dataset('imagenet2012', imagenet_data_dir), load=refuse)
  loaded = splits.load(tmp_path / 'split.npz', source)
  assert np.array_equal(loaded.validation, split.validation)
  assert loaded.records.directory == split.records.directory and loaded.records.files == split.records.files
  for name in split.records.INDEX:
    assert np.array_equal(getattr(loaded.records, name), getattr(split.records, name))


def test_split_of_another_dataset_is_refused(digits, folder, tmp_path):
  path = tmp_path / 'split.npz'
  splits.save(splits.make(digits, 100, seed=0), path)
  with pytest.raises(ValueError, match='splits 1437 images of digits, not 22 of folder:'):
    splits.load(path, sources.open_dataset(f'folder:{folder}'))


def test_changed_folder_is_refused(folder, tmp_path):
  source = sources.open_dataset(f'folder:{folder}')
  splits.save(splits.make(source, 3, seed=0), tmp_path / 'split.npz')
  renamed = folder / 'train' / 'large' / '0.png'
  renamed.rename(folder / 'train' / 'large' / 'renamed.png')
  with pytest.raises(ValueError, match='was made of other images: the dataset folder:.* has changed'):
    splits.load(tmp_path / 'split.npz', sources.open_dataset(f'folder:{folder}'))
  (folder / 'train' / 'large' / 'renamed.png').rename(renamed)


def test_whole_has_all_training_images(digits):
  split = splits.whole(digits, seed=3)
  assert split.training.tolist() == list(range(digits.num_train)) and len(split.validation) == 0
  assert split.records.ids.tolist() == digits.load('train').ids.tolist()
