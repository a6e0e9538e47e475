"""The validation split: balanced, disjoint from everything else, a function of ids and seed, and the same after a round trip."""

import dataclasses

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

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


def test_what_is_held_out_is_what_a_training_validates_on(digits, tmp_path):
  split, training = splits.make(digits, 100, seed=0, held_out_images=0.2), splits.make(digits, 0.2, seed=0)
  assert sorted([*split.training, *split.validation]) == training.training.tolist() and _per_class(split) == [10] * 10
  assert splits.sizes(digits, 100, 0.2) == (len(split.training), 100)
  splits.save(split, tmp_path / 'split.npz')
  loaded = splits.load(tmp_path / 'split.npz', digits)
  assert np.array_equal(loaded.training, split.training) and np.array_equal(loaded.validation, split.validation)
  with pytest.raises(ValueError, match='validation_images=1000 takes 1000 of 437 training images|must keep one'):
    splits.make(digits, 1000, seed=0, held_out_images=1000)


def test_a_validation_part_of_the_dataset_is_held_out_whole(digits):
  source = dataclasses.replace(digits, num_validation=digits.num_train // 2)
  part = dataclasses.replace(source, load=lambda name: digits.load('train').select(
      np.arange(digits.num_train)[:: 2] if name == 'validation' else np.arange(digits.num_train)[1:: 2]))
  split, training = splits.make(part, 100, seed=0, held_out_images=0.2), splits.make(part, 0.2, seed=0)
  assert sorted([*split.training, *split.validation]) == training.training.tolist() and len(split.validation) == 100


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
    (1430, 'takes 1430 of 1437 training images, but each of 10 classes must keep one; at most 1427 are possible'),
])
def test_impossible_numbers_name_both_sides(digits, value, message):
  with pytest.raises(ValueError, match=message):
    splits.make(digits, value, seed=0)


def test_where_a_class_is_too_small_all_give_in_proportion(digits, folder, capsys):
  assert _per_class(splits.make(digits, 1380, seed=0)) == [138] * 10  # as many of each as long as that is possible
  assert capsys.readouterr().err == ''
  sizes = np.bincount(digits.load('train').labels)
  assert _per_class(splits.make(digits, 1427, seed=0)) == (sizes - 1).tolist()
  source = sources.open_dataset(f'folder:{folder}')
  assert _per_class(splits.make(source, 9, seed=0)) == [3, 3, 3]
  capsys.readouterr()
  assert _per_class(splits.make(source, 12, seed=0)) == [7, 3, 2]
  assert capsys.readouterr().err.strip() == ("validation images are taken in proportion to the classes, 2 to 7 of each: class 'small' has "
                                             'only 4 images to train on')
  labels = np.repeat([0, 1, 2], [100, 100, 5])
  tail = dataclasses.replace(source, num_train=205, load=lambda part: records.Files('/', np.arange(205).astype('S'), labels))
  assert _per_class(splits.make(tail, 20, seed=0)) == [10, 9, 1]
  alone = dataclasses.replace(tail, load=lambda part: records.Files('/', np.arange(205).astype('S'), np.repeat([0, 1, 2], [104, 100, 1])))
  with pytest.raises(ValueError, match="class 'small' has 1 training image; it needs 2"):
    splits.make(alone, 20, seed=0)


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
  changed = r"has lost 1 image, for instance 'train/large/0.png' and gained 1 image, for instance 'train/large/renamed.png'"
  with pytest.raises(ValueError, match=f'was made of other images: folder:.* {changed}; restore'):
    splits.load(tmp_path / 'split.npz', sources.open_dataset(f'folder:{folder}'))
  (folder / 'train' / 'large' / 'renamed.png').rename(renamed)


def test_whole_has_all_training_images(digits):
  split = splits.whole(digits, seed=3)
  assert split.training.tolist() == list(range(digits.num_train)) and len(split.validation) == 0
  assert split.records.ids.tolist() == digits.load('train').ids.tolist()


