"""Fashion-MNIST and its relatives from IDX files: the images of the files, by the builders of tensorflow-datasets."""

import gzip
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests import programs
from tests.data import idx_files
from tests.search import runs
from tf_proxyless.data import idx
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources


def _check_images(source, counts=idx_files.COUNTS):
  """The images and labels are those of the files."""
  for part, count in counts.items():
    pixels, labels = idx_files.images(part, count)
    found = {tf.io.decode_png(record['image']).numpy().tobytes(): record['label'] for record in source.records(part).as_numpy_iterator()}
    assert found == {image.tobytes(): label for image, label in zip(pixels, labels)}


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
  monkeypatch.setattr(idx, 'DEBIAN', {'fashion_mnist': ('dataset-fashion-mnist', str(tmp_path / 'not_installed'))})


@pytest.mark.parametrize('packed', [True, False])
def test_files_of_the_data_dir_come_first_and_are_needed_once(packed, tmp_path, capsys):
  folder = idx_files.write(tmp_path, packed=packed)
  source = sources.open_dataset('fashion_mnist', folder)
  assert (source.num_train, source.num_test, source.image_shape, source.channels) == (40, 20, (28, 28, 1), 1)
  assert source.class_names[:2] == ('T-shirt/top', 'Trouser')  # which tensorflow-datasets knows
  _check_images(source)
  assert capsys.readouterr() == ('', f'preparing fashion_mnist from {folder}, once; kept in {folder}/fashion_mnist/3.0.1\n')
  for file in tmp_path.glob('*ubyte*'):
    file.unlink()
  _check_images(sources.open_dataset('fashion_mnist:3.0.1', folder))
  assert capsys.readouterr() == ('', '')
  assert tfds.builder('fashion_mnist', data_dir=folder).as_dataset(split='test').cardinality() == 20  # for others too


def test_a_package_of_debian(tmp_path, monkeypatch):
  monkeypatch.setattr(idx, 'DEBIAN', {'fashion_mnist': ('a package', idx_files.write(tmp_path / 'installed'))})
  _check_images(sources.open_dataset('fashion_mnist', str(tmp_path / 'data')))


@pytest.mark.parametrize('name, names', [('kmnist', {}), ('mnist', {}), ('emnist/letters', {'prefix': 'emnist-letters-', 'test': 'test'})])
def test_relatives(name, names, tmp_path):
  source = sources.open_dataset(name, idx_files.write(tmp_path, **names))
  _check_images(source)
  assert (source.classes, source.channels) == (37 if name == 'emnist/letters' else 10, 1)
  assert preprocessing.for_source(source, 28, channels=1) == preprocessing.Digits(28, 1)  # no mirror images of characters


def test_fashion_is_shifted_and_mirrored(tmp_path):
  source = sources.open_dataset('fashion_mnist', idx_files.write(tmp_path))
  assert preprocessing.for_source(source, 28, channels=source.channels) == preprocessing.Cifar(28, 1)


DAMAGES = {
    'cut off': ('train-images-idx3-ubyte', lambda content: content[:900],
                'train-images-idx3-ubyte is damaged: by its header it holds 40 x 28 x 28 bytes, and there are 884$'),
    'too long': ('t10k-labels-idx1-ubyte', lambda content: content + b'x', 'by its header it holds 20 bytes, and there are 21$'),
    'archive cut off': ('train-images-idx3-ubyte.gz', lambda content: gzip.compress(content)[:-9], 'ubyte.gz is damaged: .*ended before'),
    'archive changed': ('train-labels-idx1-ubyte.gz', lambda content: gzip.compress(content)[:-8] + b'wrong   ',
                        'is damaged: CRC check failed'),
    'no IDX': ('train-labels-idx1-ubyte', lambda content: b'<html>', 'is not an IDX file of images or labels .* begins with 3c 68 74 6d$'),
    'empty': ('train-labels-idx1-ubyte', lambda content: b'', 'begins with nothing$'),
    'numbers': ('train-labels-idx1-ubyte', lambda content: b'\0\0\x0d' + content[3:], 'begins with 00 00 0d 01$'),
    'dimensions': ('train-labels-idx1-ubyte', lambda content: b'\0\0\x08\xff' + b'\xff' * 2000, 'begins with 00 00 08 ff$'),
    'other size': ('t10k-images-idx3-ubyte', lambda content: idx_files.encode(np.zeros((20, 8, 8), np.uint8)),
                   r'must hold images of 28 x 28 pixels, its shape is \[20, 8, 8\]$'),
    'no images': ('t10k-images-idx3-ubyte', lambda content: idx_files.encode(np.zeros((0, 28, 28), np.uint8)),
                  r'its shape is \[0, 28, 28\]$'),
    'other labels': ('train-labels-idx1-ubyte', lambda content: idx_files.encode(np.zeros(39, np.uint8)),
                     r'must hold a label for each of 40 images, its shape is \[39\]$'),
    'other classes': ('train-labels-idx1-ubyte', lambda content: idx_files.encode(np.full(40, 10, np.uint8)),
                      'holds the label 10, the dataset has 10 classes$'),
}


