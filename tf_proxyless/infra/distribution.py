"""Which devices share the steps of a search or a training: one, all of this machine, or those of several workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import functools
from typing import Any, TYPE_CHECKING, TypeVar
import zlib

import numpy as np

from tf_proxyless.infra import cluster as cluster_lib

if TYPE_CHECKING:  # commands look at TF_CONFIG before they load it
  import tensorflow as tf

CHOICES = ('one', 'mirrored', 'multi_worker')
_T = TypeVar('_T')


def choose(distribution: str | None = None) -> tf.distribute.Strategy:
  """The strategy for the available devices; call it before TensorFlow has looked for devices.

  Args:
    distribution: 'one' device, the devices of this machine 'mirrored', or 'multi_worker'; by default the workers if TF_CONFIG names
      several, else all GPUs.

  Raises:
    ValueError: There are no several devices, or `cluster.find_workers` refuses TF_CONFIG.
  """
  import tensorflow as tf

  if len(cluster_lib.find_workers(distribution).tasks) > 1:
    return tf.distribute.MultiWorkerMirroredStrategy()
  kinds = [] if distribution == 'one' else ['GPU'] if distribution is None else ['GPU', 'CPU']
  devices = next(filter(None, map(tf.config.list_logical_devices, kinds)), [])
  if len(devices) > 1:
    return _mirrored(tuple(device.name for device in devices))
  if distribution == 'mirrored':
    raise ValueError(f'`distribution=mirrored` needs several devices, and TensorFlow sees {devices[0].name} alone; leave it out')
  return tf.distribute.get_strategy()


@functools.cache  # reductions of two strategies of one process would be taken for each other
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
  import tensorflow as tf

  return tf.distribute.MirroredStrategy(devices)


def distribute(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Iterable:
  """Batches divided among the replicas."""
  import tensorflow as tf

  if strategy.num_replicas_in_sync == 1:
    return batches
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
  return strategy.experimental_distribute_dataset(batches.with_options(options))


def variables_of(variable: tf.Variable) -> tuple[tf.Variable, ...]:
  """The variable of each device of this process that one stands for."""
  import tensorflow as tf

  return tuple(variable.values) if isinstance(variable, tf.distribute.DistributedValues) else (variable,)


def replica(count: int) -> int:
  """Which of the `count` replicas of this process a function that `Devices.run` runs is being traced for."""
  import tensorflow as tf

  return int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)) % count if count > 1 else 0


class Devices:
  """What shares the steps: replicas, each on a device, in this process and in other workers.

  Attributes:
    strategy: Makes the variables, in its scope.
    replicas: How many replicas there are.
    cluster: The workers; this process alone may be all.
    local: Replicas of this process.
  """

  def __init__(self, strategy: tf.distribute.Strategy | None = None):
    """By default there is one device."""
    import tensorflow as tf

    self.strategy = strategy or tf.distribute.get_strategy()
    self.replicas = self.strategy.num_replicas_in_sync
    several = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
    self.cluster = cluster_lib.read_tf_config() if several else cluster_lib.Cluster()
    self.local = self.replicas // self.workers

  @property
  def workers(self) -> int:
    """How many processes there are."""
    return len(self.cluster.tasks)

  @property
  def worker(self) -> int:
    """Which of them this is."""
    return self.cluster.index

  @property
  def is_chief(self) -> bool:
    """Whether this process writes files."""
    return self.worker == 0

  def describe(self) -> str:
    """The devices in words, for instance '4 devices of 2 workers'."""
    workers = f' of {self.workers} workers' if self.workers > 1 else ''
    return f'{self.replicas} devices{workers}' if self.replicas > 1 else 'this machine'

  def check_batch(self, name: str, images: int) -> None:
    """Refuses a batch that cannot be divided.

    Args:
      name: Name of the option, for the message.
      images: Its value.

    Raises:
      ValueError: In one line, what to do.
    """
    if images % self.replicas:
      near = max(images // self.replicas, 1) * self.replicas
      raise ValueError(f'`{name}={images}` cannot be divided among {self.replicas} devices: give a multiple such as {near}, or '
                       '`distribution=one`')

  def run(self, function: Callable[..., _T], *arguments: Any) -> list[_T]:
    """Runs a function on each device of this process, inside a graph; the results by replica."""
    import tensorflow as tf

    if self.replicas == 1:
      return [function(*arguments)]
    found = self.strategy.run(function, args=arguments)
    parts = [self.strategy.experimental_local_results(value) for value in tf.nest.flatten(found)]
    return [tf.nest.pack_sequence_as(found, list(values)) for values in zip(*parts)]

  def share(self, *batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """The part of the replica in which it is called, of tensors [batch, ...] of this process."""
    import tensorflow as tf

    if self.local == 1:
      return batch
    with tf.device('CPU:0'):
      size, index = tf.shape(batch[0])[0] // self.local, replica(self.local)
      return tuple(tensor[index * size:(index + 1) * size] for tensor in batch)

  def mean(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The means over all replicas of float32 tensors, of which each replica has its own; in one reduction."""
    import tensorflow as tf

    if self.replicas == 1:
      return list(tensors)
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
    total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, flat)
    parts = tf.split(total / self.replicas, [tf.size(tensor) for tensor in tensors])
    return [tf.ensure_shape(tf.reshape(part, tf.shape(tensor)), tensor.shape) for part, tensor in zip(parts, tensors)]

  def add_up(self, values: np.ndarray) -> np.ndarray:
    """The sum over workers of float64 arrays of one shape; all of them are to call it at the same time."""
    return values if self.workers == 1 else self._add_up(np.asarray(values, np.float64)).numpy()

  @functools.cached_property
  def _add_up(self):
    import tensorflow as tf

    @tf.function(autograph=False)
    def add_up(values):
      votes = self.strategy.run(lambda: values if replica(self.local) == 0 else tf.zeros_like(values))
      return self.strategy.reduce(tf.distribute.ReduceOp.SUM, votes, axis=None)

    return lambda values: add_up(tf.constant(values))

  def any(self, vote: bool) -> bool:
    """Whether any of the workers says so; all of them are to ask at the same time."""
    return vote if self.workers == 1 else bool(self.add_up(np.array([vote])))

  def meet(self) -> None:
    """Waits until all workers are there."""
    self.any(False)

  @contextlib.contextmanager
  def chief_first(self) -> Iterator[None]:
    """What the chief does in this context, for instance write files, it has done before the others begin."""
    if not self.is_chief:
      self.meet()
    yield
    if self.is_chief:
      self.meet()

  def check_equal(self, **facts: object) -> None:
    """Refuses workers that are not about to do the same.

    Args:
      **facts: What all must have alike, by a name for people, of which _ are spaces.

    Raises:
      ValueError: In one line, who differs in what.
    """
    if self.workers == 1:
      return
    mine = np.array([zlib.crc32(repr(fact).encode()) for fact in facts.values()], np.float64)
    rows = self.add_up(np.where(np.arange(self.workers)[:, None] == self.worker, mine, 0.0))
    for index, row in enumerate(rows):
      differing = [name.replace('_', ' ') for name, value, chief in zip(facts, row, rows[0]) if value != chief]
      if differing:
        raise ValueError(f'{self.cluster.name(index)} and {self.cluster.name(0)} differ in {" and ".join(differing)}; all workers need the '
                         'same command, the same data and one `run_dir` on a disk that they share')
