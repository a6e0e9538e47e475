"""Limits on the file and the memory of int8 networks, for the solver and for designers."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
import dataclasses
import functools
import itertools

import numpy as np

from tf_proxyless.cost import memory
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import solver
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryLimit(solver.Constraint):
  """How large the arena of a network may be, see `cost.memory`.

  The costs count the blocks that are too large alone, and must be 0: what two blocks need together no sum of terms says, so that the
  solver asks for each network that it finds.

  Attributes:
    space: The search space.
    bytes: Greatest arena.
  """

  space: network_lib.Network
  bytes: int

  def __str__(self) -> str:
    return f'{self.bytes:,} bytes of memory'

  def admits(self, path: Sequence[int]) -> bool:
    return super().admits(path) and self._plan(tuple(path)).bytes <= self.bytes

  def admitted(self, paths: np.ndarray) -> np.ndarray:
    found = super().admitted(paths)
    found[found] = [self._plan(tuple(path)).bytes <= self.bytes for path in paths[found].tolist()]
    return found

  def excess(self, path: Sequence[int]) -> float:
    return max(0.0, self._plan(tuple(path)).bytes / self.bytes - 1)

  def conflict(self, path: Sequence[int]) -> dict[int, int]:
    """The choices of the blocks that make the arena as large as it is, and of those between them."""
    blocks = self._plan(tuple(path)).cause
    places = network_lib.places(self.space)[min(blocks):max(blocks) + 1]
    found = {decision: path[decision] for place in places for decision in place.decisions}
    return found or super().conflict(path)

  @functools.lru_cache(maxsize=10_000)  # noqa: B019 (a limit lives as long as what it limits)
  def _plan(self, path: tuple[int, ...]) -> memory.Plan:
    decisions = self.cost.decisions
    return memory.plan(schema.resolve(self.space, schema.genotype(self.space, schema.canonical(decisions, path))))


def make(space: network_lib.Network, max_size: int | None = None, max_memory: int | None = None) -> tuple[solver.Constraint, ...]:
  """Limits of a space's networks in int8.

  Args:
    space: The search space.
    max_size: Greatest .tflite file, bytes; None for any.
    max_memory: Greatest arena, bytes; None for any.

  Raises:
    ValueError: The smallest network is over one of them.
  """
  found: list[solver.Constraint] = []
  if max_size is not None:
    size = model_lib.from_file_bytes(space)
    if size.smallest > max_size:
      raise ValueError(f'`max_size={max_size}`: the smallest network of the space takes about {size.smallest:,.0f} bytes')
    found.append(solver.Constraint(size, float(max_size)))
  if max_memory is not None:
    found.append(_memory_limit(space, max_memory))
  return tuple(found)


def _memory_limit(space: network_lib.Network, limit: int) -> MemoryLimit:
  images = min(memory.tensor_bytes(shape) for shape in itertools.product(*map(ops.values_of, space.input_shape)))
  alone = functools.cache(lambda signature: images + memory.block_bytes(signature) if signature else 0)
  too_large = lambda limit: model_lib.build(space, lambda signature: alone(signature) > limit, 'bytes')
  found = too_large(limit)
  if found.smallest > 0:
    sizes = sorted({alone(signature) for signature in network_lib.op_signatures(space)})
    least = sizes[bisect.bisect_left(sizes, True, key=lambda size: too_large(size).smallest == 0)]
    raise ValueError(f'`max_memory={limit}`: each network of the space needs {least:,} bytes and more')
  return MemoryLimit(found, 0.0, space, limit)


def check(constraints: Sequence[solver.Constraint]) -> None:
  """Checks that some network is within all limits.

  Raises:
    ValueError: None is.
  """
  solver.solve([np.zeros(count) for count in constraints[0].cost.choice_counts], constraints)
