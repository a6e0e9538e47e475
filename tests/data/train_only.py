"""Datasets of tensorflow-datasets: without a test split, with one whose labels are hidden, with all three parts, and without classes."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

EXAMPLES = 50


class TrainOnly(tfds.core.GeneratorBasedBuilder):
  """Fifty images whose pixels are their index; 3 in 5 of class 0."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    return self.dataset_info_from_configs(
        features=tfds.features.FeaturesDict({
            'image': tfds.features.Image(shape=(4, 4, 3)), 'label': tfds.features.ClassLabel(names=['common', 'rare'])}))

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    for index in range(EXAMPLES):
      yield index, {'image': np.full((4, 4, 3), index, np.uint8), 'label': int(index % 5 >= 3)}


class HiddenLabels(TrainOnly):
  """The same with a validation split, and a test split that has no labels."""

  def _split_generators(self, dl_manager):
    unknown = ((key, {**example, 'label': -1}) for key, example in self._generate_examples())
    return {'train': self._generate_examples(), 'validation': self._generate_examples(), 'test': unknown}


class ThreeParts(TrainOnly):
  """The same images in three splits."""

  def _split_generators(self, dl_manager):
    return {split: self._generate_examples() for split in ('train', 'validation', 'test')}


class Unlabelled(tfds.core.GeneratorBasedBuilder):
  """Images with a number in the place of a class."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    return self.dataset_info_from_configs(
        features=tfds.features.FeaturesDict({'image': tfds.features.Image(shape=(4, 4, 3)), 'label': np.float32}))

  def _split_generators(self, dl_manager):
    return {}

  def _generate_examples(self):
    yield from ()
