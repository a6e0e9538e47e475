"""Latency of networks in TensorFlow on a GPU, as ProxylessNAS measured its networks for GPUs: float, batches of 8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import math
import os
import platform
import random
import statistics
import time
from typing import Any

import tensorflow as tf

from tf_proxyless.deploy.litert_benchmark import results
from tf_proxyless.nn import keras_network
from tf_proxyless.space import network as network_lib


class _Compiled:
  """A network on a device, as one graph that runs it any number of times."""

  def __init__(self, network: network_lib.Network, batch_size: int, device: str):
    with tf.device(device):
      model = keras_network.build(dataclasses.replace(network, name='network'))
      images = tf.random.stateless_uniform([batch_size, *network.input_shape], [0, 0])
      nothing = tf.zeros([batch_size, *model.output_shape[1:]])

    @tf.function
    def run(count):  # -> count, outputs of the last run
      # Launching a graph costs more than a small operation does; inside of it operations follow each other as in a network.
      step = lambda i, _: (i + 1, model(images, training=False))
      return tf.while_loop(lambda i, _: i < count, step, (0, nothing), parallel_iterations=1)

    self._run, self._device = run, device

  def seconds(self, count: int) -> float:
    """Seconds until the device has done `count` runs."""
    with tf.device(self._device):
      tf.test.experimental.sync_devices()
      begin = time.perf_counter()
      self._run(tf.constant(count))
      tf.test.experimental.sync_devices()
      return time.perf_counter() - begin

  def first_seconds(self) -> float:
    """About how many seconds a run takes."""
    self.seconds(2)  # traces, and tries out algorithms
    return self.seconds(4) / 4


def measure(networks: Mapping[str, network_lib.Network], device: str = '/GPU:0', *, batch_size: int = 8, rounds: int = 5,
            num_runs: int = 20, sample_secs: float = 0.01, seed: int = 0,
            report: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
  """Measures networks in shuffled rounds.

  Args:
    networks: By name, without open decisions; `network.network_of_signature` makes one of an operation.
    device: TensorFlow's name of it.
    batch_size: Images a run.
    rounds: In each, every network has one launch, in another order.
    num_runs: Samples a launch.
    sample_secs: A sample is the average of so many runs, one after the other in one graph, that it takes about so long.
    seed: Seed of the orders.
    report: Takes lines of progress.

  Returns:
    What android_benchmark writes as measurements.json. The network of median latency opens and closes every round as the
    reference; a round is not repeated if it drifts.

  Raises:
    ValueError: TensorFlow has no such device, or an argument leaves nothing to measure.
  """
  if not networks or min(batch_size, rounds, num_runs) < 1:
    raise ValueError('at least one network, image, round and run must be measured, '
                     f'got {len(networks)}, {batch_size}, {rounds}, {num_runs}')
  description = _describe(device)
  started, begin = _now(), time.perf_counter()
  compiled = {}
  for i, (name, network) in enumerate(networks.items(), 1):
    report(f'compiling {i} of {len(networks)}: {name}')
    compiled[name] = _Compiled(network, batch_size, device)
  first_secs = {name: graph.first_seconds() for name, graph in compiled.items()}
  counts = {name: max(1, math.ceil(sample_secs / seconds)) for name, seconds in first_secs.items()}
  reference = sorted(first_secs, key=first_secs.get)[len(first_secs) // 2]
  samples, readings = {name: [] for name in networks}, []
  for i in range(rounds):
    order = [name for name in networks if name != reference]
    random.Random(f'{seed}/{i}').shuffle(order)
    for name in (reference, *order, reference):
      report(f'round {i + 1} of {rounds}: {name}')
      samples[name].append(_launch(compiled[name], counts[name], num_runs))
      if name == reference:
        readings.append(statistics.median(samples[name][-1]))
  return {
      'schema': 'android_benchmark/measurements', 'version': 1, 'device': description,
      'benchmark': {'tool': 'tensorflow', 'version': tf.__version__, 'sha256': None},
      'settings': {'kernels': 'unknown', 'batch_size': batch_size, 'rounds': rounds, 'num_runs': num_runs, 'sample_secs': sample_secs,
                   'seed': seed, 'tensor_float_32': tf.config.experimental.tensor_float_32_execution_enabled()},
      'started': started, 'finished': _now(), 'seconds': time.perf_counter() - begin,
      'reference': _drift(reference, readings),
      'models': {name: _summary(launches, counts[name]) for name, launches in samples.items()},
      'failed': {}, 'health': [], 'warnings': []}


def _now() -> str:
  return time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.gmtime())


def _describe(device: str) -> dict[str, Any]:
  kind, _, index = device.removeprefix('/').partition(':')
  devices = tf.config.list_physical_devices()
  same = [found for found in devices if found.device_type == kind]
  if not index.isdecimal() or int(index) >= len(same):
    names = ', '.join(found.name.removeprefix('/physical_device:') for found in devices)
    raise ValueError(f'TensorFlow has no device {device!r} here; it has {names}')
  details = tf.config.experimental.get_device_details(same[int(index)])
  model = details.get('device_name') or platform.processor() or platform.machine()
  return {'model': model, 'serial': None, 'soc': None, 'system': platform.platform(), 'cores': os.cpu_count()}


def _launch(compiled: _Compiled, count: int, num_runs: int) -> list[float]:
  """Milliseconds a run of each sample of `count` runs, after one to warm up."""
  compiled.seconds(count)
  return [compiled.seconds(count) / count * 1000 for _ in range(num_runs)]


def _drift(reference: str, readings: list[float]) -> dict[str, Any]:
  level = statistics.median(readings)
  drift = max(abs(reading / level - 1) for reading in readings) * 100
  return {'model': reference, 'median_ms': level, 'drift_percent': drift, 'drift_before_repeats_percent': drift,
          'repeated_blocks': 0, 'readings_ms': readings}


def _summary(launches: list[list[float]], count: int) -> dict[str, Any]:
  """Statistics of one network: median and percentiles are medians over launches, the others are over all samples."""
  each = [_statistics(launch, count) for launch in launches]
  pooled = _statistics([value for launch in launches for value in launch], count)
  medians = {name: statistics.median(launch[name] for launch in each) for name in ('median_ms', 'p5_ms', 'p95_ms')}
  return {'sha256': None, **pooled, **medians, 'launches': [{'round': i, **launch} for i, launch in enumerate(each)]}


def _statistics(samples: list[float], count: int) -> dict[str, float]:
  ordered = sorted(samples)
  percentiles = {f'{name}_ms': results.percentile(ordered, percent) for name, percent in (('median', 50), ('p5', 5), ('p95', 95))}
  return {**percentiles, 'mean_ms': statistics.fmean(samples), 'std_ms': statistics.pstdev(samples), 'min_ms': ordered[0],
          'runs': count * len(samples)}
