"""How the training images of a run are augmented: decided as it begins, shown, and kept beside its identity."""

from __future__ import annotations

import os

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import models
from tf_proxyless.data import names as dataset_names
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.infra import run_directory as run_directory_lib
from tf_proxyless.search import run_directory as search_directory

NAME = 'augmentation'  # in what a run has `chosen`
# Defaults of earlier editions, whose runs recorded nothing, where they were others.
_EARLIER = {'folder': 'imagenet', **dict.fromkeys(dataset_names.IDX, 'cifar')}
_MEANINGS = {'imagenet': 'crops, mirror images and colours', 'cifar': 'shifts by up to 4 pixels, mirror images',
             'cifar_cutout': 'shifts by up to 4 pixels, mirror images, a black square',
             'digits': 'shifts by a pixel', 'none': 'images as they are'}


def choose(given: str | None, source: sources.Source, run: run_directory_lib.RunDirectory, known: bool, before: str | None = None) -> str:
  """The augmentation of a run.

  Args:
    given: That of its options, which wins.
    source: Its images.
    run: Its directory.
    known: Whether the run is there already; it goes on as it began.
    before: That which the network was searched or trained with, if there is such.

  Returns:
    One of `preprocessing.AUGMENTATIONS`, by default the one that suits the images.
  """
  if given:
    return given
  if not known:
    return before or preprocessing.default_augmentation(source)
  return run.chosen(NAME) or _EARLIER.get(dataset_names.base(source.name)) or preprocessing.default_augmentation(source)


def before(config: config_lib.TrainConfig, start: models.ModelFiles | None, source: sources.Source) -> str | None:
  """The augmentation of the training or search before, if it was on the same images: a dataset of the same name."""
  if start is not None and (start.results or {}).get('dataset') == source.name:
    return start.architecture.augmentation
  return of_search(config.network, source)


def of_search(network: config_lib.NetworkConfig, source: sources.Source) -> str | None:
  """The augmentation of the search in whose directory the network to train lies, if it saw the same images."""
  path = network.architecture or ''
  directory = network.search_dir or (os.path.dirname(os.path.abspath(path)) if os.path.isfile(path) else '')
  run = search_directory.RunDirectory(directory)
  if not directory or not run.search_space.exists() or not run.split.exists() or not splits.is_of(run.split, source):
    return None
  return run.chosen(NAME)


def show(given: str | None, source: sources.Source, run: run_directory_lib.RunDirectory, channels: int,
         start: models.ModelFiles | None = None) -> None:
  """Tells the user what a run that is about to start makes of its images: the channels of its network, and the augmentation.

  Args:
    given: The augmentation of its options.
    source: Its images.
    run: Its directory.
    channels: Channels that its network takes.
    start: The model that it starts from, if there is one.
  """
  height, width, found = source.image_shape
  name = choose(given, source, run, known=True)
  earlier = start and start.architecture.augmentation
  change = f' (the network was trained with {earlier})' if earlier not in (None, name) else ''
  size = f'up to {height} x {width} pixels, ' if height and width else ''
  print(f'images                 {size}{"grey" if found == 1 else "in colour"}, as {channels} channel{"s" * (channels > 1)}; '
        f'augmentation {name}: {_MEANINGS[name]}{change}', flush=True)
