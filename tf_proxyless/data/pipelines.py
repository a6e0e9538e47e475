"""Batches whose order is a pure function of (seed, epoch, step).

Every function returns a tf.data.Dataset of (images, labels): float32 [batch, size, size, channels] in [0, 1] and int32 [batch].
To start at a step gives, bit for bit, what starting at 0 and skipping gives, and costs nothing: what is skipped is never read.
Augmentation is drawn from (seed, epoch, example), so that it does not depend on the batch size either.

No order is that of the ids, which in an image folder is class by class: what is measured on batches of one class, or on the first images,
says little of the others. A pass over validation or test images goes by their fingerprints instead (`records`).
"""

from __future__ import annotations

from collections.abc import Callable
import functools

import numpy as np
import tensorflow as tf

from tf_proxyless.data import preprocessing
from tf_proxyless.data import records as records_lib
from tf_proxyless.data import sources
from tf_proxyless.data import splits

Part = tuple[int, int]  # which, from 0, of how many equal parts, each of which another worker reads
WHOLE: Part = (0, 1)

# Independent random streams of one seed.
_TRAINING_ORDER, _VALIDATION_ORDER, _AUGMENTATION = range(3)


def training_batches(split: splits.Split, transform: preprocessing.Transform, batch_size: int, seed: int, epoch: int,
                     start_step: int = 0, augment: bool = True, part: Part = WHOLE) -> tf.data.Dataset:
  """The training batches of one epoch, each example at most once, in an order drawn for this epoch; all of full size.

  Args:
    split: Split with the training examples.
    transform: Transform from encoded images to float images.
    batch_size: Images per batch.
    seed: Seed of the order and the augmentation, int32.
    epoch: Number of the epoch, from 0.
    start_step: The first batch to give, from 0 to steps_per_epoch.
    augment: False applies the evaluation transform, for instance for the statistics of batch normalisation.
    part: Which part of each batch to give.

  Returns:
    steps_per_epoch - start_step batches.

  Raises:
    ValueError: A batch size below 1 or above the examples, or a step that the epoch does not have.
  """
  steps = steps_per_epoch(split, batch_size)
  if not 0 <= start_step <= steps:
    raise ValueError(f'start_step must be in 0..{steps}, got {start_step}')
  order = _shuffle(split.training, _key(seed, _TRAINING_ORDER, epoch))[start_step * batch_size:steps * batch_size]
  key = _key(seed, _AUGMENTATION, epoch) if augment else None
  return _batches(split.records, tf.data.Dataset.from_tensor_slices(order), transform, batch_size // part[1], key, part)


def steps_per_epoch(split: splits.Split, batch_size: int) -> int:
  """The number of full batches in the training part."""
  return full_batches(len(split.training), batch_size, 'training')


def validation_stream(split: splits.Split, transform: preprocessing.Transform, batch_size: int, seed: int,
                      start_step: int = 0, part: Part = WHOLE) -> tf.data.Dataset:
  """Endless full batches of validation examples with the evaluation transform, shuffled anew in each pass over them.

  Args:
    split: Split with the validation examples.
    transform: Transform from encoded images to float images.
    batch_size: Images per batch.
    seed: Seed of the order and the augmentation, int32.
    start_step: The first batch to give, at least 0; a pass has len(split.validation) // batch_size of them.
    part: Which part of each batch to give.

  Returns:
    A dataset without an end.

  Raises:
    ValueError: A batch size below 1 or above the examples, or a negative step.
  """
  steps = full_batches(len(split.validation), batch_size, 'validation')
  if start_step < 0:
    raise ValueError(f'start_step must be at least 0, got {start_step}')
  key = _key(seed, _VALIDATION_ORDER)
  shuffled = lambda index: tf.data.Dataset.from_tensor_slices(
      _shuffle(split.validation, tf.random.fold_in(key, index))[:steps * batch_size])
  order = tf.data.Dataset.counter(start_step // steps).flat_map(shuffled).skip(start_step % steps * batch_size)
  return _batches(split.records, order, transform, batch_size // part[1], part=part)


def validation_pass(split: splits.Split, transform: preprocessing.Transform, batch_size: int, part: Part = WHOLE) -> tf.data.Dataset:
  """Every validation example once, in the order of their fingerprints, with the evaluation transform.

  Batches differ by one image at most, so that none is too small for its own statistics.

  Args:
    split: Split with the validation examples.
    transform: Transform from encoded images to float images.
    batch_size: Largest number of images per batch.
    part: Which of the batches to give; may be none.

  Raises:
    ValueError: A batch size below 1 or above the examples.
  """
  full_batches(len(split.validation), batch_size, 'validation')
  return _pass(split.records, _validation_order(split), transform, batch_size, part)


def test_pass(source: sources.Source, transform: preprocessing.Transform, batch_size: int) -> tf.data.Dataset:
  """Every test example once; otherwise as `validation_pass`.

  Raises:
    ValueError: A batch size below 1 or above the examples.
  """
  full_batches(source.num_test, batch_size, 'test')
  records = source.load('test')
  return _pass(records, _test_order(records), transform, batch_size)


def full_batches(examples: int, batch_size: int, part: str) -> int:
  """How many full batches there are, at least one."""
  if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= examples:
    raise ValueError(f'batch_size must be an integer from 1 to {examples}, the number of {part} images, got {batch_size!r}')
  return examples // batch_size


def _key(seed: int, *path: int) -> tf.Tensor:
  """The key, int32 [2], of one of the independent random streams of a seed."""
  key = tf.constant([seed, 0], tf.int32)
  for index in path:
    key = tf.random.fold_in(key, index)
  return key


def _shuffle(positions: np.ndarray, key: tf.Tensor) -> tf.Tensor:
  return tf.random.experimental.stateless_shuffle(positions, key)


def _mixed(records: records_lib.Records, positions: np.ndarray) -> np.ndarray:
  """Positions in the order of their fingerprints."""
  return positions[np.argsort(records.fingerprints(positions), kind='stable')]


# Fingerprints of files take a pass over them.
@functools.lru_cache(maxsize=8)
def _validation_order(split: splits.Split) -> np.ndarray:
  return _mixed(split.records, split.validation)


@functools.lru_cache(maxsize=8)
def _test_order(records: records_lib.Records) -> np.ndarray:
  return _mixed(records, np.arange(len(records.ids)))


def _pass(records: records_lib.Records, order: np.ndarray, transform: preprocessing.Transform, batch_size: int,
          part: Part = WHOLE) -> tf.data.Dataset:
  """Each of the positions once, in as few batches as there can be, whose sizes differ by one at most; the larger come first."""
  small, larger = divmod(len(order), -(-len(order) // batch_size))
  batches = lambda positions, size: _batches(records, tf.data.Dataset.from_tensor_slices(positions), transform, size, part=part)
  first = larger * (small + 1)
  rest = batches(order[first:], small)
  return batches(order[:first], small + 1).concatenate(rest) if larger else rest


def _batches(records: records_lib.Records, positions: tf.data.Dataset, transform: preprocessing.Transform, batch_size: int,
             key: tf.Tensor | None = None, part: Part = WHOLE) -> tf.data.Dataset:
  """The images and labels at some positions, in that order, in batches, of which `part` is given; with a key, augmented."""
  if part != WHOLE:
    positions = positions.batch(batch_size).shard(part[1], part[0]).unbatch()
  labels = tf.constant(records.labels, tf.int32)
  if isinstance(transform, preprocessing.Plain) and records.pixels is not None:
    make_images, pixels = _traced_batch(transform, key is not None, tuple(records.pixels.shape[1:])), records.pixels
    images = lambda positions: make_images(tf.gather(pixels, positions), positions, *([] if key is None else [key]))
    batches = positions.batch(batch_size).map(lambda positions: (images(positions), tf.gather(labels, positions)), tf.data.AUTOTUNE)
  else:
    make_image = _traced(transform, key is not None)
    image = lambda example: make_image(example['image'], *([] if key is None else [tf.random.fold_in(key, example['position'])]))
    examples = records.attach_images(positions.map(lambda position: {'position': position}))
    batches = examples.map(lambda example: (image(example), labels[example['position']]), tf.data.AUTOTUNE).batch(batch_size)
  options = tf.data.Options()
  options.deterministic = True
  return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


# One trace for a transform, since tracing takes longer than an epoch over a small dataset.
@functools.lru_cache(maxsize=8)
def _traced(transform: preprocessing.Transform, augment: bool) -> Callable[..., tf.Tensor]:
  """Of an encoded image, and with a seed if it is augmented."""
  return tf.function(transform.train if augment else transform.evaluate, autograph=False)


@functools.lru_cache(maxsize=8)
def _traced_batch(transform: preprocessing.Plain, augment: bool, shape: tuple[int, int, int]) -> Callable[..., tf.Tensor]:
  """Of decoded images of a shape and their positions, and with a key if they are augmented."""
  specs = [tf.TensorSpec([None, *shape], tf.uint8), tf.TensorSpec([None], tf.int64), *[tf.TensorSpec([2], tf.int32)] * augment]

  def make(images, positions, key=None):
    if key is None:
      return transform.fit(images)
    draw = lambda position: transform.draw(tf.random.fold_in(key, position))
    return transform.augment(images, tf.map_fn(draw, positions, fn_output_signature=tf.int32))

  return tf.function(make, specs, autograph=False)
