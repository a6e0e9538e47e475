"""Which way up a JPEG is shown, from its EXIF data, in TensorFlow's operations alone, so that a pipeline stays in its threads.

The eight orientations are 1 upright, 2 mirrored, 3 turned by 180 degrees, 4 upside down and mirrored, 5 transposed, 6 to be turned by 90
degrees clockwise, 7 transposed about the other diagonal, 8 to be turned by 90 degrees counterclockwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import re
from typing import Any

import tensorflow as tf

HEAD = 2**16  # bytes of a JPEG in which its EXIF data begin

# EXIF data, whose first directory follows their header as in nearly all files, its entries of 12 bytes each, and that of the orientation:
# one number of two or four bytes, the least significant byte first or last. RE2's \C is any byte.
_FOUND = (r'^\C*?Exif\x00\x00(?:'
          r'II\*\x00\x08\x00\x00\x00\C\C(?:\C{12}){0,60}?\x12\x01[\x03\x04]\x00\x01\x00\x00\x00([\x01-\x08])\x00'
          r'|MM\x00\*\x00\x00\x00\x08\C\C(?:\C{12}){0,60}?\x01\x12\x00(?:\x03\x00\x00\x00\x01|\x04\x00\x00\x00\x01\x00\x00)\x00([\x01-\x08])'
          r')\C*$')
_FOUND_BY_PYTHON = re.compile(_FOUND.replace(r'\C', '.').encode('ascii'), re.DOTALL)


def rare(branch: Callable[[], Any]) -> Callable[[], Any]:
  """A branch of a `tf.cond` that is seldom taken: as a function of its own that is not inlined it costs nothing where it is not."""
  return tf.function(branch, autograph=False, experimental_attributes={'_noinline': True})


def is_written(image: tf.Tensor) -> tf.Tensor:
  """Whether `of_jpeg` may find anything, bool []: which takes next to no time."""
  head = tf.strings.substr(image, 0, HEAD)
  return head != tf.strings.regex_replace(head, r'Exif\x00\x00', '', replace_global=False)


def of_jpeg(image: tf.Tensor) -> tf.Tensor:
  """The orientation of an encoded JPEG, string []: int32 [], 1 to 8; 1 where `of_bytes` finds none."""
  head = tf.strings.substr(image, 0, HEAD)
  found = tf.strings.regex_replace(head, _FOUND, r'\1\2')
  return tf.cond(tf.strings.length(found) == 1, lambda: tf.cast(tf.io.decode_raw(found, tf.uint8)[0], tf.int32), lambda: 1)


def of_bytes(encoded: bytes) -> int:
  """The same outside of a graph."""
  found = _FOUND_BY_PYTHON.match(encoded[:HEAD])
  return (found[1] or found[2])[0] if found else 1


def turn(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Stored pixels, uint8 [height, width, 3], as they are shown: [width, height, 3] from the fifth orientation on."""
  flipped = tf.raw_ops.Reverse(tensor=pixels, dims=tf.concat([_flips(orientation), [False]], 0))
  return tf.transpose(flipped, tf.where(_is_transposed(orientation), [1, 0, 2], [0, 1, 2]))


def shown_shape(shape: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Height and width, int32 [2], as they are shown, of those that are stored; and the other way round."""
  return tf.where(_is_transposed(orientation), shape[::-1], shape)


def stored_window(window: Sequence[tf.Tensor], shape: tf.Tensor, orientation: tf.Tensor) -> list[tf.Tensor]:
  """Where a window of the image as it is shown lies in the image as it is stored.

  Args:
    window: Its first row and column, its height and width, int32 [] each.
    shape: int32 [2], height and width of the stored image.
    orientation: int32 [].

  Returns:
    The same of the stored image.
  """
  begin, sides = shown_shape(tf.stack(window[:2]), orientation), shown_shape(tf.stack(window[2:]), orientation)
  return [*tf.unstack(tf.where(_flips(orientation), shape - begin - sides, begin)), *tf.unstack(sides)]


def _is_transposed(orientation: tf.Tensor) -> tf.Tensor:
  return orientation >= 5


def _flips(orientation: tf.Tensor) -> tf.Tensor:
  """Whether rows and columns of the stored image are reversed, before it is perhaps transposed."""
  return tf.stack([tf.reduce_any(orientation == [3, 4, 6, 7]), tf.reduce_any(orientation == [2, 3, 7, 8])])
