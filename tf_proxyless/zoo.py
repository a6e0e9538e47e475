"""The published networks as Keras models.

  from tf_proxyless import zoo
  model = zoo.proxyless_mobile()                                    # random start values
  model = zoo.fbnet_c(classes=10, resolution=96)
  model = zoo.proxyless_mobile(padding='symmetric', weights='proxyless_mobile.keras')    # from tools/import_torch_weights.py

Images are float32 [batch, resolution, resolution, 3], pixels in [0, 1]. Imported official weights want them normalised as well:
`(images - mean) / std` with `nn.torch_weights.NORMALIZATION`. Top-1 accuracy on ImageNet and latency are the authors':

| name | parameters, M | MACs, M | top-1, % | latency |
|---|---|---|---|---|
| `proxyless_mobile` | 4.08 | 320 | 74.6 | 78 ms, Pixel 1 |
| `proxyless_mobile_14` | 6.86 | 581 | 76.7 | 147 ms, Pixel 1 |
| `proxyless_gpu` | 7.12 | 465 | 75.1 | 5.1 ms, V100, batch 8 |
| `proxyless_cpu` | 4.36 | 439 | 75.3 | 138.7 ms, Xeon E5-2640 v4 |
| `mobilenet_v3_large` | 5.48 | 217 | 75.2 | |
| `fbnet_a` | 4.30 | 244 | 73.3 | 19.8 ms, Galaxy S8, int8 (with 249 M MACs) |
| `fbnet_b` | 4.80 | 291 | 74.5 | 23.1 ms, likewise (295 M) |
| `fbnet_c` | 5.57 | 378 | 75.3 | 28.1 ms, likewise (375 M) |
| `fbnet_s8` | 4.47 | 293 | 73.3 | 22.1 ms, Galaxy S8; 27.5 ms, iPhone X |
| `fbnet_iphonex` | 4.51 | 322 | 73.2 | 23.3 ms, Galaxy S8; 19.8 ms, iPhone X |
| `fbnet_96` | 1.85 | 12.9 | 50.2 | 2.9 ms |
| `fbnet_v2_f1`, `_f2`, `_f3` | 6.02, 6.02, 6.92 | 55.6, 84.1, 119.9 | 68.3, 71.0, 73.0 | |
| `fbnet_v2_f4` | 7.02 | 234 | 75.8 | |
| `fbnet_v2_l1`, `_l2` | 8.53 | 320, 416 | 77.0, 78.2 | |
| `dmasking_l3` | 9.45 | 749 | 78.9 | |
| `chamnet_a`, `_b`, `_c` | 6.28, 5.20, 3.38 | 553, 323, 212 | 75.4, 73.8, 71.6 | 24.7, 15.5, 11.3 ms, Galaxy S8, int8 |
| `chamnet_d`, `_e`, `_f` | 3.28, 2.30, 2.02 | 120.0, 53.7, 30.8 | 69.1, 64.2, 59.5 | 7.1, 4.1, 2.7 ms, likewise |
| `proxyless_cifar` | 5.73 | 1213 | 97.9, CIFAR-10 | |

ProxylessNAS: Cai et al., ICLR 2019, arXiv 1812.00332. MobileNetV3: Howard et al. 2019, arXiv 1905.02244. FBNet: Wu et al., CVPR 2019, arXiv
1812.03443. FBNetV2: Wan et al., CVPR 2020, arXiv 2004.05565. ChamNet: Dai et al., CVPR 2019, arXiv 1812.08934; its top-1 is in float, its
latency in int8.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import os

import tf_keras as keras

from tf_proxyless.infra import safe_zip
from tf_proxyless.nn import keras_network
from tf_proxyless.space import published
from tf_proxyless.space.published import NAMES


def build(name: str, resolution: int | None = None, classes: int | None = None, padding: str = 'same',
          weights: str | os.PathLike | None = None) -> keras.Model:
  """A published network; `zoo.fbnet_c(...)` is `zoo.build('fbnet_c', ...)`, and so for every name.

  Args:
    name: One of `NAMES`.
    resolution: Input height and width, pixels; a multiple of 32 for ProxylessNAS. By default as published.
    classes: Output units; by default as published.
    padding: 'same', or 'symmetric' (k // 2 on all sides), which imported official weights need.
    weights: A .keras file of this network with these classes and this padding; None starts from random values.

  Returns:
    A Functional model from images to logits, float32 [batch, classes].

  Raises:
    ValueError: An argument is not accepted, or the file is of another network.
    OSError: The file cannot be read.
  """
  if weights is not None and not os.path.isfile(weights):
    raise FileNotFoundError(f'weights: there is no file {os.fspath(weights)!r}')
  model = keras_network.build(published.network(name, resolution=resolution, classes=classes, padding=padding))
  if weights is not None:
    _load(model, weights)
  return model


def __getattr__(name: str) -> Callable[..., keras.Model]:
  if name not in NAMES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}; the networks are {", ".join(NAMES)}')
  return functools.partial(build, name)


def __dir__() -> list[str]:
  return [*globals(), *NAMES]


def _load(model: keras.Model, path: str | os.PathLike) -> None:
  """Copies the weights of a file into a model of the same layers; the resolution may differ."""
  safe_zip.check_keras(path)
  stored = keras.models.load_model(path, compile=False)
  ours, theirs = ({weight.name: tuple(weight.shape) for weight in each.weights} for each in (model, stored))
  differing = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
  if differing:
    raise ValueError(f'{path} is not of {model.name!r} with {model.output_shape[-1]} classes: '
                     f'{len(differing)} weights differ, {", ".join(differing[:3])} among them')
  padded, stored_padded = (any(layer.name.endswith('_pad') for layer in each.layers) for each in (model, stored))
  if padded != stored_padded:  # the shapes fit, but every convolution of stride 2 would be off by a pixel
    raise ValueError(f"{path} needs padding='{'symmetric' if stored_padded else 'same'}'")
  model.set_weights(stored.get_weights())
