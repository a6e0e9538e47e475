"""Operations as data: each kind is one class with one method, `layers`.

Whatever counts, computes, prices or draws an operation walks its layers (`space.layers`), and files know it by its registered name. A field
may hold a `OneOf`, which makes it a decision. None of these classes builds anything.

`padding` is a property of the network: 'same' is Keras's rule; 'symmetric' pads k // 2 on every side as the official PyTorch code does.
They differ for stride 2 on even sizes only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import dataclasses
from typing import Any, Protocol, runtime_checkable, TYPE_CHECKING, Union

from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import registry
from tf_proxyless.space import schema

Shape = layers_lib.Shape
Layers = tuple[layers_lib.Layer, ...]
if TYPE_CHECKING:  # operations compute their layers when nothing is open in them
  Size = int
  Ratio = float
  Name = str
else:  # a value, or the choice of one
  Size = Union[int, schema.OneOf]
  Ratio = Union[float, schema.OneOf]
  Name = Union[str, schema.OneOf]

PADDINGS = ('same', 'symmetric')
_LINEAR = 'linear'  # Keras's name for no activation
MAX_SIZE = layers_lib.MAX_SIZE


@runtime_checkable
class Op(Protocol):
  """What a block holds: a frozen dataclass of numbers and names.

  Fields appear in signatures and file names by the `letter` of their metadata, see `field`.
  """

  def layers(self, input_shape: Shape) -> Layers:
    """The layers of the operation on an input; names are unique."""
    ...

  @property
  def short_name(self) -> str:
    """The field's short name, for instance 'k3e6'."""
    ...


def field(default: Any, letter: str = '', *, quiet: bool = True, measured: bool = True) -> Any:
  """A field of an operation, with how signatures show it.

  Args:
    default: Its default; `dataclasses.MISSING` for none.
    letter: What stands before its value.
    quiet: Whether signatures and files leave it out where it has its default.
    measured: Whether latencies depend on it; if not, signatures have its default.
  """
  return dataclasses.field(default=default, metadata={'letter': letter, 'omit_default': quiet, 'measured': measured})


def is_size(value: Any) -> bool:
  """Whether a value can be a number of pixels, channels, or strides."""
  return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIZE


def values_of(value: Any) -> tuple[Any, ...]:
  """A value, or those that a decision has it choose from."""
  return value.choices if isinstance(value, schema.OneOf) else (value,)


def several(values: int | Iterable[int]) -> tuple[int, ...]:
  """One number, or several, as a tuple."""
  return (values,) if isinstance(values, int) else tuple(values)


def _whole(value: Any) -> Any:
  """A number, or the choice of one, as an int where it is whole."""
  if isinstance(value, schema.OneOf):
    return dataclasses.replace(value, choices=tuple(map(_whole, value.choices)))
  return int(value) if value == int(value) else value


def _text(value: Any) -> str:
  """A number or a name in a short name, or those to choose from."""
  return '|'.join(each if isinstance(each, str) else f'{each:g}' for each in values_of(value))


def check_positive(op: Any, *names: str) -> None:
  """Refuses fields that are not positive integers, or choices of such.

  Raises:
    ValueError: Names the field and the value.
  """
  for name in names:
    for value in values_of(getattr(op, name)):
      if not is_size(value):
        raise ValueError(f'{type(op).__name__}.{name} must be a positive integer, got {value!r}; the largest is {MAX_SIZE}')


def check_odd_kernel(op: Any) -> None:
  for value in values_of(op.kernel_size):
    if value % 2 == 0:
      raise ValueError(f'{type(op).__name__}.kernel_size must be odd, got {value}')


def _check_activation(op: Any, *others: str) -> None:
  known = (*layers_lib.ACTIVATIONS, *others)
  for value in values_of(op.activation):
    if value not in known:
      raise ValueError(f'{type(op).__name__}.activation must be one of {", ".join(known)}, got {value!r}')


def conv_bn(name: str, filters: int, kernel_size: int = 1, strides: int = 1, activation: str | None = 'relu6', groups: int = 1) -> Layers:
  """Convolution, batch normalisation, and an activation if one is named."""
  return (layers_lib.Conv(name, filters, kernel_size, strides, groups), *_normalised(name, activation))


