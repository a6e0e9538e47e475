"""Windows of torchvision's RandomResizedCrop, Resize and CenterCrop, and decoding no more than a window."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from tf_proxyless.data import crops


def _encoded(height, width, encoding, mode='RGB'):
  rng = np.random.default_rng([height, width])
  pixels = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8).repeat(4, 0).repeat(4, 1)[:height, :width]
  buffer = io.BytesIO()
  Image.fromarray(pixels).convert(mode).save(buffer, encoding)
  return buffer.getvalue()


def _windows(height, width, count, **bounds):
  """int [count, 4] independent windows."""
  draw = tf.function(lambda seed: tf.stack(crops.random_window(tf.constant(height), tf.constant(width), seed, **bounds)))
  return np.array([draw(tf.constant([1, index])) for index in range(count)])


@pytest.mark.parametrize('encoding, mode', [('JPEG', 'RGB'), ('JPEG', 'L'), ('PNG', 'RGB'), ('PNG', 'L'), ('PNG', 'RGBA'),
                                            ('BMP', 'RGB'), ('GIF', 'RGB')])
@pytest.mark.parametrize('window', [(0, 0, 50, 70), (3, 5, 17, 31), (49, 69, 1, 1), (16, 16, 34, 33), (1, 15, 9, 1), (8, 32, 8, 16)])
def test_decoding_a_window_equals_cutting_it_out(encoding, mode, window):
  encoded = _encoded(50, 70, encoding, mode)
  top, left, height, width = window
  whole = crops.decode_window(encoded, lambda height, width: (0, 0, height, width)).numpy()
  part = crops.decode_window(encoded, lambda height, width: window).numpy()
  assert whole.shape == (50, 70, 3) and whole.dtype == np.uint8
  assert np.array_equal(part, whole[top:top + height, left:left + width])


@pytest.mark.parametrize('encoding', ['JPEG', 'PNG', 'BMP'])
def test_decoding_equals_pil(encoding):
  encoded = _encoded(50, 70, encoding)
  ours = crops.decode_window(encoded, lambda height, width: (0, 0, height, width)).numpy().astype(int)
  theirs = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB')).astype(int)
  assert np.abs(ours - theirs).max() <= (2 if encoding == 'JPEG' else 0)  # two builds of libjpeg round differently


def test_random_windows_lie_inside_and_keep_their_bounds():
  windows = _windows(200, 300, 300)
  top, left, height, width = windows.T
  assert np.all((top >= 0) & (left >= 0) & (top + height <= 200) & (left + width <= 300) & (height > 0) & (width > 0))
  share = height * width / (200 * 300)
  rounding = 0.5 / height + 0.5 / width + 1e-6
  assert np.all(share * (1 + rounding) >= 0.08) and np.all(share * (1 - rounding) <= 1)
  assert np.all((width / height * (1 + 2 * rounding) >= 3 / 4) & (width / height * (1 - 2 * rounding) <= 4 / 3))


def test_random_windows_have_the_stated_distribution():
  # At most a quarter of a square always fits, so that the first of the ten draws counts.
  count = 2000
  top, left, height, width = _windows(1000, 1000, count, scale=(0.08, 0.25)).T
  for values, low, high in ((height * width / 1e6, 0.08, 0.25), (np.log(width / height), np.log(3 / 4), np.log(4 / 3)),
                            (top / (1000 - height), 0, 1), (left / (1000 - width), 0, 1)):
    uniform_std = (high - low) / np.sqrt(12)
    assert abs(values.mean() - (low + high) / 2) < 4 * uniform_std / np.sqrt(count)
    assert abs(values.std() / uniform_std - 1) < 0.06
  assert abs(np.corrcoef(top, left)[0, 1]) < 0.09


@pytest.mark.parametrize('height, width, window', [
    (10, 1000, (0, 493, 10, 13)),  # 10 * 4/3 = 13.3
    (1000, 10, (493, 0, 13, 10)),
    (30, 40, (0, 0, 30, 40)),
    (1, 1, (0, 0, 1, 1)),
])
def test_central_window(height, width, window):
  found = crops.central_window(tf.constant(height), tf.constant(width), (3 / 4, 4 / 3))
  assert tuple(int(value) for value in found) == window


def test_no_window_fits_a_ribbon_so_that_it_is_the_central_one():
  assert np.unique(_windows(2, 2000, 20), axis=0).tolist() == [[0, 998, 2, 3]]


@pytest.mark.parametrize('height, width, scaled', [(500, 375, (341, 256)), (375, 500, (256, 341)), (256, 256, (256, 256)),
                                                   (33, 120, (256, 930))])
def test_scaling_the_short_side(height, width, scaled):
  assert tuple(int(value) for value in crops.scale_short_side(tf.constant(height), tf.constant(width), 256)) == scaled


@pytest.mark.parametrize('size, window, start', [(256, 224, 16), (341, 224, 58), (257, 224, 16), (259, 224, 18), (224, 224, 0)])
def test_centre_rounds_half_to_even(size, window, start):
  assert int(crops.centre(tf.constant(size), window)) == start == round((size - window) / 2)


def _photo(height, width):
  """A JPEG without anything finer than 16 pixels."""
  coarse = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
  buffer = io.BytesIO()
  Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, 'JPEG', quality=95)
  return buffer.getvalue()


@pytest.mark.parametrize('window, ratio', [((0, 0, 640, 803), 8), ((40, 81, 300, 450), 4), ((33, 5, 600, 150), 2), ((8, 8, 79, 500), 1)])
def test_a_large_window_is_decoded_at_a_part_of_its_size(window, ratio):
  photo = _photo(640, 803)
  top, left, height, width = window
  full = crops.decode_window(photo, lambda height, width: window).numpy().astype(float)
  part = crops.decode_window(photo, lambda height, width: window, enough=40).numpy().astype(float)
  assert part.shape == (height // ratio, width // ratio, 3)
  first = top % ratio, left % ratio  # of the window, in the pixel that it begins in
  means = np.pad(full, [(first[0], 0), (first[1], 0), (0, 0)], 'edge')[:part.shape[0] * ratio, :part.shape[1] * ratio]
  means = means.reshape(part.shape[0], ratio, part.shape[1], ratio, 3).mean((1, 3))
  assert np.abs(part - means)[1:, 1:].max() <= 12.0 and np.abs(part - means).mean() < 1.0  # of 255
  whole = crops.decode_window(photo, lambda height, width: (0, 0, height, width), enough=640 // ratio).numpy()
  assert np.array_equal(part, whole[top // ratio:, left // ratio:][:part.shape[0], :part.shape[1]])
