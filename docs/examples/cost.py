"""A cost of your own: the memory traffic of a network, by a function of what an operation is and where it stands.

  python docs/examples/cost.py

Each layer reads its input and its weights, and writes its output, one byte a number in int8. A second constraint, on the bytes of the
file, holds for a network that is derived afterwards.
"""

from __future__ import annotations

import math

import tf_proxyless as nas


def traffic(signature) -> float:
  """Bytes that an operation moves; `signature` is None for one that computes nothing."""
  if signature is None:
    return 0.0
  return sum(math.prod(layer.input_shape) + layer.parameters + math.prod(layer.output_shape) for layer in signature.layers)


def main(run_dir: str = 'runs/cost', **settings) -> nas.SearchResult:
  space = nas.spaces.proxyless(resolution=16, classes=10, stem_filters=8, stem_strides=1, first_block_filters=8, stage_filters=(16, 24),
                               stage_blocks=(2, 2), stage_strides=(2, 2), head_filters=64)
  settings = {'batch_size': 128, 'warmup_epochs': 10, 'search_epochs': 20, 'validation_images': 0.2, **settings}
  return nas.search(space, 'digits', cost=traffic, unit='bytes', target='40%', run_dir=run_dir, **settings)


def derive_smaller(result: nas.SearchResult):
  """The network of a search that keeps its target, and half of the range of files as well."""
  size = nas.costs.file_bytes(result.space)
  return result.derive(others=[nas.Constraint(size, (size.smallest + size.largest) / 2)])


if __name__ == '__main__':
  print(derive_smaller(main()))
