"""Latency tables: the milliseconds, or millijoules, of operations on one runtime, with where each number comes from."""

from __future__ import annotations

import collections
from collections.abc import Iterable
import dataclasses
import functools
import hashlib
import json
import math
import re
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.infra import serialization
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published  # noqa: F401, registers the operations of all spaces
from tf_proxyless.space import registry

UNITS = ('ms', 'mJ')
PROVENANCES = ('measured', 'published', 'estimated')
KERNELS = ('xnnpack', 'builtin', 'unknown')
PRECISIONS = ('float32', 'float16', 'int8')

_KIND = 'latency_table'
_VERSION = 2
_LARGEST = 1e12  # ms are then thirty years; sums and squares of such stay finite


def _check_choice(record: Any, name: str, accepted: tuple[str, ...]) -> None:
  if getattr(record, name) not in accepted:
    raise ValueError(f'{type(record).__name__}.{name} must be one of {", ".join(accepted)}, got {getattr(record, name)!r}')


def _check_numbers(record: Any, names: Iterable[str], minimum: float, exclusive: bool = False) -> None:
  """Checks numbers that may also be None, for not known."""
  for name in names:
    value = getattr(record, name)
    if value is None:
      continue
    if not minimum <= value <= _LARGEST or (exclusive and value == minimum):
      bound = f'above {minimum:g}' if exclusive else f'at least {minimum:g}'
      raise ValueError(f'{type(record).__name__}.{name} must be a finite number {bound}, got {value!r}; the largest is {_LARGEST:g}')


@dataclasses.dataclass(frozen=True)
class Runtime:
  """What was measured on; a table is only good for this. None is not known.

  Attributes:
    device: For instance 'Pixel 2'.
    precision: 'float32', 'float16' or 'int8'.
    kernels: 'xnnpack', 'builtin' or 'unknown': the same operation can be 20 times slower with the other.
    threads: Threads of the interpreter.
    batch_size: Images a run.
    soc: System on chip, for instance 'Snapdragon 835'.
    core_mask: Cores as for taskset, in hexadecimal.
    benchmark_tool, benchmark_version, benchmark_sha256: What measured it.
    date: ISO 8601.
  """

  device: str
  precision: str
  kernels: str = 'unknown'
  threads: int | None = None
  batch_size: int = 1
  soc: str | None = None
  core_mask: str | None = None
  benchmark_tool: str | None = None
  benchmark_version: str | None = None
  benchmark_sha256: str | None = None
  date: str | None = None

  def __post_init__(self) -> None:
    _check_choice(self, 'precision', PRECISIONS)
    _check_choice(self, 'kernels', KERNELS)
    _check_numbers(self, ('threads', 'batch_size'), 1)


@dataclasses.dataclass(frozen=True)
class LatencyStats:
  """Latency of one operation. None is not known, but the median or the mean must be.

  Attributes:
    provenance: 'measured', 'published' or 'estimated'.
    median_ms, p5_ms, p95_ms, mean_ms, std_ms: Statistics over runs, in the unit of the table; of energy, over launches.
    runs: Number of runs, or launches.
    undisturbed_ms: 5th percentile of the fastest launch, on a machine that runs other programs at the same time.
  """

  provenance: str
  median_ms: float | None = None
  p5_ms: float | None = None
  p95_ms: float | None = None
  mean_ms: float | None = None
  std_ms: float | None = None
  runs: int | None = None
  undisturbed_ms: float | None = None

  def __post_init__(self) -> None:
    _check_choice(self, 'provenance', PROVENANCES)
    _check_numbers(self, ('median_ms', 'p5_ms', 'p95_ms', 'mean_ms', 'undisturbed_ms'), 0, exclusive=True)
    _check_numbers(self, ('std_ms',), 0)
    _check_numbers(self, ('runs',), 1)
    if self.median_ms is None and self.mean_ms is None:
      raise ValueError('LatencyStats needs median_ms or mean_ms')

  @property
  def latency_ms(self) -> float:
    """The number that costs are made of: `undisturbed_ms`, else the median, or where only the mean was published, the mean."""
    return next(value for value in (self.undisturbed_ms, self.median_ms, self.mean_ms) if value is not None)

  @property
  def error_percent(self) -> float | None:
    """Standard error of the mean relative to it, if that is known."""
    if self.std_ms is None or not self.runs or not self.mean_ms:
      return None
    return 100 * self.std_ms / math.sqrt(self.runs) / self.mean_ms


@dataclasses.dataclass(frozen=True)
class Calibration:
  """ms of a network = offset_ms + scale * (sum of its entries), fitted on `networks` whole networks."""

  scale: float = 1.0
  offset_ms: float = 0.0
  networks: int = 0

  def __post_init__(self) -> None:
    _check_numbers(self, ('scale',), 0, exclusive=True)
    _check_numbers(self, ('offset_ms',), -_LARGEST)
    _check_numbers(self, ('networks',), 0)


