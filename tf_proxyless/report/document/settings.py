"""The settings of a run, from its flags.txt: names and values as text."""

from __future__ import annotations

from collections.abc import Mapping
import math
import pathlib

from tf_proxyless.infra import files

_MAX_BYTES = 2**20
_PLACES = ('run_dir', 'data_dir', 'cache_dir')  # of one machine; no settings of the search


class Settings(dict[str, str]):
  """Value by name, as text; 'true' and 'false' for switches."""

  def number(self, name: str) -> float | None:
    """A finite number, or None if it is not set."""
    if name not in self:
      return None
    number = float(self[name])
    if not math.isfinite(number):
      raise ValueError(f'--{name} must be a finite number, got {self[name]}')
    return number

  @property
  def unit(self) -> str | None:
    """The unit of the table that the target is by, the one without a limit: 'ms' or 'mJ'; None is multiply-adds."""
    tables = (('latency_table', 'max_latency_ms', 'ms'), ('energy_table', 'max_energy_mj', 'mJ'))
    return next((unit for table, limit, unit in tables if table in self and limit not in self), None)

  @property
  def epochs(self) -> int | None:
    """Planned epochs of both phases."""
    phases = [self.number(name) for name in ('warmup_epochs', 'search_epochs')]
    return None if None in phases else int(sum(phases))

  def target(self, smallest: float, largest: float) -> float | None:
    """The target cost, given those of the cheapest and the dearest network."""
    fraction = self.number('target_latency_fraction')
    if fraction is not None:
      return smallest + fraction * (largest - smallest)
    return next((self.number(name) for name in ('target_latency_ms', 'target_energy_mj') if name in self), self.number('target_macs'))

  def rows(self, headings: Mapping[str, str]) -> list[list[str]]:
    """Heading, name and value of each setting, without places on the machine."""
    rows = [[headings.get(name, ''), name, value.replace(',', ', ')] for name, value in self.items() if name not in _PLACES]
    order = list(dict.fromkeys(headings.values()))
    return sorted(rows, key=lambda row: order.index(row[0]) if row[0] in order else len(order))


def load(path: pathlib.Path) -> Settings:
  """Reads flags.txt.

  Raises:
    ValueError: A line is not a flag, or a number that the report needs is none.
    OSError: The file cannot be read.
  """
  found = Settings()
  for number, line in enumerate(files.read_text(path, _MAX_BYTES).splitlines(), 1):
    line = line.strip()
    if not line or line.startswith('#'):
      continue
    if not line.startswith('--'):
      raise ValueError(f'{path}:{number}: not a flag: {files.shorten(line)}')
    name, separator, value = line[2:].partition('=')
    if not separator:
      name, value = (name[2:], 'false') if name.startswith('no') else (name, 'true')
    found[name] = value
  try:
    found.target(0.0, 1.0), found.epochs
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
  return found
