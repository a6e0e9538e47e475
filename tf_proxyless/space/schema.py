"""The one search primitive: a choice, and what can be done with a tree of them.

A search space is any tree of frozen dataclasses and tuples with `OneOf` nodes inside; without them it is an architecture.
A decision is named by its path in the tree, for instance `blocks/block_3/op`: field names, and for the elements of a tuple
their `name` or else their index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class OneOf:
  """A decision: exactly one of `choices` is in the network.

  Attributes:
    choices: The alternatives, in the order that choice indices refer to.
    tag: What kind of decision this is, for instance 'op'.
  """

  choices: tuple[Any, ...]
  tag: str

  def __post_init__(self) -> None:
    if not isinstance(self.choices, tuple) or not self.choices:
      raise ValueError(f'OneOf needs a non-empty tuple of choices, got {self.choices!r}')


class Genotype(Mapping[str, int]):
  """Choice index by decision path: immutable, hashable, in the order of the space."""

  def __init__(self, choices: Mapping[str, int]):
    for path, index in choices.items():
      if not isinstance(path, str) or isinstance(index, bool) or not isinstance(index, int):
        raise TypeError(f'a genotype maps paths (str) to choice indices (int), got {path!r}: {index!r}')
    self._choices = dict(choices)

  def __getitem__(self, path: str) -> int:
    return self._choices[path]

  def __iter__(self) -> Iterator[str]:
    return iter(self._choices)

  def __len__(self) -> int:
    return len(self._choices)

  def __hash__(self) -> int:
    return hash(frozenset(self._choices.items()))

  def __repr__(self) -> str:
    return f'Genotype({self._choices!r})'


def _children(node: Any) -> list[tuple[str, Any]]:
  """The (path segment, value) pairs below a node; leaves have none."""
  if isinstance(node, OneOf):
    return [(str(i), choice) for i, choice in enumerate(node.choices)]
  if isinstance(node, tuple):
    return [(str(getattr(item, 'name', i)), item) for i, item in enumerate(node)]
  if dataclasses.is_dataclass(node):
    return [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
  return []


def _join(path: str, segment: str) -> str:
  return f'{path}/{segment}' if path else segment


def walk(node: Any, path: str = '') -> Iterator[tuple[str, OneOf]]:
  """Yields every decision of a space as (path, OneOf), parents before children, in the order of the tree."""
  if isinstance(node, OneOf):
    yield path, node
  for segment, child in _children(node):
    yield from walk(child, _join(path, segment))


def resolve(node: Any, genotype: Mapping[str, int]) -> Any:
  """Fixes every decision of a space.

  Args:
    node: A search space.
    genotype: Choice index for exactly the decisions that are active under these choices.

  Returns:
    The same tree with each `OneOf` replaced by its chosen alternative.

  Raises:
    KeyError: A decision has no choice, or the genotype names a decision that is not there.
    ValueError: A choice index is out of range.
  """
  used: set[str] = set()

  def visit(node: Any, path: str) -> Any:
    if isinstance(node, OneOf):
      if path not in genotype:
        raise KeyError(f'no choice for decision {path!r}; the genotype names {sorted(genotype)}')
      used.add(path)
      index = genotype[path]
      if not 0 <= index < len(node.choices):
        raise ValueError(f'choice {index} of decision {path!r} is not one of 0..{len(node.choices) - 1}')
      return visit(node.choices[index], _join(path, str(index)))
    if isinstance(node, tuple):
      return tuple(visit(child, _join(path, segment)) for segment, child in _children(node))
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
      changed = {segment: visit(child, _join(path, segment)) for segment, child in _children(node)}
      return dataclasses.replace(node, **changed)
    return node

  result = visit(node, '')
  unknown = sorted(set(genotype) - used)
  if unknown:
    raise KeyError(f'the genotype names decisions that are not in the space: {unknown}')
  return result


def cardinality(node: Any) -> int:
  """The number of architectures in a space (alternatives of a decision add up, everything else multiplies)."""
  counts = [cardinality(child) for _, child in _children(node)]
  return sum(counts) if isinstance(node, OneOf) else math.prod(counts)


def is_resolved(node: Any) -> bool:
  """Whether no decision is left open, that is, whether a space is an architecture."""
  return next(walk(node), None) is None
