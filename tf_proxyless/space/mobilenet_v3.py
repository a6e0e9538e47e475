"""MobileNetV3-Large as data (Howard et al. 2019, arXiv 1905.02244, table 1)."""

from __future__ import annotations

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

# Kernel size, width inside, filters, share of the squeeze-excite layers, activation, stride: the rows 'bneck' of the table.
_BLOCKS = (
    (3, 16, 16, 0.0, 'relu', 1),
    (3, 64, 24, 0.0, 'relu', 2),
    (3, 72, 24, 0.0, 'relu', 1),
    (5, 72, 40, 0.25, 'relu', 2),
    (5, 120, 40, 0.25, 'relu', 1),
    (5, 120, 40, 0.25, 'relu', 1),
    (3, 240, 80, 0.0, 'hard_swish', 2),
    (3, 200, 80, 0.0, 'hard_swish', 1),
    (3, 184, 80, 0.0, 'hard_swish', 1),
    (3, 184, 80, 0.0, 'hard_swish', 1),
    (3, 480, 112, 0.25, 'hard_swish', 1),
    (3, 672, 112, 0.25, 'hard_swish', 1),
    (5, 672, 160, 0.25, 'hard_swish', 2),
    (5, 960, 160, 0.25, 'hard_swish', 1),
    (5, 960, 160, 0.25, 'hard_swish', 1),
)


def mobilenet_v3_large(resolution: int = 224, classes: int = 1000, dropout_rate: float = 0.2, padding: str = 'same') -> network_lib.Network:
  """MobileNetV3-Large, published with 75.2 % top-1, 219 M multiply-adds and 5.4 M parameters at 224 pixels.

  Its convolutions and dense layers take 216.6 M multiply-adds (217 M in its authors' code); with one for each output of h-swish and
  each channel that a gate scales they are 218.7 M.

  Args:
    resolution: Input height and width, pixels.
    classes: Output units.
    dropout_rate: Before the classifier.
    padding: 'same' or 'symmetric', see `ops`.
  """
  blocks = [network_lib.Block('stem', ops.ConvBn(16, 3, 2, 'hard_swish'))]
  width = 16
  for i, (kernel, expanded, filters, se_ratio, activation, strides) in enumerate(_BLOCKS):
    op = ops.MBConv(filters, kernel, strides, 1, activation, se_ratio, expanded_filters=expanded)
    blocks.append(network_lib.Block(f'block_{i}', op, residual=strides == 1 and filters == width))
    width = filters
  blocks += [network_lib.Block('feature_mix', ops.ConvBn(960, 1, 1, 'hard_swish')),
             network_lib.Block('classifier', ops.Classifier(classes, dropout_rate, hidden=1280))]
  return network_lib.Network('mobilenet_v3_large', (resolution, resolution, 3), tuple(blocks), padding)
