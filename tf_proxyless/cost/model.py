"""What any network of a space costs: a sum of terms, each a small table over the decisions that it depends on.

The cost of a block depends on its own decision alone where shapes are fixed (Cai et al., ICLR 2019, section 3.3); on the width before it
too where widths are searched; on the resolution as well. Sums of such tables have exact total costs and exact expected costs by the same
two formulas, whatever the decisions are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import itertools
import math
from typing import Any

import numpy as np

from tf_proxyless.cost import counting
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

UNITS = ('ms', 'macs', 'bytes', 'mJ')
MOST_DECISIONS = 5  # of a term

# What an operation costs where it stands; 0 for None, the signature of one that computes nothing.
Price = Callable[['network_lib.OpSignature | None'], float]


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
  """A part of the cost, known for each choice of some decisions.

  Attributes:
    decisions: Indices, ascending; () is a part of every network.
    values: float64, an axis a decision.
  """

  decisions: tuple[int, ...]
  values: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class CostModel:
  """Cost of a network = the sum of its terms.

  Sums are `math.fsum`, which rounds once: any order of adding gives the same number, so that a network is under a budget
  or not, whoever asks. MACs are exact.

  Attributes:
    unit: One of `UNITS`.
    decisions: Decisions of the space, see `schema.decisions`.
    terms: At most one for the same decisions; the first is the fixed part.
  """

  unit: str
  decisions: tuple[schema.Decision, ...]
  terms: tuple[Term, ...]

  def __post_init__(self) -> None:
    if self.unit not in UNITS:
      raise ValueError(f'unit must be one of {", ".join(UNITS)}, got {self.unit!r}')
    if not self.terms or self.terms[0].decisions or len({term.decisions for term in self.terms}) != len(self.terms):
      raise ValueError('terms must begin with the fixed part, and be of different decisions')
    for term in self.terms:
      shape = tuple(self.choice_counts[i] for i in term.decisions)
      if term.values.shape != shape or not np.isfinite(term.values).all():
        raise ValueError(f'the term of decisions {term.decisions} must hold finite numbers of shape {shape}, got {term.values.shape}')

  @functools.cached_property
  def choice_counts(self) -> tuple[int, ...]:
    """Choices of each decision."""
    return tuple(len(decision.choices) for decision in self.decisions)

  @functools.cached_property
  def paths(self) -> tuple[str, ...]:
    """The path of each decision in the space."""
    return tuple(decision.path for decision in self.decisions)

  @property
  def fixed(self) -> float:
    """Cost of what is in every network, with the calibration's offset."""
    return float(self.terms[0].values)

  @property
  def is_additive(self) -> bool:
    """Whether each term depends on one decision at most."""
    return all(len(term.decisions) <= 1 for term in self.terms)

  @functools.cached_property
  def choice_costs(self) -> tuple[tuple[float, ...], ...]:
    """For each decision the cost of each choice; where terms couple decisions, the mean over the choices of the others."""
    rows = [np.zeros(count) for count in self.choice_counts]
    for term in self.terms[1:]:
      for axis, index in enumerate(term.decisions):
        others = tuple(i for i in range(term.values.ndim) if i != axis)
        rows[index] = rows[index] + (term.values.mean(axis=others) if others else term.values)
    return tuple(tuple(row.tolist()) for row in rows)

  def cost(self, choices: Mapping[str, int] | Sequence[int]) -> float:
    """Cost of one network.

    Args:
      choices: A `Genotype`, or a path.

    Returns:
      In `unit`.

    Raises:
      KeyError: A genotype does not name exactly the decisions that count.
      ValueError: The number of choices is wrong, or an index is out of range.
    """
    if isinstance(choices, Mapping):
      path = [choices.get(name, 0) for name in self.paths]
      wanted = {name for i, name in enumerate(self.paths) if schema.counts(self.decisions, path, i)}
      if set(choices) != wanted:
        raise KeyError(f'the genotype differs from the space in decisions {sorted(set(choices) ^ wanted)}')
      choices = path
    if len(choices) != len(self.decisions):
      raise ValueError(f'expected {len(self.decisions)} choices, got {len(choices)}')
    for name, index, count in zip(self.paths, choices, self.choice_counts):
      if not 0 <= index < count:
        raise ValueError(f'choice {index} of decision {name!r} is not one of 0..{count - 1}')
    return math.fsum(float(term.values[tuple(choices[i] for i in term.decisions)]) for term in self.terms)

  def costs(self, paths: np.ndarray) -> np.ndarray:
    """Cost of each network of int [networks, decisions]: float64 [networks]."""
    paths = np.asarray(paths)
    parts = [np.broadcast_to(term.values[tuple(paths[:, i] for i in term.decisions)], len(paths)).tolist() for term in self.terms]
    return np.array([math.fsum(row) for row in zip(*parts)], np.float64)

  @functools.cached_property
  def smallest(self) -> float:
    """Cost of the cheapest network."""
    return self._extreme(1.0)

  @functools.cached_property
  def largest(self) -> float:
    """Cost of the dearest network."""
    return self._extreme(-1.0)

  def _extreme(self, sign: float) -> float:
    """The least cost times sign, by eliminating decisions from the last: exact but for the order of adding, which `cost` mends."""
    tables = [(term.decisions, sign * term.values) for term in self.terms if term.decisions]
    steps = []
    for index in reversed(range(len(self.decisions))):
      touched = [table for table in tables if index in table[0]]
      others = tuple(sorted({i for decisions, _ in touched for i in decisions if i != index}))
      scope = (*others, index)
      total = np.zeros([self.choice_counts[i] for i in scope])
      for decisions, values in touched:
        order = sorted(range(len(decisions)), key=lambda axis: scope.index(decisions[axis]))
        shape = [self.choice_counts[i] if i in decisions else 1 for i in scope]
        total = total + np.transpose(values, order).reshape(shape)
      steps.append((index, others, total.argmin(axis=-1)))
      tables = [table for table in tables if index not in table[0]] + [(others, total.min(axis=-1))]
    path = [0] * len(self.decisions)
    for index, others, best in reversed(steps):
      path[index] = int(best[tuple(path[i] for i in others)])
    return self.cost(path)

  def padded_costs(self) -> np.ndarray:
    """What the terms of one decision cost, as float64 [decisions, most choices], 0 where a decision has fewer choices."""
    padded = np.zeros((len(self.decisions), max(self.choice_counts, default=0)))
    for term in self.terms:
      if len(term.decisions) == 1:
        padded[term.decisions[0], :len(term.values)] = term.values
    return padded

  def expected(self, probabilities: Any) -> Any:
    """Expected cost under independent decisions; at one-hot probabilities, the network's cost.

    E[cost] = sum over terms of sum_(i, j, ...) values_(ij...) p_1i p_2j ..., differentiable in p (for terms of one decision Cai et al.,
    ICLR 2019, section 3.3.1).

    Args:
      probabilities: float32 or float64 tensor [decisions, most choices], or [networks, decisions, most choices] for that many
        distributions; 0 where a decision has fewer choices.

    Returns:
      Tensor [] or [networks] of the same dtype.
    """
    import tensorflow as tf  # here, because commands build costs and report mistakes before they load TensorFlow

    probabilities = tf.convert_to_tensor(probabilities)
    costs = tf.constant(self.padded_costs(), probabilities.dtype)
    batched = probabilities.shape.rank == 3
    varying = tf.einsum('ndc,dc->n', probabilities, costs) if batched else tf.reduce_sum(probabilities * costs)
    total = tf.constant(self.fixed, probabilities.dtype) + varying
    for term in self.terms:
      if len(term.decisions) > 1:
        letters = 'abcde'[:len(term.decisions)]
        head = 'n' if batched else ''
        rows = [probabilities[..., index, :self.choice_counts[index]] for index in term.decisions]
        equation = f'{letters},{",".join(head + letter for letter in letters)}->{head}'
        total += tf.einsum(equation, tf.constant(term.values, probabilities.dtype), *rows)
    return total

  def marginal(self, probabilities: Any) -> Any:
    """d E[cost] / d p: what each choice costs while the other decisions are as likely as they are, like [decisions, most choices]."""
    import tensorflow as tf

    if self.is_additive:
      return tf.constant(self.padded_costs(), tf.convert_to_tensor(probabilities).dtype)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      probabilities = tf.stop_gradient(probabilities)
      tape.watch(probabilities)
      expected = self.expected(probabilities)
    return tape.gradient(expected, probabilities)

  def to_json(self) -> dict[str, Any]:
    """Unit and terms as JSON values; the decisions are those of the space."""
    return {'unit': self.unit, 'terms': [{'decisions': list(term.decisions), 'values': term.values.tolist()} for term in self.terms]}

  @classmethod
  def from_json(cls, decisions: tuple[schema.Decision, ...], body: Mapping[str, Any]) -> CostModel:
    """What `to_json` gave.

    Args:
      decisions: Decisions of the space.
      body: From a file.

    Raises:
      ValueError: It is something else.
    """
    try:
      terms = tuple(Term(tuple(term['decisions']), np.asarray(term['values'], np.float64)) for term in body['terms'])
      return cls(body['unit'], decisions, terms)
    except (KeyError, TypeError, IndexError) as error:
      raise ValueError(f'no cost model: {error!r}') from error

  def given(self, decision: int, choice: int) -> CostModel:
    """The costs of the networks that make one choice, over the other decisions in their order."""
    terms: dict[tuple[int, ...], list[np.ndarray]] = {(): []}
    for term in self.terms:
      values, rest = term.values, term.decisions
      if decision in rest:
        values = np.take(values, choice, axis=rest.index(decision))
        rest = tuple(i for i in rest if i != decision)
      terms.setdefault(tuple(i - (i > decision) for i in rest), []).append(values)
    decisions = self.decisions[:decision] + self.decisions[decision + 1:]
    return CostModel(self.unit, decisions, tuple(Term(scope, _total(parts)) for scope, parts in terms.items()))


