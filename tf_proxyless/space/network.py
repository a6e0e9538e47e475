"""A network as data: blocks and what each takes, its shapes, and the signatures by which latency tables know its operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import functools
import hashlib
import itertools
import math
import re
from typing import Any

from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import ops
from tf_proxyless.space import registry
from tf_proxyless.space import schema


_UNSAFE = re.compile(r'[^\w+.,=@%-]', re.ASCII)  # in a name of a file that devices take as it is
_LONGEST_FILE_NAME = 120
_NAME = re.compile(r'[A-Za-z0-9][\w.-]{0,99}', re.ASCII)  # of a layer in Keras, and a segment of a decision's path
IMAGES = 'images'
DROPS = ('', 'path', 'cell')


@dataclasses.dataclass(frozen=True)
class Block:
  """One operation, or the choice of one, with an optional identity shortcut around it.

  Attributes:
    name: Unique in its network; letters, digits and _.-
    op: An operation, or a `OneOf` over operations of equal output shape; their fields may hold decisions too.
    residual: Whether the input is added to the operation's output.
    inputs: The earlier blocks whose outputs, or with 'images' the images, are added up to be the input; () is the block before.
    drop: As what training may leave it out, see `nn.keras_network.Drops`: 'path' for a branch of a tree, 'cell' for what stands beside a
      shortcut, as every block with `residual` does; '' for not at all.
  """

  name: str
  op: Any  # an operation or a OneOf: registered classes, which files name
  residual: bool = False
  inputs: tuple[str, ...] = dataclasses.field(default=(), metadata={'omit_default': True})
  drop: str = dataclasses.field(default='', metadata={'omit_default': True})

  def __post_init__(self) -> None:
    if not _NAME.fullmatch(self.name) or self.name == IMAGES:
      raise ValueError(f'the name of a block must be up to 100 letters, digits and _.-, and not {IMAGES!r}, got {self.name!r}')
    if self.drop not in DROPS:
      raise ValueError(f'Block.drop must be one of {", ".join(map(repr, DROPS))}, got {self.drop!r}')

  @property
  def terms(self) -> int:
    """How many outputs are added up to be its input."""
    return max(1, len(self.inputs))

  @property
  def candidates(self) -> tuple[ops.Op, ...]:
    """The operations this block may hold: one if it is fixed. Decisions inside them stay open."""
    return self.op.choices if isinstance(self.op, schema.OneOf) else (self.op,)


@dataclasses.dataclass(frozen=True)
class Network:
  """A search space if decisions are open in it, else an architecture.

  Attributes:
    name: A name for people.
    input_shape: (height, width, channels).
    blocks: From the stem to the classifier; each takes what blocks before it give.
    padding: 'same' or 'symmetric', see `ops`.
  """

  name: str
  input_shape: tuple[ops.Size, ops.Size, ops.Size]
  blocks: tuple[Block, ...]
  padding: str = 'same'

  def __post_init__(self) -> None:
    if not isinstance(self.name, str):
      raise ValueError(f'the name of a network must be a string, got {self.name!r}')
    if self.padding not in ops.PADDINGS:
      raise ValueError(f'padding must be one of {ops.PADDINGS}, got {self.padding!r}')
    if len(self.input_shape) != 3 or not all(ops.is_size(size) for value in self.input_shape for size in ops.values_of(value)):
      raise ValueError(f'input_shape must be three positive integers (height, width, channels), got {self.input_shape!r}; '
                       f'the largest is {ops.MAX_SIZE}')
    names = [block.name for block in self.blocks]
    if not names or len(set(names)) != len(names):
      raise ValueError(f'a network needs blocks with unique names, got {names}')
    places(self)  # refuses inputs and shapes that do not fit

  @functools.cached_property
  def sources(self) -> tuple[tuple[int, ...], ...]:
    """For each block the positions of the blocks that it takes, -1 for the images.

    Raises:
      ValueError: A block takes one that does not stand before it.
    """
    found = []
    position = {IMAGES: -1}
    for i, block in enumerate(self.blocks):
      unknown = [name for name in block.inputs if name not in position]
      if unknown:
        raise ValueError(f'block {block.name!r} takes {unknown[0]!r}, but no block before it is called so')
      found.append(tuple(position[name] for name in block.inputs) or (i - 1,))
      position[block.name] = i
    return tuple(found)

  @property
  def classes(self) -> int:
    """Outputs of the last block, which must be a classifier."""
    units = getattr(self.blocks[-1].op, 'units', None)
    if units is None:
      raise ValueError(f'the last block of {self.name!r} is {self.blocks[-1].op!r}, not a classifier')
    return units

  @property
  def resolution(self) -> int:
    """Longer side of the input, pixels; the greatest, if it is a decision."""
    return max(size for value in self.input_shape[:2] for size in ops.values_of(value))

  def __str__(self) -> str:
    """One line for people, for instance 'cifar_tree: 648 decisions, 10^547.6 networks'; `repr` has all of it."""
    decisions, networks = len(schema.decisions(self)), schema.cardinality(self)
    if not decisions:
      return f'{self.name}: {" x ".join(map(str, self.input_shape))}, {len(self.blocks)} blocks'
    count = f'{networks:,}' if networks < 10**6 else f'10^{math.log10(networks):.1f}'
    return f'{self.name}: {decisions} decision{"s" * (decisions > 1)}, {count} network{"s" * (networks > 1)}'

  def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
    """What a notebook shows."""
    printer.text(str(self))


@dataclasses.dataclass(frozen=True)
class TracedBlock:
  """A block with the shapes that it meets: (height, width, channels) in and out."""

  block: Block
  input_shape: ops.Shape
  output_shape: ops.Shape


_MOST_VARIANTS = 100_000  # of one block


@dataclasses.dataclass(frozen=True)
class Variant:
  """A block under some choices.

  Attributes:
    op: Its operation, without open decisions.
    input_shape, output_shape: (height, width, channels).
  """

  op: Any
  input_shape: ops.Shape
  output_shape: ops.Shape


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
  """A block of a space, and what it is under each choice of the decisions that matter there.

  Attributes:
    block: The block.
    decisions: Indices of the decisions inside it or on which its input shape depends, ascending.
    variants: By the choices of these decisions, in the order of their product.
  """

  block: Block
  decisions: tuple[int, ...]
  variants: Mapping[tuple[int, ...], Variant]

  def variant(self, path: tuple[int, ...]) -> Variant:
    """What the block is in the network of a path."""
    return self.variants[tuple(path[index] for index in self.decisions)]


def resolution_decisions(network: Network) -> tuple[int, ...]:
  """Indices of the decisions on the size of the images, ascending."""
  of_images = {path for path, _ in schema.walk(network.input_shape, 'input_shape')}
  return tuple(i for i, decision in enumerate(schema.decisions(network)) if decision.path in of_images)


@functools.lru_cache(maxsize=64)
def places(network: Network) -> tuple[Place, ...]:
  """Follows shapes through all networks of a space.

  Raises:
    ValueError: Candidates of one block differ in output shape, a shortcut joins different shapes, or a block depends on too many decisions.
  """
  known = schema.decisions(network)
  index = {decision.path: i for i, decision in enumerate(known)}
  sizes = [len(decision.choices) for decision in known]
  # For the images and each block the decisions on which its output's shape depends, and the shape by their choices.
  needed = resolution_decisions(network)
  outputs: list[tuple[tuple[int, ...], dict[tuple[int, ...], ops.Shape]]] = [(needed, {
      choices: schema.resolve_part(network.input_shape, 'input_shape', {known[i].path: choice for i, choice in zip(needed, choices)})
      for choices in itertools.product(*(range(sizes[i]) for i in needed))})]
  found = []
  for block, sources in zip(network.blocks, network.sources):
    inputs = [outputs[1 + source] for source in sources]
    where = f'blocks/{block.name}/op'
    inside = [index[path] for path, _ in schema.walk(block.op, where)]
    relevant = tuple(sorted({*inside, *(i for needed, _ in inputs for i in needed)}))
    if math.prod(sizes[i] for i in relevant) > _MOST_VARIANTS:
      raise ValueError(f'block {block.name!r} depends on too many decisions: {", ".join(known[i].path for i in relevant)}')
    variants = {}
    for choices in itertools.product(*(range(sizes[i]) for i in relevant)):
      chosen = dict(zip(relevant, choices))
      op = schema.resolve_part(block.op, where, {known[i].path: choice for i, choice in chosen.items()})
      met = dict.fromkeys(shapes[tuple(chosen[i] for i in needed)] for needed, shapes in inputs)
      if len(met) > 1:
        raise ValueError(f'block {block.name!r} adds up what differs in shape: {", ".join(map(str, met))}')
      shape, = met
      variants[choices] = Variant(op, shape, ops.output_shape(op, shape))
    found.append(Place(block, relevant, variants))
    needed, shapes = _dependence(relevant, {choices: variant.output_shape for choices, variant in variants.items()})
    _check_place(found[-1], index.get(where), needed, set(shapes.values()))
    outputs.append((needed, shapes))
  return tuple(found)


def _dependence(relevant: tuple[int, ...], values: dict[tuple[int, ...], Any]) -> tuple[tuple[int, ...], dict[tuple[int, ...], Any]]:
  """Drops decisions on which nothing depends."""
  for position in reversed(range(len(relevant))):
    fewer: dict[tuple[int, ...], set[Any]] = {}
    for choices, value in values.items():
      fewer.setdefault(choices[:position] + choices[position + 1:], set()).add(value)
    if all(len(found) == 1 for found in fewer.values()):
      relevant = relevant[:position] + relevant[position + 1:]
      values = {choices: next(iter(found)) for choices, found in fewer.items()}
  return relevant, values


def _check_place(place: Place, decision: int | None, needed: tuple[int, ...], shapes: set[ops.Shape]) -> None:
  if decision is not None and decision in needed:
    inputs = {variant.input_shape for variant in place.variants.values()}
    raise ValueError(f'candidates of block {place.block.name!r} give different shapes {sorted(shapes)} for input {sorted(inputs)[0]}; '
                     'to choose a width, let a field of each hold the same named OneOf')
  if place.block.residual:
    for variant in place.variants.values():
      if variant.output_shape != variant.input_shape:
        raise ValueError(f'block {place.block.name!r} has a shortcut, but maps {variant.input_shape} to {variant.output_shape}')


def trace(network: Network) -> Iterator[TracedBlock]:
  """The blocks of a network, or of a space whose shapes no decision changes, with their shapes.

  Raises:
    ValueError: The shapes of a block depend on decisions.
  """
  for place in places(network):
    shapes = {(variant.input_shape, variant.output_shape) for variant in place.variants.values()}
    if len(shapes) != 1:
      raise ValueError(f'the shapes of block {place.block.name!r} of {network.name!r} depend on decisions; resolve them first')
    yield TracedBlock(place.block, *shapes.pop())


@dataclasses.dataclass(frozen=True)
class OpSignature:
  """What a latency depends on, and the key of every table: an operation and where it stands.

  Attributes:
    op: The operation, without open decisions; fields on which no latency depends have their defaults.
    input_shape: (height, width, channels).
    residual: Whether the shortcut's addition is included.
    padding: 'same' or 'symmetric'; always 'same' where both are the same computation.
    terms: How many outputs of other operations are added up to be the input; the additions are included.
  """

  op: Any  # a registered class, which files name
  input_shape: ops.Shape
  residual: bool = False
  padding: str = 'same'
  terms: int = dataclasses.field(default=1, metadata={'omit_default': True})

  def __post_init__(self) -> None:
    if type(self.op) not in registry.classes().values():
      raise ValueError(f'OpSignature.op must be a registered operation ({", ".join(registry.classes())}), got {self.op!r}')
    if not ops.is_size(self.terms):
      raise ValueError(f'OpSignature.terms must be a positive integer, got {self.terms!r}; the largest is {ops.MAX_SIZE}')
    if not schema.is_resolved(self.op) or not (ops.computes(self.op) or self.terms > 1):
      raise ValueError(f'OpSignature.op must compute something and have no open decisions, got {self.op!r}')
    if self.padding not in ops.PADDINGS:
      raise ValueError(f'OpSignature.padding must be one of {ops.PADDINGS}, got {self.padding!r}')
    if len(self.input_shape) != 3 or not all(map(ops.is_size, self.input_shape)):
      raise ValueError(f'OpSignature.input_shape must be three positive integers, got {self.input_shape!r}; the largest is {ops.MAX_SIZE}')
    unmeasured = {field.name: field.default for field in dataclasses.fields(self.op) if not field.metadata.get('measured', True)}
    if any(getattr(self.op, name) != default for name, default in unmeasured.items()):
      object.__setattr__(self, 'op', dataclasses.replace(self.op, **unmeasured))

  @property
  def kind(self) -> str:
    """The registered name of the operation, for instance 'mbconv'."""
    return registry.name_of(type(self.op))

  @functools.cached_property
  def layers(self) -> tuple[layers_lib.TracedLayer, ...]:
    """The operation's layers with their shapes, without the shortcut."""
    return tuple(layers_lib.trace(self.op.layers(self.input_shape), self.input_shape))

  @property
  def output_shape(self) -> ops.Shape:
    """(height, width, channels)."""
    return self.layers[-1].output_shape if self.layers else self.input_shape

  def __str__(self) -> str:
    """One line for people and messages, for instance 'mbconv 56x56x24 -> 40 k5 s2 e3'."""
    parts = [self.kind, 'x'.join(map(str, self.input_shape)), '->', str(self.output_shape[2]), *_fields_text(self.op, ('filters', 'units'))]
    parts += [f'sum{self.terms}'] * (self.terms > 1) + ['residual'] * self.residual + ['symmetric'] * (self.padding == 'symmetric')
    return ' '.join(parts)

  @property
  def file_name(self) -> str:
    """A name that a file can have, without suffix, for instance 'mbconv_56x56x24_40_k5_s2_e3'; a hash ends what had to be changed."""
    name = str(self).replace(' -> ', '_').replace(' + ', '+').replace(' ', '_')
    safe = _UNSAFE.sub('-', name)[:_LONGEST_FILE_NAME]
    return safe if safe == name else f'{safe}-{hashlib.sha256(repr(self).encode("utf-8")).hexdigest()[:8]}'


