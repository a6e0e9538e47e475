"""What a command says of its images before it does anything with them."""

import os
import types

import pytest

from tests.data import image_folders
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import dataset
from tf_proxyless.app import options
from tf_proxyless.app import training_images
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory
from tf_proxyless.train import run_directory as train_directory


@pytest.fixture
def folder(tmp_path):
  root = image_folders.put(tmp_path / 'photos', {'train/a': 4, 'train/b': 3, 'val/a': 2, 'test/b': 1})
  (root / 'train' / 'a' / 'empty.jpg').touch()
  (root / 'train' / 'a' / 'notes.txt').touch()
  return root


def open_source(folder, run=None, **settings):
  name = f'folder:{folder}'
  return dataset.open_source(name, config_lib.TrainingDataConfig(dataset=name, **settings), run)


def test_the_table_and_what_cannot_be_read(folder, capsys):
  with pytest.raises(ValueError, match=r'1 of 11 images in .* cannot be read: train/a/empty.jpg \(is empty\); .*by `skip_unreadable`'):
    open_source(folder)
  assert capsys.readouterr().err.splitlines() == [
      f'folder                 {folder}', 'training images        8 of 2 classes: a 5, b 3',
      "validation images      2, those in 'val', whatever `validation_images` says", "test images            1, those in 'test'",
      'passed over            1 .txt']


def test_skipped_images_are_kept_by_the_run(folder, capsys, tmp_path):
  run = run_directory.RunDirectory(tmp_path / 'run')
  run.create()
  source = open_source(folder, run, skip_unreadable=True)
  assert (source.num_train, source.num_validation, source.num_test) == (7, 2, 1)
  assert 'skipped                1 image that cannot be read' in capsys.readouterr().err
  assert files.read_json(run.skipped_images, 'skipped_images') == {'images': ['train/a/empty.jpg']}


def test_a_training_that_is_over_is_evaluated_on_what_is_left(folder, tmp_path):
  config = options.make(config_lib.TrainConfig, {'dataset': f'folder:{folder}', 'skip_unreadable': True, 'architecture': 'x'})
  architecture = types.SimpleNamespace(network=types.SimpleNamespace(input_shape=(8, 8, 3)), input_normalization=None,
                                       class_names=('a', 'b'), augmentation='none')
  run = train_directory.RunDirectory(tmp_path / 'run')
  run.create()
  make = lambda: training_images.make(config, open_source(folder, skip_unreadable=True), architecture, run)
  assert [len(part) for part in (make().split.training, make().split.validation)] == [7, 2]
  (folder / 'train' / 'b' / '00.png').unlink()
  with pytest.raises(ValueError, match="other images: folder:.* has lost 1 image, for instance 'train/b/00.png'; restore"):
    make()
  run.model.touch()
  assert len(make().split.training) == 6


def test_images_need_not_be_read(folder):
  assert open_source(folder, verify_images=False).num_train == 8


def test_equal_images_of_train_and_test_are_said(folder, capsys):
  (folder / 'train' / 'a' / 'empty.jpg').unlink()
  os.link(folder / 'train' / 'a' / '00.png', folder / 'test' / 'b' / 'same.png')
  open_source(folder)
  assert ('warning: 1 image to validate or test on equal training images, for instance test/b/same.png and train/a/00.png'
          in capsys.readouterr().err)
