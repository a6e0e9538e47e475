"""What any network of a space costs: a fixed part, and one number for each choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
from typing import Any

import numpy as np

from tf_proxyless.cost import counting
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

UNITS = ('ms', 'macs')


@dataclasses.dataclass(frozen=True)
class CostModel:
  """Cost of a network = fixed + the sum of its choices' costs (Cai et al., ICLR 2019, section 3.3).

  Sums are `math.fsum`, which rounds once: any order of adding gives the same number, so that a network is under a budget
  or not, whoever asks. MACs are exact.

  Attributes:
    unit: 'ms' or 'macs'.
    decisions: Paths of the decisions, in the order of the space.
    fixed: Cost of what is in every network, with the calibration's offset.
    choice_costs: For each decision, the cost of each of its choices, calibrated; 0 for Zero.
  """

  unit: str
  decisions: tuple[str, ...]
  fixed: float
  choice_costs: tuple[tuple[float, ...], ...]

  def __post_init__(self) -> None:
    if self.unit not in UNITS:
      raise ValueError(f'unit must be one of {UNITS}, got {self.unit!r}')
    if len(self.decisions) != len(self.choice_costs) or not all(self.choice_costs):
      raise ValueError(f'choice_costs must hold a non-empty tuple for each of {len(self.decisions)} decisions, '
                       f'got {[len(costs) for costs in self.choice_costs]}')

  def cost(self, choices: Mapping[str, int] | Sequence[int]) -> float:
    """Cost of one network.

    Args:
      choices: A `Genotype`, or choice indices in the order of `decisions`.

    Returns:
      Milliseconds or MACs.

    Raises:
      KeyError: A genotype does not name exactly the decisions.
      ValueError: The number of choices is wrong, or an index is out of range.
    """
    if isinstance(choices, Mapping):
      if set(choices) != set(self.decisions):
        raise KeyError(f'the genotype differs from the space in decisions {sorted(set(choices) ^ set(self.decisions))}')
      choices = [choices[path] for path in self.decisions]
    if len(choices) != len(self.decisions):
      raise ValueError(f'expected {len(self.decisions)} choices, got {len(choices)}')
    for path, index, costs in zip(self.decisions, choices, self.choice_costs):
      if not 0 <= index < len(costs):
        raise ValueError(f'choice {index} of decision {path!r} is not one of 0..{len(costs) - 1}')
    return math.fsum([self.fixed, *(costs[index] for index, costs in zip(choices, self.choice_costs))])

  @property
  def smallest(self) -> float:
    """Cost of the cheapest network."""
    return math.fsum([self.fixed, *map(min, self.choice_costs)])

  @property
  def largest(self) -> float:
    """Cost of the dearest network."""
    return math.fsum([self.fixed, *map(max, self.choice_costs)])

  def padded_costs(self) -> np.ndarray:
    """Choice costs as float64 [decisions, most choices], 0 where a decision has fewer."""
    padded = np.zeros((len(self.decisions), max(map(len, self.choice_costs), default=0)))
    for row, costs in zip(padded, self.choice_costs):
      row[:len(costs)] = costs
    return padded

  def expected(self, probabilities: Any) -> Any:
    """Expected cost under independent decisions; at one-hot probabilities, the network's cost.

    E[cost] = fixed + sum_d sum_i p_di cost_di (Cai et al., ICLR 2019, section 3.3.1), differentiable in p.

    Args:
      probabilities: float32 or float64 tensor [decisions, most choices], 0 where a decision has fewer choices.

    Returns:
      Scalar tensor of the same dtype.
    """
    import tensorflow as tf  # here, because mains build costs and report mistakes before they load TensorFlow

    probabilities = tf.convert_to_tensor(probabilities)
    costs = tf.constant(self.padded_costs(), probabilities.dtype)
    return tf.constant(self.fixed, probabilities.dtype) + tf.reduce_sum(probabilities * costs)


def entry_sum(table: table_lib.LatencyTable, network: network_lib.Network) -> float:
  """Sum of a table's entries for an architecture, ms, not calibrated.

  Raises:
    ValueError: Decisions are open in the network, or the table lacks entries (all are listed).
  """
  table.check_covers(network)
  return math.fsum(table.latency_ms(row.signature) for row in counting.count_blocks(network))


def from_latency_table(space: network_lib.Network, table: table_lib.LatencyTable) -> CostModel:
  """Milliseconds from a table, calibrated: fixed = offset + scale * (fixed entries), choices = scale * entry.

  Args:
    space: A search space with at most one choice in a block; also an architecture, which then has a fixed cost only.
    table: Covers every operation of the space.

  Raises:
    ValueError: The table lacks entries (all are listed), or the space has other decisions.
  """
  table.check_covers(space)
  decisions, fixed, choice_costs = _collect(space, table.latency_ms)
  scale, offset_ms = table.calibration.scale, table.calibration.offset_ms
  scaled = tuple(tuple(scale * cost for cost in costs) for costs in choice_costs)
  return CostModel('ms', decisions, offset_ms + scale * math.fsum(fixed), scaled)


def from_macs(space: network_lib.Network) -> CostModel:
  """Multiply-adds, as integers; see `counting`.

  Raises:
    ValueError: The space has decisions other than one in a block.
  """
  decisions, fixed, choice_costs = _collect(space, lambda signature: counting.count(signature).macs)
  return CostModel('macs', decisions, sum(fixed), choice_costs)


def _collect(space: network_lib.Network, cost_of: Callable[[network_lib.OpSignature | None], float]) -> tuple[
    tuple[str, ...], list[float], tuple[tuple[float, ...], ...]]:
  """Paths of the decisions, costs of the fixed blocks, and costs of the choices."""
  decisions: list[str] = []
  fixed: list[float] = []
  choice_costs: list[tuple[float, ...]] = []
  for traced in network_lib.trace(space):
    block = traced.block
    costs = tuple(cost_of(network_lib.op_signature(op, traced.input_shape, block.residual, space.padding))
                  for op in block.candidates)
    if isinstance(block.op, schema.OneOf):
      decisions.append(f'blocks/{block.name}/op')
      choice_costs.append(costs)
    else:
      fixed += costs
  others = sorted({path for path, _ in schema.walk(space)} - set(decisions))
  if others:
    raise ValueError(f'costs are known for one choice of operation in a block, but {space.name!r} also decides {others}')
  return tuple(decisions), fixed, tuple(choice_costs)
