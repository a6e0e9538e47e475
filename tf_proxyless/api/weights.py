"""The network of a search as a plain model, with the weights of the supernet. Loads TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_proxyless.api import data as data_lib
from tf_proxyless.app import augmentation as augmentation_lib
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.infra import run_directory as infra_run_directory
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import transfer


def build(result: Any, weights: str, train_data: Any) -> Any:
  """See `SearchResult.keras_model`."""
  if weights not in ('inherit', 'random'):
    raise ValueError(f"weights must be 'inherit' or 'random', got {weights!r}")
  architecture = result.architecture
  model = keras_network.build(architecture.network)
  if weights == 'random':
    return model
  if train_data is not None:
    data_lib.open_source(train_data)
  config = result.config
  source = sources.open_dataset(config.data.dataset, config.data.data_dir)
  split = splits.load(str(result.run.split), source, over=True)
  supernet = supernet_lib.Supernet(result.space, nested=config.weights.nested)
  newest = result.run.newest_checkpoint()
  with infra_run_directory.restoring(newest):
    tf.train.Checkpoint(supernet=supernet).read(newest).assert_existing_objects_matched().expect_partial()
  transfer.inherit(model, supernet, architecture.genotype)
  size, _, channels = architecture.network.input_shape
  augmentation = augmentation_lib.choose(config.data.augmentation, source, result.run, known=True)
  transform = preprocessing.for_source(source, size, augmentation, channels=channels)
  batches = pipelines.training_batches(split, transform, min(config.data.batch_size, len(split.training)), config.seed, 0, augment=False)
  transfer.reestimate_batch_norm(model, (images for images, _ in batches.take(50)))
  return model
