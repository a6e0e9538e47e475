"""Encoded images that would not be decoded rightly, by their headers."""

from __future__ import annotations

import io

from PIL import ExifTags
from PIL import Image

from tf_proxyless.data import orientation

_FORMATS = ('BMP', 'GIF', 'JPEG', 'MPO', 'PNG', 'WEBP')  # MPO is a JPEG with more pictures behind it
_ACCEPTED = 'BMP, GIF, JPEG, PNG and still WebP'
_BMP_LAYOUTS = ('BGR', 'BGRA', 'BGRX', 'L')
_METADATA_OF_PNG = (b'eXIf', b'Raw profile type exif', b'XML:com.adobe.xmp')


def refusal(encoded: bytes) -> str | None:
  """Why an encoded image cannot be used, so that the pixels of `crops.decode_whole` are those of PIL wherever this says nothing.

  Reads headers alone: that pixels are damaged shows when they are decoded. Pillow may warn, for instance of very large images.

  Args:
    encoded: The contents of a file.

  Returns:
    What follows on the file's name, for instance 'has 16 bits a channel; save it with 8'; None if it can be used.
  """
  if not encoded:
    return 'is empty'
  try:
    with Image.open(io.BytesIO(encoded)) as image:
      return _refusal(image, encoded)
  except Image.DecompressionBombError:
    return f'has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; scale it down'
  except Image.UnidentifiedImageError:
    return f'is no image that can be read, whatever it is called; {_ACCEPTED} are accepted, with 8 bits a channel'
  except (EOFError, OSError, RuntimeError, SyntaxError, ValueError) as error:
    return f'cannot be read: {error}'


def _refusal(image: Image.Image, encoded: bytes) -> str | None:
  match image.format:
    case 'PNG' if encoded[24] == 16:
      return 'has 16 bits a channel; save it with 8, scaled to the values that it uses'
    case 'JPEG' | 'MPO' if image.mode == 'CMYK' and 'adobe' not in image.info:
      return 'is a CMYK JPEG that does not say whether 0 or 255 is ink; convert it to RGB'
    case 'GIF' if image.tile and tuple(image.tile[0][1]) != (0, 0, *image.size):
      return 'is a GIF whose first frame does not fill it; save this frame as PNG'
    case 'WEBP' if encoded[12:16] == b'VP8X' and encoded[20] & 2:
      return 'is an animated WebP; save one of its frames'
    case 'BMP' if not _is_plain_bmp(image, encoded):
      return 'is a BMP with a palette, compressed, or of fewer than 24 bits a pixel; save it as PNG'
    case unknown if unknown not in _FORMATS:
      return f'is {unknown}, whatever it is called; {_ACCEPTED} are accepted'
  shown, read = _orientations(image, encoded)
  if shown != read:
    return f'is to be shown in orientation {shown}, which is read of usual EXIF data at the begin of a JPEG alone; save it turned'
  return None


def _is_plain_bmp(image: Image.Image, encoded: bytes) -> bool:
  """Whether its pixels are 8 bits of grey or of each colour, in the usual order, behind a header that is not that of OS/2."""
  codec, _, _, arguments = image.tile[0]
  header_bytes, bits = encoded[14], encoded[28]
  return header_bytes >= 40 and bits in (8, 24, 32) and codec == 'raw' and arguments[0] in _BMP_LAYOUTS


def _orientations(image: Image.Image, encoded: bytes) -> tuple[int, int]:
  """That which PIL finds, and that which `orientation.of_jpeg` finds."""
  if image.format == 'PNG' and not any(name in encoded for name in _METADATA_OF_PNG):
    return 1, 1  # to be sure, PIL would decode it
  try:
    found = image.getexif().get(ExifTags.Base.Orientation)
    shown = found if found in range(1, 9) else 1
  except SyntaxError:  # no EXIF data at all, which says nothing of the pixels
    return 1, 1
  return shown, orientation.of_bytes(encoded) if image.format in ('JPEG', 'MPO') else 1
