"""One .tflite file for each operation or network whose latency is to be measured: the kernels of deployment, random weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import re

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.deploy import tflite
from tf_proxyless.infra import files
from tf_proxyless.nn import keras_network
from tf_proxyless.space import io as space_io
from tf_proxyless.space import network as network_lib

FORMAT_VERSION = 1  # to be raised when other files come of the same arguments


def write(network: network_lib.Network, precision: str, folder: files.PathLike, io: str = 'int8') -> pathlib.Path:
  """Writes the model of a network, unless it is there already.

  Args:
    network: Without open decisions; `network.network_of_signature` makes one of an operation.
    precision: 'float32' or 'int8'.
    folder: Where to; is made if need be.
    io: Type of inputs and outputs if `precision` is int8: 'int8' as an operation has them inside a network, or 'uint8' as whole
      networks are deployed.

  Returns:
    The file, named by the network and a hash of all that its content depends on.
  """
  folder, io = pathlib.Path(folder), io if precision == 'int8' else precision
  identity = [space_io.network_to_json(network), precision, io, tf.__version__, FORMAT_VERSION]
  digest = hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(',', ':')).encode()).hexdigest()
  readable = re.sub(r'[^A-Za-z0-9]+', '_', network.name).strip('_')[:80]
  path = folder / f'{readable}_{precision}_{digest[:12]}.tflite'
  if not path.exists():
    folder.mkdir(parents=True, exist_ok=True)
    files.write_atomically(path, _convert(network, precision, io))
  return path


def _convert(network: network_lib.Network, precision: str, io: str) -> bytes:
  rng = np.random.default_rng(0)
  model = keras_network.build(dataclasses.replace(network, name='network'))  # names for people need not be names for TensorFlow
  _keep_scale(model, rng)
  images = rng.random((1, *network.input_shape), dtype=np.float32) if precision == 'int8' else None
  return tflite.convert(model, precision, images, io)


def _keep_scale(model: keras.Model, rng: np.random.Generator) -> None:
  """Gives kernels values that keep the second moment of activations (He et al. 2015, arXiv 1502.01852, equation 10).

  With the start values of training and no batch statistics, activations fade by orders of magnitude a block, towards float
  numbers with which processors are slow, and int8 ranges without meaning.
  """
  for weight in model.trainable_weights:
    if weight.shape.rank > 1:
      depthwise = 'depthwise_kernel' in weight.name
      fan_in = np.prod(weight.shape[:2] if depthwise else weight.shape[:-1])
      weight.assign(rng.standard_normal(weight.shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in)))
