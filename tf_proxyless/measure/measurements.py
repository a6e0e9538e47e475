"""What android_benchmark measured, read from a file that may hold anything."""

from __future__ import annotations

import collections.abc
from collections.abc import Mapping
import csv
import dataclasses
import re
import typing
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.infra import serialization

_SCHEMA = ('android_benchmark/measurements', 1)
_LARGEST_MS = 1e12
_MAX_CSV_BYTES = 2**20
_NAMES = {'ms': 'milliseconds', 'mJ': 'millijoules'}
_NUMBER = r'([+-]?[0-9]*[.,]?[0-9]+(?:e[+-]?[0-9]+)?)\s*(?:{unit})?'
_HEADING = r'\D*(?<![a-z])(?:{unit}|{name})(?![a-z])\D*'


@dataclasses.dataclass(frozen=True)
class _Figures:
  """Of a network, or of one launch of it; None was not printed by the tool."""

  mean_ms: float
  median_ms: float
  p5_ms: float | None
  p95_ms: float | None
  std_ms: float | None
  min_ms: float | None
  runs: int | None
  median_mj: float | None = None
  mean_mj: float | None = None
  std_mj: float | None = None
  undisturbed_ms: float | None = None

  def __post_init__(self) -> None:
    energies = [value for value in (self.median_mj, self.mean_mj, self.std_mj) if value is not None]
    if energies and (len(energies) < 3 or not 0 < energies[0] <= _LARGEST_MS or not all(0 <= value <= _LARGEST_MS for value in energies)):
      raise ValueError(f'energies must be positive, with mean and deviation, got {energies}')
    wrong = [value for value in (self.mean_ms, self.median_ms, self.undisturbed_ms) if value is not None and not 0 < value <= _LARGEST_MS]
    wrong += [value for value in (self.p5_ms, self.p95_ms, self.std_ms, self.min_ms) if value is not None and not 0 <= value <= _LARGEST_MS]
    if wrong or (self.runs is not None and self.runs < 1):
      raise ValueError(f'latencies must be positive, and of one run at least, got {wrong or self.runs}')


@dataclasses.dataclass(frozen=True)
class _Device:
  model: str
  serial: str | None
  soc: str | None
  system: str | None
  cores: int | None


@dataclasses.dataclass(frozen=True)
class _Benchmark:
  tool: str
  version: str | None
  sha256: str | None


@dataclasses.dataclass(frozen=True)
class _Settings:
  threads: int
  kernels: str
  core_mask: str | None = None


@dataclasses.dataclass(frozen=True)
class _Reference:
  model: str
  drift_percent: float

  def __post_init__(self) -> None:
    if self.drift_percent < 0:
      raise ValueError(f'drift_percent must be at least 0, got {self.drift_percent}')


@dataclasses.dataclass(frozen=True)
class _Phone:
  """One of several phones: its latencies relative to those of all, and where and how far it is off them beyond that."""

  name: str
  key: str
  scale: float
  worst_model: str | None
  worst_percent: float


