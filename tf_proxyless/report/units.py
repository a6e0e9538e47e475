"""Numbers as people read them."""

from __future__ import annotations

import math

MACS = 'MACs'


def number(value: float | None, digits: int = 3) -> str:
  """A number with that many significant digits, never fewer than its integer part has; '–' where it is not known."""
  if value is None:
    return '–'
  if value == 0:
    return '0'
  exponent = math.floor(math.log10(abs(value)))
  if not -5 <= exponent <= 8:
    return f'{value:.{digits - 1}e}'
  return f'{value:,.{max(digits - 1 - exponent, 0)}f}'.replace(',', '\u202f')


def percent(value: float | None, decimals: int = 1) -> str:
  """A fraction as percent."""
  return '–' if value is None else f'{100 * value:.{decimals}f} %'


def estimate(value: float | None, error: float | None) -> str:
  """A fraction as percent with its standard error, which may be small."""
  return percent(value) if value is None or error is None else f'{100 * value:.2f} ± {percent(error, 2)}'


def factor(unit: str) -> float:
  """Factor by which costs in a unit are multiplied to be shown: MACs in millions."""
  return 1e-6 if unit == MACS else 1.0


def unit_name(unit: str) -> str:
  """The unit of costs as shown."""
  return 'M MACs' if unit == MACS else unit


def quantity(unit: str) -> str:
  """The name of the quantity that a unit measures."""
  return {'ms': 'Latency', 'mJ': 'Energy', MACS: 'Multiply-adds'}.get(unit, f'Cost in {unit}')


def cost(value: float | None, unit: str) -> str:
  """A cost with its unit."""
  return '–' if value is None else f'{number(factor(unit) * value)} {unit_name(unit)}'


def count(value: float | None) -> str:
  """A large count in millions or thousands."""
  if value is None:
    return '–'
  for size, name in ((1e6, ' M'), (1e3, ' k')):
    if abs(value) >= size:
      return f'{number(value / size)}{name}'
  return number(value, 1)


def duration(seconds: float | None) -> str:
  """Seconds as hours, minutes and seconds, in the two largest of them."""
  if seconds is None:
    return '–'
  if seconds < 60:
    return f'{number(seconds, 2)} s'
  minutes, hours = round(seconds / 60), int(round(seconds / 60) // 60)
  if seconds < 3600 and minutes < 60:
    return f'{int(seconds // 60)} min {int(seconds % 60)} s'
  return f'{hours} h {minutes % 60} min' if hours < 48 else f'{hours // 24} d {hours % 24} h'


def size(size_bytes: int | None) -> str:
  """Bytes as MB."""
  return '–' if size_bytes is None else f'{number(size_bytes / 1e6)} MB'
