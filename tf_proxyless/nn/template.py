"""One computation for all candidates of a choice: the ordered union of their layers.

A layer that only some candidates have stands in a `tf.cond` on a flag of the sampled candidate; one that differs between candidates in more
than its sizes, such as the kind of an activation, in a `tf.switch_case` on a number of the sampled candidate; sizes come with the sampled
weights. So the graph grows with the union of the layers, not with the candidates, and one trace serves all places of equal templates.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
import dataclasses
import functools
import itertools

import tensorflow as tf

from tf_proxyless.nn import depthwise
from tf_proxyless.nn import primitives
from tf_proxyless.nn import variable_table
from tf_proxyless.space import layers as layers_lib


RUNS = 1  # position in a row, of which the first number is the candidate: whether this computes anything


@dataclasses.dataclass(frozen=True)
class Slot:
  """A layer of the template.

  Attributes:
    variants: What it is for some candidate, without sizes; which one is a number of the candidate, where there are several.
    candidates: The candidates that have it.
    weight_ranks: Ranks of its weights.
    geometry: Geometry of a depthwise convolution.
  """

  variants: tuple[layers_lib.Layer, ...]
  candidates: tuple[int, ...]
  weight_ranks: tuple[int, ...]
  geometry: depthwise.Geometry | None

  @property
  def name(self) -> str:
    """The name of the layer in its operations."""
    return self.variants[0].name


@dataclasses.dataclass(frozen=True)
class Template:
  """The union of the layers of candidates.

  Attributes:
    slots: In the order of computation.
    present: The candidates that compute anything.
    count: Number of candidates.
  """

  slots: tuple[Slot, ...]
  present: tuple[int, ...]
  count: int

  @functools.cached_property
  def groups(self) -> tuple[tuple[Slot, ...], ...]:
    """Runs of slots that the same candidates have: those of one run come and go together."""
    runs: list[list[Slot]] = []
    for slot in self.slots:
      if runs and runs[-1][0].candidates == slot.candidates:
        runs[-1].append(slot)
      else:
        runs.append([slot])
    return tuple(map(tuple, runs))

  def is_optional(self, group: Sequence[Slot]) -> bool:
    """Whether some candidate that computes anything lacks the slots of a group."""
    return group[0].candidates != self.present

  @functools.cached_property
  def flag_positions(self) -> tuple[int | None, ...]:
    """For each group where a row says whether its candidate has it; None where all have it."""
    positions = itertools.count(RUNS + 1)
    return tuple(next(positions) if self.is_optional(group) else None for group in self.groups)

  @functools.cached_property
  def form(self) -> tuple[Hashable, ...]:
    """What a graph must know: the slots of each group, which groups are optional, and whether some candidate computes nothing."""
    groups = tuple(tuple((slot.variants, slot.weight_ranks, slot.geometry) for slot in group) for group in self.groups)
    return groups, tuple(map(self.is_optional, self.groups)), len(self.present) < self.count

  def facts(self, candidates: Sequence[Sequence[layers_lib.Layer]]) -> list[tuple[int, ...]]:
    """For each candidate its row from RUNS on: whether it computes anything, whether it has each optional group, which variants it has.

    Args:
      candidates: The layers of each.
    """
    rows = []
    for i, layers in enumerate(candidates):
      flags = [i in group[0].candidates for group in self.groups if self.is_optional(group)]
      known = {layer.name: without_sizes(layer) for layer in layers}
      numbers = [slot.variants.index(known.get(slot.name, slot.variants[0])) for slot in self.slots if len(slot.variants) > 1]
      rows.append((i in self.present, *flags, *numbers))
    return [tuple(map(int, row)) for row in rows]


def without_sizes(layer: layers_lib.Layer) -> layers_lib.Layer:
  """A layer as the graph must know it: sizes that come with the weights are 0."""
  match layer:
    case layers_lib.Conv():
      return dataclasses.replace(layer, filters=0, kernel_size=0)
    case layers_lib.DepthwiseConv():
      return dataclasses.replace(layer, kernel_size=0)
    case layers_lib.SqueezeExcite():
      return dataclasses.replace(layer, filters=0)
    case layers_lib.Dense():
      return dataclasses.replace(layer, units=0)
    case layers_lib.Dropout():
      return dataclasses.replace(layer, rate=0.0)
    case _:
      return layer


def _order(sequences: Sequence[Sequence[str]]) -> list[str]:
  """An order of all names that keeps the order of each sequence.

  Raises:
    ValueError: Two names stand in different orders.
  """
  before: dict[str, set[str]] = {}
  for sequence in sequences:
    for i, name in enumerate(sequence):
      before.setdefault(name, set()).update(sequence[:i])
  order: list[str] = []
  while len(order) < len(before):
    ready = [name for name in before if name not in order and before[name] <= set(order)]
    if not ready:
      raise ValueError(f'layers {sorted(set(before) - set(order))} stand in different orders in candidates of one choice')
    order.append(ready[0])
  return order


def merge(candidates: Sequence[Sequence[layers_lib.TracedLayer]], padding: str,
          others: Sequence[Sequence[layers_lib.TracedLayer]] = ()) -> Template:
  """The template of some candidates.

  Args:
    candidates: The layers of each, in the order of the choice; one that gives zeros has a `Zeros` layer only.
    padding: 'same' or 'symmetric'.
    others: The layers of the candidates in other sizes, and on inputs of other sizes.

  Raises:
    ValueError: The layers of two candidates stand in different orders, or layers of one name have different numbers of weights.
  """
  named = [{traced.layer.name: traced for traced in layers if not isinstance(traced.layer, layers_lib.Zeros)} for layers in candidates]
  zeros = [any(isinstance(traced.layer, layers_lib.Zeros) for traced in layers) for layers in candidates]
  present = tuple(i for i, zero in enumerate(zeros) if not zero)
  met: dict[str, list[layers_lib.TracedLayer]] = {}
  for layer in (layer for layers in (*candidates, *others) for layer in layers):
    met.setdefault(layer.layer.name, []).append(layer)
  slots = []
  for name in _order([list(named[i]) for i in present]):
    having = tuple(i for i in present if name in named[i])
    traced = [named[i][name] for i in having]
    ranks = {tuple(len(spec.shape) for spec in layer.weights) for layer in traced}
    if len(ranks) != 1:
      raise ValueError(f'layers called {name!r} have different weights in candidates of one choice')
    variants = tuple(dict.fromkeys(without_sizes(layer.layer) for layer in traced))
    slots.append(Slot(variants, having, ranks.pop(), geometry(met[name], padding)))
  return Template(tuple(slots), present, len(candidates))


def geometry(traced: Sequence[layers_lib.TracedLayer], padding: str) -> depthwise.Geometry | None:
  """The geometry of layers of one name, if they are depthwise convolutions."""
  kinds = [layer.layer for layer in traced if isinstance(layer.layer, layers_lib.DepthwiseConv)]
  if not kinds:
    return None
  strides = kinds[0].strides
  if any(layer.strides != strides for layer in kinds):
    raise ValueError(f'layer {kinds[0].name!r} has different strides in candidates of one choice')
  remainders = {(layer.input_shape[0] % strides, layer.input_shape[1] % strides) for layer in traced}
  return depthwise.Geometry(strides, padding, tuple(sorted(remainders)), tuple(sorted({layer.extent for layer in kinds})))


def body(template: Template, padding: str, residual: bool, frozen: bool, dtype: str, copy: tuple[int, int]):
  """The computation shared by all places of one template: (row, x, weights...) -> y.

  Args:
    template: Template of the candidates; only what the graph must know of it matters.
    padding: 'same' or 'symmetric'.
    residual: Whether x is added.
    frozen: Whether gradients reach x only; no filter gradient is computed then.
    dtype: Data type of x, y and what is computed; weights are float32.
    copy: Computations that may run at one time must differ in it.

  Returns:
    A tf.function of: int32 row, see `Template.facts`; float x; the weights of all slots.
  """
  form, optional, skippable = template.form
  return _body(form, optional, skippable, padding, residual, frozen, dtype, copy)


@functools.cache
def _body(form, optional: tuple[bool, ...], skippable: bool, padding: str, residual: bool, frozen: bool, dtype: str, copy: tuple[int, int]):
  del copy  # of the cache only
  slots = [slot for group in form for slot in group]
  facts = RUNS + 1 + sum(optional) + sum(len(variants) > 1 for variants, *_ in slots)
  signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None] * 4, dtype)]
  signature += [_weight_spec(variants[0], rank) for variants, ranks, _ in slots for rank in ranks]

  @tf.function(input_signature=signature, autograph=False, experimental_attributes=variable_table.NOT_INLINED)
  def choice_body(row, x, *weights):
    numbers = tf.unstack(row[:facts], facts)
    remaining_flags = iter([number > 0 for number in numbers[RUNS + 1:RUNS + 1 + sum(optional)]])
    remaining_numbers = iter(numbers[RUNS + 1 + sum(optional):])
    remaining_weights = iter(list(map(tf.stop_gradient, weights)) if frozen else weights)

    def run():
      y = x
      for group, may_lack in zip(form, optional):
        steps = [_step(variants, geometry, [next(remaining_weights) for _ in ranks],
                       next(remaining_numbers) if len(variants) > 1 else None, padding) for variants, ranks, geometry in group]
        if may_lack:
          y = tf.cond(next(remaining_flags), functools.partial(_chain, steps, y), functools.partial(tf.identity, y))
        else:
          y = _chain(steps, y)
      return x + y if residual else y

    def skip():
      return tf.identity(x) if residual else tf.zeros_like(x)

    return tf.cond(numbers[RUNS] > 0, run, skip) if skippable else run()

  return choice_body


def _weight_spec(layer: layers_lib.Layer, rank: int) -> tf.TensorSpec:
  shape = [None] * rank
  if isinstance(layer, layers_lib.DepthwiseConv):
    shape[-1] = 1  # the multiplier, which gradients want to know
  return tf.TensorSpec(shape, tf.float32)


def _step(variants, geometry, weights, number, padding):
  """A function that runs one slot."""
  def run(x):
    branches = [lambda layer=layer: primitives.apply(layer, x, weights, padding, geometry) for layer in variants]
    return branches[0]() if number is None else tf.switch_case(number, branches)
  return run


def _chain(steps, x):
  for step in steps:
    x = step(x)
  return x