def depthwise_bn(name: str, kernel_size: int, strides: int, activation: str | None = 'relu6') -> Layers:
  """Depthwise convolution, batch normalisation, and an activation if one is named."""
  return (layers_lib.DepthwiseConv(name, kernel_size, strides), *_normalised(name, activation))


def _normalised(name: str, activation: str | None) -> Iterator[layers_lib.Layer]:
  yield layers_lib.BatchNorm(f'{name}_bn')
  if activation is not None:
    yield layers_lib.Activation(f'{name}_activation', activation)


@registry.register('conv_bn')
@dataclasses.dataclass(frozen=True)
class ConvBn:
  """Convolution without bias, batch normalisation, and an activation unless it is 'linear'."""

  filters: Size
  kernel_size: Size = field(3, 'k', quiet=False)
  strides: int = field(1, 's', quiet=False)
  activation: Name = field('relu6')
  groups: int = field(1, 'g')

  def __post_init__(self) -> None:
    check_positive(self, 'filters', 'kernel_size', 'strides', 'groups')
    check_odd_kernel(self)
    _check_activation(self, _LINEAR)

  def layers(self, input_shape: Shape) -> Layers:
    del input_shape
    activation = None if self.activation == _LINEAR else self.activation
    shuffle = (layers_lib.ChannelShuffle('shuffle', self.groups),) if self.groups > 1 else ()
    return (*conv_bn('conv', self.filters, self.kernel_size, self.strides, activation, self.groups), *shuffle)

  @property
  def short_name(self) -> str:
    return f'conv{_text(self.kernel_size)}' + (f'g{self.groups}' if self.groups > 1 else '')


@registry.register('mbconv')
@dataclasses.dataclass(frozen=True)
class MBConv:
  """Mobile inverted bottleneck: 1x1 expansion, depthwise k x k, linear 1x1 projection.

  The first is absent where it would not widen, unless `always_expand`, as in FBNet (arXiv 1812.03443) and ChamNet.
  Each convolution is followed by batch normalisation, the first two by the activation as well. Squeeze-excite stands after the depthwise
  convolution (MobileNetV3, arXiv 1905.02244) if `se_ratio` is not 0. The width inside is the input's times `expand_ratio`, to the nearest
  multiple of 8 where that is no integer (FBNetV2, arXiv 2004.05565), or `expanded_filters` if that is not 0; `groups` groups the 1x1
  convolutions and shuffles channels between them (FBNet).
  """

  filters: Size
  kernel_size: Size = field(3, 'k', quiet=False)
  strides: int = field(1, 's', quiet=False)
  expand_ratio: Ratio = field(6, 'e', quiet=False)
  activation: Name = field('relu6')
  se_ratio: Ratio = field(0.0, 'se')
  groups: int = field(1, 'g')
  expanded_filters: int = field(0, 'w')
  always_expand: bool = field(False, 'x')

  def __post_init__(self) -> None:
    check_positive(self, 'filters', 'kernel_size', 'strides', 'groups')
    check_odd_kernel(self)
    _check_activation(self)
    for ratio in values_of(self.expand_ratio):
      if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0.0 < ratio <= MAX_SIZE:
        raise ValueError(f'MBConv.expand_ratio must be a positive number, got {ratio!r}; the largest is {MAX_SIZE}')
    object.__setattr__(self, 'expand_ratio', _whole(self.expand_ratio))  # 6.0 in a file is 6
    for ratio in values_of(self.se_ratio):
      if not 0.0 <= ratio <= 1.0:
        raise ValueError(f'MBConv.se_ratio must be in [0, 1], got {ratio!r}')
    if self.always_expand and isinstance(self.expand_ratio, int) and self.expand_ratio > 1 and not self.expanded_filters:
      object.__setattr__(self, 'always_expand', False)  # it expands anyway, and equal operations have equal entries in tables
    if self.expanded_filters and not is_size(self.expanded_filters):
      raise ValueError(f'MBConv.expanded_filters must be 0 or a positive integer, got {self.expanded_filters!r}')

  def layers(self, input_shape: Shape) -> Layers:
    middle = self.expanded_filters or expanded(input_shape[2], self.expand_ratio)
    expand: Layers = ()
    if middle != input_shape[2] or self.always_expand:
      expand = conv_bn('expand', middle, activation=self.activation, groups=self.groups)
      if self.groups > 1:
        expand += (layers_lib.ChannelShuffle('shuffle', self.groups),)
    excite: Layers = ()
    if self.se_ratio:
      excite = (layers_lib.SqueezeExcite('se', make_divisible(middle * self.se_ratio)),)
    return (*expand, *depthwise_bn('depthwise', self.kernel_size, self.strides, self.activation), *excite,
            *conv_bn('project', self.filters, activation=None, groups=self.groups))

  @property
  def short_name(self) -> str:
    extras = [f'g{self.groups}' if self.groups > 1 else '', f'se{_text(self.se_ratio)}' if self.se_ratio else '',
              f'w{self.expanded_filters}' if self.expanded_filters else '', 'x' if self.always_expand else '',
              f'_{_text(self.activation)}' if self.activation != 'relu6' else '']
    return f'k{_text(self.kernel_size)}e{_text(self.expand_ratio)}' + ''.join(extras)


