"""Running files: what comes out, whatever the kernels and the number of workers; comparisons counted by hand."""

import numpy as np
import pytest

from tests.deploy import classifiers
from tests.deploy import models
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export


@pytest.fixture(scope='module')
def model():
  return classifiers.build()


@pytest.fixture(scope='module')
def content(model):
  return export.convert(model, 'int8', classifiers.images(32))


def test_outputs_are_those_of_an_interpreter_in_the_order_of_the_images(content):
  images, runner = classifiers.images(20, seed=3), evaluation.LiteRtModel(content, workers=3)
  found, (scale, zero_point) = runner(images), runner.output['quantization']
  assert found.dtype == np.uint8
  np.testing.assert_allclose((found.astype(np.float32) - zero_point) * scale, models.run(content, images), rtol=1e-6)
  np.testing.assert_array_equal(evaluation.LiteRtModel(content, workers=1)(images), found)
  exact = evaluation.LiteRtModel(content, 'xnnpack')(images).astype(int)
  assert 0 < np.abs(exact - found).max() <= 12  # other kernels round otherwise, which deep networks amplify


@pytest.mark.parametrize('dtype, zero_point, expected', [
    (np.uint8, 0, [0, 0, 0, 1, 128, 255, 255]), (np.int8, -128, [-128, -128, -128, -127, 0, 127, 127])])
def test_quantization_rounds_and_clips(dtype, zero_point, expected):
  values = np.array([-1, 0, 0.4 / 255, 0.6 / 255, 128 / 255, 1, 2], np.float32)
  found = evaluation.quantize(values, {'dtype': dtype, 'quantization': (1 / 255, zero_point)})
  assert found.dtype == dtype and found.tolist() == expected


def test_steps_are_counted_on_what_the_input_can_hold():
  """A pixel half way between two bytes: the file and the model that emulates it get the same byte."""
  file = Canned([np.uint8([[9, 5, 7]])], scale=0.5)
  file.input = {'dtype': np.uint8, 'quantization': (1 / 255, 0)}
  got = []
  reference = lambda images: got.append(images) or np.float32([[2.5, 5.0]])
  steps = evaluation.steps_apart(file, reference, np.float32([[[[2.5 / 255]]]]), background=True)
  assert steps.tolist() == [[0, 3]]
  assert got[0].ravel() == pytest.approx([3 / 255])


def test_halves_are_rounded_upwards():
  values = np.float32([0.5, 1.5, 2.5, 3.5, -0.5, -1.5])
  assert evaluation.quantize(values, {'dtype': np.int8, 'quantization': (1.0, 0)}).tolist() == [1, 2, 3, 4, 0, -1]


def test_without_a_scale_values_stay():
  values = np.array([-1.5, 0.1], np.float32)
  np.testing.assert_array_equal(evaluation.quantize(values, {'dtype': np.float32, 'quantization': (0.0, 0)}), values)


class Canned:
  """A file's outputs as given."""

  def __init__(self, outputs, scale=0.0):
    self._outputs, self.output = iter(outputs), {'dtype': np.asarray(outputs[0]).dtype, 'quantization': (scale, 0)}

  def __call__(self, images):
    return next(self._outputs)


def test_a_comparison_counts_every_image_once():
  reference = [np.float32([[5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]]), np.float32([[1, 0, 0, 0, 0, 0]])]
  found = [np.uint8([[50, 40, 30, 20, 10, 0], [50, 10, 20, 30, 40, 49]]), np.uint8([[10, 0, 0, 0, 0, 3]])]
  answers = iter(reference)
  batches = [(np.zeros((2, 1)), np.array([0, 5])), (np.zeros((1, 1)), np.array([5]))]
  seen = []
  result = evaluation.compare(Canned(found, 0.1), lambda images: next(answers), batches, progress=seen.append)
  # Top-1: the reference is right on the first two, the file on the first. The last of six outputs is never among the five of
  # the third image of the reference, but is of the file.
  assert result == evaluation.Comparison(3, 2 / 3, 2 / 3, 1 / 3, 1.0, 2 / 3, 50.0)
  assert seen == [2, 1]


def test_a_background_shifts_the_labels_and_is_not_compared():
  reference, found = np.float32([[1, 2, 3]]), np.uint8([[0, 10, 20, 30]])
  result = evaluation.compare(Canned([found], 0.1), lambda images: reference, [(np.zeros((1, 1)), np.array([2]))], background=True)
  assert result == evaluation.Comparison(1, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
  accuracy = evaluation.accuracy(Canned([found], 0.1), [(np.zeros((1, 1)), np.array([2]))], background=True)
  assert accuracy == evaluation.Accuracy(1, 1.0, 1.0)


def test_the_difference_of_floats_is_relative():
  reference, found = np.float32([[1, -200]]), np.float32([[2, -200]])
  result = evaluation.compare(Canned([found]), lambda images: reference, [(np.zeros((1, 1)), np.array([0]))])
  assert result.difference == pytest.approx(1 / 200)


def test_what_is_refused(content, model):
  runner = evaluation.LiteRtModel(content)
  with pytest.raises(ValueError, match='there are no images'):
    evaluation.compare(runner, model.predict_on_batch, [])
  with pytest.raises(ValueError, match='there are no images'):
    evaluation.accuracy(runner, [])
  with pytest.raises(ValueError, match='the .tflite file has 5 outputs, its Keras model 5'):
    evaluation.compare(runner, model.predict_on_batch, [(classifiers.images(1), np.zeros(1, int))], background=True)
  with pytest.raises(ValueError, match="kernels must be builtin or xnnpack, got 'gpu'"):
    evaluation.LiteRtModel(content, 'gpu')
  with pytest.raises(ValueError, match='LiteRT cannot load the model'):
    evaluation.LiteRtModel(content[:1000])
