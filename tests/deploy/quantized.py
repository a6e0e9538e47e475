"""Networks and images for tests of quantization-aware networks."""

from __future__ import annotations

import dataclasses
import functools

from ai_edge_litert import interpreter as litert
import numpy as np
from sklearn import datasets
import tf_keras as keras

from tf_proxyless.deploy import qat
from tf_proxyless.deploy import qat_rounding
from tf_proxyless.deploy import qat_scheme
from tf_proxyless.deploy import tflite
from tf_proxyless.nn import keras_network
from tf_proxyless.space import network as network_lib


@functools.cache
def digits(size: int, count: int = 64) -> np.ndarray:
  """Real digits, float32 [count, size, size, 3], each pixel a byte / 255; `size` a multiple of 8."""
  images = np.rint(datasets.load_digits().images[:count] * (255 / 16)).astype(np.uint8)
  images = np.kron(images, np.ones((1, size // 8, size // 8), np.uint8))
  return np.repeat(images[..., np.newaxis], 3, axis=-1) / np.float32(255)


@functools.cache
def photos(size: int) -> np.ndarray:
  """Real photographs, float32 [4, size, size, 3], each pixel a byte / 255; a size of at most 224."""
  whole = datasets.load_sample_images().images
  return np.stack([photo[top:top + size, top:top + size] for photo in whole for top in (0, 200)]) / np.float32(255)


def network_like_trained(network: network_lib.Network, images: np.ndarray, seed: int = 0, calm: bool = False) -> keras.Model:
  """The plain network with random weights, gamma and beta, and the statistics of these images.

  Args:
    network: Without open decisions.
    images: float32 [batch, height, width, channels].
    seed: Seed of everything random.
    calm: Whether most inputs of ReLUs are between 0 and 6. A deep random network is chaotic otherwise: it amplifies the last bit of a
      float32, so that the same QAT model differs from itself by 10 steps of its output whether it is compiled or not.
  """
  model = keras_network.build(dataclasses.replace(network, name='network'), seed)
  rng = np.random.default_rng(seed)
  norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
  for layer in norms:
    layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
    before_relu = any(isinstance(node.outbound_layer, keras.layers.ReLU) for node in layer.outbound_nodes)
    layer.beta.assign(rng.uniform(*((1, 4) if calm and before_relu else (-0.5, 0.5)), layer.beta.shape))
    layer.momentum = 0.0  # one batch makes the statistics
  model(images, training=True)
  for layer in norms:
    layer.momentum = 0.9
  return model


def quantize(model: keras.Model, images: np.ndarray) -> keras.Model:
  """Calibrated on these images, with biases that TFLite can represent."""
  quantized = qat.quantize(model)
  qat.calibrate(quantized, [images])
  qat_rounding.round_biases(quantized)
  return quantized


def steps_apart(quantized: keras.Model, images: np.ndarray, kernels: str) -> np.ndarray:
  """By how many steps of its output the .tflite file of a network differs from it, for every output; 'builtin' or 'xnnpack'."""
  types = litert.OpResolverType
  resolver = {'builtin': types.BUILTIN_WITHOUT_DEFAULT_DELEGATES, 'xnnpack': types.BUILTIN}[kernels]
  runner = litert.Interpreter(model_content=tflite.convert(quantized, 'int8', io='uint8'), experimental_op_resolver_type=resolver)
  runner.allocate_tensors()
  source, target = runner.get_input_details()[0], runner.get_output_details()[0]
  found = []
  for image in images:
    runner.set_tensor(source['index'], np.rint(image[np.newaxis] * 255).astype(np.uint8))
    runner.invoke()
    found.append(runner.get_tensor(target['index'])[0].astype(int))
  scale, zero_point = target['quantization']
  expected = np.rint(quantized(images, training=False).numpy() / np.float32(scale)).astype(int) + zero_point
  return np.abs(np.array(found) - expected)


def steps_apart_by_layer(quantized: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
  """By how many steps TFLite differs from a network in each activation, if both get TFLite's activations before it."""
  resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
  runner = litert.Interpreter(model_content=tflite.convert(quantized, 'int8', io='uint8'), experimental_op_resolver_type=resolver,
                              experimental_preserve_all_tensors=True)
  runner.allocate_tensors()
  runner.set_tensor(runner.get_input_details()[0]['index'], np.rint(image[np.newaxis] * 255).astype(np.uint8))
  runner.invoke()
  details = {detail['index']: detail for detail in runner.get_tensor_details()}
  rounding = [layer for layer in quantized.layers if any(qat_scheme.is_range(weight, 'max') for weight in layer.weights)]
  # By index of a tensor of TFLite: the Keras tensor that it stands for, and its values. Quantised or padded it stands for the same.
  known = {runner.get_input_details()[0]['index']: (quantized.input, image[np.newaxis])}
  found, remaining = {}, iter(rounding)
  for op in runner._get_ops_details():
    sources, target = [index for index in op['inputs'] if index in known], op['outputs'][0]
    if op['op_name'] in ('QUANTIZE', 'PAD', 'RESHAPE', 'TRANSPOSE', 'MAX_POOL_2D', 'AVERAGE_POOL_2D'):
      known[target] = known[sources[0]]
      continue
    layer = next(remaining)
    tensors, values = zip(*(known[index] for index in sources))
    expected = keras.Model(list(tensors), layer.output)(list(values)).numpy()
    scale, zero_point = details[target]['quantization']
    real = (np.float32(scale) * (runner.get_tensor(target).astype(np.float32) - zero_point)).reshape(expected.shape)
    found[layer.name] = np.abs(np.rint((real - expected) / scale))
    known[target] = layer.output, real
  return found