@dataclasses.dataclass(frozen=True)
class Validation:
  """How well calibrated sums predict `networks` whole networks that were used for nothing else."""

  rmse_ms: float
  mape_percent: float
  within_5_percent: float
  within_10_percent: float
  spearman: float
  networks: int

  def __post_init__(self) -> None:
    _check_numbers(self, ('rmse_ms', 'mape_percent', 'within_5_percent', 'within_10_percent'), 0)
    _check_numbers(self, ('spearman',), -1)
    _check_numbers(self, ('networks',), 1)


@dataclasses.dataclass(frozen=True)
class Entry:
  """The latency of one operation at one place."""

  signature: network_lib.OpSignature
  latency: LatencyStats


@dataclasses.dataclass(frozen=True)
class LatencyTable:
  """Latencies, or energies, by operation signature on one runtime.

  Attributes:
    name: For people and messages.
    runtime: What the numbers hold for.
    entries: One for each signature.
    source: Where the numbers come from, in words.
    calibration: From sums of entries to milliseconds of whole networks.
    validation: How far to believe it, if that was measured.
    estimate_error_percent: How far an estimated entry may be off (one standard deviation), if there are any.
    unit: 'ms', or 'mJ' of energy: of all numbers in it, also of those whose names end in `_ms`. In a file of energy these end in `_mj`.
  """

  name: str
  runtime: Runtime
  entries: tuple[Entry, ...]
  source: str = ''
  calibration: Calibration = Calibration()
  validation: Validation | None = None
  estimate_error_percent: float | None = None
  unit: str = dataclasses.field(default='ms', metadata={'omit_default': True})

  def __post_init__(self) -> None:
    _check_choice(self, 'unit', UNITS)
    _check_numbers(self, ('estimate_error_percent',), 0)
    if not self.entries:
      raise ValueError(f'{self} has no entries')
    counts = collections.Counter(entry.signature for entry in self.entries)
    repeated = [str(signature) for signature, count in counts.items() if count > 1]
    if repeated:
      raise ValueError(f'{self} has more than one entry for: {"; ".join(repeated)}')

  def __str__(self) -> str:
    return f'{"latency" if self.unit == "ms" else "energy"} table {self.name!r}'

  @classmethod
  def load(cls, path: files.PathLike) -> LatencyTable:
    """Reads a table; see `load`."""
    return load(path)

  def save(self, path: files.PathLike) -> None:
    """Writes the table atomically."""
    save(self, path)

  @functools.cached_property
  def _latency_by_signature(self) -> dict[network_lib.OpSignature, float]:
    return {entry.signature: entry.latency.latency_ms for entry in self.entries}

  def latency_ms(self, signature: network_lib.OpSignature | None) -> float:
    """The entry of an operation, not calibrated; 0 for None, the signature of an operation that computes nothing.

    Raises:
      ValueError: The table has no such entry.
    """
    if signature is None:
      return 0.0
    if signature not in self._latency_by_signature:
      raise ValueError(f'{self} has no entry for {signature}')
    return self._latency_by_signature[signature]

  def missing(self, signatures: Iterable[network_lib.OpSignature]) -> tuple[network_lib.OpSignature, ...]:
    """Those of `signatures` that the table lacks, in their order."""
    return tuple(signature for signature in signatures if signature not in self._latency_by_signature)

  def check_covers(self, network: network_lib.Network) -> None:
    """Checks that every operation of a network, or of all networks of a space, has an entry.

    Raises:
      ValueError: Lists every missing entry.
    """
    needed = network_lib.op_signatures(network)
    missing = self.missing(needed)
    if missing:
      raise ValueError(f'{self} lacks {len(missing)} of the {len(needed)} entries that {network.name!r} '
                       f'needs: {"; ".join(map(str, missing))}')

  def check_unit(self, unit: str) -> None:
    """Checks that the table is of latency ('ms') or of energy ('mJ').

    Raises:
      ValueError: It is of the other.
    """
    if self.unit != unit:
      raise ValueError(f'{self} is in {self.unit}; one in {unit} is needed')

  def check_runtime(self, **expected: Any) -> None:
    """Checks that the table was measured as asked, for instance `precision='int8', kernels='builtin'`.

    Raises:
      ValueError: Names every field of the runtime that differs.
      TypeError: `Runtime` has no such field.
    """
    fields = [field.name for field in dataclasses.fields(Runtime)]
    unknown = sorted(set(expected) - set(fields))
    if unknown:
      raise TypeError(f'Runtime has no fields {unknown}; fields are {", ".join(fields)}')
    differing = [f'{name} {getattr(self.runtime, name)!r} instead of {value!r}'
                 for name, value in expected.items() if getattr(self.runtime, name) != value]
    if differing:
      raise ValueError(f'{self} is for another runtime: {", ".join(differing)}')

  @property
  def provenance(self) -> str:
    """One word if all entries agree, otherwise counts, for instance '60 measured, 12 estimated'."""
    counts = collections.Counter(entry.latency.provenance for entry in self.entries)
    if len(counts) == 1:
      return next(iter(counts))
    return ', '.join(f'{counts[provenance]} {provenance}' for provenance in PROVENANCES if counts[provenance])

  @property
  def sha256(self) -> str:
    """Hash of the content, whatever the layout of the file."""
    content = serialization.encode(self, registry.classes())
    content['entries'] = [{**entry, 'signature': _version_1(own.signature)} for entry, own in zip(content['entries'], self.entries)]
    canonical = json.dumps(content, sort_keys=True, separators=(',', ':'), allow_nan=False)
    return hashlib.sha256(canonical.encode('utf-8')).hexdigest()


