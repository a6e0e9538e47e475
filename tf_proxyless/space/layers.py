"""Primitive layers: the closed set of which every operation is made.

Each is one stock Keras layer (squeeze-excite a few). Whatever counts, computes or draws operations walks their layers, so that a new
operation needs no line outside its class. Shapes are (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import math

Shape = tuple[int, int, int]

MAX_SIZE = 2**20  # of anything that a network has; files from elsewhere may claim more
ACTIVATIONS = ('relu6', 'relu', 'hard_swish')
POOLS = ('average', 'max')


@dataclasses.dataclass(frozen=True)
class WeightSpec:
  """One trainable weight.

  Attributes:
    name: 'LAYER/WEIGHT', for instance 'expand_bn/gamma'.
    shape: As Keras stores it.
    distribution: 'normal' or 'uniform' with `scale` as standard deviation or bound, or 'constant' with `scale` as value.
    scale: See `distribution`.
  """

  name: str
  shape: tuple[int, ...]
  distribution: str
  scale: float


@dataclasses.dataclass(frozen=True)
class Layer:
  """A primitive layer.

  Attributes:
    name: Unique in its operation.
  """

  name: str

  def output_shape(self, input_shape: Shape) -> Shape:
    """The shape of the output; that of the input unless a layer says otherwise."""
    return input_shape

  def weights(self, channels: int) -> tuple[WeightSpec, ...]:
    """The trainable weights on an input of so many channels."""
    del channels
    return ()


def _strided(input_shape: Shape, strides: int, channels: int) -> Shape:
  """ceil(size / strides): the same for both paddings."""
  return (-(-input_shape[0] // strides), -(-input_shape[1] // strides), channels)


def _he_fan_out(name: str, shape: tuple[int, int, int, int], outputs: int) -> WeightSpec:
  """The official initialisation divides by k * k * filters, for grouped and depthwise kernels too unless a layer has `divide_groups`."""
  return WeightSpec(name, shape, 'normal', math.sqrt(2.0 / (shape[0] * shape[1] * outputs)))


@dataclasses.dataclass(frozen=True)
class Conv(Layer):
  """Convolution without bias; each of `groups` sees its share of the input channels.

  With `divide_groups`, the fan-out of its start values counts one group only.
  """

  filters: int
  kernel_size: int = 1
  strides: int = 1
  groups: int = 1
  divide_groups: bool = False

  def output_shape(self, input_shape: Shape) -> Shape:
    return _strided(input_shape, self.strides, self.filters)

  def weights(self, channels: int) -> tuple[WeightSpec, ...]:
    if channels % self.groups or self.filters % self.groups:
      raise ValueError(f'{self.name}: {self.groups} groups do not divide {channels} input channels and {self.filters} filters')
    shape = (self.kernel_size, self.kernel_size, channels // self.groups, self.filters)
    return (_he_fan_out(f'{self.name}/kernel', shape, self.filters // self.groups if self.divide_groups else self.filters),)


@dataclasses.dataclass(frozen=True)
class DepthwiseConv(Layer):
  """Depthwise convolution without bias, multiplier 1; `divide_groups` as for `Conv`."""

  kernel_size: int
  strides: int = 1
  dilation: int = 1
  divide_groups: bool = False

  @property
  def extent(self) -> int:
    """Pixels from one edge of its kernel to the other."""
    return (self.kernel_size - 1) * self.dilation + 1

  def output_shape(self, input_shape: Shape) -> Shape:
    return _strided(input_shape, self.strides, input_shape[2])

  def weights(self, channels: int) -> tuple[WeightSpec, ...]:
    shape = (self.kernel_size, self.kernel_size, channels, 1)
    return (_he_fan_out(f'{self.name}/depthwise_kernel', shape, 1 if self.divide_groups else channels),)


@dataclasses.dataclass(frozen=True)
class BatchNorm(Layer):
  """Batch normalisation."""

  def weights(self, channels: int) -> tuple[WeightSpec, ...]:
    return (WeightSpec(f'{self.name}/gamma', (channels,), 'constant', 1.0), WeightSpec(f'{self.name}/beta', (channels,), 'constant', 0.0))


@dataclasses.dataclass(frozen=True)
class Activation(Layer):
  """A non-linearity: one of `ACTIVATIONS`. hard_swish(x) = x * relu6(x + 3) / 6 (Howard et al. 2019, arXiv 1905.02244)."""

  kind: str

  def __post_init__(self) -> None:
    if self.kind not in ACTIVATIONS:
      raise ValueError(f'activation must be one of {", ".join(ACTIVATIONS)}, got {self.kind!r}')


@dataclasses.dataclass(frozen=True)
class SqueezeExcite(Layer):
  """Scales each channel by a gate in [0, 1]: mean, dense to `filters`, ReLU, dense, hard sigmoid (Howard et al. 2019, section 5.3).

  The dense layers are 1x1 convolutions with bias, as in the published MobileNetV3.
  """

  filters: int

  def weights(self, channels: int) -> tuple[WeightSpec, ...]:
    return (
        _he_fan_out(f'{self.name}_reduce/kernel', (1, 1, channels, self.filters), self.filters),
        WeightSpec(f'{self.name}_reduce/bias', (self.filters,), 'constant', 0.0),
        _he_fan_out(f'{self.name}_expand/kernel', (1, 1, self.filters, channels), channels),
        WeightSpec(f'{self.name}_expand/bias', (channels,), 'constant', 0.0),
    )


@dataclasses.dataclass(frozen=True)
class Pool(Layer):
  """Average or max pooling, padding 'same'; averages leave the padding out."""

  kind: str
  pool_size: int = 3
  strides: int = 1

  def __post_init__(self) -> None:
    if self.kind not in POOLS:
      raise ValueError(f'pool must be one of {", ".join(POOLS)}, got {self.kind!r}')

  def output_shape(self, input_shape: Shape) -> Shape:
    return _strided(input_shape, self.strides, input_shape[2])


@dataclasses.dataclass(frozen=True)
class ChannelShuffle(Layer):
  """Deals the channels of each of `groups` out to all groups (Zhang et al. 2017, ShuffleNet, arXiv 1707.01083)."""

  groups: int


@dataclasses.dataclass(frozen=True)
class ChannelSlice(Layer):
  """The part at `index` of `parts` equal parts of the channels."""

  index: int
  parts: int

  def output_shape(self, input_shape: Shape) -> Shape:
    if input_shape[2] % self.parts:
      raise ValueError(f'{self.name}: {self.parts} parts do not divide {input_shape[2]} channels')
    return (*input_shape[:2], input_shape[2] // self.parts)


@dataclasses.dataclass(frozen=True)
class ChannelPad(Layer):
  """Channels of zeros behind those of the input, up to `filters`."""

  filters: int

  def output_shape(self, input_shape: Shape) -> Shape:
    if self.filters < input_shape[2]:
      raise ValueError(f'{self.name}: {input_shape[2]} channels cannot be padded to {self.filters}')
    return (*input_shape[:2], self.filters)


@dataclasses.dataclass(frozen=True)
class Zeros(Layer):
  """The zero tensor of its input's shape."""


