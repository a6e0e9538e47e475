"""Images in memory, as arrays or tf.data datasets, as a source like any other."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

from tf_proxyless.data import names
from tf_proxyless.data import records as records_lib
from tf_proxyless.data import sources
from tf_proxyless.infra import class_names as class_names_lib


def open_arrays(train: Any, validation: Any = None, test: Any = None, class_names: Sequence[str] | None = None) -> tuple[
    sources.Source, np.ndarray | None]:
  """Makes a source of images in memory. Its name says what is in it, so that a run continues with the same images only.

  Args:
    train: (images, labels), or a tf.data.Dataset of (image, label), batched or not. Images are uint8 [height, width, channels], or
      floats in [0, 1], which are rounded to 8 bits as a file has them; labels are integers from 0.
    validation: Images to learn the architecture from, likewise; they come with the training images in the source.
    test: Test images, likewise; None leaves the source without any.
    class_names: Names by label; by default the labels.

  Returns:
    The source, and which of its training examples (bool) are `validation`; None without it.

  Raises:
    TypeError, ValueError: The data is not of that kind.
  """
  bad = next(filter(class_names_lib.fault, class_names or ()), None)
  if bad is not None:
    raise ValueError(f'{bad!r} among `class_names` cannot be a label: {class_names_lib.fault(bad)}')
  shapes: set[tuple[int, ...]] = set()
  given = {'train': train, 'validation': validation, 'test': test}
  parts = {name: _read(data, name, shapes) for name, data in given.items() if data is not None}
  labels = np.concatenate([part[1] for part in parts.values()])
  classes = int(labels.max()) + 1 if class_names is None else len(class_names)
  if labels.min() < 0 or labels.max() >= classes:
    raise ValueError(f'labels must be in 0..{classes - 1}, got {labels.min()} to {labels.max()}')
  shape = next(iter(shapes)) if len(shapes) == 1 else None
  found = {'test': _records(*parts['test'], shape)} if test is not None else {}
  held_out = None
  if validation is None:
    found['train'] = _records(*parts['train'], shape)
  else:
    images, labels = (np.concatenate(pair) for pair in zip(parts['train'], parts['validation']))
    found['train'] = _records(images, labels, shape)
    held_out = (np.arange(len(labels)) >= len(parts['train'][1]))[_order(images)]
  digest = hashlib.sha256()
  for name in sorted(found):
    digest.update(b'|'.join([name.encode(), *found[name].ids.tolist(), found[name].labels.tobytes()]))
  if held_out is not None:
    digest.update(held_out.tobytes())
  height, width, channels = np.max(list(shapes), axis=0).tolist()
  source = sources.Source(f'{names.ARRAYS_PREFIX}{digest.hexdigest()[:16]}', tuple(class_names or map(str, range(classes))),
                          len(found['train'].ids), len(found['test'].ids) if test is not None else 0, (height, width, channels), '',
                          found.__getitem__)
  return source, held_out


def _read(data: Any, name: str, shapes: set[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
  """PNG files and labels, bytes and int64 [examples]; adds the shapes of the images."""
  if isinstance(data, tf.data.Dataset):
    specs = data.element_spec
    if not isinstance(specs, tuple) or len(specs) != 2:
      raise TypeError(f'{name} data must hold (image, label) pairs, got elements of {specs}')
    if specs[0].shape.rank == 4:
      data = data.unbatch()
    pairs = list(data.as_numpy_iterator())
    images, labels = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
  elif isinstance(data, tuple) and len(data) == 2:
    images, labels = data
  else:
    raise TypeError(f'{name} data must be (images, labels), a tf.data.Dataset of such pairs, or the name of a dataset, '
                    f'got {type(data).__name__}')
  labels = np.asarray(labels)
  if labels.ndim != 1 or labels.dtype.kind not in 'iu' or len(images) != len(labels) or not len(labels):
    raise ValueError(f'{name} labels must be integers, one for each of {len(images)} images, got {labels.dtype} {list(labels.shape)}')
  encoded = np.array([_encode(image, name) for image in images], object)
  shapes.update(np.shape(image) for image in images)
  return encoded, labels.astype(np.int64)


def _encode(image: Any, name: str) -> bytes:
  """A PNG file of an image."""
  image = np.asarray(image)
  if image.ndim != 3 or image.shape[2] not in (1, 3):
    raise ValueError(f'{name} images must be [height, width, 1 or 3], got {list(image.shape)}')
  if image.dtype.kind == 'f':
    if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
      raise ValueError(f'{name} images of floats must be in [0, 1], got {image.min():g} to {image.max():g}; divide them, or give uint8')
    image = np.rint(image * 255).astype(np.uint8)
  if image.dtype != np.uint8:
    raise ValueError(f'{name} images must be uint8, or floats in [0, 1], got {image.dtype}')
  return tf.io.encode_png(image, compression=1).numpy()


def _ids(images: np.ndarray) -> np.ndarray:
  """By content, so that the order of the images plays no part; equal images are counted."""
  seen: dict[str, int] = {}
  found = []
  for image in images:
    digest = hashlib.sha256(image).hexdigest()[:32]
    seen[digest] = seen.get(digest, -1) + 1
    found.append(f'{digest}-{seen[digest]:09d}')
  return np.array(found, np.bytes_)


def _order(images: np.ndarray) -> np.ndarray:
  return np.argsort(_ids(images), kind='stable')


def _records(images: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int] | None) -> records_lib.InMemory:
  ids, order = _ids(images), _order(images)
  return records_lib.InMemory(ids[order], labels[order], tf.constant(images[order].tolist()), shape)