# Version 1 had one flat record for all operations, with 0 for what an operation does not have.
_FLAT = ('kernel_size', 'strides', 'expand_ratio')
_FLAT_KINDS = ('conv_bn', 'mbconv', 'classifier')


def _version_1(signature: network_lib.OpSignature) -> dict[str, Any]:
  """A signature as a record of version 1, with the fields that were not there then only where they have no default; for hashes."""
  own = serialization.encode(signature.op)
  record = {'op': signature.kind, 'input_shape': list(signature.input_shape), 'filters': signature.output_shape[2],
            **{name: own.pop(name, 0) for name in _FLAT}, 'residual': signature.residual, 'padding': signature.padding}
  record.update({'terms': signature.terms} if signature.terms > 1 else {})
  return {**{name: value for name, value in own.items() if name not in ('filters', 'units', 'dropout_rate')}, **record}


def _upgrade(record: Any) -> Any:
  """An entry of version 1 as one of version 2; whatever is no such entry stays as it is, for `serialization` to refuse."""
  signature = record.get('signature') if isinstance(record, dict) else None
  if not isinstance(signature, dict) or signature.get('op') not in _FLAT_KINDS:
    return record
  flat = {name: value for name, value in signature.items() if name in _FLAT and value != 0}
  if 'filters' in signature:
    flat['units' if signature['op'] == 'classifier' else 'filters'] = signature['filters']
  rest = {name: value for name, value in signature.items() if name not in ('op', 'filters', *_FLAT)}
  return {**record, 'signature': {'op': {'type': signature['op'], **flat}, **rest}}


def _rename(body: dict[str, Any], old: str, new: str) -> dict[str, Any]:
  """A table as JSON values in which the names of numbers in its unit end with `new`, not with `old`.

  Raises:
    ValueError: Some end with `new` already.
  """

  def renamed(record: Any) -> Any:
    if not isinstance(record, dict):
      return record
    wrong = next((name for name in record if name.endswith(new)), None)
    if wrong:
      raise ValueError(f'{wrong!r} in a table whose unit is not {wrong[-2:]}')
    return {f'{name.removesuffix(old)}{new}' if name.endswith(old) else name: value for name, value in record.items()}

  found = {name: renamed(value) if name in ('calibration', 'validation') else value for name, value in body.items()}
  if isinstance(body.get('entries'), list):
    found['entries'] = [{**entry, 'latency': renamed(entry.get('latency'))} if isinstance(entry, dict) else entry
                        for entry in body['entries']]
  return found


def load(path: files.PathLike) -> LatencyTable:
  """Reads a table, of this version or of version 1.

  Raises:
    ValueError: The file is not a latency table; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  version, body = files.read_versioned_json(path, _KIND, (1, _VERSION))
  if version == 1 and isinstance(body.get('entries'), list):
    body = {**body, 'entries': [_upgrade(record) for record in body['entries']]}
  of_energy = body.get('unit') == 'mJ'
  try:
    return serialization.decode(LatencyTable, _rename(body, '_mj', '_ms') if of_energy else body, registry.classes())
  except ValueError as error:
    message = re.sub("_ms(?!')", '_mj', str(error)) if of_energy else str(error)
    raise ValueError(f'{path}: {message}') from error


def save(table: LatencyTable, path: files.PathLike) -> None:
  """Writes a table atomically."""
  body = serialization.encode(table, registry.classes())
  files.write_json(path, _KIND, body if table.unit == 'ms' else _rename(body, '_ms', '_mj'), _VERSION)
