"""Segments: runs of blocks between which one tensor passes.

Those that differ only in numbers of channels share a graph, so that start-up grows with the kinds of segments, not with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
import functools

import tensorflow as tf

from tf_proxyless.nn import choice as choice_lib
from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import op_layer
from tf_proxyless.nn import variable_table

Layer = choice_lib.Choice | op_layer.OpLayer


def segments(sources: Sequence[Sequence[int]]) -> list[range]:
  """The blocks in runs of which each reads nothing that was made before it but the output of the run before: in a chain single blocks.

  Args:
    sources: Of each block, the blocks whose outputs it reads; -1 is the images.
  """
  last = {source: i for i, places in enumerate(sources) for source in places}  # who reads it last
  found, begin, until = [], 0, 0
  for i in range(len(sources)):
    until = max(until, last.get(i - 1, i))
    if until <= i:
      found.append(range(begin, i + 1))
      begin = i + 1
  return found


def run_blocks(x: tf.Tensor, runs: Sequence[Callable[[tf.Tensor], tf.Tensor]], sources: Sequence[Sequence[int]]) -> list[tf.Tensor]:
  """What each block gives.

  Args:
    x: What source -1 gives.
    runs: What each block computes of the sum of its sources.
    sources: Of each block, the blocks whose outputs it reads.
  """
  found: list[tf.Tensor] = []
  for run, places in zip(runs, sources, strict=True):
    terms = [x if source < 0 else found[source] for source in places]
    found.append(run(tf.add_n(terms) if len(terms) > 1 else terms[0]))
  return found


class Segments:
  """Runs the segments of one network."""

  def __init__(self):
    self._graphs: dict[Hashable, Callable[..., tf.Tensor]] = {}

  def run(self, x: tf.Tensor, layers: Sequence[Layer], sources: Sequence[tuple[int, ...]],
          gates: Sequence[gates_lib.Gates], recompute: bool) -> tf.Tensor:
    """What the last block of a segment gives.

    Args:
      x: What source -1 gives.
      layers: One a block.
      sources: Of each block, the blocks whose outputs it reads.
      gates: One for each choice among the layers. Where they are not `Sampled`, gradients reach no weights.
      recompute: Whether gradients keep only the arguments, and compute the rest again (Chen et al. 2016, arXiv 1604.06174).
    """
    fixed = [layer.arguments() for layer in layers if isinstance(layer, op_layer.OpLayer)]
    arguments = (x, list(gates), fixed)
    flat = tf.nest.flatten(arguments)
    specs = tuple(tf.TensorSpec([1 if size == 1 else None for size in each.shape], each.dtype) for each in flat)
    key = (specs, tuple(sources), tuple(layer.form for layer in layers), tuple(map(type, gates)), recompute)
    if key not in self._graphs:
      body = _body(layers, sources, arguments)
      self._graphs[key] = _graph(_recomputed(body, specs) if recompute else body, specs)
    return self._graphs[key](*flat)


def _body(layers: Sequence[Layer], sources: Sequence[tuple[int, ...]], structure) -> Callable[..., tf.Tensor]:
  def body(*flat: tf.Tensor) -> tf.Tensor:
    x, gates, fixed = tf.nest.pack_sequence_as(structure, flat)
    if not all(isinstance(each, gates_lib.Sampled) for each in gates):
      fixed = tf.nest.map_structure(tf.stop_gradient, fixed)
    remaining_gates, remaining_fixed = iter(gates), iter(fixed)
    runs = [lambda x, layer=layer: layer.run(x, next(remaining_gates if isinstance(layer, choice_lib.Choice) else remaining_fixed))
            for layer in layers]
    return run_blocks(x, runs, sources)[-1]

  return body


def _graph(function: Callable, specs: Sequence[tf.TensorSpec]) -> Callable:
  return tf.function(function, input_signature=list(specs), autograph=False, experimental_attributes=variable_table.NOT_INLINED)


def _recomputed(body: Callable[..., tf.Tensor], specs: Sequence[tf.TensorSpec]) -> Callable[..., tf.Tensor]:
  """The same function, whose gradients are another graph that computes all again."""
  learned = [i for i, spec in enumerate(specs) if spec.dtype.is_floating]

  def differentiate(*flat):
    *arguments, dy = flat
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch([arguments[i] for i in learned])
      y = body(*arguments)
    return tape.gradient(y, [arguments[i] for i in learned], output_gradients=dy)

  backward = functools.cache(lambda dtype: _graph(differentiate, (*specs, tf.TensorSpec(None, dtype))))

  @tf.custom_gradient
  def run(*flat):
    def gradient(dy):
      found = dict(zip(learned, backward(dy.dtype)(*flat, dy)))
      return [found.get(i) for i in range(len(flat))]

    return body(*flat), gradient

  return run
