"""Handwritten digits among fragments of others as a tensorflow-datasets builder that needs no network: small, and not easy."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from tf_proxyless.data import digits as digits_lib

SIZE = 32  # pixels of a side
IMAGES = {'train': 20_000, 'test': 4_000}

_SOURCE_SIZE = 8
_DIGIT_SCALES = (1.75, 2.75)  # pixels for a pixel of the source: digits of 14 to 22 pixels
_MAX_ROTATION = np.pi / 6
_FRAGMENTS = 4
_FRAGMENT_SIZE = 4  # source pixels of a side
_NOISE = 0.1  # standard deviation; ink is 1
_BATCH = 500  # images made at a time
_SEEDS = {'train': 1, 'test': 2}


def compose(sources: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
  """Makes images of one digit each, at a random place, size and angle, among fragments of any digits and under noise.

  After the cluttered MNIST of Mnih et al. (Recurrent Models of Visual Attention, 2014).

  Args:
    sources: float [sources, 8, 8] ink in [0, 1].
    labels: int [sources].
    count: Images to make; each source is the digit of equally many, up to one.
    seed: Seed of all random choices.

  Returns:
    uint8 [count, 32, 32] and the digits' labels, int [count].
  """
  random = np.random.RandomState(seed)  # whose streams NumPy never changes, unlike a Generator's
  repeats = -(-count // len(sources))
  chosen = np.concatenate([random.permutation(len(sources)) for _ in range(repeats)])[:count]
  images = [_compose_batch(sources, batch, random) for batch in np.split(chosen, range(_BATCH, count, _BATCH))]
  return np.concatenate(images), labels[chosen]


def _compose_batch(sources: np.ndarray, chosen: np.ndarray, random: np.random.RandomState) -> np.ndarray:
  count = len(chosen)
  scale = random.uniform(*_DIGIT_SCALES, count)
  margin = scale * (_SOURCE_SIZE / 2)
  centre = margin[:, np.newaxis] + random.uniform(size=(count, 2)) * (SIZE - 2 * margin)[:, np.newaxis]
  canvas = _draw(sources[chosen], centre, scale, random.uniform(-_MAX_ROTATION, _MAX_ROTATION, count))
  for _ in range(_FRAGMENTS):
    fragments = sources[random.randint(len(sources), size=count)] * _windows(random, count)
    centre, scale = random.uniform(0, SIZE, (count, 2)), random.uniform(*_DIGIT_SCALES, count)
    canvas = np.maximum(canvas, _draw(fragments, centre, scale, random.uniform(-np.pi, np.pi, count)))
  canvas += _NOISE * random.standard_normal(canvas.shape)
  return np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8)


def _windows(random: np.random.RandomState, count: int) -> np.ndarray:
  """bool [count, 8, 8]: True in a square of each."""
  first = random.randint(_SOURCE_SIZE - _FRAGMENT_SIZE + 1, size=(2, count, 1))
  rows, columns = (np.arange(_SOURCE_SIZE) >= first) & (np.arange(_SOURCE_SIZE) < first + _FRAGMENT_SIZE)
  return rows[:, :, np.newaxis] & columns[:, np.newaxis, :]


def _draw(sprites: np.ndarray, centre: np.ndarray, scale: np.ndarray, angle: np.ndarray) -> np.ndarray:
  """float [count, 32, 32]: each sprite of [count, 8, 8] scaled, turned and put at its place, by bilinear interpolation."""
  grid = np.arange(SIZE) + 0.5
  y = grid[np.newaxis, :, np.newaxis] - centre[:, 0, np.newaxis, np.newaxis]
  x = grid[np.newaxis, np.newaxis, :] - centre[:, 1, np.newaxis, np.newaxis]
  cosine, sine = (function(angle)[:, np.newaxis, np.newaxis] / scale[:, np.newaxis, np.newaxis] for function in (np.cos, np.sin))
  middle = 1 + (_SOURCE_SIZE - 1) / 2  # in the sprite with a border of zeros
  padded = np.pad(sprites, ((0, 0), (1, 1), (1, 1)))
  return _interpolate(padded, cosine * y + sine * x + middle, cosine * x - sine * y + middle)


def _interpolate(sprites: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
  """Bilinear interpolation in sprites of [count, side, side]; outside, they go on as their border."""
  last = sprites.shape[1] - 1
  y, x = np.clip(y, 0, last), np.clip(x, 0, last)
  top, left = (np.minimum(position.astype(int), last - 1) for position in (y, x))
  down, right = y - top, x - left
  index = np.arange(len(sprites))[:, np.newaxis, np.newaxis]
  upper = (1 - right) * sprites[index, top, left] + right * sprites[index, top, left + 1]
  lower = (1 - right) * sprites[index, top + 1, left] + right * sprites[index, top + 1, left + 1]
  return (1 - down) * upper + down * lower


class ClutteredDigits(tfds.core.GeneratorBasedBuilder):
  """24,000 grey images of 32 x 32 pixels in ten classes, made of scikit-learn's digits.

  The 20,000 of `train` are made of the training images of `digits`, the 4,000 of `test` of its test images, fragments too.
  """

  VERSION = tfds.core.Version('1.0.0')

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
        description='A handwritten digit at a random place, size and angle, among fragments of others and under noise.',
        features=tfds.features.FeaturesDict({
            'image': tfds.features.Image(shape=(SIZE, SIZE, 1), encoding_format='png'),
            'label': tfds.features.ClassLabel(num_classes=10),
        }),
        supervised_keys=('image', 'label'),
        homepage='https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits',
        citation='E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998.',
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing to download
    return {part: self._generate_examples(part) for part in IMAGES}

  def _generate_examples(self, part):
    images, labels = compose(*source_images(part), IMAGES[part], _SEEDS[part])
    for index, (image, label) in enumerate(zip(images, labels)):
      yield index, {'image': image[..., np.newaxis], 'label': int(label)}


def source_images(part: str) -> tuple[np.ndarray, np.ndarray]:
  """The images of `digits` that 'train' or 'test' is made of: float [images, 8, 8] in [0, 1], and int labels."""
  digits = digits_lib.load()
  chosen = digits_lib.is_test(digits.target) == (part == 'test')
  return digits.images[chosen] / (digits_lib.GREY_LEVELS - 1), digits.target[chosen]
