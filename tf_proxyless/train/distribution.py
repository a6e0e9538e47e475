"""Distribution strategy of a training: one device, all GPUs of this machine, or the workers that TF_CONFIG names."""

from __future__ import annotations

from collections.abc import Iterable
import os

import tensorflow as tf

from tf_proxyless.infra import files


def choose() -> tf.distribute.Strategy:
  """The strategy for the available devices; call it before TensorFlow has looked for devices.

  Raises:
    ValueError: TF_CONFIG is not what TensorFlow's documentation says.
  """
  if names_workers():
    return tf.distribute.MultiWorkerMirroredStrategy()
  if len(tf.config.list_logical_devices('GPU')) > 1:
    return tf.distribute.MirroredStrategy()
  return tf.distribute.get_strategy()


def names_workers() -> bool:
  """Whether TF_CONFIG names more than one worker.

  Raises:
    ValueError: It is not what TensorFlow's documentation says.
  """
  text = os.environ.get('TF_CONFIG')
  if not text:
    return False
  try:
    config = files.parse_json(text)
    workers = [*config['cluster'].get('chief', ()), *config['cluster']['worker']]
    task = config['task']['type'], int(config['task']['index'])
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(f'TF_CONFIG does not name a cluster of workers and this task in it: {files.shorten(error, 200)}') from error
  if task[0] not in ('chief', 'worker'):
    raise ValueError(f'TF_CONFIG makes this task a {files.shorten(task[0])}; a training has a chief and workers')
  return len(workers) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process is the one that writes files."""
  resolver = strategy.cluster_resolver
  return resolver is None or resolver.task_type in (None, '', 'chief') or (
      resolver.task_type == 'worker' and resolver.task_id == 0 and 'chief' not in resolver.cluster_spec().as_dict())


def distribute(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Iterable:
  """Batches divided among the replicas."""
  if strategy.num_replicas_in_sync == 1:
    return batches
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
  return strategy.experimental_distribute_dataset(batches.with_options(options))
