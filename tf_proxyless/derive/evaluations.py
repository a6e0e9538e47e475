"""The networks that a search scored, in memory and in one compact file that only grows.

The file is a line of JSON (what the decisions are), then one little-endian record a network: a byte for each decision's choice,
accuracy (float32), cost (float64), batch (int64).
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import json
import os

import numpy as np

from tf_proxyless.infra import files

_SCHEMA = 'tf_proxyless/scored_samples'
_VERSION = 1
_MAX_HEADER_BYTES = 2**20
_MAX_CHOICES = 256  # a choice is one byte


class DamagedEvaluationsError(ValueError):
  """A file of scored samples that cannot be what was written; the message is one line that begins with the path."""


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluations:
  """Networks in the order in which they were scored.

  Attributes:
    choice_counts: Number of choices of each decision.
    paths: uint8, [networks, decisions], the choice of each decision.
    accuracy: float32, [networks], on the batch that scored it.
    cost: float64, [networks], in the unit of the search's budget.
    batch: int64, [networks], which validation batch scored it; never falls.
  """

  choice_counts: tuple[int, ...]
  paths: np.ndarray
  accuracy: np.ndarray
  cost: np.ndarray
  batch: np.ndarray

  def __post_init__(self) -> None:
    _check_counts(self.choice_counts)
    networks = len(self.accuracy)
    shapes = {'paths': (networks, len(self.choice_counts)), 'accuracy': (networks,), 'cost': (networks,), 'batch': (networks,)}
    dtypes = {'paths': np.uint8, 'accuracy': np.float32, 'cost': np.float64, 'batch': np.int64}
    for name, shape in shapes.items():
      array = np.asarray(getattr(self, name))
      if array.shape != shape:
        raise ValueError(f'{name} must have shape {shape}, got {array.shape}')
      if name == 'paths' and ((array < 0) | (array >= np.array(self.choice_counts))).any():
        raise ValueError(f'paths must hold choices below {self.choice_counts}')
      object.__setattr__(self, name, array.astype(dtypes[name]))
    if not (np.isfinite(self.accuracy).all() and np.isfinite(self.cost).all()):
      raise ValueError('accuracy and cost must be finite')
    if (np.diff(self.batch) < 0).any():
      raise ValueError('batch must never fall: samples are kept in the order in which they were scored')

  def __len__(self) -> int:
    return len(self.accuracy)

  def __getitem__(self, rows: slice) -> Evaluations:
    """The samples of consecutive rows."""
    return Evaluations(self.choice_counts, self.paths[rows], self.accuracy[rows], self.cost[rows], self.batch[rows])


def concatenate(parts: Sequence[Evaluations]) -> Evaluations:
  """The networks of several, which are of the same decisions, one after the other; at least one part."""
  fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ('paths', 'accuracy', 'cost', 'batch')}
  return Evaluations(parts[0].choice_counts, **fields)


def _check_counts(choice_counts: Sequence[int]) -> None:
  if not choice_counts or any(type(n) is not int or not 1 <= n <= _MAX_CHOICES for n in choice_counts):
    raise ValueError(f'choice_counts must be integers in 1..{_MAX_CHOICES}, got {files.shorten(choice_counts)}')


def _record(decisions: int) -> np.dtype:
  return np.dtype([('path', 'u1', (decisions,)), ('accuracy', '<f4'), ('cost', '<f8'), ('batch', '<i8')])


@dataclasses.dataclass(frozen=True)
class EvaluationLog:
  """A file of scored samples; every call opens and closes it.

  Attributes:
    path: Where it lies.
    decisions: Paths of the decisions, in the order of the space.
    choice_counts: Number of choices of each decision.
    writes: Whether this process writes the file; of several workers one does.
  """

  path: str
  decisions: tuple[str, ...]
  choice_counts: tuple[int, ...]
  writes: bool = True

  def __post_init__(self) -> None:
    _check_counts(self.choice_counts)
    if len(self.decisions) != len(self.choice_counts):
      raise ValueError(f'{len(self.decisions)} decisions do not fit {len(self.choice_counts)} choice counts')

  def _header(self) -> bytes:
    content = {'schema': _SCHEMA, 'version': _VERSION, 'decisions': self.decisions, 'choice_counts': self.choice_counts}
    return json.dumps(content).encode() + b'\n'

  def create(self) -> None:
    """Writes the file without samples; one that was there is replaced."""
    if self.writes:
      files.write_atomically(self.path, self._header())

  def append(self, samples: Evaluations) -> None:
    """Adds samples at the end.

    Raises:
      ValueError: The samples are of other decisions.
      DamagedEvaluationsError: The file is not this one, or ends within a record (`truncate` mends that).
    """
    if samples.choice_counts != self.choice_counts:
      raise ValueError(f'samples have choice counts {samples.choice_counts}, the file {self.choice_counts}')
    if not self.writes:
      return
    records = np.empty(len(samples), _record(len(self.decisions)))
    records['path'], records['accuracy'] = samples.paths, samples.accuracy
    records['cost'], records['batch'] = samples.cost, samples.batch
    with open(self.path, 'r+b') as file:
      self._check_header(file.read(len(self._header())))
      if (file.seek(0, os.SEEK_END) - len(self._header())) % records.itemsize:
        raise DamagedEvaluationsError(f'{self.path}: ends within a record; truncate it to the last checkpoint first')
      file.write(records.tobytes())
      file.flush()
      os.fsync(file.fileno())  # before a checkpoint counts them

  def truncate(self, count: int) -> None:
    """Keeps the first `count` samples, so that a resumed search continues exactly where its checkpoint stood.

    Raises:
      DamagedEvaluationsError: The file is not this one or holds fewer samples.
    """
    if count < 0:
      raise ValueError(f'count must not be negative, got {count}')
    if not self.writes:
      return
    with open(self.path, 'r+b') as file:
      self._check_header(file.read(len(self._header())))
      size = len(self._header()) + count * _record(len(self.decisions)).itemsize
      if file.seek(0, os.SEEK_END) < size:
        raise DamagedEvaluationsError(f'{self.path}: holds fewer than the {count} samples of the checkpoint')
      file.truncate(size)

  def _check_header(self, found: bytes) -> None:
    if found != self._header():
      raise DamagedEvaluationsError(f'{self.path}: not the scored samples of this search space')


def load(path: files.PathLike) -> tuple[EvaluationLog, Evaluations]:
  """Reads all samples; a last record that was cut off is left out.

  Args:
    path: A file of scored samples.

  Returns:
    The file, for appending, and what it holds.

  Raises:
    DamagedEvaluationsError: The content cannot be what was written.
    OSError: The file cannot be read.
  """
  with open(path, 'rb') as file:
    line = file.readline(_MAX_HEADER_BYTES)
    data = file.read()
  try:
    source = _parse_header(str(path), line)
    record = _record(len(source.decisions))
    records = np.frombuffer(data, record, len(data) // record.itemsize)
    samples = Evaluations(source.choice_counts, records['path'], records['accuracy'], records['cost'], records['batch'])
  except (TypeError, ValueError) as error:
    raise DamagedEvaluationsError(f'{path}: {error}') from error
  return source, samples


def _parse_header(path: str, line: bytes) -> EvaluationLog:
  if not line.endswith(b'\n'):
    raise ValueError('does not begin with a line of JSON')
  header = files.parse_json(line)
  expected = {'schema', 'version', 'decisions', 'choice_counts'}
  if not isinstance(header, dict) or set(header) != expected:
    raise ValueError(f'the first line must be a JSON object of {sorted(expected)}')
  if (header['schema'], header['version']) != (_SCHEMA, _VERSION):
    raise ValueError(f'schema and version must be {_SCHEMA!r} and {_VERSION}, '
                     f'got {files.shorten(header["schema"])} and {files.shorten(header["version"])}')
  decisions, counts = header['decisions'], header['choice_counts']
  if not isinstance(decisions, list) or not all(isinstance(path, str) for path in decisions) or not isinstance(counts, list):
    raise ValueError('decisions must be a list of strings and choice_counts a list of integers')
  source = EvaluationLog(path, tuple(decisions), tuple(counts))
  if source._header() != line:
    raise ValueError('the first line is not as it was written')
  return source
