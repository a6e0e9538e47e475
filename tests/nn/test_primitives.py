"""Operations as functions of weights: start values, and batch normalisation by its definition."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless.cost import counting
from tf_proxyless.nn import primitives
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network
from tf_proxyless.space import ops

OPS = (ops.ConvBn(8, 3, 2), ops.MBConv(8, 5, 2, 1), ops.MBConv(12, 7, 1, 6), ops.Zero(), ops.Classifier(5))


@pytest.mark.parametrize('op', OPS, ids=ops.short_name)
def test_weights_are_those_that_are_counted(op):
  specs = primitives.weight_specs(op, (6, 6, 8))
  assert sum(math.prod(spec.shape) for spec in specs) == counting.count(network.op_signature(op, (6, 6, 8))).parameters
  assert len({spec.name for spec in specs}) == len(specs)


@pytest.mark.parametrize('op, deviations', [
    # he_fout: sqrt(2 / (k * k * filters)), filters being the channels of a depthwise kernel.
    (ops.MBConv(16, 7, 1, 6), {'expand/kernel': math.sqrt(2 / 384), 'depthwise/depthwise_kernel': math.sqrt(2 / (49 * 384)),
                               'project/kernel': math.sqrt(2 / 16)}),
    (ops.ConvBn(64, 3), {'conv/kernel': math.sqrt(2 / (9 * 64))}),
    # Uniform within 1 / sqrt(inputs) has the deviation of its bound over sqrt(3).
    (ops.Classifier(100), {'dense/kernel': 1 / 8 / math.sqrt(3)}),
], ids=['mbconv', 'conv', 'classifier'])
def test_start_values_have_the_official_deviations(op, deviations):
  for spec in primitives.weight_specs(op, (6, 6, 64)):
    value = primitives.initial_value(spec, seed=3).numpy()
    if spec.name in deviations:
      assert value.std() == pytest.approx(deviations[spec.name], rel=0.05)
      assert abs(value.mean()) < 0.05 * deviations[spec.name]
    else:
      np.testing.assert_array_equal(value, np.full(spec.shape, 1.0 if spec.name.endswith('gamma') else 0.0))


def test_start_values_are_a_function_of_spec_and_seed():
  expand, project = (layers_lib.WeightSpec(f'{name}/kernel', (4, 4), 'normal', 1.0) for name in ('expand', 'project'))
  large = 2**31 * 5 + 7
  values = [primitives.initial_value(spec, seed).numpy() for spec in (expand, project) for seed in (0, 1, 7, large)]
  for i, value in enumerate(values):
    assert all((value != other).all() for other in values[:i])
  np.testing.assert_array_equal(values[3], primitives.initial_value(expand, large))


def test_batch_norm_by_its_definition():
  random = np.random.default_rng(0)
  x, gamma, beta = (random.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 5, 4), (4,), (4,)))
  expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3) * gamma + beta
  np.testing.assert_allclose(primitives.batch_norm(*map(tf.constant, (x, gamma, beta))), expected, atol=1e-5)


def test_what_is_not_a_layer():
  with pytest.raises(TypeError, match="not a primitive layer: 'conv'"):
    primitives.apply('conv', tf.zeros([1, 2, 2, 3]), [])
