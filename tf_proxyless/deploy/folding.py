"""Networks of normalised pixels as networks of pixels in [0, 1], without another operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tf_keras as keras


def fold_normalization(model: keras.Model, input_normalization: Mapping[str, Sequence[float]] | None) -> None:
  """Changes the first convolution and its batch normalisation, so that the model takes pixels where it took (pixels - mean) / std.

  Exact but for the borders: there the convolution pads with zeros, which were the mean colour before and are black now. So it is for
  networks that are trained on afterwards.

  Args:
    model: Begins with a convolution without bias and batch normalisation.
    input_normalization: 'mean' and 'std' by channel, in units of pixels in [0, 1]; None leaves the model as it is.
  """
  if input_normalization is None:
    return
  mean, std = (np.asarray(input_normalization[name], np.float32) for name in ('mean', 'std'))
  convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
  batch_norm = convolution.outbound_nodes[0].outbound_layer
  kernel = convolution.kernel.numpy() / std[:, np.newaxis]
  convolution.kernel.assign(kernel)
  batch_norm.moving_mean.assign_add((kernel * mean[:, np.newaxis]).sum((0, 1, 2)))
