"""One decision alone: what its candidates may be, and that it computes the candidate that its gates name."""

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless.nn import choice as choice_lib
from tf_proxyless.nn import gates
from tf_proxyless.nn import primitives
from tf_proxyless.space import ops

SHAPE = (7, 5, 8)


def _make(candidates, residual=False, padding='same'):
  return choice_lib.MixedOp(tuple(candidates), SHAPE, residual, padding, seed=1, name='decision')


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
      expected = primitives.apply(candidate.op, x, candidate.weights) + (x if residual else 0.0)
      np.testing.assert_allclose(layer(x, layer.sample(tf.constant(index))), expected, atol=1e-5)
      assert bool(layer.is_live(tf.constant(index))) == (index != position)


def test_without_zero_every_candidate_is_live():
  layer = _make([ops.MBConv(12, 3, 2), ops.MBConv(12, 5, 2)])
  assert bool(layer.is_live(tf.constant(0))) and bool(layer.is_live(tf.constant(1)))
  assert layer(_images(), layer.sample(tf.constant(1))).shape == (3, 4, 3, 12)


@pytest.mark.parametrize('residual', [False, True])
def test_pair_gives_the_active_output(residual):
  layer = _make([ops.MBConv(8, 3), ops.MBConv(8, 5), ops.Zero()], residual)
  x = _images()
  samples = [layer.sample(tf.constant(i)) for i in range(3)]
  for active in range(3):
    for inactive in range(3):
      np.testing.assert_array_equal(
          layer(x, gates.make_pair(samples[active], samples[inactive])), layer(x, samples[active]))


def test_training_mode_changes_nothing():
  layer = _make([ops.MBConv(8, 3), ops.MBConv(8, 5)])
  x, sampled = _images(), layer.sample(tf.constant(0))
  np.testing.assert_array_equal(layer(x, sampled, training=True), layer(x, sampled, training=False))


def test_half_precision_inputs_run_in_half_precision():
  layer = _make([ops.MBConv(8, 3), ops.Zero()], residual=True)
  layer_half = choice_lib.MixedOp((ops.MBConv(8, 3), ops.Zero()), SHAPE, True, 'same', seed=1, dtype='mixed_bfloat16')
  x = _images()
  y = layer_half(x, layer_half.sample(tf.constant(0)))
  assert y.dtype == tf.bfloat16
  np.testing.assert_allclose(tf.cast(y, tf.float32), layer(x, layer.sample(tf.constant(0))), atol=0.2)


@pytest.mark.parametrize('candidates, message', [
    ((ops.Zero(),), 'decision: candidates must be MBConvs and at most one Zero, got'),
    ((ops.MBConv(8), ops.Zero(), ops.Zero()), 'candidates must be MBConvs and at most one Zero'),
    ((ops.MBConv(8), ops.ConvBn(8)), 'candidates must be MBConvs and at most one Zero'),
    ((ops.MBConv(8, expand_ratio=1), ops.MBConv(8)), 'decision: candidates with and without expansion cannot share'),
])
def test_candidates_that_are_refused(candidates, message):
  with pytest.raises(ValueError, match=message):
    _make(candidates)


def test_gates_of_another_type_are_refused():
  layer = _make([ops.MBConv(8, 3), ops.MBConv(8, 5)])
  with pytest.raises(TypeError, match='gates must be Sampled or Pair, got tuple'):
    layer(_images(), (0, 1))