@registry.register('separable_conv')
@dataclasses.dataclass(frozen=True)
class SeparableConv:
  """Depthwise k x k and 1x1 convolution, each with batch normalisation and activation (MobileNet, arXiv 1704.04861)."""

  filters: Size
  kernel_size: Size = field(3, 'k', quiet=False)
  strides: int = field(1, 's', quiet=False)
  activation: Name = field('relu6')

  def __post_init__(self) -> None:
    check_positive(self, 'filters', 'kernel_size', 'strides')
    check_odd_kernel(self)
    _check_activation(self)

  def layers(self, input_shape: Shape) -> Layers:
    del input_shape
    return (*depthwise_bn('depthwise', self.kernel_size, self.strides, self.activation),
            *conv_bn('project', self.filters, activation=self.activation))

  @property
  def short_name(self) -> str:
    return f'sep{_text(self.kernel_size)}'


@registry.register('pool')
@dataclasses.dataclass(frozen=True)
class Pool:
  """Average or max pooling; channels stay."""

  kind: str
  pool_size: int = field(3, 'k', quiet=False)
  strides: int = field(1, 's', quiet=False)

  def __post_init__(self) -> None:
    check_positive(self, 'pool_size', 'strides')
    if self.kind not in layers_lib.POOLS:
      raise ValueError(f'Pool.kind must be one of {", ".join(layers_lib.POOLS)}, got {self.kind!r}')

  def layers(self, input_shape: Shape) -> Layers:
    del input_shape
    return (layers_lib.Pool('pool', self.kind, self.pool_size, self.strides),)

  @property
  def short_name(self) -> str:
    return f'{self.kind}{self.pool_size}'


@registry.register('zero')
@dataclasses.dataclass(frozen=True)
class Zero:
  """The zero tensor of its input's shape: with the identity shortcut of its block, a skipped layer."""

  def layers(self, input_shape: Shape) -> Layers:
    del input_shape
    return (layers_lib.Zeros('zeros'),)

  @property
  def short_name(self) -> str:
    return 'zero'


@registry.register('identity')
@dataclasses.dataclass(frozen=True)
class Identity:
  """Its input, unchanged."""

  def layers(self, input_shape: Shape) -> Layers:
    del input_shape
    return ()

  @property
  def short_name(self) -> str:
    return 'identity'


