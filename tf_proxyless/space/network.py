"""A network as data: a sequence of blocks, its shapes, and the signatures by which latency tables know its operations."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import re
from typing import Union

from tf_proxyless.space import ops
from tf_proxyless.space import schema


_NAME = re.compile(r'[A-Za-z0-9][\w.-]{0,99}', re.ASCII)  # of a layer in Keras, and a segment of a decision's path


@dataclasses.dataclass(frozen=True)
class Block:
  """One operation, or the choice of one, with an optional identity shortcut around it.

  Attributes:
    name: Unique in its network; letters, digits and _.-
    op: An operation, or a `OneOf` over operations of equal output shape.
    residual: Whether the input is added to the operation's output.
  """

  name: str
  op: Union[ops.Op, schema.OneOf]
  residual: bool = False

  def __post_init__(self) -> None:
    if not _NAME.fullmatch(self.name):
      raise ValueError(f'the name of a block must be up to 100 letters, digits and _.-, got {self.name!r}')

  @property
  def candidates(self) -> tuple[ops.Op, ...]:
    """The operations this block may hold: one if it is fixed."""
    return self.op.choices if isinstance(self.op, schema.OneOf) else (self.op,)


@dataclasses.dataclass(frozen=True)
class Network:
  """A search space if decisions are open in it, else an architecture.

  Attributes:
    name: A name for people.
    input_shape: (height, width, channels).
    blocks: From the stem to the classifier.
    padding: 'same' or 'symmetric', see `ops`.
  """

  name: str
  input_shape: ops.Shape
  blocks: tuple[Block, ...]
  padding: str = 'same'

  def __post_init__(self) -> None:
    if self.padding not in ops.PADDINGS:
      raise ValueError(f'padding must be one of {ops.PADDINGS}, got {self.padding!r}')
    if len(self.input_shape) != 3 or not all(map(ops.is_size, self.input_shape)):
      raise ValueError(f'input_shape must be three positive integers (height, width, channels), got {self.input_shape!r}; '
                       f'the largest is {ops.MAX_SIZE}')
    names = [block.name for block in self.blocks]
    if not names or len(set(names)) != len(names):
      raise ValueError(f'a network needs blocks with unique names, got {names}')
    tuple(trace(self))  # refuses shapes that do not fit

  @property
  def classes(self) -> int:
    """Outputs of the last block, which must be a classifier."""
    last = self.blocks[-1].op
    if not isinstance(last, ops.Classifier):
      raise ValueError(f'the last block of {self.name!r} is {last!r}, not a classifier')
    return last.units


@dataclasses.dataclass(frozen=True)
class TracedBlock:
  """A block with the shapes that it meets: (height, width, channels) in and out."""

  block: Block
  input_shape: ops.Shape
  output_shape: ops.Shape


def trace(network: Network) -> Iterator[TracedBlock]:
  """Follows shapes through a network or a search space.

  Raises:
    ValueError: Candidates of one block differ in output shape, or a shortcut joins different shapes.
  """
  shape = network.input_shape
  for block in network.blocks:
    shapes = {ops.output_shape(op, shape) for op in block.candidates}
    if len(shapes) != 1:
      raise ValueError(f'candidates of block {block.name!r} give different shapes {sorted(shapes)} for input {shape}')
    output = shapes.pop()
    if block.residual and output != shape:
      raise ValueError(f'block {block.name!r} has a shortcut, but maps {shape} to {output}')
    yield TracedBlock(block, shape, output)
    shape = output


SIGNATURE_OPS = ('conv_bn', 'mbconv', 'classifier')


@dataclasses.dataclass(frozen=True, order=True)
class OpSignature:
  """What a latency depends on: the key of every latency table.

  Attributes:
    op: 'conv_bn', 'mbconv' or 'classifier'.
    input_shape: (height, width, channels).
    filters: Output channels, or units of a classifier.
    kernel_size, strides, expand_ratio: 0 where the operation has none.
    residual: Whether the shortcut's addition is included.
    padding: 'same' or 'symmetric'; always 'same' where both are the same computation.
  """

  op: str
  input_shape: ops.Shape
  filters: int
  kernel_size: int = 0
  strides: int = 0
  expand_ratio: int = 0
  residual: bool = False
  padding: str = 'same'

  def __post_init__(self) -> None:
    if self.op not in SIGNATURE_OPS:
      raise ValueError(f'OpSignature.op must be one of {SIGNATURE_OPS}, got {self.op!r}')
    if self.padding not in ops.PADDINGS:
      raise ValueError(f'OpSignature.padding must be one of {ops.PADDINGS}, got {self.padding!r}')
    least = 0 if self.op == 'classifier' else 1
    sizes = (*self.input_shape, self.filters)
    if min(sizes) < 1 or min(self.kernel_size, self.strides) < least or self.expand_ratio < int(self.op == 'mbconv'):
      raise ValueError(f'OpSignature has a size that is too small: {self}')
    if max(*sizes, self.kernel_size, self.strides, self.expand_ratio) > ops.MAX_SIZE:
      raise ValueError(f'OpSignature has a size above {ops.MAX_SIZE}: {self}')

  def __str__(self) -> str:
    """One line for people and messages, for instance 'mbconv 56x56x24 -> 40 k5 s2 e3'."""
    size = 'x'.join(map(str, self.input_shape))
    parts = [f'{self.op} {size} -> {self.filters}']
    parts += [f'{letter}{value}' for letter, value in zip('kse', (self.kernel_size, self.strides, self.expand_ratio)) if value]
    parts += ['residual'] * self.residual + ['symmetric'] * (self.padding == 'symmetric')
    return ' '.join(parts)

  @property
  def file_name(self) -> str:
    """A name that a file can have, without suffix, for instance 'mbconv_56x56x24_40_k5_s2_e3'."""
    return str(self).replace(' -> ', '_').replace(' ', '_')


def op_signature(op: ops.Op, input_shape: ops.Shape, residual: bool = False, padding: str = 'same') -> OpSignature | None:
  """The signature of an operation at a place, or None for Zero, which costs nothing."""
  match op:
    case ops.Zero():
      return None
    case ops.Classifier():
      return OpSignature('classifier', input_shape, op.units)
    case ops.ConvBn() | ops.MBConv():
      even = input_shape[0] % 2 == 0 or input_shape[1] % 2 == 0
      differs = op.strides > 1 and op.kernel_size > 1 and even
      expand_ratio = op.expand_ratio if isinstance(op, ops.MBConv) else 0
      kind = 'mbconv' if isinstance(op, ops.MBConv) else 'conv_bn'
      return OpSignature(kind, input_shape, op.filters, op.kernel_size, op.strides, expand_ratio, residual,
                         padding if differs else 'same')
    case _:
      raise TypeError(f'not an operation: {op!r}')


def op_signatures(network: Network) -> tuple[OpSignature, ...]:
  """Every distinct signature of a network or of all networks of a space, in order of first appearance."""
  found: dict[OpSignature, None] = {}
  for traced in trace(network):
    for op in traced.block.candidates:
      signature = op_signature(op, traced.input_shape, traced.block.residual, network.padding)
      if signature is not None:
        found[signature] = None
  return tuple(found)


def network_of_signature(signature: OpSignature) -> Network:
  """The network of one block that has a signature, the inverse of `op_signatures`."""
  match signature.op:
    case 'classifier':
      op: ops.Op = ops.Classifier(signature.filters)
    case 'conv_bn':
      op = ops.ConvBn(signature.filters, signature.kernel_size, signature.strides)
    case 'mbconv':
      op = ops.MBConv(signature.filters, signature.kernel_size, signature.strides, signature.expand_ratio)
  return Network(str(signature), signature.input_shape, (Block('op', op, signature.residual),), signature.padding)
