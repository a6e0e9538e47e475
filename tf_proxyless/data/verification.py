"""Reads every image of a folder once before anything is made of them, so that an unreadable one does not end a training late.

What was found is kept by size and time of each file: a file is read again once it has changed. Datasets of tensorflow-datasets were checked
as they were prepared, and are not read.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import re
import warnings

import numpy as np
import tensorflow as tf

from tf_proxyless.data import crops
from tf_proxyless.data import image_formats
from tf_proxyless.data import selection
from tf_proxyless.data import sources
from tf_proxyless.infra import files
from tf_proxyless.infra import progress
from tf_proxyless.infra import safe_zip

_DECODER = f'1, TensorFlow {tf.__version__}'  # what another one could read says nothing; the number is of `crops.decode_whole`
_COLUMNS = {'ids': 'S', 'sizes': 'i', 'times': 'i', 'contents': 'i'}  # of the file that is kept: kinds of arrays
_BATCH = 64
_SHOWN = 10
_UNREAD, _UNREADABLE = -2, -1  # in place of the hash of a content


@dataclasses.dataclass(frozen=True, eq=False)
class Verified:
  """A dataset whose images can be read.

  Attributes:
    source: The dataset, without the images that cannot be read.
    skipped: Ids of these.
    duplicates: How many images of its other parts are among its training images too, byte for byte.
    example: One of these, in words.
  """

  source: sources.Source
  skipped: tuple[bytes, ...] = ()
  duplicates: int = 0
  example: str = ''


def verify(source: sources.Source, skip: bool = False) -> Verified:
  """Decodes every image of a dataset that is a folder, in all its parts.

  Args:
    source: The dataset; one that is no folder is taken as it is.
    skip: Whether to go on without images that cannot be read.

  Raises:
    ValueError: Images cannot be read, and are not to be skipped or a class has no others; the first ten are named.
  """
  if source.folder is None:
    return Verified(source)
  ids = np.concatenate([part.ids for part in source.folder.parts.values()])
  contents = _find_contents(source.directory, ids)
  bad = tuple(ids[contents == _UNREADABLE].tolist())
  if bad and not skip:
    shown = [f'{_show(name)} ({_reason(source.directory, name)})' for name in bad[:_SHOWN]]
    raise ValueError(f'{len(bad):,} of {len(ids):,} images in {source.directory} cannot be read: {", ".join(shown)}'
                     f'{", ..." * (len(bad) > _SHOWN)}; mend or remove them, or go on without them by `skip_unreadable`')
  if bad:
    source = sources.of_folder(source.folder.without(bad))
  return Verified(source, bad, *_find_duplicates(source, dict(zip(ids.tolist(), contents.tolist()))))


def _find_duplicates(source: sources.Source, contents: dict[bytes, int]) -> tuple[int, str]:
  """How many images of the other parts are training images too, and an example."""
  trained = {contents[name]: name for name in reversed(source.load('train').ids.tolist())}
  others = [name for part in ('validation', 'test')[not source.num_validation:] for name in source.load(part).ids.tolist()]
  same = [name for name in others if contents[name] in trained]
  return len(same), f'{_show(same[0])} and {_show(trained[contents[same[0]]])}' if same else ''


def _show(name: bytes) -> str:
  return files.one_line(os.fsdecode(name), 200)


def _path(directory: str, name: bytes) -> bytes:
  return os.path.join(os.fsencode(directory), name)


def _find_contents(directory: str, ids: np.ndarray) -> np.ndarray:
  """The hash of each file's content, int64 [files], at least 0; `_UNREADABLE` where it is no image that can be decoded."""
  sizes, times = np.array([_stat(_path(directory, name)) for name in ids.tolist()], np.int64).T
  kept_at = pathlib.Path(files.cache_folder()) / f'images_{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}.npz'
  kept = _read_kept(kept_at)
  found = zip(ids.tolist(), sizes.tolist(), times.tolist())
  contents = np.array([content if (size, time) == (known_size, known_time) else _UNREAD for (name, size, time) in found
                       for known_size, known_time, content in [kept.get(name, (-1, -1, _UNREAD))]], np.int64)
  unread = np.flatnonzero(contents == _UNREAD)
  if len(unread):
    unread = unread[[refusal is None for refusal in _refusals(directory, ids[unread])]]  # TensorFlow has not seen the others
    contents[contents == _UNREAD] = _UNREADABLE
    contents[unread] = _decode(directory, ids[unread])
    good = contents >= 0
    columns = {'ids': ids, 'sizes': sizes, 'times': times, 'contents': contents}
    _write_kept(kept_at, {name: column[good] for name, column in columns.items()})
  return contents


