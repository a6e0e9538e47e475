"""Keras models to .tflite files for deployment, and what such a file must fulfil before it is written."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import tflite

QUANTIZATIONS = ('none', 'float16', 'int8')
_PRECISIONS = {'none': 'float32', 'float16': 'float16', 'int8': 'int8'}
_INTEGERS = {'int8', 'uint8', 'int32'}
_ZERO_POINTS = {'uint8': 0, 'int8': -128}


def convert(model: keras.Model, quantization: str, representative: np.ndarray | None = None, io: str = 'uint8') -> bytes:
  """Converts a model of pixels / 255.

  Args:
    model: Takes float32 [batch, height, width, channels] in [0, 1].
    quantization: One of QUANTIZATIONS.
    representative: float32 [samples, height, width, channels] in [0, 1], from which int8 takes the ranges of activations; None if
      the model was trained with quantization.
    io: Type of input and output of an int8 model: 'uint8', so that it takes pixels as they are, or 'int8'.

  Returns:
    The content of a .tflite file.

  Raises:
    ValueError: The arguments do not fit each other, or the representative images are unfit.
  """
  if quantization not in QUANTIZATIONS:
    raise ValueError(f'quantization must be one of {", ".join(QUANTIZATIONS)}, got {quantization!r}')
  if representative is not None:
    representative = _span_all_pixels(representative)
  return tflite.convert(model, _PRECISIONS[quantization], representative, io if quantization == 'int8' else 'float32')


def _span_all_pixels(images: np.ndarray) -> np.ndarray:
  """The images with the one of most contrast stretched to [0, 1], so that pixels have a scale of 1/255 whatever the images show."""
  if not len(images):
    raise ValueError('there are no representative images')
  axes = tuple(range(1, images.ndim))
  low, high = images.min(axes), images.max(axes)
  if low.min() < 0 or high.max() > 1:
    raise ValueError(f'representative images must be in [0, 1], got {low.min():g} to {high.max():g}')
  index = np.argmax(high - low)
  if low[index] == high[index]:
    raise ValueError(f'each of the {len(images)} representative images has one value everywhere')
  stretched = images.copy()
  stretched[index] = (images[index] - low[index]) / (high[index] - low[index])
  return stretched


def check(content: bytes, quantization: str, shape: tuple[int, ...]) -> inspection.Content:
  """Checks what can be seen in the file.

  Args:
    content: Bytes of a .tflite file, from `convert`.
    quantization: What it shall be.
    shape: (height, width, channels) of the model's images.

  Returns:
    What is in the file.

  Raises:
    ValueError: Names everything that is not as it should be.
  """
  found = inspection.read(content)
  faults = []
  if found.foreign_operators:
    faults.append(f'operations that are not builtin: {", ".join(found.foreign_operators)}')
  if len(found.inputs) != 1 or len(found.outputs) != 1:
    raise ValueError(f'the model must have one input and one output, got {len(found.inputs)} and {len(found.outputs)}')
  source, target = found.inputs[0], found.outputs[0]
  if source.shape != (1, *shape):
    faults.append(f'an input of shape {source.shape} instead of {(1, *shape)}')
  if len(target.shape) != 2 or target.shape[0] != 1:
    faults.append(f'an output of shape {target.shape} instead of (1, classes)')
  if quantization == 'int8':
    faults += _integer_faults(found)
  elif (source.type, target.type) != ('float32', 'float32'):
    faults.append(f'an input of {source.type} and an output of {target.type} instead of float32')
  if faults:
    raise ValueError(f'the converted model is not fit to be deployed: {"; ".join(faults)}')
  return found


def _integer_faults(found: inspection.Content) -> list[str]:
  """What keeps a model from being int8 throughout and from taking pixels as they are."""
  faults = []
  others = sorted(found.tensor_types - _INTEGERS)
  if others:
    faults.append(f'tensors of {", ".join(others)}')
  if found.dense_scales > 1:
    faults.append(f'a dense layer of {found.dense_scales} scales, of which older runtimes know the first alone')
  source = found.inputs[0]
  if source.scale is None or abs(source.scale * 255 - 1) > 1e-5 or source.zero_point != _ZERO_POINTS.get(source.type):
    faults.append(f'an input of {source.type}, scale {source.scale}, zero point {source.zero_point}: a pixel / 255 is not a step')
  return faults