@dataclasses.dataclass(frozen=True)
class _Measurements:
  """The fields that anybody uses; the others may be anything."""

  device: _Device
  benchmark: _Benchmark
  settings: _Settings
  reference: _Reference
  models: Mapping[str, _Figures]
  failed: Mapping[str, str]
  warnings: tuple[str, ...]
  meter: str | None = None
  phones: tuple[_Phone, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Model:
  model: str


@dataclasses.dataclass(frozen=True)
class _Median:
  median_ms: float
  median_mj: float | None = None
  undisturbed_ms: float | None = None

  def __post_init__(self) -> None:
    for name in ('median_ms', 'median_mj', 'undisturbed_ms'):
      value = getattr(self, name)
      if value is not None and not 0 < value <= _LARGEST_MS:
        raise ValueError(f'{name} must be positive, got {value}')


@dataclasses.dataclass(frozen=True)
class _Latencies:
  """Who was measured, how, and the median of each network: what people write by hand, too."""

  device: _Model
  settings: _Settings
  models: Mapping[str, _Median]


def read(path: files.PathLike) -> dict[str, Any]:
  """Reads measurements.json.

  Returns:
    Its content, of which 'device', 'benchmark', 'settings', 'reference', 'models', 'failed' and 'warnings' are as they should be.

  Raises:
    ValueError: They are not; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  return _read(path, _Measurements)


def read_csv(path: files.PathLike, unit: str) -> list[tuple[str, float]]:
  """Reads lines 'network,number' of somebody's own measurements, or with a semicolon or tab between, also with a decimal comma.

  Blank lines, those that begin with #, and a heading whose second cell names the unit are skipped.

  Args:
    path: The file.
    unit: 'ms' or 'mJ'; may stand behind a number.

  Returns:
    Names and numbers, in order; a name may stand in several lines.

  Raises:
    ValueError: In one line, which line is not as it should be.
    OSError: The file cannot be read.
  """
  found: list[tuple[str, float]] = []
  for number, line in enumerate(files.read_text(path, _MAX_CSV_BYTES).splitlines(), 1):
    if not line.strip() or line.startswith('#'):
      continue
    try:
      delimiter = next((mark for mark in ';\t' if mark in line), ',')
      name, text = (cell.strip() for row in csv.reader([line], delimiter=delimiter) for cell in row)
      if not found and re.fullmatch(_HEADING.format(unit=unit, name=_NAMES[unit]), text, re.IGNORECASE):
        continue
      value = _number(text, unit, decimal_comma=delimiter != ',')
    except (ValueError, csv.Error):
      raise ValueError(f'{path}:{number}: expected a network and its {_NAMES[unit]}, got {files.shorten(line)}') from None
    if not 0 < value < _LARGEST_MS:
      raise ValueError(f'{path}:{number}: {_NAMES[unit]} must be a number above 0, got {files.shorten(text)}')
    found.append((name, value))
  return found


def _number(text: str, unit: str, decimal_comma: bool) -> float:
  found = re.fullmatch(_NUMBER.format(unit=unit), text, re.IGNORECASE)
  if not found or ',' in text and not decimal_comma:  # it would separate thousands
    raise ValueError
  return float(found[1].replace(',', '.'))


def cost(figures: Mapping[str, Any], unit: str = 'ms') -> float | None:
  """The latency or energy of a model that tables are made of: `undisturbed_ms` where there is one, else the median.

  Args:
    figures: Statistics of the model in measurements.json.
    unit: 'ms' or 'mJ'.

  Returns:
    The number, in that unit; None if energy was not measured.
  """
  if unit == 'mJ':
    return figures.get('median_mj')
  undisturbed = figures.get('undisturbed_ms')
  return figures['median_ms'] if undisturbed is None else undisturbed


def describe_phones(measurements: Mapping[str, Any]) -> str:
  """In a line which phones shared the work and how far they are apart; '' where it was one device."""
  phones = [f'{phone["key"].split(" ")[0]} ({100 * (phone["scale"] - 1):+.1f} %, on {phone["worst_model"]} {phone["worst_percent"]:+.1f} % '
            'beyond that)' for phone in measurements.get('phones', ())]
  return f'{len(phones)} phones: {", ".join(phones)}' if phones else ''


def read_latencies(path: files.PathLike) -> dict[str, Any]:
  """The same of a file of which only the device's model, the settings and the medians need to be as they should be."""
  return _read(path, _Latencies)


def _read(path: files.PathLike, kind: type) -> dict[str, Any]:
  try:
    return check(files.parse_json(files.read_bytes(path, files.MAX_JSON_BYTES)), kind)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def check(body: Any, kind: type = _Measurements) -> dict[str, Any]:
  """The same measurements if they are as they should be; see `read`.

  Raises:
    ValueError: They are not.
  """
  if not isinstance(body, dict) or (body.get('schema'), body.get('version')) != _SCHEMA:
    raise ValueError(f'schema and version must be {_SCHEMA[0]!r} and {_SCHEMA[1]}')
  serialization.decode(kind, _known(kind, body))
  return body


def _known(kind: Any, value: Any) -> Any:
  """A value without fields that dataclasses do not know."""
  if dataclasses.is_dataclass(kind) and isinstance(value, dict):
    hints = typing.get_type_hints(kind)
    return {name: _known(hints[name], item) for name, item in value.items() if name in hints}
  if typing.get_origin(kind) is tuple and isinstance(value, list):
    return [_known(typing.get_args(kind)[0], item) for item in value]
  if typing.get_origin(kind) is collections.abc.Mapping and isinstance(value, dict):
    return {name: _known(typing.get_args(kind)[1], item) for name, item in value.items()}
  return value