def _fields_text(op: Any, left_out: tuple[str, ...] = ()) -> Iterator[str]:
  """The fields of an operation on which latencies depend, each with its letter; those of a sequence's parts with '+' between them."""
  for field in dataclasses.fields(op):
    value, metadata = getattr(op, field.name), field.metadata
    if field.name in left_out or not metadata.get('measured', True) or (metadata.get('omit_default') and value == field.default):
      continue
    parts = value if isinstance(value, tuple) else ('',) if value is True else (value,)
    inner = [' '.join((registry.name_of(type(part)), *_fields_text(part))) if isinstance(part, ops.Op) else str(part) for part in parts]
    yield f'{metadata.get("letter", "")}{" + ".join(inner)}'


def op_signature(op: ops.Op, input_shape: ops.Shape, residual: bool = False, padding: str = 'same', terms: int = 1) -> OpSignature | None:
  """The signature of an operation at a place, see `OpSignature`; None where nothing is computed, which costs nothing."""
  if not ops.computes(op):
    return OpSignature(ops.Identity(), input_shape, terms=terms) if terms > 1 and (residual or not ops.is_zero(op)) else None
  differs = any(isinstance(traced.layer, (layers_lib.Conv, layers_lib.DepthwiseConv)) and traced.layer.strides > 1
                and traced.layer.kernel_size > 1 and (traced.input_shape[0] % 2 == 0 or traced.input_shape[1] % 2 == 0)
                for traced in layers_lib.trace(op.layers(input_shape), input_shape))
  return OpSignature(op, input_shape, residual, padding if differs else 'same', terms)


def op_signatures(network: Network) -> tuple[OpSignature, ...]:
  """Every distinct signature of a network or of all networks of a space, in order of first appearance."""
  found: dict[OpSignature, None] = {}
  for place in places(network):
    for variant in place.variants.values():
      signature = op_signature(variant.op, variant.input_shape, place.block.residual, network.padding, place.block.terms)
      if signature is not None:
        found[signature] = None
  return tuple(found)


def network_of_signature(signature: OpSignature) -> Network:
  """The network of one block that has a signature, the inverse of `op_signatures`."""
  block = Block('op', signature.op, signature.residual, (IMAGES,) * signature.terms if signature.terms > 1 else ())
  return Network(str(signature), signature.input_shape, (block,), signature.padding)
