"""Normalisation inside the first convolution: the same function but for the borders."""

import numpy as np
import tf_keras as keras

from tests.deploy import models
from tests.deploy import quantized
from tf_proxyless.deploy import folding
from tf_proxyless.space import ops

NORMALIZATION = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}


def test_it_computes_the_same_inside():
  pixels = quantized.digits(16)
  normalised = ((pixels - NORMALIZATION['mean']) / NORMALIZATION['std']).astype(np.float32)
  model = quantized.network_like_trained(models.one(ops.ConvBn(8, 3, 1), (16, 16, 3)), normalised)
  model = keras.Model(model.inputs, next(layer.output for layer in model.layers if isinstance(layer, keras.layers.ReLU)))
  expected = model(normalised).numpy()
  folding.fold_normalization(model, NORMALIZATION)
  found = model(pixels).numpy()
  np.testing.assert_allclose(found[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-4)
  assert np.abs(found - expected).max() > 1e-2  # at the borders, zeros are another colour now


def test_without_normalization_nothing_changes():
  model = quantized.network_like_trained(models.one(ops.ConvBn(4, 3, 2), (16, 16, 3)), quantized.digits(16))
  before = model.get_weights()
  folding.fold_normalization(model, None)
  assert all(np.array_equal(found, value) for found, value in zip(model.get_weights(), before, strict=True))
