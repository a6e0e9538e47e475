"""What a run decides of its images as it begins, it keeps; the training of what it found takes the same."""

import dataclasses
import json

from PIL import Image
import pytest

from tests.api import data as api_data
import tf_proxyless as nas
from tf_proxyless.app import augmentation
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app.commands import search as search_command
from tf_proxyless.data import arrays
from tf_proxyless.data import sources
from tf_proxyless.infra import files
from tf_proxyless.infra import shutdown
from tf_proxyless.search import run_directory
from tf_proxyless.space import io


def write_images(folder, size=(28, 28), mode='L'):
  for label, name in enumerate(('dark', 'light')):
    (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(20):
      Image.new(mode, size, (100 * label + index) if mode == 'L' else (100 * label + index, 9, 9)).save(folder / name / f'{index}.png')
  return f'folder:{folder}'


@pytest.fixture
def source(tmp_path):
  return sources.open_dataset(write_images(tmp_path / 'images'))


def test_a_run_keeps_what_it_began_with(source, tmp_path):
  run = run_directory.RunDirectory(tmp_path / 'run')
  run.create()
  choose = lambda given=None, source=source, **how: augmentation.choose(given, source, run, **how)
  assert choose(known=False) == 'cifar'
  assert choose('none', known=False) == 'none'
  assert choose(known=False, before='digits') == 'digits'
  run.claim({}, augmentation='cifar')
  larger = dataclasses.replace(source, image_shape=(96, 96, 3))
  assert choose(source=larger, known=True) == 'cifar'
  run.claim({})  # of an earlier edition, which took folders for photographs
  assert choose(known=True) == 'imagenet'
  for name, expected in (('cifar10', 'cifar'), ('mnist', 'cifar'), ('digits', 'digits')):
    assert choose(source=dataclasses.replace(source, name=name), known=True) == expected


TINY = {'stem_filters': 8, 'stem_strides': 1, 'first_block_filters': 8, 'stage_filters': (8,), 'stage_blocks': (1,), 'stage_strides': (1,),
        'head_filters': 16, 'resolution': 8, 'target_macs': 2e5, 'batch_size': 8, 'validation_batch_size': 6, 'validation_images': 0.2,
        'warmup_epochs': 1, 'search_epochs': 1, 'frozen_epochs': 0, 'weight_steps_per_update': 2, 'checkpoint_every_steps': 2}


@shutdown.signals_given_back()
def search(config):
  return search_command.main(config)


@pytest.mark.long
def test_a_search_says_and_records_what_it_makes_of_small_grey_images(tmp_path, capsys):
  name = write_images(tmp_path / 'images')
  config = options.make(config_lib.SearchConfig, {**TINY, 'dataset': name, 'run_dir': str(tmp_path / 'run')})
  assert search(config) == 0
  said = 'images                 up to 28 x 28 pixels, grey, as 1 channel; augmentation cifar: shifts by up to 4 pixels, mirror images\n'
  assert said in capsys.readouterr().out
  run = run_directory.RunDirectory(tmp_path / 'run')
  assert json.loads(run.identity.read_text())['chosen'] == {'augmentation': 'cifar', 'class_names': 'dark\nlight'}
  assert io.load_search_space(run.search_space).input_shape == io.load_architecture(run.architecture).network.input_shape == (8, 8, 1)
  write_images(tmp_path / 'images', (100, 100), 'RGB')  # the same names
  assert search(config) == 0
  assert 'images                 up to 100 x 100 pixels, in colour, as 1 channel; augmentation cifar' in capsys.readouterr().out
  network = config_lib.NetworkConfig(architecture=str(run.architecture))
  assert augmentation.of_search(network, sources.open_dataset(name)) == 'cifar'


@pytest.mark.long
def test_a_training_takes_the_augmentation_of_the_search_on_the_same_images(tmp_path):
  """Arrays are known by their content, other data by its name."""
  images, labels = api_data.images()
  settings = {**api_data.SETTINGS, 'augmentation': 'digits'}
  result = nas.search(api_data.SPACE, (images, labels), cost='macs', target='50%', run_dir=tmp_path / 'search', **settings)
  network = config_lib.NetworkConfig(architecture=str(result.run.architecture))
  for given, expected in (((images, labels), 'digits'), (api_data.images(seed=2), None)):
    found, _ = arrays.open_arrays(given, test=api_data.images(40, seed=1))
    assert augmentation.of_search(network, found) == expected
  trained = nas.train(result, (images, labels), api_data.images(40, seed=1), run_dir=tmp_path / 'float', epochs=1, batch_size=24)
  assert trained.results['preprocessing']['augmentation'] == 'digits'
  assert files.read_json(trained.run.identity, 'run_identity')['chosen'] == {'augmentation': 'digits'}
