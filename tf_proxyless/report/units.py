"""Figures as people read them."""

from __future__ import annotations

from tf_proxyless.report.page import svg

MACS = 'MACs'


def factor(unit: str) -> float:
  """By which costs in `unit` are multiplied to be shown: MACs in millions."""
  return 1e-6 if unit == MACS else 1.0


def unit_name(unit: str) -> str:
  """What shown costs are in."""
  return 'M MACs' if unit == MACS else unit


def cost(value: float | None, unit: str) -> str:
  """A cost with its unit."""
  return '–' if value is None else f'{svg.number(factor(unit) * value)} {unit_name(unit)}'


def count(value: float | None) -> str:
  """A large count in millions or thousands."""
  if value is None:
    return '–'
  for size, name in ((1e6, ' M'), (1e3, ' k')):
    if abs(value) >= size:
      return f'{svg.number(value / size)}{name}'
  return svg.number(value, 1)


def duration(seconds: float | None) -> str:
  """Seconds as hours, minutes and seconds, in the two largest of them."""
  if seconds is None:
    return '–'
  if seconds < 60:
    return f'{svg.number(seconds, 2)} s'
  minutes, hours = round(seconds / 60), int(round(seconds / 60) // 60)
  if seconds < 3600 and minutes < 60:
    return f'{int(seconds // 60)} min {int(seconds % 60)} s'
  return f'{hours} h {minutes % 60} min' if hours < 48 else f'{hours // 24} d {hours % 24} h'


def size(size_bytes: int | None) -> str:
  """Bytes as MB."""
  return '–' if size_bytes is None else f'{svg.number(size_bytes / 1e6)} MB'
