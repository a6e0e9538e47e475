"""Plain networks as Keras 3 source, with their weights in its format: for who has Keras 3 and nothing of ours.

The source is written from the layers of the model, so that it is what was trained. Its weights are written by Keras 3 itself, in a process
of its own that builds the source, because tf_keras and Keras 3 do not go together well in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import inspect
import json
import os
import pathlib
import re
import subprocess
import tempfile
from typing import Any

import numpy as np
import tf_keras as keras

from tf_proxyless.infra import child_processes
from tf_proxyless.infra import files
from tf_proxyless.nn import keras_network

# Of the largest output, as for float .tflite files. Small networks differ by 1e-6; one of 203 layers with random weights, which amplifies
# the last bits of a float32, by 4e-5.
_TOLERANCE = 1e-3
_LAYERS = keras.layers
# What of a layer is written, if it is not Keras's default; the rest has no effect on a trained network, or is the default of both editions.
_ARGUMENTS: Mapping[type, tuple[str, ...]] = {
    _LAYERS.Conv2D: ('filters', 'kernel_size', 'strides', 'padding', 'groups', 'use_bias'),
    _LAYERS.DepthwiseConv2D: ('kernel_size', 'strides', 'padding', 'dilation_rate', 'use_bias', 'trainable'),
    _LAYERS.BatchNormalization: ('momentum', 'epsilon'),
    _LAYERS.ReLU: ('max_value',),
    _LAYERS.AveragePooling2D: ('pool_size', 'strides', 'padding'),
    _LAYERS.MaxPooling2D: ('pool_size', 'strides', 'padding'),
    _LAYERS.GlobalAveragePooling2D: ('keepdims',),
    _LAYERS.ZeroPadding2D: ('padding', 'data_format'),
    _LAYERS.Cropping2D: ('cropping', 'data_format'),
    _LAYERS.Rescaling: ('scale', 'offset'),
    _LAYERS.Reshape: ('target_shape',),
    _LAYERS.Permute: ('dims',),
    _LAYERS.Dropout: ('rate', 'noise_shape'),
    _LAYERS.Dense: ('units',),
    _LAYERS.Add: (),
    _LAYERS.Multiply: (),
}

_REQUIRED = {'pool_size'}  # by Keras 3, which has no default for it

_TEMPLATE = '''"""{name}: an image classification network found by tf_proxyless, for Keras 3 on any backend.

  model = {module}.load()
  logits = model(pixels / 255)  # float32 [batch, {height}, {width}, {channels}], of {classes} classes