@dataclasses.dataclass(frozen=True)
class GlobalPool(Layer):
  """Global average pooling."""

  def output_shape(self, input_shape: Shape) -> Shape:
    return (1, 1, input_shape[2])


@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
  """Dropout of a share of the inputs."""

  rate: float


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
  """Dense layer with bias, on pooled maps."""

  units: int

  def output_shape(self, input_shape: Shape) -> Shape:
    return (1, 1, self.units)

  def weights(self, channels: int) -> tuple[WeightSpec, ...]:
    return (WeightSpec(f'{self.name}/kernel', (channels, self.units), 'uniform', 1.0 / math.sqrt(channels)),
            WeightSpec(f'{self.name}/bias', (self.units,), 'constant', 0.0))


@dataclasses.dataclass(frozen=True)
class TracedLayer:
  """A layer with the shapes that it meets."""

  layer: Layer
  input_shape: Shape
  output_shape: Shape

  @property
  def weights(self) -> tuple[WeightSpec, ...]:
    """Its weights on this input."""
    return self.layer.weights(self.input_shape[2])

  @property
  def macs(self) -> int:
    """Multiply-adds of kernels: their size times the positions at which they are applied; no bias, no batch normalisation."""
    kernels = sum(math.prod(spec.shape) for spec in self.weights if spec.name.endswith('kernel'))
    pointwise_maps = isinstance(self.layer, (Conv, DepthwiseConv))
    return kernels * (self.output_shape[0] * self.output_shape[1] if pointwise_maps else 1)

  @property
  def parameters(self) -> int:
    """Trainable weights, gamma and beta of batch normalisation included."""
    return sum(math.prod(spec.shape) for spec in self.weights)


def trace(layers: Sequence[Layer], input_shape: Shape) -> Iterator[TracedLayer]:
  """Follows a shape through layers."""
  for layer in layers:
    output_shape = layer.output_shape(input_shape)
    yield TracedLayer(layer, input_shape, output_shape)
    input_shape = output_shape
