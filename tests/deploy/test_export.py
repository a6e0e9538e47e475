"""Exports: bytes are pixels, integers throughout, and what is not so is named."""

import numpy as np
import pytest

from tests.deploy import classifiers
from tests.deploy import models
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import tflite

SHAPE = (32, 32, 3)


@pytest.fixture(scope='module')
def model():
  return classifiers.build()


@pytest.mark.parametrize('io, zero_point', [('uint8', 0), ('int8', -128)])
def test_int8_takes_pixels_whatever_the_representative_images_show(model, io, zero_point):
  images = classifiers.images(16) * 0.5 + 0.2  # neither black nor white
  found = export.check(export.convert(model, 'int8', images, io), 'int8', SHAPE)
  assert found.inputs[0].scale == pytest.approx(1 / 255, rel=1e-6) and found.inputs[0].zero_point == zero_point
  assert (found.inputs[0].type, found.outputs[0].type) == (io, io)
  assert found.tensor_types <= {'int8', 'int32', io}


@pytest.mark.parametrize('quantization', export.QUANTIZATIONS)
def test_a_file_agrees_with_its_model(model, quantization):
  representative = classifiers.images(64) if quantization == 'int8' else None
  content = export.convert(model, quantization, representative)
  export.check(content, quantization, SHAPE)
  images = classifiers.images(100, seed=5)
  result = evaluation.compare(evaluation.LiteRtModel(content), model.predict_on_batch, [(images, np.zeros(100, int))])
  assert result.agreement >= {'none': 1.0, 'float16': 0.99, 'int8': 0.95}[quantization]
  assert result.difference < {'none': 1e-4, 'float16': 0.03, 'int8': 20}[quantization]


def test_a_dense_layer_has_one_scale(model):
  content = export.convert(model, 'int8', classifiers.images(16))
  assert inspection.read(content).dense_scales == 1
  with pytest.raises(ValueError, match='a dense layer of 5 scales, of which older runtimes know the first alone'):
    export.check(models.with_dense_scales(content, 5), 'int8', SHAPE)


def test_stretching_touches_only_the_image_of_most_contrast():
  images = np.full((3, 2, 2, 1), 0.5, np.float32)
  images[1, 0, 0], images[2, 0, 0] = 0.4, 0.8
  stretched = export._span_all_pixels(images)
  np.testing.assert_array_equal(stretched[:2], images[:2])
  np.testing.assert_allclose(stretched[2].ravel(), [1, 0, 0, 0], atol=1e-6)
  assert images[2, 0, 0] == np.float32(0.8)


@pytest.mark.parametrize('images, message', [
    (np.zeros((0, *SHAPE), np.float32), 'there are no representative images'),
    (np.full((2, *SHAPE), 0.5, np.float32), 'each of the 2 representative images has one value everywhere'),
    (np.full((1, *SHAPE), 255, np.float32), r'must be in \[0, 1\], got 255 to 255'),
])
def test_unfit_representative_images(model, images, message):
  with pytest.raises(ValueError, match=message):
    export.convert(model, 'int8', images)


def test_what_is_not_fit_is_named(model):
  with pytest.raises(ValueError, match='quantization must be one of none, float16, int8'):
    export.convert(model, 'int4')
  floats = tflite.convert(model, 'float32')
  with pytest.raises(ValueError, match='tensors of float32; an input of float32, scale None'):
    export.check(floats, 'int8', SHAPE)
  with pytest.raises(ValueError, match=r'an input of shape \(1, 32, 32, 3\) instead of \(1, 64, 64, 3\)'):
    export.check(floats, 'none', (64, 64, 3))
  integers = tflite.convert(model, 'int8', classifiers.images(4) * 0.5, 'uint8')
  with pytest.raises(ValueError, match='an input of uint8, scale 0.00.*: a pixel / 255 is not a step'):
    export.check(integers, 'int8', SHAPE)
  with pytest.raises(ValueError, match='an input of uint8 and an output of uint8 instead of float32'):
    export.check(integers, 'float16', SHAPE)
  mixed = tflite.convert(model, 'int8', classifiers.images(4), 'float32')
  with pytest.raises(ValueError, match='tensors of float32'):
    export.check(mixed, 'int8', SHAPE)
  assert models.io_dtypes(mixed) == ('float32', 'float32')
