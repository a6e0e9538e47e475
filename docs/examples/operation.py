"""An operation of your own: the fused bottleneck, whose k x k convolution does what expansion and depthwise convolution do in MBConv.

  python docs/examples/operation.py

Its layers are all that is written. MACs, parameters, the supernet, the plain Keras network, quantization, export, latency tables and
drawings follow from them.
"""

from __future__ import annotations

import dataclasses

import tf_proxyless as nas
from tf_proxyless import spaces


@spaces.register('fused_bottleneck')  # its name in files
@dataclasses.dataclass(frozen=True)
class FusedBottleneck:
  """Convolution k x k to `expand_ratio` times the channels, then a linear 1x1 projection (EfficientNetV2, arXiv 2104.00298)."""

  filters: int
  kernel_size: int = 3
  strides: int = 1
  expand_ratio: int = 4

  def layers(self, input_shape):
    return (
        spaces.Conv('expand', input_shape[2] * self.expand_ratio, self.kernel_size, self.strides),
        spaces.BatchNorm('expand_bn'),
        spaces.Activation('expand_activation', 'relu6'),
        spaces.Conv('project', self.filters, 1, 1),
        spaces.BatchNorm('project_bn'),
    )

  @property
  def short_name(self):
    return f'fused{self.kernel_size}e{self.expand_ratio}'


def _choices(filters: int, strides: int) -> nas.OneOf:
  return nas.OneOf((spaces.MBConv(filters, 3, strides, 4), spaces.MBConv(filters, 5, strides, 4),
                    FusedBottleneck(filters, 3, strides, 2), FusedBottleneck(filters, 3, strides, 4)), 'op')


def make_space() -> nas.Network:
  """Three blocks, each of which is fused or not."""
  return nas.Network('fused', (16, 16, 3), (
      nas.Block('stem', spaces.ConvBn(8, 3, 1)),
      nas.Block('block_1', _choices(8, 1), residual=True),
      nas.Block('block_2', _choices(16, 2)),
      nas.Block('block_3', _choices(16, 1), residual=True),
      nas.Block('classifier', spaces.Classifier(10))))


def main(run_dir: str = 'runs/operation', **settings) -> nas.SearchResult:
  settings = {'batch_size': 128, 'warmup_epochs': 10, 'search_epochs': 20, 'validation_images': 0.2, **settings}
  return nas.search(make_space(), 'digits', cost='bytes', target='50%', run_dir=run_dir, **settings)


if __name__ == '__main__':
  print(main().architecture)
