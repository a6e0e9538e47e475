"""Images and a search that take seconds."""

from __future__ import annotations

import numpy as np

from tf_proxyless.cost import counting
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless

CLASSES = 3
# Two decisions of seven choices each.
SPACE = proxyless.proxyless(resolution=8, stem_filters=8, stem_strides=1, first_block_filters=8, stage_filters=(8,), stage_blocks=(2,),
                            stage_strides=(1,), head_filters=16, classes=CLASSES)
SETTINGS = {'batch_size': 24, 'validation_batch_size': 20, 'validation_images': 0.2, 'warmup_epochs': 1, 'search_epochs': 2,
            'weight_steps_per_update': 2, 'checkpoint_every_steps': 3, 'scored_networks': 20, 'augmentation': 'none'}


def images(count: int = 120, seed: int = 0, classes: int = CLASSES, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
  """uint8 [count, size, size, 3] and labels: noise in which one colour and one row of the class are bright."""
  rng = np.random.default_rng(seed)
  labels = np.arange(count) % classes
  pixels = rng.integers(0, 100, (count, size, size, 3), dtype=np.uint8)
  pixels[np.arange(count), labels * size // classes, :, labels % 3] = 250
  return pixels, labels


def table(space: network_lib.Network = SPACE) -> table_lib.LatencyTable:
  """Made-up latencies: 2 us an operation, and 1 ms for 100 M multiply-adds."""
  entries = tuple(
      table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=0.002 + 1e-8 * counting.count(signature).macs))
      for signature in network_lib.op_signatures(space))
  return table_lib.LatencyTable('made up', table_lib.Runtime('nothing', 'int8', 'builtin'), entries)


def without_seconds(history: list[dict]) -> list[dict]:
  """Entries of a history without what differs between runs."""
  return [{name: value for name, value in entry.items() if name != 'seconds'} for entry in history]
