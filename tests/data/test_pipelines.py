"""Batches: each example once an epoch, and an order that is a function of seed, epoch and step, wherever one starts."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests import suites
from tf_proxyless.data import arrays
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import records
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.data import tfds_records

PLAIN = preprocessing.Plain(8)


@pytest.fixture(scope='module')
def digits(data_dir):
  return sources.open_dataset('digits', data_dir)


@pytest.fixture(scope='module')
def split(digits):
  return splits.make(digits, 287, seed=0)


@pytest.fixture(params=suites.few(['memory', 'tfrecord', 'folder'], 1))
def any_split(request, imagenet_data_dir, data_dir, tmp_path, monkeypatch):
  """A split of each kind of records, and a transform with every kind of randomness."""
  if request.param == 'tfrecord':
    monkeypatch.setattr(tfds_records, 'IN_MEMORY_BYTES', 1000)
  name, directory = 'imagenet2012', imagenet_data_dir
  source = sources.open_dataset(name, directory)
  if request.param == 'folder':
    for record in source.records('train').as_numpy_iterator():
      path = tmp_path / str(record['label'])
      path.mkdir(exist_ok=True)
      (path / f'{record["id"].decode()}.jpg').write_bytes(record['image'])
    source = sources.open_dataset(f'folder:{tmp_path}')
  return splits.make(source, 16, seed=0), preprocessing.ImageNet(16, 'strong')


def _collect(dataset, count=None):
  """List of (images, labels) as arrays."""
  return [(images.numpy(), labels.numpy()) for images, labels in itertools.islice(dataset, count)]


def _equal(first, second):
  return len(first) == len(second) and all(
      np.array_equal(a, b) for one, two in zip(first, second) for a, b in zip(one, two))


def _bytes(batch):
  return batch[0].tobytes() + batch[1].tobytes()


def _rows(batches):
  """Sorted bytes of all images."""
  return sorted(image.tobytes() for images, _ in batches for image in images)


def test_an_epoch_gives_each_training_image_once(split):
  batches = _collect(pipelines.training_batches(split, PLAIN, batch_size=50, seed=0, epoch=0))
  assert len(batches) == pipelines.steps_per_epoch(split, 50) == 23 and all(len(labels) == 50 for _, labels in batches)
  labels = np.concatenate([labels for _, labels in batches])
  assert np.array_equal(np.bincount(labels), np.bincount(split.records.labels[split.training]))  # 23 * 50 are all of them
  validation = _rows(_collect(pipelines.validation_pass(split, PLAIN, batch_size=100)))
  training = _rows(batches)
  assert len(set(training)) == 1150 and not set(training) & set(validation)


def test_images_keep_their_labels(split, digits):
  expected = {record['image']: record['label'] for record in digits.records('train').as_numpy_iterator()}
  by_pixels = {PLAIN.evaluate(image).numpy().tobytes(): label for image, label in list(expected.items())[:300]}
  found = 0
  for images, labels in _collect(pipelines.training_batches(split, PLAIN, batch_size=50, seed=0, epoch=0)):
    for image, label in zip(images, labels):
      if image.tobytes() in by_pixels:
        assert by_pixels[image.tobytes()] == label
        found += 1
  assert found > 200  # four of five


def test_starting_at_a_step_is_skipping(any_split):
  split, transform = any_split
  whole = _collect(pipelines.training_batches(split, transform, batch_size=16, seed=5, epoch=2))
  assert len(whole) == pipelines.steps_per_epoch(split, 16) >= 3
  for start in (2, len(whole)):
    resumed = _collect(pipelines.training_batches(split, transform, batch_size=16, seed=5, epoch=2, start_step=start))
    assert _equal(resumed, whole[start:])
  stream = _collect(pipelines.validation_stream(split, transform, batch_size=5, seed=5), 8)
  for start in (3, 4):  # a pass has three batches
    assert _equal(_collect(pipelines.validation_stream(split, transform, batch_size=5, seed=5, start_step=start), 4),
                  stream[start:start + 4])


@pytest.mark.long
def test_parts_of_two_workers_are_the_whole(any_split):
  """Of each batch its halves, in their order; of a pass over the validation images every other batch of a size."""
  split, transform = any_split
  for make, count in ((lambda **more: pipelines.training_batches(split, transform, 16, 5, 2, 1, **more), None),
                      (lambda **more: pipelines.validation_stream(split, transform, 4, 5, 3, **more), 6)):
    halves = zip(*(_collect(make(part=(worker, 2)), count) for worker in range(2)), strict=True)
    assert _equal([tuple(map(np.concatenate, zip(*both))) for both in halves], _collect(make(), count))
  parts = [_collect(pipelines.validation_pass(split, transform, 3, part)) for part in ((0, 2), (1, 2))]
  whole = _collect(pipelines.validation_pass(split, transform, 3))
  assert [len(part) for part in parts] == [3, 3] and sorted(map(_bytes, whole)) == sorted(map(_bytes, parts[0] + parts[1]))


def test_seed_and_epoch_decide_the_order(split):
  batch = lambda **changes: _collect(pipelines.training_batches(
      split, preprocessing.Digits(8), **({'batch_size': 100, 'seed': 0, 'epoch': 0} | changes)), 1)
  assert _equal(batch(), batch())
  assert not np.array_equal(batch()[0][1], batch(seed=1)[0][1])
  assert not np.array_equal(batch()[0][1], batch(epoch=1)[0][1])
  assert not np.array_equal(batch(seed=1)[0][1], batch(epoch=1)[0][1])


@pytest.mark.long
def test_all_kinds_of_records_give_the_same_batches(imagenet_data_dir, monkeypatch):
  batches = []
  for limit in (2**30, 1000):
    monkeypatch.setattr(tfds_records, 'IN_MEMORY_BYTES', limit)
    split = splits.make(sources.open_dataset('imagenet2012', imagenet_data_dir), 16, seed=0)
    batches.append(_collect(pipelines.training_batches(split, preprocessing.ImageNet(16), batch_size=16, seed=0, epoch=0)))
  assert _equal(*batches)


SMALL = [preprocessing.Plain(8, 1), preprocessing.Digits(12, 3), preprocessing.Cifar(8, 3)]


@pytest.fixture(scope='module')
def colored():
  rng = np.random.default_rng(0)
  return arrays.open_arrays((rng.integers(0, 256, (200, 8, 12, 3), np.uint8), rng.integers(0, 4, 200)))[0]


@pytest.mark.parametrize('transform', suites.few(SMALL, 1), ids=str)
@pytest.mark.parametrize('name', ['digits', pytest.param('colored', marks=pytest.mark.long)])
def test_images_that_were_decoded_before_give_the_same_bits(name, transform, request, monkeypatch):
  split, batches = splits.make(request.getfixturevalue(name), 60, seed=0), []
  for limit in (records.DECODED_BYTES, 0):
    monkeypatch.setattr(records, 'DECODED_BYTES', limit)
    again = dataclasses.replace(split, records=split.records.select(np.arange(len(split.records.ids))))
    assert (again.records.pixels is None) == (not limit)
    batches.append([*_collect(pipelines.training_batches(again, transform, 20, seed=1, epoch=2, start_step=1)),
                    *_collect(pipelines.validation_pass(again, transform, 25)),
                    *_collect(pipelines.validation_stream(again, transform, 25, seed=1), 3)])
  assert _equal(*batches)


def test_one_transform_serves_grey_and_coloured_images_in_turn(digits, colored):
  transform = preprocessing.Digits(8)
  for source in (digits, colored, digits, colored):
    images, _ = next(iter(pipelines.training_batches(splits.make(source, 60, seed=0), transform, 20, seed=1, epoch=0)))
    assert images.shape == (20, 8, 8, 3)


def test_augmentation_does_not_depend_on_the_batch_size(split):
  transform = preprocessing.Digits(8)
  small, large = (_collect(pipelines.training_batches(split, transform, size, seed=0, epoch=4), 60 // size) for size in (15, 60))
  assert np.array_equal(np.concatenate([images for images, _ in small]), large[0][0])


def test_augmentation_differs_by_epoch_and_is_left_out_on_request(split):
  transform = preprocessing.Digits(8)
  plain, first, second = (
      _rows(_collect(pipelines.training_batches(split, transform, 50, seed=0, epoch=epoch, augment=augment)))
      for epoch, augment in ((0, False), (0, True), (1, True)))
  assert plain == _rows(_collect(pipelines.training_batches(split, PLAIN, 50, seed=0, epoch=7)))
  # An image keeps its place with probability 1/9, and gets the same shift twice with probability 1/9.
  for one, two in ((plain, first), (first, second)):
    assert 60 < len(set(one) & set(two)) < 220


def test_validation_stream_passes_over_all_examples_in_new_orders(split):
  steps = len(split.validation) // 41
  assert steps * 41 == len(split.validation)  # 287 = 7 * 41
  stream = _collect(pipelines.validation_stream(split, preprocessing.Digits(8), batch_size=41, seed=0), 3 * steps)
  passes = [stream[start:start + steps] for start in range(0, 3 * steps, steps)]
  expected = _rows(_collect(pipelines.validation_pass(split, PLAIN, batch_size=41)))  # no augmentation
  for one in passes:
    assert _rows(one) == expected
  assert not _equal(passes[0], passes[1]) and not _equal(passes[1], passes[2])
  other = _collect(pipelines.validation_stream(split, PLAIN, batch_size=41, seed=1), steps)
  assert not _equal(passes[0], other)


@pytest.mark.parametrize('batch_size, sizes', [(100, [96, 96, 95]), (286, [144, 143]), (41, [41] * 7), (287, [287])])
def test_validation_pass_is_the_validation_set_in_even_batches(split, batch_size, sizes):
  batches = _collect(pipelines.validation_pass(split, PLAIN, batch_size))
  assert [len(labels) for _, labels in batches] == sizes
  assert np.array_equal(np.bincount(np.concatenate([labels for _, labels in batches])), np.bincount(split.records.labels[split.validation]))


def _folder(digits, root, rename):
  """Writes digits as an image folder, PATH/train and PATH/test, whose paths below them `rename` makes of label and number."""
  for part, count in (('train', 600), ('test', 200)):
    for number, record in enumerate(digits.records(part).take(count).as_numpy_iterator()):
      path = root / part / rename(record['label'], number)
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(record['image'])
  return sources.open_dataset(f'folder:{root}')


def test_names_in_a_folder_change_no_batch_of_a_pass(digits, tmp_path):
  plain = _folder(digits, tmp_path / 'plain', lambda label, number: f'{label}/{number:04d}.png')
  renamed = _folder(digits, tmp_path / 'renamed', lambda label, number: f'{"qwertyuiop"[label]}/{number % 7}/{9999 - number}.png')
  passes = []
  for source in (plain, renamed):
    split = splits.make(source, 300, seed=0)
    swapped = dataclasses.replace(split, training=split.validation, validation=np.arange(600))  # of which names choose no part
    passes.append([[(images, [source.class_names[label] for label in labels]) for images, labels in _collect(batches)]
                   for batches in (pipelines.validation_pass(swapped, PLAIN, 60), pipelines.test_pass(source, PLAIN, 50))])
  class_of = dict(zip(plain.class_names, 'qwertyuiop'))
  for one, other in zip(*passes):
    assert len(one) == len(other)
    for (images, names), (same_images, other_names) in zip(one, other):
      assert np.array_equal(images, same_images) and [class_of[name] for name in names] == other_names


@pytest.mark.parametrize('part', suites.few(['validation', 'test'], 1))
def test_each_batch_of_a_pass_mixes_the_classes(digits, tmp_path, part):
  source = _folder(digits, tmp_path, lambda label, number: f'{label}/{number:04d}.png')
  batches = (pipelines.test_pass(source, PLAIN, 50) if part == 'test' else
             pipelines.validation_pass(splits.make(source, 300, seed=0), PLAIN, 50))
  for _, labels in _collect(batches):
    assert len(set(labels.tolist())) >= 8
