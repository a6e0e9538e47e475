"""What networks cost: multiply-adds, parameters, bytes, and latency by a table."""

from __future__ import annotations

from typing import Any, Union

from tf_proxyless.cost import counting
from tf_proxyless.cost import memory as memory_lib
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import limits as limits_lib
from tf_proxyless.derive import solver
from tf_proxyless.infra import files
from tf_proxyless.space import network as network_lib

count = counting.count_network
Cost = Union[str, table_lib.LatencyTable, model_lib.CostModel]


def load_table(name: files.PathLike, space: network_lib.Network | None = None) -> table_lib.LatencyTable:
  """A latency table: a file, or a shipped table by name ('pixel1_tflite_float').

  Args:
    name: Path or name.
    space: Needed by estimates, which are formulas ('pixel2_int8_estimate').

  Raises:
    ValueError: There is no such table, or the file is not one.
    OSError: The file cannot be read.
  """
  return named_tables.find(str(name), space)


def macs(space: network_lib.Network) -> model_lib.CostModel:
  """The multiply-adds of each network of a space."""
  return model_lib.from_macs(space)


def file_bytes(space: network_lib.Network) -> model_lib.CostModel:
  """The bytes of the .tflite file of each network of a space in int8; see `counting.file_bytes` for how near they are."""
  return model_lib.from_file_bytes(space)


def memory(network: network_lib.Network) -> int:
  """The bytes of the arena that a network in int8 needs for its activations, as TFLite plans it.

  Raises:
    ValueError: Decisions are open in it.
  """
  return memory_lib.plan(network).bytes


def limits(space: network_lib.Network, max_size: int | None = None, max_memory: int | None = None) -> tuple[solver.Constraint, ...]:
  """Limits for `SearchResult.derive` and for designers.

  Args:
    space: A search space.
    max_size: Greatest .tflite file in int8, bytes; None for any.
    max_memory: Greatest arena, bytes; None for any.

  Raises:
    ValueError: No network is within one of them.
  """
  return limits_lib.make(space, max_size, max_memory)


def model(space: network_lib.Network, cost: Cost | Any, unit: str = 'ms') -> model_lib.CostModel:
  """The cost model of a space.

  Args:
    space: A search space.
    cost: 'macs', 'bytes', a `LatencyTable`, a function from `OpSignature` (None for an operation that computes nothing) to a number in
      `unit`, or a `CostModel`, which is checked to be of this space.
    unit: The unit of a function's costs: 'ms', 'macs', 'bytes' or 'mJ'.

  Raises:
    TypeError, ValueError: It is none of these, is of another space, or lacks operations.
  """
  if isinstance(cost, table_lib.LatencyTable):
    return model_lib.from_latency_table(space, cost)
  if isinstance(cost, model_lib.CostModel):
    expected = model_lib.from_macs(space).decisions
    if cost.decisions != expected:
      raise ValueError(f'the cost model is of another space: it has {len(cost.decisions)} decisions, the space {len(expected)}')
    return cost
  if cost == 'macs':
    return macs(space)
  if cost == 'bytes':
    return file_bytes(space)
  if callable(cost):
    return model_lib.build(space, cost, unit)
  raise TypeError(f"cost must be 'macs', 'bytes', a LatencyTable, a CostModel or a function, got {cost!r}")
