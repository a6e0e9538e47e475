"""The network of a search as a Keras model, with the weights of its supernet."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.infra import run_directory as infra_run_directory
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import transfer
from tf_proxyless.search import run_directory
from tf_proxyless.space import io

_STATISTICS_BATCHES = 50


def build(architecture: io.Architecture, run: run_directory.RunDirectory, config: config_lib.SearchConfig,
          problem: problem_lib.SearchProblem) -> Any:
  """See `SearchResult.keras_model`.

  Args:
    architecture: A network of the space.
    run: Of the search.
    config: Its settings.
    problem: Its space.
  """
  model = keras_network.build(architecture.network)
  source = sources.open_dataset(config.data.dataset, config.data.data_dir)
  split = splits.load(str(run.split), source)
  supernet = supernet_lib.Supernet(problem.space)
  newest = run.newest_checkpoint()
  if newest is None:
    raise ValueError(f'{run.checkpoints} holds no checkpoint; run the search first')
  with infra_run_directory.restoring(newest):
    tf.train.Checkpoint(supernet=supernet).read(newest).assert_existing_objects_matched().expect_partial()
  transfer.inherit(model, supernet, architecture.genotype)
  transform = preprocessing.for_source(source, architecture.network.input_shape[0], config.data.augmentation)
  batches = pipelines.training_batches(split, transform, min(config.data.batch_size, len(split.training)), config.seed, 0, augment=False)
  transfer.reestimate_batch_norm(model, (images for images, _ in batches.take(_STATISTICS_BATCHES)))
  return model
