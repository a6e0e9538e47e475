"""One decision alone: what its candidates may be, and that it computes the candidate that its gates name."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.nn import spaces
from tf_proxyless.nn import choice as choice_lib
from tf_proxyless.nn import gates
from tf_proxyless.nn import template
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import registry
from tf_proxyless.space import schema

SHAPE = (7, 5, 8)


@registry.register('test_backwards')
@dataclasses.dataclass(frozen=True)
class Backwards:
  """The layers of ConvBn in another order."""

  @property
  def short_name(self):
    return 'backwards'

  def layers(self, input_shape):
    return (layers_lib.BatchNorm('conv_bn'), layers_lib.Conv('conv', 8))


def _make(candidates, residual=False, padding='same', **kwargs):
  one_of = schema.OneOf(tuple(candidates), 'op')
  space = network_lib.Network('space', SHAPE, (network_lib.Block('decision', one_of, residual),), padding)
  place, = network_lib.places(space)
  return choice_lib.Choice(place, schema.decisions(space), padding, seed=1, name='decision', **kwargs)


def _path(index):
  return tf.constant([index])


def _images():
  return tf.constant(np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32))


@pytest.mark.parametrize('residual', [False, True])
@pytest.mark.parametrize('expand_ratios', [(1, 1), (3, 6)])
def test_runs_the_named_candidate_wherever_zero_stands(expand_ratios, residual):
  convolutions = [ops.MBConv(8, kernel_size, 1, expand) for kernel_size, expand in zip((3, 5), expand_ratios)]
  x = _images()
  for position in range(3):
    layer = _make([*convolutions[:position], ops.Zero(), *convolutions[position:]], residual)
    for index, candidate in enumerate(layer.candidates):
      expected = spaces.apply_op(candidate.op, x, candidate.weights) + (x if residual else 0.0)
      np.testing.assert_allclose(layer(x, layer.sample(_path(index))), expected, atol=1e-5)
      assert bool(layer.sample(_path(index)).row[template.RUNS]) == (index != position)


def test_without_zero_every_candidate_is_live():
  layer = _make([ops.MBConv(12, 3, 2), ops.MBConv(12, 5, 2)])
  assert all(layer.sample(_path(index)).row[template.RUNS] == 1 for index in range(2))
  assert layer(_images(), layer.sample(_path(1))).shape == (3, 4, 3, 12)


@pytest.mark.parametrize('residual', [False, True])
def test_pair_gives_the_active_output(residual):
  layer = _make([ops.MBConv(8, 3), ops.MBConv(8, 5), ops.Zero()], residual)
  x = _images()
  samples = [layer.sample(_path(i)) for i in range(3)]
  for active in range(3):
    for inactive in range(3):
      np.testing.assert_array_equal(
          layer(x, gates.make_pair(samples[active], samples[inactive])), layer(x, samples[active]))


def test_training_mode_changes_nothing():
  layer = _make([ops.MBConv(8, 3), ops.MBConv(8, 5)])
  x, sampled = _images(), layer.sample(_path(0))
  np.testing.assert_array_equal(layer(x, sampled, training=True), layer(x, sampled, training=False))


def test_half_precision_inputs_run_in_half_precision():
  layer, x = _make([ops.MBConv(8, 3), ops.Zero()], residual=True), _images()
  y = layer(tf.cast(x, tf.bfloat16), layer.sample(_path(0)))
  assert y.dtype == tf.bfloat16 and {weight.dtype for weight in layer.candidates[0].weights} == {tf.float32}
  np.testing.assert_allclose(tf.cast(y, tf.float32), layer(x, layer.sample(_path(0))), atol=0.2)


@pytest.mark.parametrize('candidates, message', [
    ((ops.Zero(), ops.Zero()), 'decision: no candidate computes anything'),
    ((ops.ConvBn(8), Backwards()), 'stand in different orders in candidates of one choice'),
])
def test_candidates_that_are_refused(candidates, message):
  with pytest.raises(ValueError, match=message):
    _make(candidates)


WIDE = tuple(ops.MBConv(8, kernel_size, 1, expand_ratio, activation, se_ratio) for kernel_size in (3, 5) for expand_ratio in (1, 3)
             for activation in ('relu6', 'hard_swish') for se_ratio in (0.0, 0.25))
OTHERS = (ops.SeparableConv(8, 5), ops.ConvBn(8, 3), ops.ConvBn(8, 1, groups=4), ops.MBConv(8, 3, 1, 2, groups=2), ops.Pool('average'),
          ops.Pool('max', 5), ops.Identity(), ops.Zero())


@pytest.mark.long
@pytest.mark.parametrize('residual', [pytest.param(False, marks=pytest.mark.long), True])
def test_candidates_of_any_structure_share_one_graph(residual):
  """Output, input gradient and weight gradients are those of each operation alone."""
  layer, x = _make((*WIDE, *OTHERS), residual), _images()

  @tf.function(input_signature=[tf.TensorSpec(x.shape), tf.TensorSpec([1], tf.int32)], autograph=False)
  def run(x, path):
    gates_ = layer.sample(path)
    with tf.GradientTape() as tape:
      tape.watch([x, *gates_.weights])
      y = layer(x, gates_)
      loss = tf.reduce_sum(y**2)
    return y, tape.gradient(loss, [x, *gates_.weights], unconnected_gradients='zero')

  order = list(range(len(layer.candidates)))
  for index in order:
    candidate = layer.candidates[index]
    with tf.GradientTape() as tape:
      tape.watch(x)
      expected = spaces.apply_op(candidate.op, x, candidate.weights) + (x if residual else 0.0)
      loss = tf.reduce_sum(expected**2)
    wanted = tape.gradient(loss, [x, *candidate.weights], unconnected_gradients='zero')
    y, (dx, *gradients) = run(x, _path(index))
    np.testing.assert_allclose(y, expected, atol=1e-4)
    np.testing.assert_allclose(dx, wanted[0], atol=2e-3, rtol=1e-3)
    having = [gradient for gradient, candidates in zip(gradients, layer.columns) if index in candidates]
    for found, gradient in zip(having, wanted[1:], strict=True):
      np.testing.assert_allclose(found, gradient, atol=2e-3, rtol=1e-3)
  assert run.experimental_get_tracing_count() == 1


def test_gates_of_another_type_are_refused():
  layer = _make([ops.MBConv(8, 3), ops.MBConv(8, 5)])
  with pytest.raises(TypeError, match='gates must be Sampled, Pair or Mixture, got tuple'):
    layer(_images(), (0, 1))
