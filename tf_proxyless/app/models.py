"""Finds and loads trained models with what lies beside them. Looks at files before it loads TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from tf_proxyless.infra import files
from tf_proxyless.infra import safe_zip
from tf_proxyless.space import io

RESULTS = 'training_results'


@dataclasses.dataclass(frozen=True)
class ModelFiles:
  """Where the parts of a model lie.

  Attributes:
    model: The .keras file; None for a quantized run, whose directory is its model.
    architecture: What the model is, and what its inputs and outputs mean.
    results: What is known of its accuracy, as in results.json; None if that is not there.
    directory: That all of these lie in.
  """

  model: pathlib.Path | None
  architecture: io.Architecture
  results: Mapping[str, Any] | None
  directory: pathlib.Path


@dataclasses.dataclass(frozen=True)
class LoadedModel:
  """A tf_keras model from images to logits, and what is known of it; see `ModelFiles`."""

  model: Any
  architecture: io.Architecture
  results: Mapping[str, Any] | None
  directory: pathlib.Path


def find(path: files.PathLike) -> ModelFiles:
  """Finds the parts of a model and checks what can be checked without TensorFlow.

  Args:
    path: A .keras file, or the directory of a training or of a quantization. Beside x.keras lies x.json, or else architecture.json.

  Raises:
    ValueError: In one line, what is missing or damaged.
    OSError: A file cannot be read.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    quantized = (path / 'quantization.json').is_file()
    model, directory = None if quantized else path / 'model.keras', path
  else:
    model, directory = path, path.parent
  if model is not None:
    _check_keras_file(model)
  own = [] if model is None else [model.with_suffix('.json')]
  described = next((file for file in [*own, directory / 'architecture.json'] if file.is_file()), None)
  if described is None:
    raise ValueError(f'{path}: there is no {" or ".join(str(file) for file in dict.fromkeys([*own, directory / "architecture.json"]))}, '
                     'which says what the model is')
  results = directory / 'results.json'
  known = read_results(results) if results.is_file() and (model is None or model.name == 'model.keras') else None
  return ModelFiles(model, _with_record(io.load_architecture(described), results, known or {}), known, directory)


def _with_record(architecture: io.Architecture, path: pathlib.Path, results: Mapping[str, Any]) -> io.Architecture:
  """An architecture with what its inputs and outputs mean, which earlier editions wrote into results.json only.

  Raises:
    ValueError: The results are of another network.
  """
  names, preprocessing = architecture.class_names or tuple(results.get('class_names', ())) or None, results.get('preprocessing')
  augmentation = preprocessing.get('augmentation') if isinstance(preprocessing, Mapping) else None
  try:
    return dataclasses.replace(architecture, class_names=names, augmentation=architecture.augmentation or augmentation)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def read_results(path: files.PathLike) -> dict[str, Any]:
  """Reads results.json of a training or of a quantization.

  Raises:
    ValueError: A field is not what it should be; one line that names the file and the field.
    OSError: The file cannot be read.
  """
  results = files.read_json(path, RESULTS)
  for name, value in results.items():
    if name.endswith(('_top1', '_top5')) and not (type(value) in (int, float) and 0 <= value <= 1):
      raise ValueError(f'{path}: {files.one_line(name)} must be in [0, 1], got {files.shorten(value)}')
    if name.endswith('_images') and not (type(value) is int and value > 0):
      raise ValueError(f'{path}: {files.one_line(name)} must be a number of images, got {files.shorten(value)}')
  if not isinstance(results.get('dataset', ''), str):
    raise ValueError(f'{path}: dataset must be text, got {files.shorten(results["dataset"])}')
  names = results.get('class_names', [])
  if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
    raise ValueError(f'{path}: class_names must be a list of texts, got {files.shorten(names)}')
  return results


def load(path: files.PathLike) -> LoadedModel:
  """Loads a model; see `find`.

  Raises:
    ValueError: In one line, what is missing or damaged.
    OSError: A file cannot be read.
  """
  return load_found(find(path))


def load_found(found: ModelFiles) -> LoadedModel:
  """Loads what `find` found."""
  if found.model is None:
    from tf_proxyless.deploy import qat

    model = qat.load(found.directory)
  else:
    model = _load_keras(found.model)
  shape, expected = tuple(model.input_shape[1:]), tuple(found.architecture.network.input_shape)
  if shape != expected or model.output_shape[-1] != found.architecture.network.classes:
    raise ValueError(f'{found.model or found.directory} maps {shape} to {model.output_shape[-1]} classes, its architecture {expected} to '
                     f'{found.architecture.network.classes}')
  return LoadedModel(model, found.architecture, found.results, found.directory)


def save(model, path: files.PathLike) -> None:
  """Writes a tf_keras model as a .keras file, which is whole whenever it can be seen.

  One that is there and holds these weights stays: it has a date inside, and other runs know it by its digest.
  """
  path = pathlib.Path(path)
  if path.exists() and _holds(path, model):
    return
  temporary = path.with_name(f'.{path.stem}.writing.keras')
  model.save(temporary, save_format='keras')
  with open(temporary, 'rb') as content:
    os.fsync(content.fileno())
  os.replace(temporary, path)
  files.sync_folder(path.parent)


def _holds(path: pathlib.Path, model) -> bool:
  """Whether a file can be loaded, and has the weights of a model."""
  try:
    _check_keras_file(path)
    stored = _load_keras(path)
  except ValueError:
    return False
  pairs = list(zip(stored.weights, model.weights))
  return len(pairs) == len(stored.weights) == len(model.weights) and all(
      theirs.name == ours.name and np.array_equal(theirs, ours) for theirs, ours in pairs)


def digest(found: ModelFiles) -> str:
  """SHA-256 of a .keras file."""
  return hashlib.sha256(found.model.read_bytes()).hexdigest()


def _check_keras_file(path: pathlib.Path) -> None:
  """Refuses what tf_keras cannot load, for reasons that its own messages do not tell."""
  if not path.is_file():
    raise ValueError(f'{path}: there is no such model')
  if path.suffix != '.keras':
    raise ValueError(f'{path}: a model is a .keras file, or the directory of a run')
  safe_zip.check_keras(path)


def _load_keras(path: pathlib.Path):
  import tensorflow as tf
  import tf_keras as keras

  from tf_proxyless.nn import keras_network  # noqa: F401, registers hard_swish

  try:
    return keras.models.load_model(path, compile=False)
  except (ValueError, TypeError, KeyError, OSError, AttributeError, IndexError, RuntimeError, tf.errors.OpError) as error:
    raise ValueError(f'{path} cannot be loaded: {" ".join(str(error).split())[:300]}') from error