@pytest.mark.parametrize('case', DAMAGES)
def test_a_damaged_file_is_one_line_that_names_it(case, tmp_path):
  name, damage, message = DAMAGES[case]
  idx_files.write(tmp_path, packed=False)
  plain = tmp_path / name.removesuffix('.gz')
  content = plain.read_bytes()
  plain.unlink()
  (tmp_path / name).write_bytes(damage(content))
  with pytest.raises(ValueError, match=message) as error:
    sources.open_dataset('fashion_mnist', str(tmp_path))
  assert '\n' not in str(error.value) and str(error.value).startswith(str(tmp_path / name))
  assert not (tmp_path / 'fashion_mnist').exists()


def test_a_file_that_is_missing_is_named(tmp_path):
  idx_files.write(tmp_path)
  (tmp_path / 't10k-labels-idx1-ubyte.gz').unlink()
  with pytest.raises(ValueError, match=f'{tmp_path} holds IDX files, but lacks t10k-labels-idx1-ubyte .or the same with .gz.$'):
    sources.open_dataset('fashion_mnist', str(tmp_path))


@pytest.mark.parametrize('name, message', [
    ('fashion_mnist', "'fashion_mnist' is not prepared: looked in .*3.0.1, and for IDX files in .* and .*/not_installed; apt-get install "
     'dataset-fashion-mnist, name the folder of its IDX files by `data_dir`, or pass `download` to prepare it$'),
    ('mnist', "'mnist' is not prepared: looked in .*, and for IDX files in .*; name the folder of its IDX files by `data_dir`, or pass")])
def test_what_can_be_done_without_files(name, message, tmp_path, nothing_installed):
  with pytest.raises(ValueError, match=message) as error:
    sources.open_dataset(name, str(tmp_path))
  assert '\n' not in str(error.value)


@pytest.fixture(scope='module')
def package():
  name, folder = idx.DEBIAN['fashion_mnist']
  return programs.require_folder(folder, name)


def test_the_package_holds_fashion_mnist(package):
  """Xiao et al. 2017: 60,000 and 10,000 images, equally many of each class."""
  found = idx.find_files(tfds.builder('fashion_mnist', data_dir='/nowhere'))
  for part, count in (('train', 60_000), ('test', 10_000)):
    images, labels = (idx.read(found[part, kind]) for kind in ('images', 'labels'))
    assert images.shape == (count, 28, 28) and np.bincount(labels).tolist() == [count // 10] * 10
    assert 60 < images.mean() < 80


def _open(directory):
  return sources.open_dataset('fashion_mnist', directory).num_train


@pytest.mark.by_hand
def test_processes_may_prepare_at_the_same_time(package, tmp_path):
  with multiprocessing.get_context('spawn').Pool(2) as pool:
    assert pool.map(_open, [str(tmp_path)] * 2) == [60_000] * 2


@pytest.mark.long
def test_a_killed_preparation_is_made_again(package, tmp_path):
  code = f'from tf_proxyless.data import sources; sources.open_dataset("fashion_mnist", {str(tmp_path)!r})'
  process = subprocess.Popen([sys.executable, '-c', code], env=runs.environment(), stderr=subprocess.DEVNULL)
  written = lambda: sum(file.stat().st_size for file in tmp_path.glob('fashion_mnist/incomplete*/*') if os.path.exists(file))
  deadline = time.monotonic() + 300
  while written() < 10**6 and process.poll() is None and time.monotonic() < deadline:
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  assert not (tmp_path / 'fashion_mnist' / '3.0.1').exists()
  source = sources.open_dataset('fashion_mnist', str(tmp_path))
  assert np.bincount(source.load('train').labels).tolist() == [6000] * 10
