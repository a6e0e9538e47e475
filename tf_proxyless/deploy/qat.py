"""Quantization-aware networks: 8-bit kernels and activations emulated in training, as TFLite will compute them.

    quantized = qat.quantize(model)
    qat.calibrate(quantized, images)        # ranges to start from
    ...                                     # fine-tune
    qat_rounding.round_biases(quantized)
    qat.save(quantized, architecture, directory)
    quantized = qat.load(directory)
    tflite.convert(quantized, 'int8', io='uint8')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import contextlib
import dataclasses
import io as io_lib
import math
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from tf_proxyless.deploy import qat_scheme
from tf_proxyless.infra import files
from tf_proxyless.infra import safe_zip
from tf_proxyless.infra import serialization
from tf_proxyless.nn import keras_network
from tf_proxyless.space import io as space_io

SETTINGS, WEIGHTS, ARCHITECTURE = 'quantization.json', 'weights.npz', 'architecture.json'

_KIND = 'quantization'
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@dataclasses.dataclass(frozen=True)
class Settings:
  """How a network is quantised, besides what is fixed: 8 bits, kernels of convolutions by channel, others and activations as a whole.

  Attributes:
    input_range: Least and largest value of images. 0 and 1 make a byte's scale 1/255 and its zero point 0.
    range_momentum: Momentum of the moving averages of activation ranges, in [0, 1).
    bits: 8.
    depthwise: 'per_channel'.
  """

  input_range: tuple[float, float] = (0.0, 1.0)
  range_momentum: float = 0.99
  bits: int = 8
  depthwise: str = 'per_channel'

  def __post_init__(self):
    low, high = self.input_range
    if not (math.isfinite(low) and math.isfinite(high) and low <= 0 < high):
      raise ValueError(f'input_range must be finite, from at most 0 to above 0, got {self.input_range}')
    if not 0 <= self.range_momentum < 1:
      raise ValueError(f'range_momentum must be at least 0 and below 1, got {self.range_momentum}')
    if (self.bits, self.depthwise) != (8, 'per_channel'):
      raise ValueError(f"bits and depthwise must be 8 and 'per_channel', got {self.bits} and {self.depthwise!r}")


def quantize(model: keras.Model, settings: Settings = Settings()) -> keras.Model:
  """Makes the quantization-aware form of a network; the network stays as it is.

  Args:
    model: Functional, of the layers that `nn.keras_network.build` uses, from float32 images [batch, height, width, channels] to logits.
    settings: How.

  Returns:
    A model with the same weights, whose activations have no ranges yet: `calibrate` gives them.

  Raises:
    ValueError: The model has layers or connections that cannot be quantised; all are named.
  """
  _check_layers(model)
  with tfmot.quantization.keras.quantize_scope(qat_scheme.CUSTOM_OBJECTS):
    annotated = tfmot.quantization.keras.quantize_annotate_model(model)
    return tfmot.quantization.keras.quantize_apply(annotated, qat_scheme.Scheme(settings.input_range, settings.range_momentum))


def _check_layers(model: keras.Model) -> None:
  """Refuses what TFLite would not compute in integers as the emulation does."""
  if not getattr(model, '_is_graph_network', False):
    raise ValueError(f'only a Functional model can be quantised, not {type(model).__name__}')
  registry = qat_scheme.Registry(0.0)
  wrong = []
  for layer in model.layers:
    followers = [node.outbound_layer for node in layer.outbound_nodes if node.outbound_layer in model.layers]
    batch_norm = [isinstance(follower, keras.layers.BatchNormalization) for follower in followers]
    if isinstance(layer, keras.layers.BatchNormalization | keras.layers.InputLayer):
      fits = not any(batch_norm)
    elif type(layer) in _CONVOLUTIONS and not (type(layer) is keras.layers.Conv2D and layer.use_bias):
      fits = (batch_norm == [True] or not any(batch_norm)) and not layer.use_bias
    else:
      fits = registry.supports(layer) and not any(batch_norm)
    if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
      fits = fits and layer.activation is keras.activations.linear
    if not fits:
      wrong.append(f'{layer.name} ({type(layer).__name__})')
  if wrong:
    raise ValueError(f'layers that cannot be quantised: {", ".join(wrong)}; possible are convolutions without bias, batch '
                     f'normalisation behind one, linear Conv2D with bias, linear Dense, hard_swish, and {qat_scheme.OTHER_LAYERS}')


@contextlib.contextmanager
def training_only_if(model: keras.Model, condition: tf.Tensor | bool, *kinds: type) -> Iterator[None]:
  """While it lasts, layers of some kinds, wrapped ones too, behave in training as such only if a condition holds.

  For the time in which a function is traced. The variables of batch normalisation then stay as they are, though gamma and beta learn.

  Args:
    model: From `quantize`.
    condition: bool [], may be a tensor of the function that is traced.
    *kinds: Classes of layers.
  """
  layers = [layer for layer in model.submodules if type(layer) in kinds]
  for layer in layers:
    layer.call = _call(layer, condition)
  try:
    yield
  finally:
    for layer in layers:
      del layer.call


def _call(layer: keras.layers.Layer, condition: tf.Tensor | bool):

  def call(inputs, training=None):
    return type(layer).call(layer, inputs, training=condition if training else False)

  return call


def calibrate(model: keras.Model, batches: Iterable[tf.Tensor]) -> None:
  """Gives all activations the mean of their batches' ranges, in the network as it will run.

  Args:
    model: From `quantize`.
    batches: float32 images [batch, height, width, channels]; some ten batches are enough.

  Raises:
    ValueError: There is no batch.
  """
  for weight in model.weights:
    if qat_scheme.is_range(weight, 'batches'):
      weight.assign(0.0)

  def run(images):
    with training_only_if(model, False, keras.layers.BatchNormalization, keras.layers.Dropout):
      model(images, training=True)  # moves the ranges and nothing else

  observe = tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec(model.input_shape, tf.float32))
  count = 0
  for images in batches:
    observe(tf.convert_to_tensor(images))
    count += 1
  if not count:
    raise ValueError('there are no images to calibrate with')


def save(model: keras.Model, architecture: space_io.Architecture, directory: files.PathLike, settings: Settings = Settings()) -> None:
  """Writes a quantization-aware network, so that `load` gives the same.

  Args:
    model: From `quantize`.
    architecture: Architecture of its network.
    directory: Where to; must exist.
    settings: With which it was quantised.
  """
  directory = pathlib.Path(directory)
  space_io.save_architecture(architecture, directory / ARCHITECTURE)
  save_weights(model, directory / WEIGHTS)
  files.write_json(directory / SETTINGS, _KIND, serialization.encode(settings, {}))


def load(directory: files.PathLike) -> keras.Model:
  """Reads what `save` wrote: the same network, bit for bit.

  Raises:
    ValueError: A file is damaged, or they do not belong together; one line.
    OSError: A file cannot be read.
  """
  directory = pathlib.Path(directory)
  settings = load_settings(directory)
  network = space_io.load_architecture(directory / ARCHITECTURE).network
  model = quantize(keras_network.build(dataclasses.replace(network, name='network')), settings)
  load_weights(model, directory / WEIGHTS)
  return model


def save_weights(model: keras.Model, path: files.PathLike) -> None:
  """Writes all weights of a model as an .npz file, atomically."""
  buffer = io_lib.BytesIO()
  np.savez(buffer, **{key: weight.numpy() for key, weight in _weights(model).items()})
  files.write_atomically(path, buffer.getvalue())


def load_weights(model: keras.Model, path: files.PathLike) -> None:
  """Reads what `save_weights` wrote of such a model.

  Raises:
    ValueError: The file is damaged, or of another model; one line.
    OSError: The file cannot be read.
  """
  values = safe_zip.read_arrays(path)
  expected = _weights(model)
  differing = sorted(expected.keys() ^ values.keys()) + [key for key, weight in expected.items()
                                                         if key in values and not _fits(values[key], weight)]
  if differing:
    raise ValueError(f'{path} holds the weights of another network: {len(differing)} differ, {files.shorten(differing[0])} for one')
  for key, weight in expected.items():
    weight.assign(values[key])


def _fits(value: np.ndarray, weight: tf.Variable) -> bool:
  return value.dtype == weight.dtype.as_numpy_dtype and value.shape == tuple(weight.shape)


def load_settings(directory: files.PathLike) -> Settings:
  """Reads how a network in a directory was quantised.

  Raises:
    ValueError: The file is damaged.
    OSError: It cannot be read.
  """
  path = pathlib.Path(directory) / SETTINGS
  body = files.read_json(path, _KIND)
  try:
    return serialization.decode(Settings, body, {})
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def _weights(model: keras.Model) -> dict[str, tf.Variable]:
  """All weights, by names that no two have; what tfmot counts and never uses is not among them."""
  weights = [weight for weight in model.weights if weight.dtype.is_floating]
  return {f'{index:04d}/{weight.name}': weight for index, weight in enumerate(weights)}
