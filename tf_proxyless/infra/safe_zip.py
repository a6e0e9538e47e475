"""Checked reading of untrusted ZIP archives: .npz arrays and .keras models."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib

import numpy as np

from tf_proxyless.infra import files

MAX_BYTES = 2**31  # of a file, and of all members once they are read
MAX_MEMBERS = 10_000
_UNREADABLE = (ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError, OverflowError, MemoryError, SyntaxError,
               tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def read(content: bytes, limit: int = MAX_BYTES) -> dict[str, bytes]:
  """The members of an archive by name.

  Args:
    content: Content of the archive.
    limit: Maximum size of all members together when decompressed, bytes.

  Raises:
    ValueError: It is not an archive, damaged, encrypted, compressed in an unusual way, or larger than `limit`.
  """
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      members = archive.infolist()
      if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > limit:
        raise ValueError(f'it holds more than {MAX_MEMBERS} files, or more than {limit} bytes')
      if len({member.filename for member in members}) != len(members):
        raise ValueError('it holds two files of the same name')
      if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ValueError('it is compressed in an unusual way')
      return {member.filename: archive.read(member) for member in members}  # compares checksums
  except _UNREADABLE as error:
    raise ValueError(f'not a ZIP archive, or a damaged one: {files.one_line(str(error), 200)}') from error


def read_arrays(path: files.PathLike, limit: int = MAX_BYTES) -> dict[str, np.ndarray]:
  """The arrays of an .npz file by name: numbers, booleans and strings, never pickled objects.

  Raises:
    ValueError: The file is not an .npz archive, or damaged; one line that begins with the path.
    OSError: The file cannot be read.
  """
  content = files.read_bytes(path, limit)
  try:
    return {name.removesuffix('.npy'): _array(name, data) for name, data in read(content, limit).items()}
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def _array(name: str, data: bytes) -> np.ndarray:
  try:
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind not in 'biufSU':
      raise ValueError(f'type {files.shorten(array.dtype)}')
    return array
  except _UNREADABLE as error:
    raise ValueError(f'{files.shorten(name)} is not an array: {files.one_line(str(error), 200)}') from error


# --- Models of tf_keras

# Modules that a model may name. Keras's own safe_mode refuses Lambda layers only: it imports whatever module a file names.
_MODULES = ('keras.layers', 'keras.initializers', 'keras.regularizers', 'keras.constraints', 'tf_keras.src.engine.functional',
            'tf_keras.src.engine.sequential', 'keras')
_RUNNING = ('Lambda', 'function', '__lambda__', 'TFOpLambda', 'SlicingOpLambda')  # run code from the file
# A function by name, which is no code of the file's.
_HARD_SWISH = {'module': 'builtins', 'class_name': 'function', 'config': 'tf_proxyless>hard_swish', 'registered_name': 'function',
               'shared_object_id': 0}
_METADATA, _CONFIG = 'metadata.json', 'config.json'


def check_keras(path: files.PathLike, limit: int = MAX_BYTES) -> None:
  """Refuses a .keras file that tf_keras cannot load, or that names modules outside Keras: loading would import them.

  Raises:
    ValueError: The file is refused; one line that says why.
    OSError: The file cannot be read.
  """
  try:
    members = read(files.read_bytes(path, limit), limit)
    metadata = _json(members, _METADATA)
    if not isinstance(metadata, dict):
      raise ValueError(f'{_METADATA} in it is no object')
    version = metadata.get('keras_version')
    config = _json(members, _CONFIG) if str(version).startswith('2.') else None
  except ValueError as error:
    raise ValueError(f'{path} is not a .keras file, or a damaged one: {error}') from error
  if config is None:
    raise ValueError(f'{path} was written by Keras {files.one_line(str(version), 60)}; models are read that tf_keras (2.x) has written')
  if isinstance(config, dict):
    config = {**config, 'compile_config': None}  # optimizer and loss: not read where models are loaded without being compiled
  foreign = sorted(_foreign(config))
  if foreign:
    raise ValueError(f'{path} holds modules or layers that are not of Keras: {files.shorten(foreign, 200)}')


def _json(members: dict[str, bytes], name: str) -> object:
  if name not in members:
    raise ValueError(f'it lacks {name}')
  return files.parse_json(members[name])


def _foreign(config: object) -> set[str]:
  """Modules outside Keras and code-running layer types that a configuration names."""
  found, level = set(), [config]
  while level:
    item = level.pop()
    if isinstance(item, dict) and {**item, 'shared_object_id': 0} != _HARD_SWISH:
      module, name = item.get('module'), item.get('class_name')
      if module is not None and module not in _MODULES:
        found.add(str(module))
      found |= {kind for kind in _RUNNING if kind in (name, item.get('registered_name'))}
      level += item.values()
    elif isinstance(item, list):
      level += item
  return found
