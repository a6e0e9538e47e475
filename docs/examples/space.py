"""A search space of your own: the width of each stage is one decision; kernels and expansions are decisions inside the operations.

  python docs/examples/space.py

Equal names are one decision: all blocks of a stage have the same width. What is no `OneOf` is fixed.
"""

from __future__ import annotations

import tf_proxyless as nas
from tf_proxyless import spaces


def make_space(resolution: int = 16, classes: int = 10) -> nas.Network:
  """Two stages of two blocks each; the second block of a stage may be skipped."""
  blocks = [nas.Block('stem', spaces.ConvBn(8, 3, 1))]
  for stage, widths in enumerate(((8, 12, 16), (16, 24, 32)), 1):
    width = nas.OneOf(widths, 'filters', f'width_{stage}')
    first = spaces.MBConv(width, nas.OneOf((3, 5), 'kernel_size'), 2, nas.OneOf((3, 6), 'expand_ratio'))
    second = nas.OneOf((spaces.MBConv(width, 3, 1, 3), spaces.MBConv(width, 5, 1, 3), spaces.Zero()), 'op')
    blocks += [nas.Block(f'stage_{stage}_first', first), nas.Block(f'stage_{stage}_second', second, residual=True)]
  blocks += [nas.Block('mix', spaces.ConvBn(64, 1)), nas.Block('classifier', spaces.Classifier(classes))]
  return nas.Network('two_stages', (resolution, resolution, 3), tuple(blocks))


def main(run_dir: str = 'runs/space', **settings) -> nas.SearchResult:
  settings = {'batch_size': 128, 'warmup_epochs': 10, 'search_epochs': 20, 'validation_images': 0.2, **settings}
  return nas.search(make_space(), 'digits', cost='macs', target='40%', run_dir=run_dir, **settings)


if __name__ == '__main__':
  print(main().architecture)