def additive(unit: str, paths: Sequence[str], fixed: float, choice_costs: Sequence[Sequence[float]]) -> CostModel:
  """The cost model of independent decisions.

  Args:
    unit: One of `UNITS`.
    paths: The path of each decision.
    fixed: Cost of what is in every network.
    choice_costs: For each decision the cost of each choice.

  Raises:
    ValueError: The numbers of decisions differ, or a decision has no choices.
  """
  if len(paths) != len(choice_costs) or not all(len(row) for row in choice_costs):
    raise ValueError(f'choice_costs must hold at least one cost for each of {len(paths)} decisions, '
                     f'got {[len(row) for row in choice_costs]}')
  decisions = tuple(schema.Decision(path, tuple(range(len(row))), 'op') for path, row in zip(paths, choice_costs))
  terms = [Term((i,), np.asarray(row, np.float64)) for i, row in enumerate(choice_costs)]
  return CostModel(unit, decisions, (Term((), np.array(fixed, np.float64)), *terms))


def _total(parts: Sequence[np.ndarray], scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
  """offset + scale * the sum of arrays of one shape, each element rounded once before it is scaled."""
  if not parts:
    return np.array(offset, np.float64)
  total = parts[0] if len(parts) == 1 else np.vectorize(lambda *row: math.fsum(row), otypes=[np.float64])(*parts)
  return np.asarray(offset + scale * total if offset or scale != 1.0 else total, np.float64)


def build(space: network_lib.Network, price: Price, unit: str, calibration: table_lib.Calibration | None = None) -> CostModel:
  """The cost model of a space: calibrated, fixed = offset + scale * (fixed parts), other terms = scale * price.

  Args:
    space: A search space; also an architecture, which has the fixed part only.
    price: What an operation costs where it stands, for instance `table.latency_ms`, `counting.macs`, `counting.file_bytes`.
    unit: One of `UNITS`.
    calibration: From sums of prices to the cost of a network; None leaves sums as they are.

  Raises:
    ValueError: The cost of a block depends on more than `MOST_DECISIONS` decisions, or what `price` raises.
  """
  decisions = schema.decisions(space)
  parts: dict[tuple[int, ...], list[np.ndarray]] = {(): []}
  for place in network_lib.places(space):
    if len(place.decisions) > MOST_DECISIONS:
      raise ValueError(f'the cost of block {place.block.name!r} depends on {len(place.decisions)} decisions, '
                       f'{", ".join(decisions[i].path for i in place.decisions)}; at most {MOST_DECISIONS} are possible')
    values = np.empty([len(decisions[i].choices) for i in place.decisions], np.float64)
    for choices in itertools.product(*map(range, values.shape)):
      variant = place.variants[choices]
      block = place.block
      values[choices] = price(network_lib.op_signature(variant.op, variant.input_shape, block.residual, space.padding, block.terms))
    parts.setdefault(place.decisions, []).append(values)
  fixed = [np.array(math.fsum(float(value) for value in parts.pop(())))]
  scale, offset = (1.0, 0.0) if calibration is None else (calibration.scale, calibration.offset_ms)
  terms = [Term((), _total(fixed, scale, offset)), *(Term(scope, _total(found, scale)) for scope, found in parts.items())]
  return CostModel(unit, decisions, tuple(terms))


def from_latency_table(space: network_lib.Network, table: table_lib.LatencyTable) -> CostModel:
  """Milliseconds from a table, calibrated; of a table in mJ, millijoules.

  Raises:
    ValueError: The table lacks entries (all are listed), or as `build`.
  """
  table.check_covers(space)
  return build(space, table.latency_ms, table.unit, table.calibration)


def from_macs(space: network_lib.Network) -> CostModel:
  """Multiply-adds; see `counting`."""
  return build(space, counting.macs, 'macs')


def from_file_bytes(space: network_lib.Network) -> CostModel:
  """Bytes of int8 .tflite files; see `counting`."""
  found = build(space, counting.file_bytes, 'bytes')
  return dataclasses.replace(found, terms=(Term((), found.terms[0].values + counting.FILE_HEADER), *found.terms[1:]))


def entry_sum(table: table_lib.LatencyTable, network: network_lib.Network) -> float:
  """Sum of a table's entries for an architecture in the table's unit, not calibrated.

  Raises:
    ValueError: Decisions are open in the network, or the table lacks entries (all are listed).
  """
  table.check_covers(network)
  return math.fsum(table.latency_ms(row.signature) for row in counting.count_blocks(network))
