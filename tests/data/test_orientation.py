"""Photos are turned as PIL turns them, whoever wrote how, and only what is needed of them is decoded."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.data import encoded_images
from tests.data import test_image_formats
from tf_proxyless.data import crops
from tf_proxyless.data import image_formats
from tf_proxyless.data import orientation
from tf_proxyless.data import preprocessing


def _photo(turned, height=37, width=50, mode='RGB'):
  return encoded_images.encode(encoded_images.smooth(height, width).convert(mode), 'JPEG', quality=90, exif=encoded_images.exif(turned))


def _found(encoded):
  image = tf.constant(encoded)
  return int(orientation.of_jpeg(image)) if orientation.is_written(image) else 1


@pytest.mark.parametrize('height, width', suites.few([(37, 50), (1, 9), (16, 16)], 1))
@pytest.mark.parametrize('turned', range(10))
def test_pixels_are_those_of_pil(turned, height, width):
  encoded = _photo(turned, height, width)
  ours = crops.decode_whole(tf.constant(encoded)).numpy().astype(int)
  theirs = test_image_formats.pil_pixels(encoded)
  assert ours.shape == theirs.shape == ((width, height, 3) if 5 <= turned <= 8 else (height, width, 3))
  assert np.abs(ours - theirs).max() <= 2


@pytest.mark.parametrize('turned', suites.few((6, 4, 1, 2, 3, 5, 7, 8)))
def test_windows_lie_in_the_turned_image(turned):
  encoded = tf.constant(_photo(turned))
  whole = crops.decode_whole(encoded).numpy()
  height, width = whole.shape[:2]
  for window in ((0, 0, height, width), (3, 5, 8, 9), (height - 1, width - 1, 1, 1), (1, 7, height - 2, 2)):
    part, shape = crops.decode_part(encoded, lambda height, width, window=window: window)
    top, left, rows, columns = window
    assert shape.numpy().tolist() == [height, width]
    assert np.array_equal(part, whole[top:top + rows, left:left + columns])


@pytest.mark.long
def test_a_photo_gives_what_its_turned_pixels_give():
  """Mapped as in a pipeline, in whose graph the part for turned images is a function of its own."""
  photo, transform = _photo(6), preprocessing.ImageNet(24, 'none')
  turned = encoded_images.encode(encoded_images.Image.fromarray(crops.decode_whole(tf.constant(photo)).numpy()), 'PNG')
  both = lambda image: (transform.evaluate(image), transform.train(image, tf.constant([1, 2])))
  of_photo, of_turned = tf.data.Dataset.from_tensor_slices([photo, turned]).map(both).as_numpy_iterator()
  for ours, expected in zip(of_photo, of_turned, strict=True):
    assert np.array_equal(ours, expected)


def _tiff(order, entries, first=8):
  """EXIF data of one directory of (tag, type, count, value)."""
  packed = b''.join(struct.pack(order + 'HHI', *entry[:3]) + entry[3] for entry in entries)
  header = {'<': b'II*\x00', '>': b'MM\x00*'}[order] + struct.pack(order + 'I', first)
  return header + bytes(first - 8) + struct.pack(order + 'H', len(entries)) + packed + bytes(4)


def _short(order, value):
  return struct.pack(order + 'HH', value, 0)


def _inserted(tiff, before=b'', at=2):
  """A JPEG with EXIF data behind its begin, and behind other segments."""
  jpeg = encoded_images.encode(encoded_images.smooth(), 'JPEG')
  return jpeg[:at] + before + _segment(0xe1, b'Exif\x00\x00' + tiff) + jpeg[at:]


def _segment(marker, data):
  return bytes([0xff, marker]) + struct.pack('>H', 2 + len(data)) + data


@pytest.mark.parametrize('order', '<>')
def test_both_byte_orders_and_types_are_read(order):
  others = [(0x0100, 3, 1, _short(order, 5)), (0x010f, 2, 4, b'abc\x00')]
  assert _found(_inserted(_tiff(order, [*others, (0x0112, 3, 1, _short(order, 6)), (0x0128, 3, 1, _short(order, 2))]))) == 6
  assert _found(_inserted(_tiff(order, [(0x0112, 4, 1, struct.pack(order + 'I', 8))]))) == 8
  elsewhere = _inserted(_tiff(order, [(0x0112, 3, 1, _short(order, 3))], first=30))  # a directory that hardly any file has there
  assert 'orientation 3' in image_formats.refusal(elsewhere)
  assert _found(_inserted(_tiff(order, [(0x0112, 3, 1, _short(order, 3)), (0x0112, 3, 1, _short(order, 6))]))) == 3


@pytest.mark.parametrize('order', '<>')
def test_what_is_not_understood_leaves_an_image_upright(order):
  good = _tiff(order, [(0x0112, 3, 1, _short(order, 6))])
  unknown = _tiff(order, [(0x0112, 3, 1, _short(order, 9))])
  for data in (b'', b'I', good[:3], good[:9], good[:16], b'nonsense' * 5, _tiff(order, []), unknown,
               good[:4] + struct.pack(order + 'I', 4_000_000_000) + bytes(20)):  # a directory beyond the end
    assert _found(_inserted(data)) == 1
  assert _found(_inserted(good[:8] + struct.pack(order + 'H', 60_000) + good[10:])) == 6  # more entries than there are


def test_exif_data_are_found_wherever_they_stand_before_the_pixels():
  tiff = _tiff('>', [(0x0112, 3, 1, _short('>', 6))])
  comment = _segment(0xfe, b'Exif\x00\x00' + _tiff('<', [(0x0112, 3, 1, _short('<', 3))]))
  assert _found(_inserted(tiff, at=20)) == 6  # behind JFIF's segment
  assert _found(_inserted(tiff, b'\xff\xff')) == 6  # fill bytes
  assert _found(_inserted(tiff, _segment(0xe1, b'http://ns.adobe.com/xap/1.0/\x00' + bytes(3000)))) == 6
  assert _found(_inserted(tiff, _segment(0xe2, bytes(60_000)))) == 6
  assert 'orientation 6' in image_formats.refusal(_inserted(tiff, comment))
  jpeg = encoded_images.encode(encoded_images.smooth(), 'JPEG')
  assert 'orientation 1' in image_formats.refusal(jpeg[:2] + comment + jpeg[2:])  # no EXIF data, though they look alike
  assert 'orientation 1' in image_formats.refusal(jpeg + _photo(6))  # another picture's
