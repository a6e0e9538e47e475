"""Every shipped flagfile of a training is one that could start."""

import re

import pytest

from tests import test_configs
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flagfiles
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.infra import resources

FILES = sorted((test_configs.runs.ROOT / 'configs' / 'train').glob('*.flags'))
NAMES = [path.stem for path in FILES]


def parse(name, *overrides):
  """The flags of a shipped training, as its main would have them."""
  return flags.from_flagfile(flagfiles.expand([f'--flagfile=train/{name}.flags', *overrides]), config_lib.TrainConfig)


def test_the_recipes_are_there():
  assert {'imagenet', 'imagenet_rmsprop', 'digits'} <= set(NAMES)


@pytest.mark.parametrize('path', FILES, ids=NAMES)
def test_header_says_how_to_run_it(path):
  words = test_configs.header(path)
  assert words['command'].startswith(f'python -m tf_proxyless.train --flagfile=train/{path.name} --architecture=')
  assert {'source', 'expect', 'cost'} <= set(words)


@pytest.mark.parametrize('name', NAMES)
def test_flags_fit_each_other(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = parse(name, '--architecture=proxyless_mobile')
  config.check()
  assert re.fullmatch(r'runs/train_\w+', config.run_dir) and not config.data.download


def test_imagenet_is_the_official_recipe_and_so_are_the_defaults():
  """imagenet_run_exp.py of the official code."""
  config = parse('imagenet')
  official = dict(epochs=300, batch_size=256, optimizer='sgd', momentum=0.9, schedule='cosine', weight_decay=4e-5, label_smoothing=0.1,
                  color_jitter='strong', warmup_epochs=0.0, dropout_rate=None, decoupled_weight_decay=False, average_momentum=None)
  defaults = config_lib.TrainConfig()
  for name, value in official.items():
    assert options.flat(config)[name] == options.flat(defaults)[name] == value, name
  assert config.learning_rate == defaults.learning_rate == 0.05


def test_rmsprop_is_mnasnets_for_a_quarter_of_the_images():
  """arXiv 1807.11626, section 5: a learning rate of 0.256 for 4,096 images."""
  config = parse('imagenet_rmsprop')
  assert config.learning_rate / config.data.batch_size == 0.256 / 4096
  assert (config.optimizer.optimizer, config.optimizer.rho, config.optimizer.momentum, config.recipe.warmup_epochs,
          config.recipe.decay_rate,
          config.recipe.decay_epochs) == (
      'rmsprop', 0.9, 0.9, 5.0, 0.97, 2.4)
  assert (config.recipe.weight_decay, config.network.dropout_rate) == (1e-5, 0.2)


def test_other_folders_are_not_looked_into(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert resources.flagfile('configs/train/digits.flags') == resources.flagfile('train/digits')
  for name in ('digits.flags', 'other/train/digits.flags', 'train/mobile.flags'):
    with pytest.raises(ValueError, match='is neither a file nor one of those shipped'):
      resources.flagfile(name)
