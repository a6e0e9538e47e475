"""Colour jitter: the ends of each blend in closed form, and the bounds of its factors."""

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless.data import color

IMAGE = np.random.default_rng(0).uniform(0, 1, (5, 4, 3)).astype(np.float32)
GREY = (IMAGE @ np.array([0.2989, 0.587, 0.114], np.float32))[..., np.newaxis]


@pytest.mark.parametrize('operation, other', [
    (color.brightness, np.zeros_like(IMAGE)), (color.contrast, np.full_like(IMAGE, GREY.mean())), (color.saturation, GREY)])
def test_blends(operation, other):
  for factor in (0.0, 0.4, 1.0, 1.4):
    expected = np.clip(factor * IMAGE + (1 - factor) * other, 0, 1)
    np.testing.assert_allclose(operation(tf.constant(IMAGE), factor), expected, atol=1e-6)


def test_hue_turns_red_into_green_blue_and_back():
  colors = tf.constant(np.eye(3, dtype=np.float32)[np.newaxis])  # red, green, blue
  np.testing.assert_allclose(color.hue(colors, 1 / 3), np.roll(np.eye(3), 1, axis=1)[np.newaxis], atol=1e-5)
  np.testing.assert_allclose(color.hue(tf.constant(IMAGE), 1.0), IMAGE, atol=1e-5)
  grey = tf.constant(np.full((2, 2, 3), 0.3, np.float32))
  np.testing.assert_allclose(color.hue(grey, 0.1), grey, atol=1e-6)


def test_factors_fill_their_bounds():
  half_grey = tf.fill([1, 1, 3], 0.5)  # of 'normal', only the brightness changes a grey image
  values = np.array([color.jitter(half_grey, color.JITTERS['normal'], tf.constant([0, i]))[0, 0, 0] for i in range(300)])
  low, high = 0.5 * (1 - 32 / 255), 0.5 * (1 + 32 / 255)
  assert low <= values.min() < low + 0.002 and high - 0.002 < values.max() <= high
  assert abs(values.mean() - 0.5) < 4 * (high - low) / np.sqrt(12 * 300)


def test_a_bound_above_one_does_not_draw_a_negative_factor():
  values = [color.jitter(tf.fill([1, 1, 3], 0.5), color.Jitter(brightness=3.0), tf.constant([0, i]))[0, 0, 0] for i in range(200)]
  # Factors are uniform in [0, 4]; half of them saturate.
  assert 0.35 < np.mean(np.array(values) == 1.0) < 0.65 and 0 < np.min(values) < 0.05


@pytest.mark.parametrize('name', ['normal', 'strong'])
def test_jitter_is_a_function_of_the_seed_and_stays_in_range(name):
  first, again, other = (color.jitter(tf.constant(IMAGE), color.JITTERS[name], tf.constant(seed)).numpy()
                         for seed in ([0, 1], [0, 1], [0, 2]))
  assert np.array_equal(first, again) and not np.array_equal(first, other)
  assert 0 <= first.min() and first.max() <= 1


def test_strengths_are_those_of_the_official_search():
  assert color.JITTERS['normal'] == color.Jitter(brightness=32 / 255, saturation=0.5)
  assert color.JITTERS['strong'] == color.Jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)


def test_grey_of_one_channel_has_brightness_and_contrast_alone():
  grey, thrice = tf.constant(IMAGE[..., :1]), tf.constant(np.repeat(IMAGE[..., :1], 3, 2))
  np.testing.assert_allclose(color.contrast(grey, 0.4), color.contrast(thrice, 0.4)[..., :1], atol=1e-4)
  assert np.array_equal(color.jitter(grey, color.Jitter(saturation=0.5, hue=0.1), tf.constant([0, 1])), grey)
