"""Transforms: exact pixels where nothing is resized, PIL's values where something is, and which transform a dataset gets."""

import dataclasses
import io

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources

ALL = (preprocessing.Plain(32), preprocessing.Digits(32), preprocessing.Cifar(32), preprocessing.ImageNet(32),
       preprocessing.ImageNet(32, 'strong'))


def _png(pixels):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, 'PNG')
  return buffer.getvalue()


def _noise(height, width, channels=3):
  return np.random.default_rng([height, width]).integers(0, 256, (height, width, channels), np.uint8)


def _bytes(image):
  """The 8-bit pixels that an image was made of, as a key."""
  pixels = np.rint(image * 255)
  np.testing.assert_allclose(image * 255, pixels, atol=1e-4)
  return pixels.astype(np.uint8).tobytes()


def _train(transform, encoded, count):
  """float32 [count, size, size, 3]: the same image under different seeds."""
  train = tf.function(transform.train)
  return np.stack([train(tf.constant(encoded), tf.constant([3, index])) for index in range(count)])


@pytest.mark.parametrize('transform', ALL)
@pytest.mark.parametrize('size', [(32, 32), (8, 8), (33, 120), (64, 20)])
def test_shape_dtype_and_range(transform, size):
  encoded = _png(_noise(*size))
  for image in (transform.evaluate(tf.constant(encoded)), transform.train(tf.constant(encoded), tf.constant([0, 1]))):
    assert image.shape == (32, 32, 3) and image.dtype == tf.float32
    assert 0 <= image.numpy().min() and image.numpy().max() <= 1


@pytest.mark.parametrize('transform', ALL)
def test_training_transform_is_a_function_of_the_seed(transform):
  encoded = tf.constant(_png(_noise(40, 36)))
  first, again = (transform.train(encoded, tf.constant([5, 6])).numpy() for _ in range(2))
  assert np.array_equal(first, again)
  differs = any(not np.array_equal(first, transform.train(encoded, tf.constant([5, 7 + i])).numpy()) for i in range(5))
  assert differs == (type(transform) is not preprocessing.Plain)


def test_grey_images_become_three_equal_channels():
  encoded = _png(_noise(8, 8, 1)[..., 0])
  for image in (preprocessing.Digits(32).evaluate(tf.constant(encoded)),
                preprocessing.Digits(32).train(tf.constant(encoded), tf.constant([0, 1]))):
    assert np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2])


def test_digits_keep_their_levels(data_dir):
  """DESIGN: pixels are x / 255; at the digits' own size every one of the 17 levels comes back."""
  images = sources.open_dataset('digits', data_dir).records('test').map(
      lambda record: preprocessing.Digits(8).evaluate(record['image']))
  levels = np.concatenate([image.reshape(-1) for image in images.as_numpy_iterator()]) * 255
  steps = np.rint(np.arange(17) * 255 / 16)
  assert np.abs(np.unique(np.rint(levels)) - steps).max() == 0
  np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)


def test_digits_are_shifted_by_at_most_one_pixel_and_never_mirrored():
  pixels = _noise(8, 8)
  padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
  shifts = {padded[y:y + 8, x:x + 8].tobytes() for y in range(3) for x in range(3)}
  seen = {_bytes(image) for image in _train(preprocessing.Digits(8), _png(pixels), 150)}
  assert seen == shifts


def test_cifar_crops_lie_in_the_padded_image_or_its_mirror_image():
  pixels = _noise(32, 32)
  padded = np.pad(pixels, ((4, 4), (4, 4), (0, 0)))
  crops = {padded[y:y + 32, x:x + 32].tobytes(): False for y in range(9) for x in range(9)}
  crops |= {padded[y:y + 32, x:x + 32][:, ::-1].tobytes(): True for y in range(9) for x in range(9)}
  flips = [crops[_bytes(image)] for image in _train(preprocessing.Cifar(32), _png(pixels), 200)]
  assert 70 < sum(flips) < 130


def test_cutout_is_a_black_square_around_a_pixel():
  images = _train(preprocessing.CifarCutout(32), _png(np.full((32, 32, 3), 255, np.uint8)), 300)
  whole = 0
  for image in images:
    inner = np.asarray(image)[4:-4, 4:-4, 0]  # shifts put black up to 4 pixels wide around it
    rows, columns = np.nonzero((inner == 0).any(axis=1))[0], np.nonzero((inner == 0).any(axis=0))[0]
    assert (inner[rows[:, None], columns] == 0).all() and set(np.unique(inner)) <= {0.0, 1.0}
    assert len(rows) <= 16 and len(columns) <= 16
    whole += len(rows) == len(columns) == 16
  assert 20 < whole < 80  # (9 / 32)^2 of them


