"""A choice: a block of a space, of whose candidates only those run that the gates name.

One graph serves all paths. The candidates' resource handles lie in a table [candidates, weights]; a sampled candidate's row is
gathered and read inside the graph, and one body with unknown dimensions (`template`), traced once for all blocks of the same form,
computes whichever candidate came. So start-up does not grow with the candidates, and neither do activations or compute
(docs/performance.md). What the bodies must know of a candidate is one row of numbers.

Decisions that change operations or their layers make candidates with weights of their own. Decisions that only change numbers of
channels (filters; the expansion of an operation) share the weights of the largest: a path works with the first channels of each, which
equals masking the others (FBNetV2, arXiv 2004.05565).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
import dataclasses
import itertools
import math

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import op_layer
from tf_proxyless.nn import template as template_lib
from tf_proxyless.nn import variable_table
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class _Candidate:
  """Variants of a place that share weights.

  Attributes:
    op: The operation of the first variant.
    input_shape: Its input.
    specs: The weights: of each the largest shape.
  """

  op: ops.Op
  input_shape: ops.Shape
  specs: tuple[layers_lib.WeightSpec, ...]


def _traced(variant: network_lib.Variant) -> tuple[layers_lib.TracedLayer, ...]:
  return tuple(layers_lib.trace(variant.op.layers(variant.input_shape), variant.input_shape))


def _form(variant: network_lib.Variant, nested: bool = False) -> tuple[layers_lib.Layer, ...]:
  """The layers without numbers of channels, and without kernel sizes where these are nested."""
  if nested:
    return tuple(template_lib.without_sizes(traced.layer) for traced in _traced(variant))
  kept = []
  for traced in _traced(variant):
    layer = template_lib.without_sizes(traced.layer)
    kept.append(dataclasses.replace(layer, kernel_size=traced.layer.kernel_size) if hasattr(layer, 'kernel_size') else layer)
  return tuple(kept)


def _shares_weights(place: network_lib.Place, axis: int) -> bool:
  """Whether the choices of one decision differ in numbers of channels only, so that they share weights."""
  forms: dict[tuple[int, ...], set[tuple[layers_lib.Layer, ...]]] = {}
  for choices, variant in place.variants.items():
    forms.setdefault(choices[:axis] + choices[axis + 1:], set()).add(_form(variant))
  return all(len(found) == 1 for found in forms.values())


def part_begin(full: Sequence[int], part: Sequence[int]) -> tuple[int, ...]:
  """Where the part of a shared weight begins that a path uses: the centre of a kernel (four axes), the first channels."""
  return tuple((size - used) // 2 if len(part) == 4 and axis < 2 else 0 for axis, (size, used) in enumerate(zip(full, part)))


class Choice(keras.layers.Layer):
  """The candidates of one place and their shortcut, run as the gates say.

  Attributes:
    decisions: Indices of the decisions that matter here.
    candidates: One layer for each set of weights.
    table: The candidates' variables, a row each; None where there are none.
    columns: For each weight of the template, in order, the candidates that have it.
    parts: The columns of which some path uses a part, each with the place in a row where its begin and then its shape stand.
    rows: int32 [variants, numbers], what the graph must know of a variant: its candidate, `Template.facts` of that, and these parts.
  """

  def __init__(self, place: network_lib.Place, decisions: Sequence[schema.Decision], padding: str, seed: int, nested: bool = False,
               copy: int = 0, **kwargs):
    """Makes all candidates' weights.

    Args:
      place: A block with the decisions that matter there.
      decisions: The decisions of the space.
      padding: 'same' or 'symmetric'.
      seed: Seed of the weights' start values.
      nested: Whether operations that differ in sizes only share the weights of the largest, see the module.
      copy: Choices that may run at one time must differ in it, see `variable_table.NOT_INLINED`.
      **kwargs: Of `keras.layers.Layer`.

    Raises:
      ValueError: The candidates cannot share one graph.
    """
    super().__init__(autocast=False, **kwargs)
    self.decisions = place.decisions
    self._residual = place.block.residual
    self._padding = padding
    self._copy = copy
    self._sizes = [1 + max(choices[axis] for choices in place.variants) for axis in range(len(place.decisions))]
    op = place.block.op
    own = (op.name or f'blocks/{place.block.name}/op') if isinstance(op, schema.OneOf) else None  # its candidates have weights of their own
    sharing = [decisions[index].path != own and _shares_weights(place, axis) for axis, index in enumerate(place.decisions)]
    if nested:
      variants, rows = self._group_nested(place)
    else:
      variants, rows = self._group(place, sharing, [decisions[index] for index in place.decisions])
    candidates = [self._candidate(members) for members in rows]
    self.candidates = [
        op_layer.OpLayer(candidate.op, candidate.input_shape, padding, seed + i, specs=candidate.specs,
                         name=f'{i}_{ops.short_name(candidate.op)}') for i, candidate in enumerate(candidates)]
    traced = [_traced(members[0]) for members in rows]
    self._template = template_lib.merge(traced, padding, [_traced(variant) for _, variant in variants])
    if not self._template.present:
      raise ValueError(f'{self.name}: no candidate computes anything')
    self.columns = self._columns()
    self.table = variable_table.VariableTable(self.fill([layer.weights for layer in self.candidates])) if self.columns else None
    self._candidate_of = [found for found, _ in variants]
    facts = self._template.facts([[layer.layer for layer in layers] for layers in traced])
    parts = self._parts([variant for _, variant in variants])
    self.rows = tf.constant([[found, *facts[found], *(number for column in parts.values() for part in column[i] for number in part)]
                             for i, found in enumerate(self._candidate_of)], tf.int32)
    lengths = [2 * len(column[0][0]) for column in parts.values()]
    ends = itertools.accumulate(lengths, initial=self.rows.shape[1] - sum(lengths))
    self.parts = tuple(zip(parts, ends))
    outputs = {variant.output_shape for _, variant in variants}
    self._output_shape = [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*outputs)]

  @staticmethod
  def _group(place: network_lib.Place, sharing: Sequence[bool], decisions: Sequence[schema.Decision]) -> tuple[
      list[tuple[int, network_lib.Variant]], list[list[network_lib.Variant]]]:
    """Each variant with its candidate, and the variants of each candidate."""
    known = {decision.path for decision in decisions}
    here = [dataclasses.replace(decision, parents=tuple(parent for parent in decision.parents if parent[0] in known))
            for decision in decisions]
    candidates: dict[tuple[int, ...], list[network_lib.Variant]] = {}
    variants = []
    for choices, variant in place.variants.items():
      key = tuple(choice for choice, shared in zip(schema.canonical(here, choices), sharing) if not shared)
      candidates.setdefault(key, []).append(variant)
      variants.append((list(candidates).index(key), variant))
    return variants, list(candidates.values())

  @staticmethod
  def _group_nested(place: network_lib.Place) -> tuple[list[tuple[int, network_lib.Variant]], list[list[network_lib.Variant]]]:
    """The same, where all variants of one form are one candidate."""
    candidates: dict[tuple[layers_lib.Layer, ...], list[network_lib.Variant]] = {}
    for variant in place.variants.values():
      candidates.setdefault(_form(variant, nested=True), []).append(variant)
    forms = list(candidates)
    return [(forms.index(_form(variant, nested=True)), variant) for variant in place.variants.values()], list(candidates.values())

  @staticmethod
  def _candidate(members: Sequence[network_lib.Variant]) -> _Candidate:
    all_specs = [[spec for layer in _traced(variant) for spec in layer.weights] for variant in members]
    largest = tuple(dataclasses.replace(
        max(specs, key=lambda spec: math.prod(spec.shape)), shape=tuple(map(max, zip(*(spec.shape for spec in specs)))))
                    for specs in zip(*all_specs))
    return _Candidate(members[0].op, members[0].input_shape, largest)

  def _columns(self) -> list[tuple[int, ...]]:
    """For each weight of the template, in order, the candidates that have it."""
    return [slot.candidates for slot in self._template.slots for _ in slot.weight_ranks]

  def fill(self, rows: Sequence[Sequence[tf.Variable]]) -> list[list[tf.Variable]]:
    """Rows by candidate as rows of equal length, a column for each weight of the template.

    What a candidate lacks is another's variable, so that a gather is always in range; it is never used.

    Args:
      rows: For each candidate, something for each of its weights.
    """
    full: list[list[tf.Variable]] = [[] for _ in rows]
    taken = [0] * len(rows)
    for having in self.columns:
      values = {i: rows[i][taken[i]] for i in having}
      for i in having:
        taken[i] += 1
      for i, row in enumerate(full):
        row.append(values.get(i, values[having[0]]))
    return full

  def _parts(self, variants: Sequence[network_lib.Variant]) -> dict[int, list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """For each column of which some path uses a part: where it begins and its shape, by variant."""
    shapes: list[list[tuple[int, ...] | None]] = []
    for variant, candidate in zip(variants, self._candidate_of):
      specs = iter([spec for layer in _traced(variant) for spec in layer.weights])
      shapes.append([next(specs).shape if candidate in having else None for having in self.columns])
    parts = {}
    filled = self.fill([layer.weights for layer in self.candidates])
    for column in range(len(self.columns)):
      full = [tuple(filled[candidate][column].shape) for candidate in self._candidate_of]
      found = [row[column] or whole for row, whole in zip(shapes, full)]
      if found != full:
        parts[column] = [(part_begin(whole, part), part) for whole, part in zip(full, found)]
    return parts

  @property
  def weight_groups(self) -> tuple[tuple[int, int | None], ...]:
    """Runs of weights that the same candidates have: how many, and where a row says whether its candidate has them (None: all have)."""
    positions = self._template.flag_positions
    groups = [(sum(len(slot.weight_ranks) for slot in group), positions[i]) for i, group in enumerate(self._template.groups)]
    return tuple((count, position) for count, position in groups if count)

  def candidate(self, path: Sequence[int]) -> op_layer.OpLayer:
    """The candidate that a path chooses.

    Args:
      path: Choices [decisions of the space].
    """
    return self.candidates[self._candidate_of[int(self.index(path))]]

  def index(self, path: tf.Tensor | np.ndarray) -> tf.Tensor:
    """The variant (int32 scalar) of a path, int32 [decisions of the space]."""
    if len(self.decisions) == 1:
      return path[self.decisions[0]]
    index = tf.constant(0)
    for decision, size in zip(self.decisions, self._sizes):
      index = index * size + path[decision]
    return index

  def sample(self, path: tf.Tensor) -> gates_lib.Sampled:
    """Gates that run what a path chooses.

    Args:
      path: int32 [decisions of the space].
    """
    return sample([self], path)[0]

  def mix(self, weights: tf.Tensor) -> gates_lib.Mixture:
    """Gates that run all candidates of the one decision.

    Args:
      weights: float32 [most choices of a decision of the space].
    """
    members = tuple(self.sample([tf.constant(i)] * (1 + self.decisions[0])) for i in range(self._sizes[0]))
    return gates_lib.Mixture(members, weights[:len(members)])

  def _run(self, x: tf.Tensor, gates: gates_lib.Sampled, residual: bool, frozen: bool, member: int = 0) -> tf.Tensor:
    run = template_lib.body(self._template, self._padding, residual, frozen, x.dtype.name, (self._copy, member))
    return run(gates.row, x, *gates.weights)

  @property
  def form(self) -> tuple[Hashable, ...]:
    """What a graph must know that runs equal choices of any number of channels."""
    return (*self._template.form, self._padding, self._residual, self._copy)

  def call(self, inputs, gates, training=None):
    """Runs what the gates name, with batch normalisation on batch statistics whatever `training` is.

    Args:
      inputs: float [batch, height, width, channels]; the computation has their type.
      gates: `Sampled`; `Pair`, whose gradients reach the gates, and the input through the active candidate; or `Mixture`, whose reach both
        through all candidates. Those of the last two reach no weights.
      training: Unused: batch statistics always.

    Returns:
      float [batch, height, width, filters], of the type of the inputs; behind global pooling float32 [batch, filters].
    """
    y = self.run(inputs, gates)
    y.set_shape([inputs.shape[0], *self._output_shape] if y.shape.rank in (4, None) else [inputs.shape[0], self._output_shape[-1]])
    return y

  def run(self, inputs: tf.Tensor, gates: gates_lib.Gates) -> tf.Tensor:
    """Runs the gates of any choice of the same form, on inputs of unknown size; for arguments see `call`."""
    match gates:
      case gates_lib.Sampled():
        return self._run(inputs, gates, self._residual, frozen=False)
      case gates_lib.Pair():
        active = self._run(inputs, gates.active, residual=False, frozen=True)
        inactive = self._run(tf.stop_gradient(inputs), gates.inactive, residual=False, frozen=True, member=1)
        mixed = gates_lib.combine(active, inactive, gates.gates)
        return inputs + mixed if self._residual else mixed
      case gates_lib.Mixture():
        outputs = [self._run(inputs, member, residual=False, frozen=True, member=i) for i, member in enumerate(gates.members)]
        weights = tf.unstack(gates.weights, len(outputs))
        mixed = tf.add_n([weight * tf.cast(output, tf.float32) for weight, output in zip(weights, outputs)])
        mixed = tf.cast(mixed, inputs.dtype)
        return inputs + mixed if self._residual else mixed
      case _:
        raise TypeError(f'gates must be Sampled, Pair or Mixture, got {type(gates).__name__}')


def sample(choices: Sequence[Choice], path: Sequence[tf.Tensor] | tf.Tensor) -> list[gates_lib.Sampled]:
  """Gates that run what a path, int32 [decisions of the space], chooses in each; one call of one graph."""
  requests = [(choice.table, choice.rows, choice.index(path), choice.parts) for choice in choices]
  return [gates_lib.Sampled(row, tuple(values)) for row, values in variable_table.read(requests)]
