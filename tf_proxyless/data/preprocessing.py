"""Encoded images to float32 images in [0, 1], with and without augmentation.

A transform has no state: `train(image, seed)` depends on the encoded bytes and a seed alone, `evaluate(image)` on the bytes.
Both return [image_size, image_size, channels] float32, x / 255: of three channels those of a grey image are equal, one is brightness.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Union

import tensorflow as tf

from tf_proxyless.data import color
from tf_proxyless.data import crops
from tf_proxyless.data import names
from tf_proxyless.data import orientation
from tf_proxyless.data import sources

AUGMENTATIONS = ('imagenet', 'cifar', 'cifar_cutout', 'digits', 'none')
_CIFAR_MAX_SIZE = 64
_ENOUGH = 2  # pixels of a photo for one of a result, as in PIL's thumbnails
_LARGE_PIXELS = 2**24  # images above are resized as bytes, not as floats
_Pair = Union[tuple, tf.Tensor]  # rows and columns
_CHARACTERS = (*names.EMBEDDED, 'mnist', 'kmnist', 'emnist')  # whose mirror images are none


def _check_shape(transform) -> None:
  size = transform.image_size
  if isinstance(size, bool) or not isinstance(size, int) or size < 1:
    raise ValueError(f'image_size must be a positive integer, got {size!r}')
  if transform.channels not in (1, 3):
    raise ValueError(f'images have 3 channels, or 1 if they are grey; the network takes {transform.channels!r}')


def _to_float(image: tf.Tensor) -> tf.Tensor:
  return tf.cast(image, tf.float32) / 255.0


def _to_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
  """uint8 [..., channels] of uint8 [..., 1 or 3]: grey thrice, or the brightness of colours."""
  if images.shape[-1] == channels:
    return images
  return tf.image.rgb_to_grayscale(images) if channels == 1 else tf.repeat(images, channels, axis=-1)


def _resize(images: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
  """Of uint8 [images, height, width, channels], in [0, 1]: bilinear as in PIL, which averages over the source where it shrinks."""
  shape = tf.shape(images)[1:3]
  ratio = tf.cast((height, width), tf.float32) / tf.cast(shape, tf.float32)
  resize = lambda images: _scale(images, (height, width), ratio, (0.0, 0.0))
  fits = tf.reduce_all(tf.equal(shape, (height, width)))
  scale = lambda: tf.cond(_is_large(shape), orientation.rare(lambda: _to_float(resize(images))), lambda: resize(_to_float(images)))
  clip = lambda images: tf.clip_by_value(images, 0.0, 1.0)
  return tf.cond(fits, lambda: _to_float(images), lambda: clip(scale()))  # the same bits, in half of the time of a small image


def _scale(images: tf.Tensor, size: _Pair, scale: _Pair, translation: _Pair) -> tf.Tensor:
  """`tf.raw_ops.ScaleAndTranslate`, bit for bit, in half of its time or less: this takes pixel after pixel of a row, here row after row.

  Args:
    images: uint8 or float32 [images, height, width, channels].
    size: Height and width of the results, pixels.
    scale: Pixels of the result for one of the source, in both directions.
    translation: Added to where these lie in the result.

  Returns:
    float32 [images, *size, channels].
  """
  def rows(images: tf.Tensor, i: int) -> tf.Tensor:
    """Of [images, rows, values]: [images, size[i], values]."""
    scaled = tf.raw_ops.ScaleAndTranslate(images=images[:, :, tf.newaxis], size=(size[i], 1), scale=(scale[i], 1.0),
                                          translation=(translation[i], 0.0), kernel_type='triangle')
    return scaled[:, :, 0]

  number, height, width, channels = tf.unstack(tf.shape(images))
  scaled = rows(tf.reshape(images, (number, height, width * channels)), 0)
  columns = rows(tf.reshape(tf.transpose(scaled, (0, 2, 1)), (number, width, channels * size[0])), 1)
  return tf.reshape(tf.transpose(tf.reshape(columns, (number, size[1] * channels, size[0])), (0, 2, 1)), (number, *size, channels))


def _is_large(shape: tf.Tensor) -> tf.Tensor:
  """Whether an image of a height and width, int32 [2], is too large to be turned into floats before it is resized."""
  return tf.reduce_prod(tf.cast(shape, tf.float32)) > _LARGE_PIXELS


def _flip(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  """The mirror image, with probability 1/2."""
  return tf.cond(_is_mirrored(seed), lambda: tf.reverse(image, [1]), lambda: image)


def _is_mirrored(seed: tf.Tensor) -> tf.Tensor:
  return tf.random.stateless_uniform([], seed) < 0.5


@dataclasses.dataclass(frozen=True)
class Plain:
  """No augmentation; both sides resized to the image size.

  It and its subclasses take decoded images too, many at a time: they are for small images, of which reading one by one takes longer than
  a network.

  Attributes:
    image_size: Height and width of the result, pixels.
    channels: 3, or 1 for grey.
  """

  PADDING: ClassVar[int] = 0  # black pixels on every side, from which a crop of the image's own size is taken

  image_size: int
  channels: int = 3

  def __post_init__(self):
    _check_shape(self)

  def train(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifted by at most `PADDING` source pixels in each direction, perhaps mirrored, then resized if the size differs."""
    return self.augment(crops.decode_whole(image, self.channels)[tf.newaxis], self.draw(seed)[tf.newaxis])[0]

  def evaluate(self, image: tf.Tensor) -> tf.Tensor:
    """The whole image, resized if its size differs."""
    return self.fit(crops.decode_whole(image, self.channels)[tf.newaxis])[0]

  def draw(self, seed: tf.Tensor) -> tf.Tensor:
    """What is drawn for an image: int32 [3 or more], the crop's first row and column, 1 if it is mirrored, and what a subclass adds."""
    del seed
    return tf.zeros([3], tf.int32)

  def augment(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Of uint8 [images, height, width, 1 or 3] and int32 [images, 3 or more]: float32 [images, image_size, image_size, channels]."""
    if self.PADDING:
      shape, (top, left, mirrored) = tf.shape(images), tf.unstack(draws[:, :3, tf.newaxis], 3, axis=1)
      rows, columns = tf.range(shape[1]), tf.range(shape[2])
      columns = tf.where(mirrored > 0, columns[::-1], columns)
      padded = tf.pad(images, [[0, 0], [self.PADDING] * 2, [self.PADDING] * 2, [0, 0]])
      images = tf.gather(tf.gather(padded, top + rows, batch_dims=1), left + columns, axis=2, batch_dims=1)
    return self.fit(images)

  def fit(self, images: tf.Tensor) -> tf.Tensor:
    """Of uint8 [images, height, width, 1 or 3]: float32 [images, image_size, image_size, channels]."""
    resized = _resize(_to_channels(images, self.channels), self.image_size, self.image_size)
    return tf.ensure_shape(resized, [None, self.image_size, self.image_size, self.channels])


class Digits(Plain):
  """Shifts by at most one pixel of the source; no mirror images, since a digit is not its mirror image."""

  PADDING = 1

  def draw(self, seed: tf.Tensor) -> tf.Tensor:
    return tf.concat([self._shift(seed), [0]], 0)

  def _shift(self, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([2], seed, 0, 2 * self.PADDING + 1, tf.int32)


class Cifar(Digits):
  """Padding by 4, random crop of the original size, mirror images (He et al. 2015, section 4.2)."""

  PADDING = 4

  def draw(self, seed: tf.Tensor) -> tf.Tensor:
    shift_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    return tf.concat([self._shift(shift_seed), [tf.cast(_is_mirrored(flip_seed), tf.int32)]], 0)


class CifarCutout(Cifar):
  """The same, then a black square of half the side around any pixel, cut off at the edges (DeVries and Taylor 2017, arXiv 1708.04552)."""

  def draw(self, seed: tf.Tensor) -> tf.Tensor:
    centre = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 1), 0, self.image_size, tf.int32)
    return tf.concat([super().draw(seed), centre], 0)

  def augment(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    half, pixels = self.image_size // 4, tf.range(self.image_size)
    rows, columns = ((pixels >= centre - half) & (pixels < centre + half) for centre in (draws[:, 3, tf.newaxis], draws[:, 4, tf.newaxis]))
    cut = rows[:, :, tf.newaxis, tf.newaxis] & columns[:, tf.newaxis, :, tf.newaxis]
    return tf.where(cut, 0.0, super().augment(images, draws))


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
    decoded = crops.decode_window(image, window, self.channels, _ENOUGH * self.image_size)
    resized = _resize(decoded[tf.newaxis], self.image_size, self.image_size)[0]
    jittered = color.jitter(_flip(resized, flip_seed), color.JITTERS[self.color_jitter], color_seed)
    return tf.ensure_shape(jittered, [self.image_size, self.image_size, self.channels])

  def evaluate(self, image: tf.Tensor) -> tf.Tensor:
    """The centre of the image with its short side resized to 256/224 of the image size; what the centre is made of alone is decoded."""
    decoded, shape = crops.decode_part(image, lambda height, width: self._source(tf.stack([height, width])), self.channels)
    scaled, first = self._scaled(shape)
    scale = scaled / shape  # in double precision, since places in a long image are large numbers
    begin = tf.stack(self._source(shape)[:2])
    crop = _scale(decoded[tf.newaxis], (self.image_size, self.image_size), tf.cast(scale, tf.float32),
                  tf.cast(tf.cast(begin, tf.float64) * scale - tf.cast(first, tf.float64), tf.float32))
    return tf.ensure_shape(tf.clip_by_value(_to_float(crop[0]), 0.0, 1.0), [self.image_size, self.image_size, self.channels])

  def _scaled(self, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The height and width of the whole after resizing, and the first row and column of its centre: int32 [2] each."""
    scaled = tf.stack(crops.scale_short_side(shape[0], shape[1], round(self.image_size * 256 / 224)))
    return scaled, crops.centre(scaled, self.image_size)

  def _source(self, shape: tf.Tensor) -> crops.Window:
    """What the centre is made of."""
    scaled, first = self._scaled(shape)
    pixels = tf.cast(shape / scaled, tf.float32)  # of the source, for one of the result
    reach = tf.maximum(pixels, 1.0) + 1.0  # of the filter
    edges = tf.cast([first, first + self.image_size], tf.float32) * pixels + [-reach, reach]
    begin, end = tf.unstack(tf.clip_by_value(tf.cast(edges, tf.int32) + [[0], [1]], 0, shape))
    return begin[0], begin[1], end[0] - begin[0], end[1] - begin[1]


Transform = Union[Plain, Digits, Cifar, CifarCutout, ImageNet]


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
    case 'cifar_cutout':
      return CifarCutout(image_size, channels)
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