@pytest.mark.parametrize('height, width', [(256, 256), (256, 300), (301, 256)])
def test_imagenet_evaluation_of_a_short_side_of_256_is_its_centre(height, width):
  pixels = _noise(height, width)
  top, left = round((height - 224) / 2), round((width - 224) / 2)
  image = preprocessing.ImageNet(224).evaluate(tf.constant(_png(pixels)))
  np.testing.assert_allclose(image, pixels[top:top + 224, left:left + 224] / 255, atol=1e-6)


@pytest.mark.parametrize('height, width', [(90, 120), (500, 375)])
def test_imagenet_evaluation_is_that_of_pil(height, width):
  pixels = Image.fromarray(_noise(height // 6, width // 6)).resize((width, height), Image.Resampling.BICUBIC)
  scaled = (256, 256 * height // width) if height > width else (256 * width // height, 256)
  top, left = round((scaled[1] - 224) / 2), round((scaled[0] - 224) / 2)
  expected = np.asarray(pixels.resize(scaled, Image.Resampling.BILINEAR))[top:top + 224, left:left + 224] / 255
  buffer = io.BytesIO()
  pixels.save(buffer, 'PNG')
  image = preprocessing.ImageNet(224).evaluate(tf.constant(buffer.getvalue()))
  np.testing.assert_allclose(image, expected, atol=1.01 / 255)  # PIL rounds to 8 bits after each direction


@pytest.mark.parametrize('height, width', [(1, 400), (400, 1), (9, 300), (260, 31), (33, 400), (20, 24)])
def test_what_the_centre_is_made_of_alone_is_decoded_and_resized(height, width):
  transform, pixels = preprocessing.ImageNet(32), _noise(height, width)
  rows, columns = transform._source(tf.constant([height, width]))[2:]
  assert max(rows, columns) <= 3 * min(height, width) + 4
  (high, wide), (top, left) = (pair.numpy() for pair in transform._scaled(tf.constant([height, width])))
  whole = preprocessing._resize(tf.constant(pixels)[tf.newaxis], high, wide)[0, top:top + 32, left:left + 32]
  np.testing.assert_allclose(transform.evaluate(tf.constant(_png(pixels))), whole, atol=0.1 / 255)


@pytest.mark.parametrize('shape, size', [((1, 90, 125, 3), (40, 56)), ((5, 28, 28, 1), (20, 20)), ((2, 9, 7, 3), (16, 12))])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_rows_and_columns_are_resized_to_the_bits_of_tensorflow(shape, size, dtype):
  images = tf.constant(np.random.default_rng(0).integers(0, 256, shape).astype(dtype))
  scale = tf.cast(size, tf.float32) / tf.cast(tf.shape(images)[1:3], tf.float32)
  resized = preprocessing._scale(images, size, scale, (0.0, 0.0))
  np.testing.assert_array_equal(resized, tf.image.resize(images, size, antialias=True))
  shifted = tf.raw_ops.ScaleAndTranslate(images=images, size=size, scale=scale, translation=(-1.5, 0.75), kernel_type='triangle')
  np.testing.assert_array_equal(preprocessing._scale(images, size, scale, (-1.5, 0.75)), shifted)


@pytest.mark.parametrize('encoding', ['PNG', 'JPEG'])
def test_large_images_are_resized_as_bytes_with_the_same_result(encoding, monkeypatch):
  buffer = io.BytesIO()
  Image.fromarray(_noise(75, 100)).save(buffer, encoding)
  transform, encoded, seed = preprocessing.ImageNet(32), tf.constant(buffer.getvalue()), tf.constant([1, 2])
  usual = transform.evaluate(encoded), transform.train(encoded, seed), preprocessing.Plain(32).evaluate(encoded)
  monkeypatch.setattr(preprocessing, '_LARGE_PIXELS', 0)
  large = transform.evaluate(encoded), transform.train(encoded, seed), preprocessing.Plain(32).evaluate(encoded)
  for ours, expected in zip(large, usual, strict=True):
    np.testing.assert_allclose(ours, expected, atol=0.1 / 255)


@pytest.mark.long
def test_imagenet_crops_of_a_constant_image_only_change_its_colour():
  encoded = _png(np.full((50, 60, 3), (200, 100, 50), np.uint8))
  plain = _train(preprocessing.ImageNet(16, 'none'), encoded, 20)
  np.testing.assert_allclose(plain, np.broadcast_to(np.array([200, 100, 50]) / 255, plain.shape), atol=1e-6)
  jittered = _train(preprocessing.ImageNet(16, 'strong'), encoded, 20)
  assert np.ptp(jittered, axis=(1, 2)).max() < 1e-5 and np.ptp(jittered.mean((1, 2)), axis=0).min() > 0.05


def test_half_of_imagenet_crops_are_mirrored():
  ramp = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[np.newaxis, :, np.newaxis], (60, 60, 3))
  images = _train(preprocessing.ImageNet(16, 'none'), _png(np.ascontiguousarray(ramp)), 200)
  assert 70 < np.count_nonzero(images[:, 8, 0, 0] > images[:, 8, -1, 0]) < 130


GREY = (preprocessing.Plain(32, 1), preprocessing.Digits(32, 1), preprocessing.Cifar(32, 1), preprocessing.ImageNet(32, channels=1),
        preprocessing.ImageNet(32, 'strong', 1))


@pytest.mark.parametrize('grey, colored', list(zip(GREY, ALL)), ids=str)
@pytest.mark.parametrize('encoding', ['PNG', 'JPEG'])
def test_a_network_of_one_channel_gets_what_one_of_three_gets_thrice(grey, colored, encoding):
  buffer = io.BytesIO()
  Image.fromarray(_noise(40, 44, 1)[..., 0]).save(buffer, encoding)
  encoded = tf.constant(buffer.getvalue())
  for seed in range(3):
    image = grey.train(encoded, tf.constant([4, seed]))
    assert image.shape == (32, 32, 1)
    np.testing.assert_allclose(np.repeat(image, 3, 2), colored.train(encoded, tf.constant([4, seed])), atol=2e-4)  # weights sum to 0.9999
  np.testing.assert_allclose(np.repeat(grey.evaluate(encoded), 3, 2), colored.evaluate(encoded), atol=1e-6)


def test_one_channel_has_every_grey_level_and_the_brightness_of_colours():
  levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
  np.testing.assert_allclose(preprocessing.Plain(16, 1).evaluate(tf.constant(_png(levels)))[..., 0], levels / 255, atol=1e-6)
  pixels = _noise(16, 16)
  expected = np.asarray(Image.fromarray(pixels).convert('L')) / 255
  np.testing.assert_allclose(preprocessing.Plain(16, 1).evaluate(tf.constant(_png(pixels)))[..., 0], expected, atol=1.01 / 255)


def test_other_channels_are_refused(data_dir):
  with pytest.raises(ValueError, match='images have 3 channels, or 1 if they are grey; the network takes 2'):
    preprocessing.for_source(sources.open_dataset('digits', data_dir), 32, channels=2)


def test_default_augmentation(data_dir, imagenet_data_dir):
  digits = sources.open_dataset('digits', data_dir)
  assert preprocessing.for_source(digits, 32) == preprocessing.Digits(32)
  assert preprocessing.for_source(sources.open_dataset('digits:1.0.0', data_dir), 32) == preprocessing.Digits(32)
  assert preprocessing.for_source(digits, 32, 'none') == preprocessing.Plain(32)
  for shape, expected in (((32, 32, 3), 'cifar'), ((64, 64, 3), 'cifar'), ((96, 96, 3), 'imagenet'), ((None, None, 3), 'imagenet')):
    assert preprocessing.default_augmentation(dataclasses.replace(digits, name='other', image_shape=shape)) == expected
  source = sources.open_dataset('imagenet2012', imagenet_data_dir)
  assert preprocessing.for_source(source, 64, color_jitter='strong') == preprocessing.ImageNet(64, 'strong')


FOLDERS = {  # sizes of images, whether they are grey; what is found
    'all small': ([(28, 28), (64, 30)], False, ((64, 30, 3), 'cifar', 3)),
    'grey': ([(28, 28), (20, 64)], True, ((28, 64, 1), 'cifar', 1)),
    'one is larger': ([(28, 28), (28, 28), (65, 20)], False, ((65, 28, 3), 'imagenet', 3)),
    'photographs': ([(480, 640)], False, ((480, 640, 3), 'imagenet', 3)),
}


@pytest.mark.parametrize('case', FOLDERS)
def test_sizes_of_a_folders_images_decide(case, tmp_path):
  sizes, is_grey, (shape, augmentation, channels) = FOLDERS[case]
  for name in ('cat', 'dog'):
    (tmp_path / name).mkdir()
    for index in range(3):
      pixels = _noise(*sizes[index % len(sizes)])
      (tmp_path / name / f'{index}.png').write_bytes(_png(pixels[..., 0] if is_grey else pixels))
    (tmp_path / name / 'broken.png').write_bytes(b'nothing')
  source = sources.open_dataset(f'folder:{tmp_path}')
  assert (source.image_shape, preprocessing.default_augmentation(source), source.channels) == (shape, augmentation, channels)


def test_sizes_of_a_large_folder_are_those_of_a_sample(tmp_path):
  for name in ('cat', 'dog'):
    (tmp_path / name).mkdir()
    for index in range(300):
      (tmp_path / name / f'{index:03d}.png').write_bytes(_png(_noise(8, 8 if name == 'cat' else 9)))
  assert sources.open_dataset(f'folder:{tmp_path}').image_shape == (8, 9, 3)  # both classes are in it
