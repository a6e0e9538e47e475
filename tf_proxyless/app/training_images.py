"""The images of a training or a fine-tuning, as its model takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses

import tensorflow as tf

from tf_proxyless.app import config as config_lib
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.infra import progress
from tf_proxyless.space import io
from tf_proxyless.train import run_directory

Normalization = Mapping[str, tuple[float, ...]] | None  # see `io.Architecture`


@dataclasses.dataclass(frozen=True)
class Images:
  """The images of a training as batches (float32 NHWC, int32 labels) of what its model takes.

  Attributes:
    source: The dataset.
    split: What is trained on, and held out.
    augmentation: Name of the augmentation.
    transform: From files to pixels in [0, 1].
    normalization: Normalization of the architecture, applied after that.
    batch_size: Batch size of training.
    evaluation_batch_size: Images in a batch of an evaluation.
    seed: Seed of order and augmentation.
    class_names: What the outputs of the network stand for.
  """

  source: sources.Source
  split: splits.Split
  augmentation: str
  transform: preprocessing.Transform
  normalization: Normalization
  batch_size: int
  evaluation_batch_size: int
  seed: int
  class_names: tuple[str, ...]

  def training(self, epoch: int, step: int = 0, augment: bool = True) -> tf.data.Dataset:
    """The batches of an epoch from a step on."""
    batches = pipelines.training_batches(self.split, self.transform, self.batch_size, self.seed, epoch, step, augment)
    return normalize(batches, self.normalization)

  def validation(self) -> tf.data.Dataset:
    """What was held out."""
    size = min(self.evaluation_batch_size, len(self.split.validation))
    return normalize(pipelines.validation_pass(self.split, self.transform, size), self.normalization)

  def test(self) -> tf.data.Dataset:
    """The test images."""
    return test_images(self.source, self.transform, self.normalization, self.evaluation_batch_size)

  def evaluation(self) -> Callable[[], tf.data.Dataset]:
    """What is evaluated on while training: images that were held out, if there are any."""
    return self.validation if len(self.split.validation) else self.test


def normalize(batches: tf.data.Dataset, normalization: Normalization) -> tf.data.Dataset:
  """Batches of pixels in [0, 1], normalised by channel as an architecture's input_normalization says."""
  if normalization is None:
    return batches
  mean, std = (tf.constant(normalization[name], tf.float32) for name in ('mean', 'std'))
  return batches.map(lambda images, labels: ((images - mean) / std, labels), num_parallel_calls=tf.data.AUTOTUNE).prefetch(1)


def test_images(source: sources.Source, transform: preprocessing.Transform, normalization: Normalization,
                batch_size: int) -> tf.data.Dataset:
  """Test images as a model takes them."""
  return normalize(pipelines.test_pass(source, transform, min(batch_size, source.num_test)), normalization)


def make(config: config_lib.TrainConfig | config_lib.QuantizeConfig, source: sources.Source, architecture: io.Architecture,
         run: run_directory.RunDirectory) -> Images:
  """The images of a run, by the split that its directory has, or gets if this process writes there.

  Args:
    config: Configuration of the run.
    source: The dataset.
    architecture: The network, with its classes and its augmentation.
    run: The directory.

  Raises:
    ValueError: The split is not possible, or the one that is there is damaged.
  """
  if run.writes and run.split.exists():
    split = splits.load(str(run.split), source, over=run.model.exists() or _is_quantized(run))
  else:  # a function of the options, and so the same on all workers
    with progress.working(f'reading {source.name}'):
      held_out = config.data.validation_images
      holds_out = held_out or source.num_validation
      split = splits.make(source, held_out, config.seed) if holds_out else splits.whole(source, config.seed)
    if run.writes:
      splits.save(split, str(run.split))
  size, _, channels = architecture.network.input_shape
  augmentation = architecture.augmentation or preprocessing.default_augmentation(source)
  transform = preprocessing.for_source(source, size, augmentation, config.data.color_jitter, channels)
  return Images(source, split, augmentation, transform, architecture.input_normalization, config.data.batch_size,
                config.data.evaluation_batch, config.seed, architecture.class_names or source.class_names)


def _is_quantized(run: run_directory.RunDirectory) -> bool:
  from tf_proxyless.deploy import qat  # loads Keras 3 beside tf_keras, a quarter of the time of a short training

  return (run.path / qat.WEIGHTS).exists()