@pytest.fixture
def small(tmp_path):
  """Two classes of six images, of which the validation set has the even ones of one."""
  for name in 'ab':
    for part in ('train', 'test'):
      (tmp_path / 'data' / part / name).mkdir(parents=True)
    for index in range(6):
      Image.new('RGB', (4, 4), (index, 0, 0)).save(tmp_path / 'data' / 'train' / name / f'{index}.png')
    Image.new('RGB', (4, 4)).save(tmp_path / 'data' / 'test' / name / '0.png')
  return tmp_path / 'data'


def test_a_run_that_is_over_goes_on_without_images_that_came_or_went(small, tmp_path, capsys):
  first = splits.make(sources.open_dataset(f'folder:{small}'), 4, seed=0)
  splits.save(first, tmp_path / 'split.npz')
  ids = lambda split, positions: set(split.records.ids[positions].tolist())
  gone = [first.records.ids[first.validation[0]], first.records.ids[first.training[0]]]
  for name in gone:
    (small / name.decode()).unlink()
  Image.new('RGB', (4, 4)).save(small / 'train' / 'b' / '9.png')
  loaded = splits.load(tmp_path / 'split.npz', sources.open_dataset(f'folder:{small}'), over=True)
  assert ids(loaded, loaded.validation) == ids(first, first.validation) - set(gone)
  assert ids(loaded, loaded.training) == ids(first, first.training) - set(gone)
  assert "has lost 2 images, for instance 'train/" in capsys.readouterr().err


def test_a_split_of_an_earlier_edition_is_of_the_same_folder(small, tmp_path, monkeypatch):
  split = splits.make(sources.open_dataset(f'folder:{small}'), 4, seed=0)
  monkeypatch.chdir(tmp_path)
  splits.save(dataclasses.replace(split, dataset='folder:data'), tmp_path / 'split.npz')  # as it was typed
  source = sources.open_dataset(f'folder:{small}/')
  assert splits.load(tmp_path / 'split.npz', source).dataset == f'folder:{small}' and splits.is_of(tmp_path / 'split.npz', source)


def test_a_validation_part_is_the_validation_set(small, tmp_path):
  (small / 'test' / 'a').rename(small / 'a')
  (small / 'val' / 'a').mkdir(parents=True)
  (small / 'a').rename(small / 'test' / 'a')
  Image.new('RGB', (4, 4), (9, 9, 9)).save(small / 'val' / 'a' / '0.png')
  source = sources.open_dataset(f'folder:{small}')
  split = splits.make(source, 0.5, seed=0)
  assert split.records.ids[split.validation].tolist() == [b'val/a/0.png'] and len(split.training) == 12
  assert splits.sizes(source, 0.5) == (12, 1) and len(splits.whole(source, 0).training) == 12
  splits.save(split, tmp_path / 'split.npz')
  loaded = splits.load(tmp_path / 'split.npz', source)
  assert np.array_equal(loaded.validation, split.validation) and np.array_equal(loaded.records.labels, split.records.labels)


def test_join_keeps_images_with_their_labels(digits, imagenet_data_dir, monkeypatch):
  large = sources.open_dataset('imagenet2012', imagenet_data_dir)
  monkeypatch.setattr(tfds_records, 'IN_MEMORY_BYTES', 1000)
  for source, kind in ((digits, records.InMemory), (large, records.TfRecords)):
    parts = [source.load(part) for part in ('test', 'train')]
    joined, second = records.join(*parts)
    assert isinstance(joined, kind) and joined.ids.tolist() == sorted(joined.ids.tolist())
    for part, chosen in zip(parts, (~second, second)):
      found = joined.select(np.flatnonzero(chosen))
      assert found.ids.tolist() == part.ids.tolist() and found.labels.tolist() == part.labels.tolist()
      first = [next(iter(each.attach_images(tf.data.Dataset.from_tensors({'position': 0})).as_numpy_iterator()))['image']
               for each in (found, part)]
      assert first[0] == first[1]
