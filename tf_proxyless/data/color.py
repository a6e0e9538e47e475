"""Colour jitter as torchvision's ColorJitter defines it, on float images in [0, 1].

torchvision draws the order of the four operations for every image and rounds to 8 bits after each; here the order is fixed
(brightness, contrast, saturation, hue) and nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Jitter:
  """Strengths: a factor is drawn from [max(0, 1 - s), 1 + s], a hue shift from [-s, s] turns of the colour circle."""

  brightness: float = 0.0
  contrast: float = 0.0
  saturation: float = 0.0
  hue: float = 0.0


JITTERS = {  # the official ProxylessNAS data provider
    'none': Jitter(),
    'normal': Jitter(brightness=32 / 255, saturation=0.5),
    'strong': Jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
}


def jitter(image: tf.Tensor, strength: Jitter, seed: tf.Tensor) -> tf.Tensor:
  """Jitters the colours of an image.

  Args:
    image: float32 [height, width, channels] in [0, 1]. One of a single channel is grey, and has neither saturation nor hue.
    strength: Bounds of the random factors and of the hue shift.
    seed: int [2].

  Returns:
    float32 [height, width, channels] in [0, 1].
  """
  draws = tf.random.stateless_uniform([4], seed, -1.0, 1.0)
  operations: tuple[tuple[float, Callable], ...] = (
      (strength.brightness, brightness), (strength.contrast, contrast), (0.0 if _is_grey(image) else strength.saturation, saturation))
  for draw, (bound, operation) in zip(tf.unstack(draws[:3]), operations):
    if bound:
      low = max(0.0, 1.0 - bound)
      image = operation(image, low + (1.0 + bound - low) * (draw + 1.0) / 2.0)
  if strength.hue and not _is_grey(image):
    image = hue(image, strength.hue * draws[3])
  return image


def _is_grey(image: tf.Tensor) -> bool:
  return image.shape[-1] == 1


def _blend(image: tf.Tensor, other: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  return tf.clip_by_value(factor * image + (1.0 - factor) * other, 0.0, 1.0)


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Blends with black: 0 is black, 1 the image."""
  return tf.clip_by_value(factor * image, 0.0, 1.0)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Blends with the mean grey: 0 is that grey, 1 the image."""
  return _blend(image, tf.reduce_mean(image if _is_grey(image) else tf.image.rgb_to_grayscale(image)), factor)


def saturation(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Blends with the grey image: 0 is grey, 1 the image."""
  return _blend(image, tf.image.rgb_to_grayscale(image), factor)


def hue(image: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
  """Turns the colours around the colour circle; 1 turn is the image again."""
  return tf.clip_by_value(tf.image.adjust_hue(image, turns), 0.0, 1.0)
