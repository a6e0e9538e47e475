"""What was measured so far, in a file that survives a kill at any moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import pathlib
import time
from typing import Any, BinaryIO

from android_benchmark import output
from android_benchmark import protocol
from android_benchmark import reading
from android_benchmark import writing

LOCK_WAIT_S = 10.0  # a run that was told to end restores the phone first

_SCHEMA = 'android_benchmark/partial'


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[BinaryIO]:
  """The file of a store, which no other process has meanwhile.

  Waits up to `LOCK_WAIT_S` for another process to let go of it: one that was told to end may take a moment.

  Args:
    path: The file; made if missing, and removed afterwards if nothing is in it.

  Raises:
    ValueError: It is still in use then; one line.
    OSError: It cannot be read or written.
  """
  end = time.monotonic() + LOCK_WAIT_S
  while True:
    with open(path, 'a+b') as file:
      if _lock(file, path):
        try:
          yield file
        finally:
          if not os.fstat(file.fileno()).st_size:
            path.unlink(missing_ok=True)
        return
    if time.monotonic() > end:
      raise ValueError(f'{path} is in use by another process')
    time.sleep(0.05)


def _lock(file: BinaryIO, path: pathlib.Path) -> bool:
  """Whether an open file is locked now, and still the one of that path: who had it before may have removed it."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
  except (BlockingIOError, FileNotFoundError):
    return False


class Store:
  """A file of JSON lines: first what is measured and how, then a line for each block.

  Args:
    file: File from `locked`.
    identity: Models and settings, which must be equal for measurements to be continued.
    started: Start of a new file, ISO 8601; an existing file keeps its own.
    phones: Keys of the phones that are to measure; '' is this machine.

  Attributes:
    started: Start of the first session, ISO 8601.
    records: The blocks measured so far.

  Raises:
    ValueError: The file belongs to other measurements, to those of other phones, or is damaged; one line.
    OSError: It cannot be read or written.
  """

  def __init__(self, file: BinaryIO, identity: Mapping[str, Any], started: str, phones: Sequence[str] = ('',)):
    self._file = file
    lines = self._whole_lines()
    if not lines:
      self._append({'schema': _SCHEMA, 'version': 1, 'started': started, 'identity': identity})
      writing.sync_folder(pathlib.Path(file.name).parent)
      lines = self._whole_lines()
    self.started, serial = self._check_header(lines[0], json.loads(json.dumps(identity)))
    only = next((phone for phone in phones if phone.split(' ')[0] == serial), serial)
    self.records = [self._decode(number, line, only) for number, line in enumerate(lines[1:], 2)]
    self._check_phones(phones, alone='meter' in identity.get('settings', {}))

  def append(self, record: protocol.Record) -> None:
    """Adds a block; when this returns it is on the disk."""
    values = dataclasses.asdict(record)
    for launch in values['launches'].values():
      if launch['energy_mj'] is None:
        del launch['energy_mj']
    self._append(values)
    self.records.append(record)

  def clear(self) -> None:
    """Empties the file, when all is measured and written elsewhere."""
    self._file.truncate(0)

  def _append(self, line: Mapping[str, Any]) -> None:
    self._file.write(json.dumps(line, allow_nan=False).encode() + b'\n')
    self._file.flush()
    os.fsync(self._file.fileno())

  def _whole_lines(self) -> list[bytes]:
    """The lines; a last one without its end, which a kill has left, is cut off."""
    self._file.seek(0)
    content = self._file.read()
    whole = content[:content.rfind(b'\n') + 1]
    self._file.truncate(len(whole))
    return whole.splitlines()

  def _check_header(self, line: bytes, identity: Mapping[str, Any]) -> tuple[str, str]:
    """Start of the first session, and in a file of before several phones could measure into it the serial number of the only one."""
    header = self._parse(1, line)
    if header.get('schema') != _SCHEMA or header.get('version') != 1 or not isinstance(header.get('started'), str):
      raise ValueError(f'{self._file.name} is not a file of measurements')
    known, serial = header.get('identity'), None
    if isinstance(known, dict) and isinstance(known.get('device'), dict):
      serial = known['device'].pop('serial', None)
    differing = list(_differences(known, identity))
    if differing:
      raise ValueError(f'{self._file.name} holds measurements of something else: {"; ".join(differing[:5])}; '
                       'repeat that command, or remove the file to begin anew')
    return header['started'], serial if isinstance(serial, str) else ''

  def _check_phones(self, phones: Sequence[str], alone: bool) -> None:
    """Refuses to mix what some phones measured with what entirely others will, who may be their twins; energy is of one phone alone."""
    known = sorted({record.phone for record in self.records})
    if known and not set(known) & set(phones):
      both = '' if alone else ', or both by --device=adb:ONE,OTHER'
      raise ValueError(f'{self._file.name} holds what {reading.shorten(" and ".join(known))} measured, and this is {" and ".join(phones)} '
                       f'(serial number, android_id): take that phone{both}, or remove the file to begin anew')

  def _decode(self, number: int, line: bytes, phone: str) -> protocol.Record:
    values = self._parse(number, line)
    try:
      return _read_record({'phone': phone, **values})
    except ValueError as error:
      raise ValueError(f'{self._file.name}:{number}: not a measured block: {error}') from error

  def _parse(self, number: int, line: bytes) -> dict[str, Any]:
    try:
      return reading.parse_object(line)
    except ValueError as error:
      raise ValueError(f'{self._file.name}:{number}: {error}') from error


def _read_record(values: dict[str, Any]) -> protocol.Record:
  """A block that was measured, from a file that may hold anything."""
  health = lambda value: reading.sequence(reading.count, value) if isinstance(value, list) else reading.optional(reading.number, value)
  texts = functools.partial(reading.mapping, reading.text)
  times = functools.partial(reading.sequence, functools.partial(reading.optional, reading.time))
  found = reading.fields(
      values, round=reading.count, index=reading.count, reference=reading.text, time=reading.text, seconds=reading.number,
      readings_ms=lambda value: tuple(times(value)), failed=texts, retried=texts, phone=reading.text,
      launches=lambda value: reading.mapping(_read_launch, value), health=lambda value: reading.mapping(health, value))
  if len(found['readings_ms']) != 2:
    raise ValueError(f'expected a reading before and one after, got {len(found["readings_ms"])}')
  return protocol.Record(**found)


def _read_launch(values: Any) -> output.Launch:
  time, number, runs = (functools.partial(reading.optional, kind) for kind in (reading.time, reading.number, reading.positive_count))
  values = {'energy_mj': None, **values} if isinstance(values, dict) else values
  return output.Launch(**reading.fields(values, mean_ms=reading.time, median_ms=time, p5_ms=number, p95_ms=number, std_ms=number,
                                        min_ms=number, runs=runs, energy_mj=time))


def _differences(old: Any, new: Any, place: str = '') -> Any:
  """The differences of two identities, in words."""
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted({*old, *new}):
      yield from _differences(old.get(key), new.get(key), f'{place}.{key}' if place else key)
  elif old != new:
    yield f'{reading.shorten(place)} {reading.shorten(repr(old))} instead of {reading.shorten(repr(new))}'
