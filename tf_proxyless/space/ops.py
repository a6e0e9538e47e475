"""Operations as data. None of them builds a layer: `nn` renders them, `cost` counts them.

Shapes are (height, width, channels). `padding` is a property of the network: 'same' is Keras's rule; 'symmetric' pads k//2 on
every side as the official PyTorch code does. They differ for stride 2 on even sizes only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Union

Shape = tuple[int, int, int]

PADDINGS = ('same', 'symmetric')
MAX_SIZE = 2**20  # of anything that a network has; files from elsewhere may claim more


def is_size(value: Any) -> bool:
  """Whether a value can be a number of pixels, channels, or strides."""
  return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIZE


def _check_positive(op: Any, *names: str) -> None:
  for name in names:
    value = getattr(op, name)
    if not is_size(value):
      raise ValueError(f'{type(op).__name__}.{name} must be a positive integer, got {value!r}; the largest is {MAX_SIZE}')


def _check_odd_kernel(op: ConvBn | MBConv) -> None:
  if op.kernel_size % 2 == 0:
    raise ValueError(f'{type(op).__name__}.kernel_size must be odd, got {op.kernel_size}')


@dataclasses.dataclass(frozen=True)
class ConvBn:
  """Convolution without bias, batch normalisation, ReLU6."""

  filters: int
  kernel_size: int = 3
  strides: int = 1

  def __post_init__(self) -> None:
    _check_positive(self, 'filters', 'kernel_size', 'strides')
    _check_odd_kernel(self)


@dataclasses.dataclass(frozen=True)
class MBConv:
  """Mobile inverted bottleneck: 1x1 expansion (absent if expand_ratio is 1), depthwise k x k, linear 1x1 projection.

  Each convolution is followed by batch normalisation, the first two by ReLU6 as well.
  """

  filters: int
  kernel_size: int = 3
  strides: int = 1
  expand_ratio: int = 6

  def __post_init__(self) -> None:
    _check_positive(self, 'filters', 'kernel_size', 'strides', 'expand_ratio')
    _check_odd_kernel(self)


@dataclasses.dataclass(frozen=True)
class Zero:
  """The zero tensor of its input's shape: with the identity shortcut of its block, a skipped layer."""


@dataclasses.dataclass(frozen=True)
class Classifier:
  """Global average pooling, dropout, dense layer with bias."""

  units: int
  dropout_rate: float = 0.0

  def __post_init__(self) -> None:
    _check_positive(self, 'units')
    if not 0.0 <= self.dropout_rate < 1.0:
      raise ValueError(f'Classifier.dropout_rate must be in [0, 1), got {self.dropout_rate!r}')


Op = Union[ConvBn, MBConv, Zero, Classifier]


def expanded_filters(op: MBConv, input_filters: int) -> int:
  """Channels of the depthwise convolution."""
  return round(input_filters * op.expand_ratio)


def output_shape(op: Op, input_shape: Shape) -> Shape:
  """The shape an operation gives, by ceil(size / strides) for both paddings; a classifier gives (1, 1, units)."""
  height, width, _ = input_shape
  match op:
    case Zero():
      return input_shape
    case Classifier():
      return (1, 1, op.units)
    case ConvBn() | MBConv():
      return (-(-height // op.strides), -(-width // op.strides), op.filters)
    case _:
      raise TypeError(f'not an operation: {op!r}; operations are ConvBn, MBConv, Zero, Classifier')


def short_name(op: Op) -> str:
  """The field's short name: 'k3e6', 'zero', 'conv3', 'classifier'."""
  match op:
    case MBConv():
      return f'k{op.kernel_size}e{op.expand_ratio}'
    case ConvBn():
      return f'conv{op.kernel_size}'
    case Zero():
      return 'zero'
    case Classifier():
      return 'classifier'
    case _:
      raise TypeError(f'not an operation: {op!r}; operations are ConvBn, MBConv, Zero, Classifier')
