"""Gives a network of normalised pixels the pixels / 255 that every export takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tf_keras as keras


def prepend(model: keras.Model, input_normalization: Mapping[str, Sequence[float]] | None) -> keras.Model:
  """A model of pixels / 255 that computes model((pixels - mean) / std).

  The normalisation is a 1x1 depthwise convolution with a bias, which int8 quantizes by channel and so hardly rounds. To fold it into
  the first convolution instead would save the operation, but be wrong at the borders: that convolution pads with zeros, which are the
  mean colour only after the normalisation.

  Args:
    model: From images [batch, height, width, channels].
    input_normalization: 'mean' and 'std' by channel, in units of pixels / 255; None leaves the model as it is.

  Raises:
    ValueError: Not a number for each channel, or a std that is not positive.
  """
  if input_normalization is None:
    return model
  mean, std = (np.asarray(input_normalization[name], np.float32) for name in ('mean', 'std'))
  channels = model.input_shape[-1]
  if mean.shape != (channels,) or std.shape != (channels,) or not (std > 0).all():
    raise ValueError(f'input_normalization must have {channels} numbers for mean and {channels} positive ones for std, '
                     f'got {dict(input_normalization)}')
  inputs = keras.Input(model.input_shape[1:], name='images')
  layer = keras.layers.DepthwiseConv2D(1, name='normalization')
  outputs = model(layer(inputs))
  layer.set_weights([(1 / std).reshape(1, 1, channels, 1), -mean / std])
  return keras.Model(inputs, outputs, name=model.name)
