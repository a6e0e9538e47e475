"""What is not refused has the pixels of PIL; what would not have them is refused by name."""

import io

import numpy as np
from PIL import Image
from PIL import ImageOps
import pytest
import tensorflow as tf

from tests.data import encoded_images
from tf_proxyless.data import crops
from tf_proxyless.data import image_formats

READABLE, REFUSED = encoded_images.readable(), encoded_images.refused()


def pil_pixels(encoded):
  """int [height, width, 3] as PIL shows it."""
  return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert('RGB')).astype(int)


@pytest.mark.filterwarnings('ignore:Palette images with Transparency')
@pytest.mark.parametrize('kind', READABLE)
def test_pixels_are_those_of_pil(kind):
  encoded = READABLE[kind]
  assert image_formats.refusal(encoded) is None
  ours, theirs = crops.decode_whole(tf.constant(encoded)).numpy().astype(int), pil_pixels(encoded)
  assert ours.shape == theirs.shape
  lossy = 2 * ('JPEG' in kind or 'WebP' in kind)  # two builds of a decoder round differently
  assert np.abs(ours - theirs).max() <= lossy


@pytest.mark.parametrize('kind', REFUSED)
def test_what_would_not_have_them_is_refused_by_name(kind):
  encoded, reason = REFUSED[kind]
  assert reason in image_formats.refusal(encoded)


def test_orientations_that_change_nothing_are_not_refused():
  for encoding in ('JPEG', 'PNG', 'WEBP'):
    for orientation in (0, 1, 9):
      assert image_formats.refusal(encoded_images.encode(encoded_images.smooth(), encoding, exif=encoded_images.exif(orientation))) is None


def test_metadata_that_nobody_can_read_is_no_reason():
  encoded = encoded_images.encode(encoded_images.smooth(), 'JPEG', exif=b'Exif\x00\x00' + b'nonsense' * 4)
  assert image_formats.refusal(encoded) is None
  plain = encoded_images.encode(encoded_images.smooth(), 'JPEG')
  assert np.array_equal(crops.decode_whole(tf.constant(encoded)), crops.decode_whole(tf.constant(plain)))


@pytest.mark.parametrize('kind', ['JPEG progressive', 'PNG RGB', 'GIF', 'BMP 24 bits', 'WebP RGB'])
def test_a_part_of_a_file_is_refused_or_an_error(kind):
  for length in (3, 30, len(READABLE[kind]) // 2, len(READABLE[kind]) - 20):
    cut = READABLE[kind][:length]
    if image_formats.refusal(cut) is None:
      with pytest.raises(tf.errors.InvalidArgumentError):
        crops.decode_whole(tf.constant(cut))


@pytest.mark.filterwarnings('ignore')  # of Pillow
def test_nothing_that_is_read_raises_an_error():
  rng = np.random.default_rng(0)
  for encoded in READABLE.values():
    noise = bytearray(encoded)
    for position in rng.integers(0, min(len(noise), 200), 3):
      noise[position] = rng.integers(0, 256)
    image_formats.refusal(bytes(noise))


def test_animated_webp_is_an_error_where_nobody_asked():
  with pytest.raises(tf.errors.InvalidArgumentError, match='animated WebP'):
    crops.decode_whole(tf.constant(REFUSED['WebP animated'][0]))
