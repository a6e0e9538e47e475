"""Images that a small network can tell apart without being trained, and networks for them."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from tests.deploy import models
from tf_proxyless.nn import keras_network


def build(padding: str = 'same', seed: int = 1) -> keras.Model:
  """A network of every kind of block whose batch normalisation is not the identity, with outputs of about 1."""
  model = keras_network.build(models.small(padding), seed=seed)
  rng = np.random.default_rng(seed)
  for weight in model.weights:
    if weight.shape.rank == 1:
      low, high = (0.5, 2.0) if 'variance' in weight.name or 'gamma' in weight.name else (-0.5, 0.5)
      weight.assign(rng.uniform(low, high, weight.shape))
    else:
      weight.assign(weight * 3.0)
  return model


def images(count: int, seed: int = 0) -> np.ndarray:
  """float32 [count, 32, 32, 3] in [0, 1], of different mean and contrast."""
  rng = np.random.default_rng(seed)
  low, span = rng.uniform(0, 0.5, (count, 1, 1, 3)), rng.uniform(0.1, 0.5, (count, 1, 1, 1))
  return (low + span * rng.random((count, 32, 32, 3))).astype(np.float32)
