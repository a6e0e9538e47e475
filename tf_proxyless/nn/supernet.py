"""The over-parameterised network of a search space: fixed blocks, and a choice wherever a decision matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
import itertools
import operator

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import choice as choice_lib
from tf_proxyless.nn import gates as gates_lib
from tf_proxyless.nn import op_layer
from tf_proxyless.nn import primitives
from tf_proxyless.nn import segment as segment_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema


def _copies(sources: Sequence[Sequence[int]]) -> list[int]:
  """A number for each block that none has with which it may run at one time: one above the other do not."""
  above: list[int] = []  # of each block, as bits
  found: list[int] = []
  for i, places in enumerate(sources):
    above.append(functools.reduce(operator.or_, (above[source] | 1 << source for source in places if source >= 0), 0))
    taken = {found[j] for j in range(i) if not above[i] >> j & 1}
    found.append(next(number for number in itertools.count() if number not in taken))
  return found


class Supernet(keras.Model):
  """All networks of a space with shared weights; `call` runs the one that the gates name.

  Attributes:
    space: The search space.
    decisions: Its decisions.
    block_layers: One layer a block: a `Choice`, or an `OpLayer` where no decision matters.
    choices: The `Choice` layers among them.
    fixed_weights: The weights outside the choices.
    precision: 'float32', 'mixed_bfloat16' or 'mixed_float16', as Keras calls them: what is computed in up to the global pooling. Weights,
      statistics of batch normalisation, and what is behind the pooling are float32.
    recompute: Whether gradients keep only what passes between `segment.segments`, and compute the rest again (Chen et al. 2016, arXiv
      1604.06174).
  """

  def __init__(self, space: network_lib.Network, seed: int = 0, nested: bool = False, precision: str = 'float32', recompute: bool = False):
    """Makes the weights of all candidates.

    Args:
      space: A search space. Where its resolution is a decision, images come in the largest and are resized.
      seed: Seed of the weights' start values.
      nested: Whether operations that differ in sizes only share the weights of the largest, see `choice`.
      precision: Precision of the computation, see the attribute.
      recompute: Whether activations are computed again for gradients, see the attribute.

    Raises:
      ValueError: Candidates of a choice cannot share one graph.
    """
    super().__init__(name='supernet')
    self.space = space
    self.nested = nested
    self.precision = precision
    self.recompute = recompute
    self.decisions = schema.decisions(space)
    self.input_size = tuple(max(ops.values_of(size)) for size in space.input_shape)
    self.block_layers = [self._make_layer(place, primitives.block_seed(seed, i), copy)
                         for i, (place, copy) in enumerate(zip(network_lib.places(space), _copies(space.sources)))]
    self.choices = [layer for layer in self.block_layers if isinstance(layer, choice_lib.Choice)]
    self.fixed_weights = [weight for layer in self.block_layers if not isinstance(layer, choice_lib.Choice) for weight in layer.weights]
    self._segments = segment_lib.Segments()
    self.built = True

  def _make_layer(self, place: network_lib.Place, seed: int, copy: int) -> keras.layers.Layer:
    block, padding = place.block, self.space.padding
    if place.decisions:
      return choice_lib.Choice(place, self.decisions, padding, seed, self.nested, copy, name=block.name)
    variant = place.variants[()]
    return op_layer.OpLayer(variant.op, variant.input_shape, padding, seed, block.residual, name=block.name)

  @property
  def choice_runs(self) -> list[list[choice_lib.Choice]]:
    """The choices of each of the `segment.segments`."""
    runs = ([layer for layer in self.block_layers[blocks.start:blocks.stop] if isinstance(layer, choice_lib.Choice)]
            for blocks in segment_lib.segments(self.space.sources))
    return [run for run in runs if run]

  def sample(self, path: tf.Tensor) -> list[gates_lib.Sampled]:
    """Gates that run one network.

    Args:
      path: int32 [decisions], the choice of each decision.

    Returns:
      One for each of `choices`.
    """
    choices = tf.unstack(path, len(self.decisions))
    return [gates for run in self.choice_runs for gates in choice_lib.sample(run, choices)]

  def sample_pair(self, active: tf.Tensor, inactive: tf.Tensor) -> list[gates_lib.Pair]:
    """Gates of two networks, of which `active` acts.

    Args:
      active: int32 [decisions].
      inactive: int32 [decisions].
    """
    return [gates_lib.make_pair(*pair) for pair in zip(self.sample(active), self.sample(inactive))]

  def mix(self, weights: tf.Tensor) -> list[gates_lib.Mixture]:
    """Gates that run all candidates; each decision must be the one decision of one choice.

    Args:
      weights: float32 [decisions, most choices].
    """
    return [layer.mix(weights[layer.decisions[0]]) for layer in self.choices]

  def sample_mixture(self, path: tf.Tensor, weights: tf.Tensor) -> list[gates_lib.Mixture]:
    """Gates that run one network, each of its candidates times a weight; decisions as for `mix`.

    Args:
      path: int32 [decisions].
      weights: float32 [decisions].
    """
    return [gates_lib.Mixture((gates,), weights[layer.decisions[0]][None]) for layer, gates in zip(self.choices, self.sample(path))]

  def call(self, inputs, gates: Sequence[gates_lib.Gates], training=None, path: tf.Tensor | None = None):
    """Runs the gated network.

    Args:
      inputs: float [batch, height, width, channels].
      gates: One for each of `choices`, from `sample`, `sample_pair` or `mix`.
      training: Unused: batch normalisation takes batch statistics always.
      path: int32 [decisions], needed where the resolution is a decision.

    Returns:
      float32 logits [batch, classes].
    """
    runs = segment_lib.segments(self.space.sources)
    if not self.recompute and all(len(blocks) == 1 for blocks in runs):  # nothing to keep away, nothing to share
      return tf.cast(self.block_outputs(inputs, gates, path)[-1], tf.float32)
    x, remaining = self._images(inputs, path), iter(gates)
    for blocks in runs:
      layers = self.block_layers[blocks.start:blocks.stop]
      sources = tuple(tuple(max(source - blocks.start, -1) for source in self.space.sources[i]) for i in blocks)
      own = [next(remaining) for layer in layers if isinstance(layer, choice_lib.Choice)]
      x = self._segments.run(x, layers, sources, own, self.recompute)
    return tf.ensure_shape(tf.cast(x, tf.float32), [None, self.space.classes])

  def block_outputs(self, inputs, gates: Sequence[gates_lib.Gates], path: tf.Tensor | None = None) -> list[tf.Tensor]:
    """What each block of the gated network gives; for arguments see `call`."""
    remaining = iter(gates)
    runs = [(lambda x, layer=layer: layer(x, next(remaining))) if isinstance(layer, choice_lib.Choice) else layer
            for layer in self.block_layers]
    return segment_lib.run_blocks(self._images(inputs, path), runs, self.space.sources)

  def _images(self, inputs, path: tf.Tensor | None) -> tf.Tensor:
    return tf.cast(self._resized(inputs, path), self.precision.removeprefix('mixed_'))

  def _resized(self, images: tf.Tensor, path: tf.Tensor | None) -> tf.Tensor:
    """Images in the resolution of the path."""
    position = {decision.path: i for i, decision in enumerate(self.decisions)}
    sizes = []
    for where, size in zip(('input_shape/0', 'input_shape/1'), self.space.input_shape):
      if isinstance(size, schema.OneOf):
        if path is None:
          raise ValueError('the resolution is a decision: the path is needed')
        sizes.append(tf.gather(tf.constant(size.choices), path[position[size.name or where]]))
      else:
        sizes.append(size)
    if all(isinstance(size, int) for size in sizes):
      return images
    resized = tf.image.resize(images, tf.stack(sizes), antialias=True)
    resized.set_shape([images.shape[0], None, None, images.shape[3]])
    return resized

  def path_of(self, choices: Mapping[str, int] | Sequence[int]) -> tuple[int, ...]:
    """The path of a genotype, or a path as it is.

    Raises:
      KeyError, ValueError: The choices do not fit the space.
    """
    if isinstance(choices, Mapping):
      return schema.path_of(self.space, choices)
    schema.genotype(self.space, choices)
    return tuple(map(int, choices))
