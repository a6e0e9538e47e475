"""Which way up a JPEG is shown, from its EXIF data, in TensorFlow's operations alone, so that a pipeline stays in its threads.

The eight orientations are 1 upright, 2 mirrored, 3 turned by 180 degrees, 4 upside down and mirrored, 5 transposed, 6 to be turned by 90
degrees clockwise, 7 transposed about the other diagonal, 8 to be turned by 90 degrees counterclockwise.
"""

from __future__ import annotations

import tensorflow as tf

# Not inlined, so that the operations of a branch that is not taken cost nothing; traced once.
_FUNCTION = {'autograph': False, 'experimental_attributes': {'_noinline': True}}

HEAD = 2**16  # bytes of a JPEG in which its EXIF data begin

_TAG, _SHORT, _LONG = 0x0112, 3, 4
_ENTRY = 12  # bytes
_START_OF_SCAN, _FILL = 0xda, 0xff
_EXIF, _EXIF_BYTES = b'\xff\xe1Exif\x00\x00', 10  # its size stands between


def is_written(image: tf.Tensor) -> tf.Tensor:
  """Whether `of_jpeg` may find anything, bool []: which takes next to no time, whereas to find it takes that of decoding 64 x 64 pixels."""
  head = tf.strings.substr(image, 0, HEAD)
  without = tf.strings.regex_replace(head, r'Exif\x00\x00', '', replace_global=False)
  return tf.strings.length(without) < tf.strings.length(head)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], **_FUNCTION)
def of_jpeg(image: tf.Tensor) -> tf.Tensor:
  """The orientation of an encoded JPEG, string []: int32 [], 1 to 8; 1 where none is written, or none that is understood."""
  return _of_tiff(_exif(image))


@tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([], tf.int32)], **_FUNCTION)
def turn(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Stored pixels, uint8 [height, width, 3], as they are shown: [width, height, 3] from the fifth orientation on."""
  flipped = tf.raw_ops.Reverse(tensor=pixels, dims=tf.concat([_flips(orientation), [False]], 0))
  return tf.transpose(flipped, tf.where(_is_transposed(orientation), [1, 0, 2], [0, 1, 2]))


def shown_shape(shape: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Height and width, int32 [2], as they are shown, of those that are stored; and the other way round."""
  return tf.where(_is_transposed(orientation), shape[::-1], shape)


def stored_window(start: tuple[tf.Tensor, tf.Tensor], size: tuple[tf.Tensor, tf.Tensor], shape: tf.Tensor,
                  orientation: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
  """Where a window of the image as it is shown lies in the image as it is stored.

  Args:
    start: Its first row and column, int32 [] each.
    size: Its height and width, int32 [] each.
    shape: int32 [2], height and width of the stored image.
    orientation: int32 [].

  Returns:
    The same of the stored image.
  """
  begin, sides = shown_shape(tf.stack(start), orientation), shown_shape(tf.stack(size), orientation)
  return tf.unstack(tf.where(_flips(orientation), shape - begin - sides, begin)), tf.unstack(sides)


def _is_transposed(orientation: tf.Tensor) -> tf.Tensor:
  return orientation >= 5


def _flips(orientation: tf.Tensor) -> tf.Tensor:
  """Whether rows and columns of the stored image are reversed, before it is perhaps transposed."""
  return tf.stack([tf.reduce_any(orientation == [3, 4, 6, 7]), tf.reduce_any(orientation == [2, 3, 7, 8])])


def _bytes(text: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)


def _exif(image: tf.Tensor) -> tf.Tensor:
  """The TIFF header and what follows it in the first EXIF segment of a JPEG; empty where no segment before the first scan is one."""
  text = tf.strings.join([tf.strings.substr(image, 0, 2 * HEAD), bytes(_EXIF_BYTES)])  # a segment has up to 2**16 bytes
  end = tf.strings.length(text) - _EXIF_BYTES
  marker = lambda at: _bytes(tf.strings.substr(text, at, 4))  # 0xff, which segment it is, and its size from here on in two bytes
  size = lambda at: 256 * marker(at)[2] + marker(at)[3]
  is_exif = lambda at: tf.strings.substr(text, at, 2) + tf.strings.substr(text, at + 4, 6) == _EXIF
  goes_on = lambda at: (marker(at)[0] == _FILL) & (marker(at)[1] != _START_OF_SCAN) & ~is_exif(at)
  step = lambda at: (tf.minimum(at + tf.where(marker(at)[1] == _FILL, 1, 2 + size(at)), end),)
  at, = tf.while_loop(goes_on, step, (tf.constant(2),))
  return tf.strings.substr(text, at + _EXIF_BYTES, tf.where(is_exif(at), tf.maximum(size(at) + 2 - _EXIF_BYTES, 0), 0))


def _of_tiff(tiff: tf.Tensor) -> tf.Tensor:
  """The orientation in the first directory of a TIFF file, int32 []."""
  length, little = tf.strings.length(tiff), tf.strings.substr(tiff, 0, 4) == b'II*\x00'
  values = tf.pad(_bytes(tiff), [[0, 8 + _ENTRY]])  # so that what is cut off, or points beyond the end, reads as zero
  number = lambda digits: tf.reduce_sum(tf.where(little, digits, digits[..., ::-1]) * 256**tf.range(tf.shape(digits)[-1]), -1)
  first = tf.clip_by_value(number(values[4:8]), 0, length) + 2
  count = tf.minimum(number(values[first - 2:first]), (length + _ENTRY - first) // _ENTRY)
  entries = tf.reshape(values[first:first + _ENTRY * count], [-1, _ENTRY])
  kind, is_long = number(entries[:, :2]), number(entries[:, 2:4]) == _LONG
  is_one = (kind == _TAG) & (is_long | (number(entries[:, 2:4]) == _SHORT)) & (number(entries[:, 4:8]) == 1)
  found = tf.where(is_long, number(entries[:, 8:12]), number(entries[:, 8:10]))
  orientation = tf.concat([tf.boolean_mask(found, is_one), [1]], 0)[0]
  is_tiff = little | (tf.strings.substr(tiff, 0, 4) == b'MM\x00*')
  return tf.where(is_tiff & (orientation >= 1) & (orientation <= 8), orientation, 1)
