"""The one search primitive: a choice, and what can be done with a tree of them.

A search space is any tree of frozen dataclasses and tuples with `OneOf` nodes inside; without them it is an architecture.
A decision is known by its name, or else by its path in the tree, for instance `blocks/block_3/op`: field names, and for the elements of
a tuple their `name` or else their index. Nodes of one name, wherever they stand, are one decision: a stage's width, say.

`decisions(space)` is the only place that gives decisions their indices; a path (int [decisions]) has the choice of each in that order.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
import itertools
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class OneOf:
  """A decision: exactly one of `choices` is in the network.

  Attributes:
    choices: The alternatives, in the order that choice indices refer to.
    tag: What kind of decision this is, for instance 'op', 'filters' or 'kernel_size'.
    name: Equal names are one decision; '' is a decision of its own, known by where it stands.
  """

  choices: tuple[Any, ...]
  tag: str
  name: str = dataclasses.field(default='', metadata={'omit_default': True})

  def __post_init__(self) -> None:
    if not isinstance(self.choices, tuple) or not self.choices:
      raise ValueError(f'OneOf needs a non-empty tuple of choices, got {self.choices!r}')


def one_of(values: Iterable[Any], tag: str, name: str = '') -> Any:
  """A decision between the distinct ones of some values; the value itself, if there is but one."""
  distinct = tuple(dict.fromkeys(values))
  return distinct[0] if len(distinct) == 1 else OneOf(distinct, tag, name)


# The choices above a decision, as (path, choice index).
Parents = tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Decision:
  """One decision of a space.

  Attributes:
    path: Its name, or else where it stands.
    choices: See `OneOf`.
    tag: See `OneOf`.
    parents: (path, choice index) of the decisions inside whose choices it stands: it counts only if all of these are chosen. Empty if it
      stands in several places.
  """

  path: str
  choices: tuple[Any, ...]
  tag: str
  parents: Parents = ()


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
    return [(str(getattr(item, 'name', '') or i), item) for i, item in enumerate(node)]
  if dataclasses.is_dataclass(node):
    return [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
  return []


def _join(path: str, segment: str) -> str:
  return f'{path}/{segment}' if path else segment


def _occurrences(node: Any, path: str, parents: Parents) -> Iterator[tuple[str, OneOf, Parents]]:
  """Every OneOf of a tree as (name or path, node, the choices above it), parents before children."""
  if isinstance(node, OneOf):
    path = node.name or path
    yield path, node, parents
    for index, choice in enumerate(node.choices):
      yield from _occurrences(choice, _join(path, str(index)), (*parents, (path, index)))
    return
  for segment, child in _children(node):
    yield from _occurrences(child, _join(path, segment), parents)


def decisions(space: Any) -> tuple[Decision, ...]:
  """The decisions of a space in the order of the tree, parents before children; their positions are their indices.

  Raises:
    ValueError: Nodes of one name differ, or a name is used inside itself.
  """
  found: dict[str, tuple[OneOf, Parents]] = {}
  for path, one_of, parents in _occurrences(space, '', ()):
    if any(path == above for above, _ in parents):
      raise ValueError(f'decision {path!r} stands inside one of its own choices')
    if path not in found:
      found[path] = one_of, parents
    elif found[path][0] != one_of:
      raise ValueError(f'two different decisions are called {path!r}: {found[path][0]!r} and {one_of!r}')
    elif found[path][1] != parents:
      found[path] = one_of, ()  # it stands in more than one place; one of them at least may count
  return tuple(Decision(path, one_of.choices, one_of.tag, parents) for path, (one_of, parents) in found.items())


def walk(space: Any, path: str = '') -> Iterator[tuple[str, OneOf]]:
  """Yields every decision of a space, or of a part that stands at a path, once as (path, OneOf), in the order of `decisions`."""
  seen = set()
  for found, one_of, _ in _occurrences(space, path, ()):
    if found not in seen:
      seen.add(found)
      yield found, one_of


def counts(decisions: Sequence[Decision], path: Sequence[int], index: int) -> bool:
  """Whether the decision of an index counts in the network of a path, since the choices inside which it stands are made."""
  position = {decision.path: i for i, decision in enumerate(decisions)}
  return all(path[position[parent]] == choice for parent, choice in decisions[index].parents)


def parent_indices(decisions: Sequence[Decision]) -> tuple[tuple[tuple[int, int], ...], ...]:
  """`Decision.parents` of each decision as (index of the decision, choice index)."""
  position = {decision.path: i for i, decision in enumerate(decisions)}
  return tuple(tuple((position[path], choice) for path, choice in decision.parents) for decision in decisions)


def canonical(decisions: Sequence[Decision], path: Sequence[int]) -> tuple[int, ...]:
  """The path with 0 for decisions that do not count under it: equal networks have equal canonical paths."""
  return tuple(int(choice) if counts(decisions, path, i) else 0 for i, choice in enumerate(path))


def genotype(space: Any, path: Sequence[int]) -> Genotype:
  """The genotype of a path: the choices of the decisions that count under it.

  Args:
    space: A search space.
    path: int [decisions], in the order of `decisions`.

  Raises:
    ValueError: The path has another length.
  """
  known = decisions(space)
  if len(path) != len(known):
    raise ValueError(f'a path of this space has {len(known)} choices, got {len(path)}')
  choices = {decision.path: int(index) for decision, index in zip(known, path)}
  used: set[str] = set()
  _resolve(space, '', choices, used)
  return Genotype({name: index for name, index in choices.items() if name in used})


def path_of(space: Any, genotype: Mapping[str, int]) -> tuple[int, ...]:
  """The path of a genotype; 0 for decisions that do not count under it.

  Raises:
    KeyError: The genotype is not one of this space.
    ValueError: A choice index is out of range.
  """
  resolve(space, genotype)
  return tuple(genotype.get(decision.path, 0) for decision in decisions(space))


def resolve(node: Any, genotype: Mapping[str, int]) -> Any:
  """Fixes the decisions of a space.

  Args:
    node: A search space.
    genotype: Choice index for exactly the decisions that count under these choices.

  Returns:
    The same tree with each `OneOf` replaced by its chosen alternative.

  Raises:
    KeyError: A decision has no choice, or the genotype names a decision that is not there.
    ValueError: A choice index is out of range.
  """
  used: set[str] = set()
  result = _resolve(node, '', genotype, used)
  unknown = sorted(set(genotype) - used)
  if unknown:
    raise KeyError(f'the genotype names decisions that are not in the space: {unknown}')
  return result


def resolve_part(node: Any, path: str, genotype: Mapping[str, int]) -> Any:
  """Resolves a part of a space that stands at a path; the genotype may name decisions elsewhere."""
  return _resolve(node, path, genotype, set())


def _resolve(node: Any, path: str, genotype: Mapping[str, int], used: set[str]) -> Any:

  def visit(node: Any, path: str) -> Any:
    if isinstance(node, OneOf):
      path = node.name or path
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
      children = {segment: (child, visit(child, _join(path, segment))) for segment, child in _children(node)}
      changed = {segment: new for segment, (old, new) in children.items() if new is not old}
      return dataclasses.replace(node, **changed) if changed else node
    return node

  return visit(node, path)


def cardinality(space: Any) -> int:
  """The number of architectures in a space, exactly."""
  found = list(_occurrences(space, '', ()))
  times = collections.Counter(path for path, _, _ in found)
  shared = {path: one_of for path, one_of, _ in found if times[path] > 1}
  return sum(count * math.prod(len(shared[path].choices) for path, choice in made if choice is None)
             for made, count in _count(space, '', shared).items())


# The number of alternatives, by what they hold of decisions in several places: (path, choice), or (path, None) where all choices are plain.
_Counts = dict[frozenset[tuple[str, int | None]], int]
_ONE: _Counts = {frozenset(): 1}


def _count(node: Any, path: str, shared: Mapping[str, OneOf]) -> _Counts:
  """Alternatives of a decision add up, everything else multiplies; a decision in several places is made once."""
  if not isinstance(node, OneOf):
    total = _ONE
    for segment, child in _children(node):
      counts = _count(child, _join(path, segment), shared)
      total = total if counts == _ONE else _sum(
          (made | others, one * other) for (made, one), (others, other) in itertools.product(total.items(), counts.items()))
    return total
  path = node.name or path
  if path in shared and all(map(is_resolved, node.choices)):
    return {frozenset(((path, None),)): 1}
  return _sum((made | {(path, i)} if path in shared else made, count)
              for i, choice in enumerate(node.choices) for made, count in _count(choice, _join(path, str(i)), shared).items())


def _sum(counted: Iterable[tuple[frozenset[tuple[str, int | None]], int]]) -> _Counts:
  """Adds up equal ones, and leaves out what would make one decision in two ways."""
  total: _Counts = {}
  for made, count in counted:
    if len({path for path, _ in made}) == len(made):
      total[made] = total.get(made, 0) + count
  return total


def is_resolved(node: Any) -> bool:
  """Whether no decision is left open, that is, whether a space is an architecture."""
  return next(_occurrences(node, '', ()), None) is None
