"""The published networks as Keras models: ProxylessNAS (Cai et al., ICLR 2019, arXiv 1812.00332) and MobileNetV3-Large.

  from tf_proxyless import zoo
  model = zoo.proxyless_mobile()                                    # random start values
  model = zoo.proxyless_mobile(classes=10, resolution=96)
  model = zoo.proxyless_mobile(padding='symmetric', weights='proxyless_mobile.keras')    # from tools/import_torch_weights.py

Images are float32 [batch, resolution, resolution, 3], pixels in [0, 1]. Imported official weights want them normalised as well:
`(images - mean) / std` with `nn.torch_weights.NORMALIZATION`.
"""

from __future__ import annotations

import os

import tf_keras as keras

from tf_proxyless.infra import safe_zip
from tf_proxyless.nn import keras_network
from tf_proxyless.space import published


def proxyless_mobile(
    resolution: int = 224, classes: int = 1000, padding: str = 'same', weights: str | os.PathLike | None = None,
) -> keras.Model:
  """The network for phones: 4.08 M parameters, 320 M MACs, published with 74.6 % top-1 and 78 ms on a Pixel 1.

  Args:
    resolution: Input height and width, pixels; a multiple of 32. Published for 224.
    classes: Output units.
    padding: 'same', or 'symmetric' (k // 2 on all sides), which imported official weights need.
    weights: A .keras file of this network with these classes and this padding; None starts from random values.

  Returns:
    A Functional model from images to logits, float32 [batch, classes].

  Raises:
    ValueError: An argument is not accepted, or the file is of another network.
    OSError: The file cannot be read.
  """
  return _build('proxyless_mobile', resolution, classes, padding, weights)


def proxyless_mobile_14(
    resolution: int = 224, classes: int = 1000, padding: str = 'same', weights: str | os.PathLike | None = None,
) -> keras.Model:
  """The wide network for phones: 6.86 M parameters, 581 M MACs, 76.7 % top-1 and 147 ms; else as `proxyless_mobile`."""
  return _build('proxyless_mobile_14', resolution, classes, padding, weights)


def proxyless_gpu(
    resolution: int = 224, classes: int = 1000, padding: str = 'same', weights: str | os.PathLike | None = None,
) -> keras.Model:
  """The network for GPUs: 7.12 M parameters, 465 M MACs, 75.1 % top-1 and 5.1 ms on a V100 (batch 8); else as `proxyless_mobile`."""
  return _build('proxyless_gpu', resolution, classes, padding, weights)


def proxyless_cpu(
    resolution: int = 224, classes: int = 1000, padding: str = 'same', weights: str | os.PathLike | None = None,
) -> keras.Model:
  """The network for CPUs: 4.36 M parameters, 439 M MACs, 75.3 % top-1 and 138.7 ms on a Xeon E5-2640 v4; else as `proxyless_mobile`."""
  return _build('proxyless_cpu', resolution, classes, padding, weights)


def mobilenet_v3_large(
    resolution: int = 224, classes: int = 1000, padding: str = 'same', weights: str | os.PathLike | None = None,
) -> keras.Model:
  """MobileNetV3-Large (arXiv 1905.02244): 5.48 M parameters, 217 M MACs, 75.2 % top-1; else as `proxyless_mobile`."""
  return _build('mobilenet_v3_large', resolution, classes, padding, weights)


def _build(name: str, resolution: int, classes: int, padding: str, weights: str | os.PathLike | None) -> keras.Model:
  model = keras_network.build(published.network(name, resolution=resolution, classes=classes, padding=padding))
  if weights is not None:
    _load(model, weights)
  return model


def _load(model: keras.Model, path: str | os.PathLike) -> None:
  """Copies the weights of a file into a model of the same layers; the resolution may differ."""
  if not os.path.isfile(path):
    raise FileNotFoundError(f'weights: there is no file {os.fspath(path)!r}')
  safe_zip.check_keras(path)
  stored = keras.models.load_model(path, compile=False)
  ours, theirs = ({weight.name: tuple(weight.shape) for weight in each.weights} for each in (model, stored))
  differing = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
  if differing:
    raise ValueError(f'{path} is not of {model.name!r} with {model.output_shape[-1]} classes: '
                     f'{len(differing)} weights differ, {", ".join(differing[:3])} among them')
  padded, stored_padded = (any(isinstance(layer, keras.layers.ZeroPadding2D) for layer in each.layers) for each in (model, stored))
  if padded != stored_padded:  # the shapes fit, but every convolution of stride 2 would be off by a pixel
    raise ValueError(f"{path} needs padding='{'symmetric' if stored_padded else 'same'}'")
  model.set_weights(stored.get_weights())
