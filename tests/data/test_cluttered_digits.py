"""Cluttered digits: made of the training digits or of the test digits and of nothing else, the same each time, and a digit lies in each."""

import numpy as np
import pytest
from sklearn import datasets
import tensorflow as tf

from tf_proxyless.data import cluttered_digits
from tf_proxyless.data import sources


@pytest.fixture(scope='module')
def small():
  """200 images of training digits."""
  return cluttered_digits.compose(*cluttered_digits.source_images('train'), 200, seed=7)


def test_sources_are_those_of_digits(data_dir):
  """The same images of scikit-learn as in the parts of `digits`; all 1,797 differ, so that the parts have none in common."""
  digits = sources.open_dataset('digits', data_dir)
  seen = []
  for part in ('train', 'test'):
    images, labels = cluttered_digits.source_images(part)
    records = list(digits.records(part).as_numpy_iterator())
    pixels = np.stack([tf.io.decode_png(record['image']).numpy().reshape(64) for record in records]) / 255
    theirs = np.column_stack([np.rint(16 * pixels), [record['label'] for record in records]])
    ours = np.column_stack([np.rint(16 * images).reshape(-1, 64), labels])
    assert len(ours) == len(theirs)
    assert np.array_equal(np.unique(ours, axis=0), np.unique(theirs, axis=0))
    seen.append(ours)
  assert len(np.unique(np.concatenate(seen), axis=0)) == len(datasets.load_digits().target)


def test_same_seed_same_images_and_another_another(small):
  images, labels = cluttered_digits.compose(*cluttered_digits.source_images('train'), 200, seed=7)
  assert np.array_equal(images, small[0]) and np.array_equal(labels, small[1])
  assert not np.array_equal(cluttered_digits.compose(*cluttered_digits.source_images('train'), 200, seed=8)[0], small[0])


def test_nothing_but_the_sources_is_drawn():
  """Of blank sources there is noise alone: |x| has mean 0.1 / sqrt(2 pi) where negative values are cut off at 0."""
  images, _ = cluttered_digits.compose(np.zeros((3, 8, 8)), np.arange(3), 600, seed=0)
  assert images.shape == (600, 32, 32) and images.dtype == np.uint8
  assert images.mean() / 255 == pytest.approx(0.1 / np.sqrt(2 * np.pi), rel=0.02)


def test_each_source_is_the_digit_equally_often():
  _, labels = cluttered_digits.compose(np.zeros((7, 8, 8)), np.arange(7), 700, seed=0)
  assert np.bincount(labels).tolist() == [100] * 7


def test_a_digit_is_drawn_whole():
  """Ink at scale s covers s^2 pixels for each of the source, wherever it lies and however it is turned."""
  sprite = np.zeros((1, 8, 8))
  sprite[0, 2:6, 3:5] = 1
  angles = np.linspace(-np.pi, np.pi, 9)
  drawn = cluttered_digits._draw(np.repeat(sprite, 9, 0), np.full((9, 2), 15.3), np.full(9, 2.5), angles)
  assert drawn.sum((1, 2)) == pytest.approx(8 * 2.5**2, rel=0.01)
  rows, columns = (np.arange(32) + 0.5) @ drawn.sum(2).T, (np.arange(32) + 0.5) @ drawn.sum(1).T
  assert np.stack([rows, columns]) / drawn.sum((1, 2)) == pytest.approx(15.3, abs=0.05)


def test_unturned_and_unscaled_is_the_source():
  source, _ = cluttered_digits.source_images('train')
  drawn = cluttered_digits._draw(source[:5], np.full((5, 2), 10.0), np.ones(5), np.zeros(5))
  assert np.array_equal(drawn[:, 6:14, 6:14], source[:5])
  assert drawn.sum() == pytest.approx(source[:5].sum())


@pytest.mark.long
def test_as_a_dataset(data_dir):
  opened = sources.open_dataset('cluttered_digits', data_dir)
  assert (opened.num_train, opened.num_test, opened.classes, opened.image_shape) == (20_000, 4_000, 10, (32, 32, 1))
  for part, seed in (('train', 1), ('test', 2)):
    records = list(opened.records(part).as_numpy_iterator())
    found = {(tf.io.decode_png(record['image']).numpy().tobytes(), record['label']) for record in records}
    images, labels = cluttered_digits.compose(*cluttered_digits.source_images(part), len(records), seed)
    assert found == {(image.tobytes(), label) for image, label in zip(images, labels)} and len(found) == len(images)
