"""scikit-learn's handwritten digits as a tensorflow-datasets builder that needs no network."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tf_proxyless.data import selection

GREY_LEVELS = 17  # 0..16: each pixel counts the set pixels of a 4 x 4 cell of the original bitmap


def is_test(labels: np.ndarray) -> np.ndarray:
  """bool [images]: which of scikit-learn's images, given the labels of all in their order, are the test set."""
  ids = np.array([f'{index:04d}' for index in range(len(labels))], dtype=np.bytes_)
  return selection.held_out_fifth(ids, labels)


def load() -> Any:
  """scikit-learn's digits: `images` of `GREY_LEVELS`, float64 [images, 8, 8], and `target`, int64 [images]."""
  from sklearn import datasets  # takes half a second, and once prepared nothing needs it

  return datasets.load_digits()


class Digits(tfds.core.GeneratorBasedBuilder):
  """1,797 grey images of 8 x 8 pixels in ten classes.

  Pixels are stored as round(level * 255 / 16), so that round(pixel * 16 / 255) gives back the level. `test` is a stratified
  fifth (360 images) chosen by the hash of the image's index; `train` holds the other 1,437.
  """

  VERSION = tfds.core.Version('1.0.0')

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
        description='Optical recognition of handwritten digits, as shipped with scikit-learn.',
        features=tfds.features.FeaturesDict({
            'image': tfds.features.Image(shape=(8, 8, 1), encoding_format='png'),
            'label': tfds.features.ClassLabel(num_classes=10),
        }),
        supervised_keys=('image', 'label'),
        homepage='https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits',
        citation='E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998.',
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing to download
    digits = load()
    test = is_test(digits.target)
    images = np.rint(digits.images * (255 / (GREY_LEVELS - 1))).astype(np.uint8)[..., np.newaxis]
    return {
        'train': self._generate_examples(images, digits.target, ~test),
        'test': self._generate_examples(images, digits.target, test),
    }

  def _generate_examples(self, images, labels, selected):
    for index in np.flatnonzero(selected):
      yield int(index), {'image': images[index], 'label': int(labels[index])}
