"""Peak memory of the activations of an int8 network, as TFLite plans its arena.

A tensor lives from the operator that makes it to the last one that takes it. The planner places the images first, which it keeps for the
whole run, then the others from the largest to the smallest, each into the tightest gap between those that live at the same time
(`SimpleMemoryArena` of TensorFlow 2.21). Convolutions with other kernels than 1x1, or a stride, first copy windows into a matrix of their
own; sums and the scaling of squeeze-excite write over one of their inputs. Branches run in the order that the converter gives them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
import dataclasses
import math

from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

_ALIGNMENT = 64  # bytes
_CONVOLUTIONS = (layers_lib.Conv, layers_lib.DepthwiseConv)


@dataclasses.dataclass(eq=False)
class Tensor:
  """A tensor in the arena.

  Attributes:
    size: Bytes.
    first, last: The operators, by number, between which it lives.
    block: The block that makes it.
    offset: Bytes from the start of the arena.
  """

  size: int
  first: int
  last: int
  block: int
  offset: int = 0

  @property
  def end(self) -> int:
    return self.offset + self.size

  @property
  def rank(self) -> tuple[int, int]:
    """The least is placed first."""
    return -self.size, self.first

  def meets(self, other: Tensor) -> bool:
    """Whether both live at one time."""
    return other.last >= self.first and other.first <= self.last


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
  """The arena of a network: its tensors but the images, which lie below them, by their offset."""

  tensors: tuple[Tensor, ...]

  @property
  def bytes(self) -> int:
    """Size of the arena."""
    return max(tensor.end for tensor in self.tensors)

  @property
  def cause(self) -> set[int]:
    """The blocks that make the arena as large as it is: of the tensors that lie on each other up to its top, and of those in their way."""
    stack = [max(self.tensors, key=lambda tensor: tensor.end)]
    while below := next((tensor for tensor in self.tensors if tensor.end == stack[-1].offset and tensor.meets(stack[-1])), None):
      stack.append(below)
    in_the_way = [other for tensor in stack for other in self.tensors if other.meets(tensor) and other.rank < tensor.rank]
    return {tensor.block for tensor in (*stack, *in_the_way)}


def plan(network: network_lib.Network) -> Plan:
  """The arena of an architecture in int8, with images as bytes and TFLite's builtin kernels.

  Raises:
    ValueError: Decisions are open in it.
  """
  placed: list[Tensor] = []
  for tensor in sorted(_Lives(network).tensors, key=lambda tensor: tensor.rank):
    best, tightest, end = None, math.inf, tensor_bytes(network.input_shape)
    for other in filter(tensor.meets, placed):
      if tensor.size <= other.offset - end < tightest:
        best, tightest = end, other.offset - end
      end = max(end, other.end)
    tensor.offset = end if best is None else best
    bisect.insort(placed, tensor, key=lambda tensor: tensor.offset)
  return Plan(tuple(placed))


def block_bytes(signature: network_lib.OpSignature) -> int:
  """What a block needs at the least, whatever stands around it: its arena alone, without the images."""
  network = network_lib.network_of_signature(signature)
  return plan(network).bytes - tensor_bytes(network.input_shape)


def tensor_bytes(shape: ops.Shape) -> int:
  """Bytes of an int8 tensor (height, width, channels) in the arena."""
  return -(-math.prod(shape) // _ALIGNMENT) * _ALIGNMENT


class _Lives:
  """The tensors of a network but its images, in the order of the operators."""

  def __init__(self, network: network_lib.Network):
    self.tensors: list[Tensor] = []
    self._operator = self._at = 0
    traced = list(network_lib.trace(network))
    takers = [[i for i, sources in enumerate(network.sources) if source in sources] for source in range(-1, len(traced))]
    order = _order([block.block.name for block in traced], takers)
    position = dict(zip(order, range(len(order))))
    last = [max((position[taker] for taker in found), default=-1) for found in takers]
    outputs = {-1: self._make(tensor_bytes(network.input_shape))}  # int8, of bytes
    for block in order:
      self._at = block
      inputs = [(outputs[source], last[1 + source] > position[block]) for source in network.sources[block]]
      x = self._sum(inputs)
      outputs[block] = x if ops.is_zero(traced[block].block.op) else self._block(x, traced[block], network.padding)
    outputs[order[-1]].last = self._operator

  def _make(self, size: int, *taken: Tensor) -> Tensor:
    """The output of the next operator."""
    self._take(*taken)
    self.tensors.append(Tensor(size, self._operator, self._operator, self._at))
    return self.tensors[-1]

  def _take(self, *taken: Tensor) -> None:
    """The next operator, one that writes over an input."""
    self._operator += 1
    for tensor in taken:
      tensor.last = self._operator

  def _sum(self, terms: Sequence[tuple[Tensor, bool]]) -> Tensor:
    """The sum of some tensors, two at a time; of each, whether it is still needed."""
    total, needed = terms[0]
    for term, term_needed in terms[1:]:
      if needed and term_needed:
        total = self._make(total.size, total, term)
      else:
        self._take(total, term)
        total = term if needed else total
      needed = False
    return total

  def _block(self, source: Tensor, traced: network_lib.TracedBlock, padding: str) -> Tensor:
    """Adds the operators of a block; its output."""
    x, above = source, None
    for layer in layers_lib.trace(traced.block.op.layers(traced.input_shape), traced.input_shape):
      for output, own in _operators(layer, above, padding):
        x = self._make(output, x) if output else x
        if not output:
          self._take(x)
        if own:
          self.tensors.append(Tensor(own, self._operator, self._operator, self._at))
      above = layer.layer
    if traced.block.residual:
      self._take(source, x)
    return x


def _operators(traced: layers_lib.TracedLayer, above: layers_lib.Layer | None, padding: str) -> Iterator[tuple[int, int]]:
  """For each operator of a layer the bytes of its output, 0 if it writes over its input, and of what it needs for itself."""
  layer, shape, output = traced.layer, traced.input_shape, tensor_bytes(traced.output_shape)
  match layer:
    case layers_lib.Dropout() | layers_lib.Activation(kind='relu' | 'relu6'):
      return  # part of the operator above
    case layers_lib.BatchNorm() if isinstance(above, _CONVOLUTIONS):
      return
    case layers_lib.SqueezeExcite():
      yield 0, 2 * tensor_bytes((1, 1, shape[2]))
      return
  margin = 2 * (getattr(layer, 'kernel_size', 1) // 2)
  is_even = shape[0] % 2 == 0 or shape[1] % 2 == 0  # else the converter finds that the padding is 'same'
  if margin and padding == 'symmetric' and getattr(layer, 'strides', 1) > 1 and is_even:
    yield tensor_bytes((shape[0] + margin, shape[1] + margin, shape[2])), 0
  own = 0
  if isinstance(layer, layers_lib.Conv) and layer.groups == 1 and (layer.kernel_size > 1 or layer.strides > 1):
    own = tensor_bytes((*traced.output_shape[:2], layer.kernel_size**2 * shape[2]))
  yield output, own


def _order(names: Sequence[str], takers: Sequence[Sequence[int]]) -> list[int]:
  """Blocks in the converter's order: depth first, of the blocks that take one output those of the first names first.

  Args:
    names: By block.
    takers: For the images and each block the blocks that take its output.
  """
  found: list[int] = []
  seen: set[int] = set()
  stack = [(-1, False)]
  while stack:
    block, done = stack.pop()
    if done:
      found.append(block)
    elif block not in seen:
      seen.add(block)
      stack.append((block, True))
      stack += [(taker, False) for taker in sorted(takers[1 + block], key=lambda taker: f'{names[taker]}_')]
  return found[-2::-1]