load() takes the weights of {module}.weights.h5 beside this file; build() has start values of its own, for a training from scratch.
"""

import pathlib

import keras
from keras import layers

CLASS_NAMES = {class_names}


{functions}def build():
  """The network: pixels / 255 to logits."""
{body}


def load(weights=pathlib.Path(__file__).with_suffix('.weights.h5')):
  """The trained network."""
  model = build()
  model.load_weights(weights)
  return model
'''
_HARD_SWISH = '''def hard_swish(x):
  """Howard et al. 2019, arXiv 1905.02244."""
  return x * keras.ops.relu6(x + 3.0) / 6.0


'''
# Arguments: the source, a file of weights by layer, images, and what is written: weights and outputs.
_WRITER = '''
import importlib.util, pathlib, sys
import numpy as np
source, arrays, weights, outputs = map(pathlib.Path, sys.argv[1:])
spec = importlib.util.spec_from_file_location('network', source)
network = importlib.util.module_from_spec(spec)
spec.loader.exec_module(network)
model, given = network.build(), np.load(arrays)
for layer in model.layers:
  layer.set_weights([given[f'{layer.name}/{i}'] for i in range(len(layer.weights))])
model.save_weights(weights)
np.save(outputs, np.asarray(network.load(weights)(given['images'])))
'''


def write(model: keras.Model, path: files.PathLike, normalization: Mapping[str, Sequence[float]] | None = None,
          class_names: Sequence[str] = ()) -> None:
  """Writes NAME.py and NAME.weights.h5, after Keras 3 built the one, loaded the other and computed what the model computes.

  Args:
    model: From `keras_network.build`, or a file of one.
    path: The .py file.
    normalization: What stands before the first layer: subtract 'mean', divide by 'std' of pixels / 255.
    class_names: One for each output, or none.

  Raises:
    ValueError: The model has layers of another kind, there is no Keras 3, or it computes something else.
  """
  path = pathlib.Path(path)
  shape = model.input_shape[1:]
  images = np.random.default_rng(0).random((8, *shape), np.float32)
  mean, std = (np.asarray(normalization[name], np.float32) for name in ('mean', 'std')) if normalization else np.float32((0, 1))
  expected = np.asarray(model((images - mean) / std, training=False))
  arrays = {f'{layer.name}/{i}': value for layer in model.layers for i, value in enumerate(layer.get_weights())}
  with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.stem}.') as folder:
    written, weights = pathlib.Path(folder, path.name), pathlib.Path(folder, f'{path.stem}.weights.h5')
    written.write_text(source(model, path.stem, normalization, class_names), encoding='utf-8')
    np.savez(pathlib.Path(folder, 'arrays.npz'), images=images, **arrays)
    _start(_WRITER, str(written), f'{folder}/arrays.npz', str(weights), f'{folder}/outputs.npy')
    found = np.load(pathlib.Path(folder, 'outputs.npy'))
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference <= _TOLERANCE:
      raise ValueError(f'Keras 3 computes something else, by {difference:.2g} of the largest output; {_TOLERANCE:g} may be')
    os.replace(weights, path.with_name(weights.name))
    os.replace(written, path)


def _start(program: str, *arguments: str) -> None:
  """Runs a program with Keras 3 on TensorFlow, which brings it, to its end."""
  variables = {'KERAS_BACKEND': 'tensorflow', 'TF_CPP_MIN_LOG_LEVEL': '3', 'TF_USE_LEGACY_KERAS': '0'}
  process = child_processes.start(['-c', program, *arguments], variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
  _, text = process.communicate()
  if process.returncode:
    raise ValueError(f'Keras 3 could not build the network: {files.one_line((text.strip().splitlines() or ["no reason given"])[-1], 300)}')


def source(model: keras.Model, module: str, normalization: Mapping[str, Sequence[float]] | None = None,
           class_names: Sequence[str] = ()) -> str:
  """The Python source of a model; see `write`.

  Args:
    module: Name of the file without its ending.
  """
  body = '\n'.join(f'  {line}' for line in _body(model, normalization))
  height, width, channels = model.input_shape[1:]
  return _TEMPLATE.format(
      name=json.dumps(model.name)[1:-1], module=module, height=height, width=width, channels=channels, classes=model.output_shape[-1],
      class_names=list(class_names) or None, functions=_HARD_SWISH if 'layers.Activation(hard_swish' in body else '', body=body)


def _body(model: keras.Model, normalization: Mapping[str, Sequence[float]] | None) -> Iterator[str]:
  """A line a layer. The value that the next line alone takes is x, others have the name of their layer."""
  order = _order(model)
  takers = {layer.name: [other.name for other in order if layer in _sources(other)] for layer in order}
  following = {layer.name: after.name for layer, after in zip(order, order[1:])}
  names = {name: 'x' if taken == [following.get(name)] else _identifier(name) for name, taken in takers.items()}
  images, *others = order
  variable = 'images'
  yield f'images = keras.Input({tuple(images.input_shape[0][1:])}, name={images.name!r})'
  if normalization:
    mean, std = normalization['mean'], normalization['std']
    scale, offset = [1 / value for value in std], [-a / b for a, b in zip(mean, std)]
    yield f"normalized = layers.Rescaling(scale={scale}, offset={offset}, name='normalization')(images)"
    variable = 'normalized'
  names[images.name], names[others[-1].name] = variable, 'logits'
  for layer in others:
    taken = [names[source.name] for source in _sources(layer)]
    yield f'{names[layer.name]} = {_call(layer)}({taken[0] if len(taken) == 1 else "[" + ", ".join(taken) + "]"})'
  yield f'return keras.Model(images, logits, name={model.name!r})'


def _sources(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
  """The layers that a layer takes; in a plain network each is called once."""
  if isinstance(layer, _LAYERS.InputLayer):
    return []
  return [tensor._keras_history.layer for tensor in layer.inbound_nodes[0].keras_inputs]


def _order(model: keras.Model) -> list[keras.layers.Layer]:
  """All layers, each behind those that it takes, and branches one after the other."""
  order: dict[str, keras.layers.Layer] = {}
  waiting = [model.output._keras_history.layer]
  while waiting:
    layer = waiting[-1]
    missing = [source for source in _sources(layer) if source.name not in order]
    if missing:
      waiting.append(missing[0])
    else:
      order[waiting.pop().name] = layer
  return list(order.values())


def _call(layer: keras.layers.Layer) -> str:
  """What makes the layer."""
  if isinstance(layer, _LAYERS.Activation) and layer.activation is keras_network.hard_swish:
    return f'layers.Activation(hard_swish, name={layer.name!r})'
  if type(layer) not in _ARGUMENTS:
    raise ValueError(f'the layer {layer.name!r} is no part of a plain network: {type(layer).__name__}')
  config, defaults = layer.get_config(), inspect.signature(type(layer)).parameters
  given = {name: _short(config[name]) for name in _ARGUMENTS[type(layer)]}
  usual = {name: _short(defaults[name].default) if name in defaults else True for name in given}
  usual['data_format'] = 'channels_last'
  written = {name: value for name, value in given.items() if name in _REQUIRED or value != usual[name]}
  arguments = [*(f'{name}={value!r}' for name, value in written.items()), f'name={layer.name!r}']
  return f'layers.{type(layer).__name__}({", ".join(arguments)})'


def _short(value: Any) -> Any:
  """Plain Python, and (3, 3) or ((3, 3), (3, 3)) as 3, which means the same."""
  value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else tuple(value) if isinstance(value, list) else value
  if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1] and isinstance(_short(value[0]), int):
    return _short(value[0])
  return value


def _identifier(name: str) -> str:
  return re.sub(r'\W', '_', name if name[0].isalpha() else f'layer_{name}')