def _stat(path: bytes) -> tuple[int, int]:
  """Size in bytes, and time of the last change in ns, of a file; of one that cannot be looked at what no file has."""
  try:
    found = os.stat(path)
  except OSError:
    return -1, 0
  return found.st_size, found.st_mtime_ns


def _refusals(directory: str, ids: np.ndarray) -> list[str | None]:
  """Why files cannot be used, by their headers; None where nothing is against it."""
  with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor() as pool:
    warnings.simplefilter('ignore')  # of Pillow, on files that can be decoded
    return list(pool.map(lambda name: _refusal(_path(directory, name)), ids.tolist()))


def _refusal(path: bytes) -> str | None:
  try:
    with open(path, 'rb') as file:
      return image_formats.refusal(file.read())
  except OSError as error:
    return error.strerror


def _decode(directory: str, ids: np.ndarray) -> np.ndarray:
  """What `_find_contents` gives, of files that are read and decoded as in training."""
  def look(position):
    encoded = tf.io.read_file(tf.strings.join([root, names[position]], separator='/'))
    return position, selection.fingerprints(encoded), tf.size(crops.decode_whole(encoded))  # which it needs the pixels for

  contents, names, root = np.full(len(ids), _UNREADABLE, np.int64), tf.constant(ids), tf.constant(os.fsencode(directory))
  read = tf.data.Dataset.range(len(ids)).map(look, tf.data.AUTOTUNE, deterministic=False).ignore_errors(log_warning=False)
  with progress.bar('checking images', len(ids), unit='image') as shown:
    for positions, found, _ in read.batch(_BATCH).as_numpy_iterator():
      contents[positions] = found
      shown.update(len(positions))
  return contents


def _reason(directory: str, name: bytes) -> str:
  """Why an image cannot be read, in a few words."""
  refusal, = _refusals(directory, np.array([name]))
  if refusal:
    return refusal
  try:
    crops.decode_whole(tf.io.read_file(_path(directory, name)))
  except (tf.errors.OpError, ValueError) as error:
    text = re.sub(r'\{\{.*?\}\}|\[Op:.*?\]| name:.*', '', str(getattr(error, 'message', error))).split('\n')[0]
    return files.one_line(' '.join(text.split()), 80).rstrip('. ')
  return 'cannot be decoded beside others'


def _read_kept(path: pathlib.Path) -> dict[bytes, tuple[int, int, int]]:
  """Size, time and hash of files that were read before; nothing if what is there is not whole, or of another decoder."""
  try:
    columns = safe_zip.read_arrays(path)
  except (OSError, ValueError):
    return {}
  found = [columns[name] for name, kind in _COLUMNS.items() if name in columns and columns[name].dtype.kind == kind]
  if str(columns.get('decoder')) != _DECODER or len(found) != len(_COLUMNS) or any(column.shape != found[0].shape for column in found):
    return {}
  names, *others = (column.tolist() for column in found)
  return dict(zip(names, zip(*others)))


def _write_kept(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
  with contextlib.suppress(OSError):  # without it the images are read again
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, decoder=np.array(_DECODER), **columns)
    files.write_atomically(path, buffer.getvalue())
