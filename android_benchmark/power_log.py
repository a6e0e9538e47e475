"""The log of an external meter: a CSV file with a time and watts in each line, that grows while it is read."""

from __future__ import annotations

import array
import bisect
import datetime
import pathlib
import re
import time

from android_benchmark import errors
from android_benchmark import reading

_WAIT_S = 10.0  # for a meter that writes in pieces
_LARGEST_W = 1e6
_MILLISECONDS = 1e11  # what is larger are milliseconds since 1970, not seconds


class PowerLog:
  """What a meter logged so far.

  Args:
    path: The file. Times are seconds or milliseconds since 1970, or ISO 8601; a heading may stand above.

  Raises:
    OSError: It cannot be read.
    ValueError: A line is not as it should be; one line names it.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._bytes = self._lines = 0
    self._times, self._joules = array.array('d'), array.array('d')  # up to each time
    self._watts = 0.0  # at the last
    self._read()

  def mean_w(self, begin: float, end: float) -> float:
    """Mean power between two times, seconds since 1970; waits for the log to come so far.

    Raises:
      BenchmarkError: It does not reach there.
    """
    until = time.monotonic() + _WAIT_S
    while (not self._times or self._times[-1] < end) and time.monotonic() < until:
      time.sleep(0.1)
      self._read()
    if not self._times or not self._times[0] <= begin < end <= self._times[-1]:
      covered = f'ends {end - self._times[-1]:.1f} s before the launch did' if self._times and self._times[-1] < end else \
          'has no such time'
      raise errors.BenchmarkError(f'{self._path} {covered}: the meter must write it while this measures, by the clock of this machine')
    return (self._energy(end) - self._energy(begin)) / (end - begin)

  def _energy(self, at: float) -> float:
    """Joules up to a time, linear between two lines."""
    index = max(1, bisect.bisect_left(self._times, at))
    left, right = self._times[index - 1], self._times[index]
    return self._joules[index - 1] + (self._joules[index] - self._joules[index - 1]) * (at - left) / (right - left)

  def _read(self) -> None:
    """Adds the lines that are new, and whole."""
    with open(self._path, 'rb') as file:
      file.seek(self._bytes)
      content = file.read()
    whole = content[:content.rfind(b'\n') + 1]
    self._bytes += len(whole)
    for line in whole.decode(errors='replace').splitlines():
      self._lines += 1
      self._add(line)

  def _add(self, line: str) -> None:
    cells = [cell.strip() for cell in re.split('[;\t]' if re.search('[;\t]', line) else ',', line)]
    if not any(cells) or line.startswith('#') or self._lines == 1 and not re.search(r'\d', cells[0]):
      return
    try:
      at, watts = _seconds(cells[0]), float(cells[1].replace(',', '.'))
    except (IndexError, ValueError):
      raise ValueError(f'{self._path}:{self._lines}: expected a time and watts, got {reading.shorten(line)}') from None
    if not 0 <= watts < _LARGEST_W:
      raise ValueError(f'{self._path}:{self._lines}: watts must be a number from 0, got {reading.shorten(cells[1])}')
    if self._times and at <= self._times[-1]:
      raise ValueError(f'{self._path}:{self._lines}: times must rise, got {reading.shorten(cells[0])}')
    self._joules.append(self._joules[-1] + (watts + self._watts) / 2 * (at - self._times[-1]) if self._times else 0.0)
    self._times.append(at)
    self._watts = watts


def _seconds(text: str) -> float:
  """Seconds since 1970."""
  try:
    found = float(text.replace(',', '.'))
  except ValueError:
    return datetime.datetime.fromisoformat(text).timestamp()
  return found / 1e3 if found > _MILLISECONDS else found
