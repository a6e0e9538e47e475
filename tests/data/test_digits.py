"""The digits builder: nothing of scikit-learn's images is lost, and the test set is a stratified fifth of them."""

import multiprocessing

import numpy as np
import pytest
from sklearn import datasets
import tensorflow as tf

from tf_proxyless.data import sources


def _levels(source, part):
  """int [images, 64] grey levels 0..16, and labels."""
  records = list(source.records(part).as_numpy_iterator())
  pixels = np.stack([tf.io.decode_png(record['image']).numpy().reshape(64) for record in records])
  return np.rint(pixels / 255.0 * 16).astype(int), np.array([record['label'] for record in records])


@pytest.fixture(scope='module')
def source(data_dir):
  return sources.open_dataset('digits', data_dir)


def test_train_and_test_are_the_images_of_scikit_learn_and_disjoint(source):
  train, train_labels = _levels(source, 'train')
  test, test_labels = _levels(source, 'test')
  rows = np.concatenate([np.column_stack([train, train_labels]), np.column_stack([test, test_labels])])
  original = datasets.load_digits()
  expected = np.column_stack([original.data.astype(int), original.target])
  assert len(np.unique(expected, axis=0)) == 1797  # all different, so that equality below means that the parts are disjoint
  assert np.array_equal(np.unique(rows, axis=0), np.unique(expected, axis=0)) and len(rows) == 1797


def test_test_set_is_stratified(source):
  assert np.bincount(_levels(source, 'test')[1]).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]


def test_unwritable_data_dir_is_one_line(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(ValueError, match='digits cannot be prepared in .*file') as error:
    sources.open_dataset('digits', str(tmp_path / 'file'))
  assert '\n' not in str(error.value)


def _open_digits(directory):
  return sources.open_dataset('digits', directory).num_train


@pytest.mark.long
def test_processes_may_prepare_at_the_same_time(tmp_path):
  with multiprocessing.get_context('spawn').Pool(3) as pool:
    assert pool.map(_open_digits, [str(tmp_path)] * 3) == [1437] * 3
