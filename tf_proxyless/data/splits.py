"""The class-balanced validation set that is taken out of the training examples; the test set is not among them.

    split = splits.make(source, validation_images=5000, seed=0)
    splits.save(split, path)
    split = splits.load(path, source)     # the same split, without another pass over a large dataset
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import hashlib
import io
import json
import math
import os
import sys

import numpy as np

from tf_proxyless.data import names
from tf_proxyless.data import records as records_lib
from tf_proxyless.data import selection
from tf_proxyless.data import sources
from tf_proxyless.infra import files
from tf_proxyless.infra import safe_zip

_HEADER = {'dataset': str, 'seed': int, 'examples': int, 'ids_sha256': str}
_COLUMNS = {'ids': 'S', 'labels': 'i', 'shard': 'i', 'offset': 'i'}  # kinds of arrays
_SCHEMA = {'schema': 'tf_proxyless/split', 'version': 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """The training examples of a dataset, divided into a training and a validation part.

  Attributes:
    dataset: Name of the source.
    seed: Seed of the choice, which also depends on the examples' ids.
    records: All training examples of the source.
    training: int64 [training examples], positions in `records` that weights learn from, increasing.
    validation: int64 [validation examples], positions that architectures are scored on, increasing. What is in neither is held out.
  """

  dataset: str
  seed: int
  records: records_lib.Records
  training: np.ndarray
  validation: np.ndarray


def make(source: sources.Source, validation_images: float, seed: int, held_out_images: float = 0.0) -> Split:
  """Takes a validation set out of the training examples: as many of each class that occurs, chosen by the hash of their ids.

  Where the number does not divide by the classes, the first classes give one more. Where a class is too small for that, each gives in
  proportion to its size, but at least one image, and keeps one. A dataset with a validation part of its own gives that, whatever the
  number.

  Args:
    source: The dataset.
    validation_images: A count of at least 1, or a fraction of the training examples in (0, 1).
    seed: Another seed gives another, independent choice.
    held_out_images: Likewise a count or a fraction, or 0: the validation images of a split of that number, which are in no part of this
      one; of a dataset with a validation part, that part. The validation images are then taken out of the others.

  Returns:
    The split, a function of the dataset's ids, the numbers and `seed`; reading order plays no part.

  Raises:
    ValueError: The number is not one of those, leaves no training example of some class, or is below the number of classes.
  """
  if held_out_images:
    outer = make(source, held_out_images, seed)
    records, rest = outer.records, outer.training
    chosen = np.zeros(len(records.ids), bool)
    chosen[rest] = _choose(source, records.ids[rest], records.labels[rest], validation_images, seed)
    return Split(source.name, seed, records, rest[~chosen[rest]], np.flatnonzero(chosen))
  if source.num_validation:
    records, is_validation = records_lib.join(source.load('train'), source.load('validation'))
    return Split(source.name, seed, records, np.flatnonzero(~is_validation), np.flatnonzero(is_validation))
  records = source.load('train')
  chosen = _choose(source, records.ids, records.labels, validation_images, seed)
  return Split(source.name, seed, records, np.flatnonzero(~chosen), np.flatnonzero(chosen))


def _choose(source: sources.Source, ids: np.ndarray, labels: np.ndarray, validation_images: float, seed: int) -> np.ndarray:
  """bool [examples]: which of some training examples are validation images; see `make`."""
  count = validation_count(validation_images, source.num_train)
  sizes = np.bincount(labels, minlength=source.classes)
  occurring = sizes > 0
  classes = np.count_nonzero(occurring)
  if count < classes:
    raise ValueError(f'validation_images={validation_images} means {count} images, fewer than the {classes} classes')
  counts = selection.apportion(count, occurring)
  if (occurring & (counts >= sizes)).any():
    smallest = np.flatnonzero(occurring)[np.argmin(sizes[occurring])]
    counts = _in_proportion(count, sizes, source.class_names, f'validation_images={validation_images}')
    print(f'validation images are taken in proportion to the classes, {counts[occurring].min():,} to {counts.max():,} of each: class '
          f'{source.class_names[smallest]!r} has only {sizes[smallest]:,} images to train on', file=sys.stderr)
  return selection.choose(ids, labels, counts, f'validation/{seed}')


def _in_proportion(count: int, sizes: np.ndarray, class_names: Sequence[str], option: str) -> np.ndarray:
  """How many images each class that occurs gives: one, and of the others in proportion to the others, but for one that it keeps."""
  single = np.flatnonzero(sizes == 1)
  if len(single):
    raise ValueError(f'class {class_names[single[0]]!r} has 1 training image; it needs 2, one of them to validate on')
  occurring = sizes > 0
  most = int((sizes - occurring).sum())
  if count > most:
    raise ValueError(f'{option} takes {count} of {sizes.sum()} training images, but each of {np.count_nonzero(occurring)} classes must '
                     f'keep one; at most {most} are possible')
  return occurring + selection.apportion(count - np.count_nonzero(occurring), np.maximum(sizes - 2, 0))


def sizes(source: sources.Source, validation_images: float, held_out_images: float = 0.0) -> tuple[int, int]:
  """How many training and validation examples `make` gives, as far as it can be known without reading them.

  Raises:
    ValueError: As for `validation_count`.
  """
  if held_out_images:
    count = validation_count(validation_images, source.num_train)
    return sizes(source, held_out_images)[0] - count, count
  count = source.num_validation or validation_count(validation_images, source.num_train)
  return source.num_train - (0 if source.num_validation else count), count


def validation_count(validation_images: float, num_train: int) -> int:
  """The number of validation images that a count or a fraction means.

  Args:
    validation_images: A count of at least 1, or a fraction in (0, 1), of which the nearest whole number is taken.
    num_train: Training examples to take them from.

  Returns:
    A number below `num_train`.

  Raises:
    ValueError: It is neither, or not below `num_train`.
  """
  value = validation_images
  is_number = not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
  is_fraction = is_number and 0 < value < 1
  is_count = is_number and value >= 1 and value == int(value) and not (isinstance(value, float) and value == 1.0)
  if not (is_fraction or is_count):
    raise ValueError(f'validation_images must be a count of at least 1 or a fraction between 0 and 1, got {value!r}')
  count = round(value * num_train) if is_fraction else int(value)
  if count >= num_train:
    raise ValueError(f'validation_images={value!r} leaves nothing to train on: the dataset has {num_train} training images')
  return count


def whole(source: sources.Source, seed: int) -> Split:
  """All training examples of a source to train on and none to validate on, for the training of a network that is no longer changed."""
  records = source.load('train')
  return Split(source.name, seed, records, np.arange(len(records.ids)), np.arange(0))


def save(split: Split, path: str) -> None:
  """Writes a split, and of files which they are, for a large dataset the place of each record, as an npz file.

  Raises:
    OSError: The file cannot be written.
  """
  examples = np.arange(len(split.records.ids))
  columns = {'validation': np.packbits(np.isin(examples, split.validation))}
  held_out = ~np.isin(examples, np.concatenate([split.training, split.validation]))
  if held_out.any():
    columns['held_out'] = np.packbits(held_out)
  header = {**_SCHEMA, 'dataset': split.dataset, 'seed': split.seed, 'examples': len(split.records.ids),
            'ids_sha256': _digest(split.records.ids)}
  if isinstance(split.records, records_lib.TfRecords):
    header['files'] = split.records.files
    columns.update({name: getattr(split.records, name) for name in split.records.INDEX})
  elif isinstance(split.records, records_lib.Files):
    columns['ids'] = split.records.ids
  buffer = io.BytesIO()
  np.savez_compressed(buffer, header=np.array(json.dumps(header)), **columns)
  files.write_atomically(path, buffer.getvalue())


def load(path: str, source: sources.Source, over: bool = False) -> Split:
  """Reads what `save` wrote.

  Args:
    path: The file.
    source: The dataset of the split, perhaps in another folder.
    over: Whether nothing learns from the images any more. Files that were lost or gained since are then left out, which is said.

  Returns:
    The split.

  Raises:
    ValueError: The file is not a split, not one of this dataset, or that has lost or gained images.
    OSError: The file cannot be read.
  """
  header, columns = _read(path)
  examples = source.num_train + source.num_validation
  if names.resolve(header['dataset']) != source.name or 'files' in header and header['examples'] != examples:
    raise ValueError(f'{path} splits {header["examples"]} images of {header["dataset"]}, not {examples} of {source.name}')
  _check_columns(path, header, columns, source)
  if 'files' in header:
    index = {name: columns[name] for name in records_lib.TfRecords.INDEX}
    records = records_lib.TfRecords(source.directory, tuple(header['files']), **index)
  else:
    records = source.load('train')
    if source.num_validation:
      records, _ = records_lib.join(records, source.load('validation'))
  chosen, held_out = (np.unpackbits(columns[name], count=header['examples']).astype(bool) if name in columns else
                      np.zeros(header['examples'], bool) for name in ('validation', 'held_out'))
  if header['ids_sha256'] != _digest(records.ids):
    if not over or 'files' in header or 'ids' not in columns:
      raise ValueError(f'{path} was made of other images: {_describe_change(header, columns, records)}; restore what it was made of to '
                       'continue, or begin in another `run_dir`')
    print(f'since this run began, {_describe_change(header, columns, records)}; all is learned, and the others do for the rest',
          file=sys.stderr)
    chosen, held_out, known = (np.isin(records.ids, ids) for ids in (columns['ids'][chosen], columns['ids'][held_out], columns['ids']))
    records, chosen, held_out = records.select(np.flatnonzero(known)), chosen[known], held_out[known]
  return Split(source.name, header['seed'], records, np.flatnonzero(~chosen & ~held_out), np.flatnonzero(chosen))


def _describe_change(header: dict, columns: dict[str, np.ndarray], records: records_lib.Records) -> str:
  """How the images of a dataset are others than those of a split."""
  known = columns.get('ids', records.ids)
  changes = {'lost': np.setdiff1d(known, records.ids), 'gained': np.setdiff1d(records.ids, known)}
  texts = [f'{verb} {len(ids):,} image{"s" * (len(ids) > 1)}, for instance {os.fsdecode(ids[0])!r}'
           for verb, ids in changes.items() if len(ids)]
  return f'{header["dataset"]} has ' + (' and '.join(texts) or f'{len(records.ids):,} images, and had {header["examples"]:,}, or others')


def is_of(path: files.PathLike, source: sources.Source) -> bool:
  """Whether what `save` wrote is of the training images of a source, whatever its test images; by name, of arrays by content.

  Raises:
    ValueError: The file is not a split.
    OSError: The file cannot be read.
  """
  header, _ = _read(os.fspath(path))
  if not all(name.startswith(names.ARRAYS_PREFIX) for name in (header['dataset'], source.name)):
    return names.resolve(header['dataset']) == source.name
  return header['ids_sha256'] == _digest(source.load('train').ids)


def _read(path: str) -> tuple[dict, dict[str, np.ndarray]]:
  """The header and the columns of an untrusted file."""
  try:
    columns = safe_zip.read_arrays(path)
  except ValueError as error:
    raise ValueError(f'{path} is not a split: {str(error).removeprefix(f"{path}: ")}') from error
  header = _read_header(path, columns.get('header'))
  if header.get('schema') != _SCHEMA['schema'] or header.get('version') != _SCHEMA['version']:
    raise ValueError(f'{path} is not a split: its header is not {_SCHEMA}')
  missing = [key for key, kind in _HEADER.items() if type(header.get(key)) is not kind]
  missing += [key for key in ('validation', *(_COLUMNS if 'files' in header else ())) if key not in columns]
  if missing:
    raise ValueError(f'{path} is not a split: it lacks {", ".join(missing)}')
  return header, columns


def _read_header(path: str, header: np.ndarray | None) -> dict:
  if header is None or header.shape or header.dtype.kind != 'U':
    raise ValueError(f'{path} is not a split: it has no header')
  try:
    found = files.parse_json(str(header))
  except ValueError as error:
    raise ValueError(f'{path} is not a split: {error}') from error
  if not isinstance(found, dict):
    raise ValueError(f'{path} is not a split: its header is not {_SCHEMA}')
  return found


def _check_columns(path: str, header: dict, columns: dict[str, np.ndarray], source: sources.Source) -> None:
  """Refuses columns of other sizes, and places of records outside of the dataset's files."""
  examples = header['examples']
  wrong = [name for name in ('validation', 'held_out') if name in columns and
           (columns[name].dtype != np.uint8 or columns[name].shape != (-(-examples // 8),))]
  if 'files' not in header and 'ids' in columns and (columns['ids'].dtype.kind != 'S' or columns['ids'].shape != (examples,)):
    wrong.append('ids')
  if 'files' in header:
    names = header['files']
    wrong += [name for name, kind in _COLUMNS.items() if columns[name].dtype.kind != kind or columns[name].shape != (examples,)]
    if not isinstance(names, list) or not all(isinstance(name, str) and name and name == os.path.basename(name) for name in names):
      wrong.append('files')
    limits = {} if wrong else {'labels': source.classes, 'shard': len(names), 'offset': np.iinfo(np.int64).max}
    wrong += [name for name, limit in limits.items() if ((columns[name] < 0) | (columns[name] >= limit)).any()]
  if wrong:
    raise ValueError(f'{path} is not a split: {", ".join(wrong)} in it cannot be of {examples} images')


def _digest(ids: np.ndarray) -> str:
  return hashlib.sha256(b'\n'.join(ids.tolist())).hexdigest()
