"""Networks of normalised pixels take pixels / 255 after export, to the borders of the image."""

import numpy as np
import pytest
import tf_keras as keras

from tests import suites
from tests.deploy import classifiers
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export
from tf_proxyless.deploy import normalization

IMAGENET = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}


@pytest.mark.parametrize('padding', suites.few(['symmetric', 'same'], 1))
def test_it_computes_the_normalised_network(padding):
  model, images = classifiers.build(padding), classifiers.images(8)
  normalised = (images - np.float32(IMAGENET['mean'])) / np.float32(IMAGENET['std'])
  found = normalization.prepend(model, IMAGENET).predict_on_batch(images)
  np.testing.assert_allclose(found, model.predict_on_batch(normalised), rtol=1e-4, atol=1e-4)


def test_in_int8_borders_are_as_good_as_the_rest():
  inputs = keras.Input((16, 16, 3))
  layer = keras.layers.Conv2D(4, 3, padding='same', use_bias=False)
  outputs = layer(inputs)
  rows = keras.layers.Reshape((16 * 16 * 4,))(outputs)
  model = normalization.prepend(keras.Model(inputs, rows), IMAGENET)
  images = classifiers.images(16)[:, :16, :16]
  runner = evaluation.LiteRtModel(export.convert(model, 'int8', images))
  found, (scale, zero_point) = runner(images), runner.output['quantization']
  error = np.abs((found.astype(np.float32) - zero_point) * scale - model.predict_on_batch(images)).reshape(-1, 16, 16, 4)
  assert error[:, 0].max() < 2 * error[:, 1:-1, 1:-1].max() < 6 * scale


def test_without_normalisation_the_model_is_itself():
  model = classifiers.build()
  assert normalization.prepend(model, None) is model


@pytest.mark.parametrize('wrong', [{'mean': (0.5,), 'std': (0.5,)}, {'mean': (0.5, 0.5, 0.5), 'std': (0.5, 0.0, 0.5)}])
def test_what_is_refused(wrong):
  with pytest.raises(ValueError, match='3 numbers for mean and 3 positive ones for std'):
    normalization.prepend(classifiers.build(), wrong)
