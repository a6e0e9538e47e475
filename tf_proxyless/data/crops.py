"""Crop windows, and decoding of no more of a JPEG than the window, of a large one at a part of its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import math

import tensorflow as tf

from tf_proxyless.data import orientation

Window = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]  # top, left, height, width: int32 scalars

_ATTEMPTS = 10
_RATIOS = (2, 4, 8)  # that libjpeg can decode at
_CHROMA_MARGIN = 2  # pixels: one sample of chroma at half resolution


def decode_window(image: tf.Tensor, window: Callable[[tf.Tensor, tf.Tensor], Window], channels: int = 3,
                  enough: int | None = None) -> tf.Tensor:
  """Decodes a window of an encoded image.

  Args:
    image: string [], an encoded JPEG, which is turned as its EXIF data say, PNG, BMP, still WebP or GIF (of which
      the first frame counts). What is transparent has the colour that is stored for it.
    window: From the image's height and width to (top, left, height, width), all int32 [].
    channels: 3, of which those of a grey image are equal; or 1, the brightness of a colour image.
    enough: Pixels of the shorter side of the window. A JPEG whose window has as many at a half, a quarter or an eighth of its size is
      decoded at the least of these, to the pixel of that size, by a shorter inverse cosine transform; None is as it is.

  Returns:
    uint8 [window height, window width, channels].
  """
  return decode_part(image, window, channels, enough)[0]


def decode_part(image: tf.Tensor, window: Callable[[tf.Tensor, tf.Tensor], Window], channels: int = 3,
                enough: int | None = None) -> tuple[tf.Tensor, tf.Tensor]:
  """What `decode_window` returns, and the height and width of the whole image, int32 [2]."""
  jpeg = lambda: tf.cond(orientation.is_written(image), orientation.rare(lambda: _decode_turned(image, window, enough)),
                         lambda: _decode_upright(image, window, enough))
  decoded, shape = tf.cond(tf.io.is_jpeg(image), jpeg, lambda: _decode_other(image, window))
  decoded = tf.ensure_shape(decoded, [None, None, 3])
  return decoded if channels == 3 else tf.image.rgb_to_grayscale(decoded), shape  # which leaves grey as it is


def decode_whole(image: tf.Tensor, channels: int = 3) -> tf.Tensor:
  """uint8 [height, width, channels] of an encoded image, see `decode_window`."""
  return decode_window(image, lambda height, width: (0, 0, height, width), channels)


def _decode_upright(image: tf.Tensor, window: Callable[[tf.Tensor, tf.Tensor], Window],
                    enough: int | None) -> tuple[tf.Tensor, tf.Tensor]:
  """The window of a JPEG as it is stored, and the shape of the whole."""
  shape = tf.image.extract_jpeg_shape(image)[:2]
  return _decode_stored(image, window(shape[0], shape[1]), shape, enough), shape


def _decode_turned(image: tf.Tensor, window: Callable[[tf.Tensor, tf.Tensor], Window],
                   enough: int | None) -> tuple[tf.Tensor, tf.Tensor]:
  """The window of a JPEG as it is shown, and the shape of the whole as it is shown."""
  stored_shape, turns = tf.image.extract_jpeg_shape(image)[:2], orientation.of_jpeg(image)
  shape = orientation.shown_shape(stored_shape, turns)
  stored = orientation.stored_window(window(shape[0], shape[1]), stored_shape, turns)
  return orientation.turn(_decode_stored(image, stored, stored_shape, enough), turns), shape


def _decode_stored(image: tf.Tensor, window: Window, shape: tf.Tensor, enough: int | None) -> tf.Tensor:
  """A window of a JPEG of a shape, int32 [2], as it is stored, at the least size that is enough."""
  def at(ratio: int) -> tf.Tensor:
    return _decode_at(image, [pixels // ratio for pixels in window], -(-shape // ratio), ratio)

  if enough is None:
    return at(1)
  sizes = tf.reduce_sum(tf.cast(tf.minimum(window[2], window[3]) >= [enough * ratio for ratio in _RATIOS], tf.int32))
  reduced = lambda: tf.switch_case(sizes - 1, [functools.partial(at, ratio) for ratio in _RATIOS])
  return tf.cond(sizes > 0, orientation.rare(reduced), lambda: at(1))


def _decode_at(image: tf.Tensor, window: Sequence[tf.Tensor], shape: tf.Tensor, ratio: int) -> tf.Tensor:
  """A window of a JPEG, both in pixels of a whole that is smaller than it is stored."""
  top, left, height, width = window
  # The chroma of a column is interpolated from its neighbours', so that these are decoded as well; rows take care of theirs.
  first, end = tf.maximum(left - _CHROMA_MARGIN, 0), tf.minimum(left + width + _CHROMA_MARGIN, shape[1])
  decoded = tf.image.decode_and_crop_jpeg(image, tf.stack([top, first, height, end - first]), channels=3, ratio=ratio,
                                          dct_method='INTEGER_ACCURATE')
  return decoded[:, left - first:left - first + width]


def _decode_other(image: tf.Tensor, window: Callable[[tf.Tensor, tf.Tensor], Window]) -> tuple[tf.Tensor, tf.Tensor]:
  """The window, of a whole that is decoded, and the shape of this."""
  has_frames = tf.strings.regex_full_match(tf.strings.substr(image, 0, 12), r'GIF8\C*|RIFF\C{4}WEBP')
  decoded = tf.cond(has_frames, orientation.rare(lambda: _decode_gif_or_webp(image)),
                    lambda: tf.io.decode_image(image, 3, expand_animations=False))
  shape = tf.shape(decoded)[:2]
  top, left, height, width = window(shape[0], shape[1])
  return decoded[top:top + height, left:left + width], shape


def _decode_gif_or_webp(image: tf.Tensor) -> tf.Tensor:
  """uint8 [height, width, 3]."""
  decode = lambda text, channels: tf.io.decode_image(text, channels, expand_animations=False)[..., :3]
  return tf.cond(
      tf.strings.regex_full_match(tf.strings.substr(image, 0, 4), 'GIF8'),
      lambda: decode(_opaque(image), 3),
      lambda: decode(_still(image), 0))  # a WebP with transparency gives 4 channels or nothing


def _opaque(gif: tf.Tensor) -> tf.Tensor:
  """Without transparency in the first frame, which would be black: what counts is the colour beneath, as in other formats."""
  control = r'(!\C\x04)[\x01\x03\x05\x07\x09\x0b\x0d\x0f](\C{3}\x00,\x00{4})'  # a graphic control extension and the frame's begin
  return tf.strings.regex_replace(gif, control, b'\\1\x00\\2', replace_global=False)


def _still(webp: tf.Tensor) -> tf.Tensor:
  """The same, if it is not animated: TensorFlow 2.21 then writes beyond the array that it has made."""
  flags = tf.io.decode_raw(tf.strings.substr(webp, 20, 1), tf.uint8)
  is_animated = (tf.strings.substr(webp, 12, 4) == b'VP8X') & tf.reduce_any(tf.bitwise.bitwise_and(flags, 2) != 0)
  with tf.control_dependencies([tf.debugging.Assert(~is_animated, ['an animated WebP cannot be decoded'])]):
    return tf.identity(webp)


def random_window(height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor, scale: tuple[float, float] = (0.08, 1.0),
                  ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> Window:
  """A window of random area and aspect ratio, as torchvision's RandomResizedCrop draws it.

  Ten times an area share is drawn uniformly and a ratio width / height log-uniformly; the first that fits into the image is
  placed uniformly. If none fits, it is the largest central window whose ratio lies within the bounds.

  Args:
    height: int32 [], pixels.
    width: int32 [], pixels.
    seed: int [2].
    scale: Bounds of the window's share of the area.
    ratio: Bounds of width / height.

  Returns:
    top, left, height, width.
  """
  draws = tf.random.stateless_uniform([4, _ATTEMPTS], seed)
  area = tf.cast(height * width, tf.float32) * (scale[0] + (scale[1] - scale[0]) * draws[0])
  aspect = tf.exp(math.log(ratio[0]) + (math.log(ratio[1]) - math.log(ratio[0])) * draws[1])
  widths = tf.cast(tf.round(tf.sqrt(area * aspect)), tf.int32)
  heights = tf.cast(tf.round(tf.sqrt(area / aspect)), tf.int32)
  fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
  first = tf.argmax(fits, output_type=tf.int32)

  def place():
    window_height, window_width = heights[first], widths[first]
    top = _uniform_index(draws[2, first], height - window_height + 1)
    left = _uniform_index(draws[3, first], width - window_width + 1)
    return top, left, window_height, window_width

  return tf.cond(tf.reduce_any(fits), place, lambda: central_window(height, width, ratio))


def _uniform_index(draw: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
  """A draw from [0, 1) as an index in [0, count)."""
  return tf.minimum(tf.cast(draw * tf.cast(count, tf.float32), tf.int32), count - 1)


def central_window(height: tf.Tensor, width: tf.Tensor, ratio: tuple[float, float]) -> Window:
  """The largest central window whose width / height lies within `ratio`."""
  exact = lambda size, factor: tf.cast(tf.round(tf.cast(size, tf.float32) * factor), tf.int32)
  window_width = tf.minimum(width, exact(height, ratio[1]))
  window_height = tf.minimum(height, exact(width, 1 / ratio[0]))
  return (height - window_height) // 2, (width - window_width) // 2, window_height, window_width


def scale_short_side(height: tf.Tensor, width: tf.Tensor, short_side: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Height and width after scaling the shorter to `short_side`; the longer is rounded down, as torchvision's Resize does."""
  shorter = tf.minimum(height, width)
  return short_side * height // shorter, short_side * width // shorter


def centre(size: tf.Tensor, window: int) -> tf.Tensor:
  """Where a centred window starts: (size - window) / 2 rounded half to even, as torchvision's CenterCrop does."""
  return tf.cast(tf.round(tf.cast(size - window, tf.float32) / 2), tf.int32)
