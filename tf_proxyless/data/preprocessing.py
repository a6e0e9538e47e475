"""Encoded images to float32 images in [0, 1], with and without augmentation.

A transform has no state: `train(image, seed)` depends on the encoded bytes and a seed alone, `evaluate(image)` on the bytes.
Both return [image_size, image_size, channels] float32, x / 255: of three channels those of a grey image are equal, one is brightness.
"""

from __future__ import annotations

import dataclasses
from typing import Union

import tensorflow as tf

from tf_proxyless.data import color
from tf_proxyless.data import crops
from tf_proxyless.data import names
from tf_proxyless.data import sources

AUGMENTATIONS = ('imagenet', 'cifar', 'digits', 'none')
_CIFAR_MAX_SIZE = 64
_CHARACTERS = (*names.EMBEDDED, 'mnist', 'kmnist', 'emnist')  # whose mirror images are none


def _check_shape(transform) -> None:
  size = transform.image_size
  if isinstance(size, bool) or not isinstance(size, int) or size < 1:
    raise ValueError(f'image_size must be a positive integer, got {size!r}')
  if transform.channels not in (1, 3):
    raise ValueError(f'images have 3 channels, or 1 if they are grey; the network takes {transform.channels!r}')


def _to_float(image: tf.Tensor) -> tf.Tensor:
  return tf.cast(image, tf.float32) / 255.0


def _decode(image: tf.Tensor, channels: int) -> tf.Tensor:
  """uint8 [height, width, channels] of an encoded JPEG, PNG, BMP or the first frame of a GIF."""
  return crops.decode_window(image, lambda height, width: (0, 0, height, width), channels)


def _resize(image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
  """Bilinear as in PIL, which averages over the source where it shrinks; stays in [0, 1]."""
  resize = lambda: tf.clip_by_value(tf.image.resize(image, (height, width), antialias=True), 0.0, 1.0)
  fits = tf.reduce_all(tf.equal(tf.shape(image)[:2], (height, width)))
  return tf.cond(fits, lambda: image, resize)  # which gives the same bits, and takes half of the time of a small image


def _flip(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  """The mirror image, with probability 1/2."""
  return tf.cond(tf.random.stateless_uniform([], seed) < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def _shift(image: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
  """A random crop of the image's own size after padding it with black on every side."""
  padded = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
  offset = tf.random.stateless_uniform([2], seed, 0, 2 * padding + 1, tf.int32)
  return tf.slice(padded, tf.concat([offset, [0]], 0), tf.shape(image))


@dataclasses.dataclass(frozen=True)
class Plain:
  """No augmentation; both sides resized to the image size.

  Attributes:
    image_size: Height and width of the result, pixels.
    channels: 3, or 1 for grey.
  """

  image_size: int
  channels: int = 3

  def __post_init__(self):
    _check_shape(self)

  def train(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The same as `evaluate`."""
    del seed
    return self.evaluate(image)

  def evaluate(self, image: tf.Tensor) -> tf.Tensor:
    """The whole image, resized if its size differs."""
    return self._fit(_to_float(_decode(image, self.channels)))

  def _fit(self, image: tf.Tensor) -> tf.Tensor:
    resized = _resize(image, self.image_size, self.image_size)
    return tf.ensure_shape(resized, [self.image_size, self.image_size, self.channels])


@dataclasses.dataclass(frozen=True)
class Digits(Plain):
  """Shifts by at most one pixel of the source; no mirror images, since a digit is not its mirror image."""

  def train(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifted by -1, 0 or 1 source pixels in each direction, then resized."""
    return self._fit(_shift(_to_float(_decode(image, self.channels)), 1, seed))


@dataclasses.dataclass(frozen=True)
class Cifar(Plain):
  """Padding by 4, random crop of the original size, mirror images (He et al. 2015, section 4.2)."""

  def train(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifted by at most 4 source pixels, perhaps mirrored, then resized if the size differs."""
    shift_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    return self._fit(_flip(_shift(_to_float(_decode(image, self.channels)), 4, shift_seed), flip_seed))


@dataclasses.dataclass(frozen=True)
class ImageNet:
  """Crops of random area and shape, mirror images and colour jitter; evaluation on the centre.

  Defaults are those of the official ProxylessNAS search (scale 0.08 to 1, ratio 3/4 to 4/3, colour jitter 'normal').

  Attributes:
    image_size: Height and width of the result, pixels.
    color_jitter: 'normal', 'strong' or 'none'.
    channels: 3, or 1 for grey.
  """

  image_size: int
  color_jitter: str = 'normal'
  channels: int = 3

  def __post_init__(self):
    _check_shape(self)
    if self.color_jitter not in color.JITTERS:
      raise ValueError(f'color_jitter must be one of {tuple(color.JITTERS)}, got {self.color_jitter!r}')

  def train(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """RandomResizedCrop, flip, colour jitter; of a JPEG only the crop is decoded."""
    crop_seed, flip_seed, color_seed = tf.unstack(tf.random.split(seed, 3))
    window = lambda height, width: crops.random_window(height, width, crop_seed)
    crop = _to_float(crops.decode_window(image, window, self.channels))
    resized = _resize(crop, self.image_size, self.image_size)
    jittered = color.jitter(_flip(resized, flip_seed), color.JITTERS[self.color_jitter], color_seed)
    return tf.ensure_shape(jittered, [self.image_size, self.image_size, self.channels])

  def evaluate(self, image: tf.Tensor) -> tf.Tensor:
    """The short side resized to 256/224 of the image size, then the centre."""
    decoded = _to_float(_decode(image, self.channels))
    short_side = round(self.image_size * 256 / 224)
    height, width = crops.scale_short_side(tf.shape(decoded)[0], tf.shape(decoded)[1], short_side)
    resized = _resize(decoded, height, width)
    top, left = crops.centre(height, self.image_size), crops.centre(width, self.image_size)
    crop = resized[top:top + self.image_size, left:left + self.image_size]
    return tf.ensure_shape(crop, [self.image_size, self.image_size, self.channels])


Transform = Union[Plain, Digits, Cifar, ImageNet]


def for_source(source: sources.Source, image_size: int, augmentation: str | None = None, color_jitter: str = 'normal',
               channels: int = 3) -> Transform:
  """The transform for a dataset.

  Args:
    source: The dataset.
    image_size: Height and width that the network takes, pixels.
    augmentation: One of AUGMENTATIONS; None is that of `default_augmentation`.
    color_jitter: 'normal', 'strong' or 'none'; used by 'imagenet' only.
    channels: That the network takes, 3 or 1.

  Returns:
    A transform.

  Raises:
    ValueError: An unknown augmentation or jitter, an image size that is not a positive integer, or other channels.
  """
  match augmentation or default_augmentation(source):
    case 'imagenet':
      return ImageNet(image_size, color_jitter, channels)
    case 'cifar':
      return Cifar(image_size, channels)
    case 'digits':
      return Digits(image_size, channels)
    case 'none':
      return Plain(image_size, channels)
    case unknown:
      raise ValueError(f'augmentation must be one of {AUGMENTATIONS}, got {unknown!r}')


def default_augmentation(source: sources.Source) -> str:
  """The augmentation that suits a dataset: 'digits' for those of characters, 'cifar' for images of at most 64 pixels, else 'imagenet'."""
  if names.base(source.name) in _CHARACTERS:
    return 'digits'
  height, width, _ = source.image_shape
  return 'cifar' if height and width and max(height, width) <= _CIFAR_MAX_SIZE else 'imagenet'