@registry.register('sequence')
@dataclasses.dataclass(frozen=True)
class Sequence:
  """Operations one after the other, without shortcuts between them; each may be a decision."""

  parts: tuple[Any, ...]  # operations, or OneOf of operations

  def __post_init__(self) -> None:
    if not isinstance(self.parts, tuple) or not self.parts:
      raise ValueError(f'Sequence.parts must be a non-empty tuple of operations, got {self.parts!r}')

  def layers(self, input_shape: Shape) -> Layers:
    found: Layers = ()
    for i, part in enumerate(self.parts):
      _check_op(part)
      own = part.layers(input_shape)
      input_shape = output_shape(part, input_shape)
      found += tuple(dataclasses.replace(layer, name=f'{i}_{layer.name}') for layer in own)
    return found

  @property
  def short_name(self) -> str:
    return '+'.join(part.short_name for part in self.parts)


@registry.register('classifier')
@dataclasses.dataclass(frozen=True)
class Classifier:
  """Global average pooling, dropout, dense layer with bias; `hidden` units with an activation before it, as in MobileNetV3, if any."""

  units: int
  dropout_rate: float = field(0.0, quiet=False, measured=False)
  hidden: Size = field(0, 'h')
  activation: str = field('hard_swish')

  def __post_init__(self) -> None:
    check_positive(self, 'units')
    for value in values_of(self.hidden):
      if value and not is_size(value):
        raise ValueError(f'Classifier.hidden must be 0 or a positive integer, got {value!r}')
    if not 0.0 <= self.dropout_rate < 1.0:
      raise ValueError(f'Classifier.dropout_rate must be in [0, 1), got {self.dropout_rate!r}')
    _check_activation(self)

  def layers(self, input_shape: Shape) -> Layers:
    del input_shape
    hidden = (layers_lib.Dense('hidden', self.hidden), layers_lib.Activation('hidden_activation', self.activation)) if self.hidden else ()
    dropout = (layers_lib.Dropout('dropout', self.dropout_rate),) if self.dropout_rate else ()
    return (layers_lib.GlobalPool('pool'), *hidden, *dropout, layers_lib.Dense('dense', self.units))

  @property
  def short_name(self) -> str:
    return 'classifier'


def expanded(width: int, ratio: float) -> int:
  """The width inside an `MBConv`."""
  return int(width * ratio) if ratio == int(ratio) else nearest(width * ratio)


def nearest(value: float) -> int:
  """The multiple of 8 that is nearest to a width, at least 8."""
  return max(8, round(value / 8) * 8)


def make_divisible(value: float, divisor: int = 8) -> int:
  """Rounds a width to the nearest multiple of `divisor`, never below 90 % of it (MobileNetV2's rule)."""
  rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
  return rounded + divisor if rounded < 0.9 * value else rounded


def check_all_positive(**arguments: Iterable[int]) -> None:
  """Refuses numbers below 1, of which `make_divisible` would make 8.

  Raises:
    ValueError: Names the argument and its values.
  """
  for name, values in arguments.items():
    if any(value < 1 for value in values):
      raise ValueError(f'{name} must be positive, got {list(values)}')


def check_width_multiplier(value: float) -> None:
  """Refuses a multiplier of widths that is not above 0, or is beyond reason.

  Raises:
    ValueError: Names the value.
  """
  if not 0.0 < value <= 100.0:
    raise ValueError(f'width_multiplier must be in (0, 100], got {value}')


def _check_op(op: Any) -> None:
  if not isinstance(op, Op):
    raise TypeError(f'not an operation: {op!r}; an operation has layers(input_shape) and a short_name')


def output_shape(op: Op, input_shape: Shape) -> Shape:
  """The shape that an operation gives."""
  _check_op(op)
  for traced in layers_lib.trace(op.layers(input_shape), input_shape):
    input_shape = traced.output_shape
  return input_shape


def short_name(op: Op) -> str:
  """The field's short name: 'k3e6', 'zero', 'conv3', 'classifier'."""
  _check_op(op)
  return op.short_name


def is_zero(op: Op) -> bool:
  """Whether an operation gives zeros: with a shortcut around it, a block that is skipped."""
  return any(isinstance(layer, layers_lib.Zeros) for layer in op.layers((1, 1, 1)))


def computes(op: Op) -> bool:
  """Whether an operation computes anything, so that it has a signature."""
  return any(not isinstance(layer, layers_lib.Zeros) for layer in op.layers((1, 1, 1)))
