"""Reads JSON that may be anything: a value of the kind that is expected, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

_LARGEST = 1e12  # of any number: milliseconds are then thirty years, and squares stay finite


def parse_object(text: bytes | str) -> dict[str, Any]:
  """Reads an object; numbers in it are finite.

  Raises:
    ValueError: It is none.
  """
  try:
    value = json.loads(text, parse_constant=number)
  except RecursionError:
    raise ValueError('not JSON: nested too deeply') from None
  except ValueError as error:
    raise ValueError(f'not JSON: {shorten(str(error))}') from error
  if not isinstance(value, dict):
    raise ValueError(f'not a JSON object: {shorten(value)}')
  return value


def text(value: Any) -> str:
  """A text that is one.

  Raises:
    ValueError: It is none.
  """
  if not isinstance(value, str):
    raise ValueError(f'expected text, got {shorten(value)}')
  return value


def number(value: Any) -> float:
  """A number that is finite, and not so large that its square is not.

  Raises:
    ValueError: It is none.
  """
  if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST <= value <= _LARGEST:
    raise ValueError(f'expected a number, got {shorten(value)}')
  return value


def count(value: Any) -> int:
  """A whole number from 0.

  Raises:
    ValueError: It is none.
  """
  if not isinstance(value, int) or number(value) < 0:
    raise ValueError(f'expected a count, got {shorten(value)}')
  return value


def positive_count(value: Any) -> int:
  """A whole number from 1.

  Raises:
    ValueError: It is none.
  """
  if not count(value):
    raise ValueError(f'expected a count from 1, got {shorten(value)}')
  return value


def time(value: Any) -> float:
  """A number above 0.

  Raises:
    ValueError: It is none.
  """
  if not number(value) > 0:
    raise ValueError(f'expected a time, got {shorten(value)}')
  return value


def optional(kind: Callable[[Any], Any], value: Any) -> Any:
  """What `kind` makes of a value, or None."""
  return None if value is None else kind(value)


def mapping(kind: Callable[[Any], Any], value: Any) -> dict[str, Any]:
  """An object whose values are of a kind.

  Raises:
    ValueError: It is none.
  """
  if not isinstance(value, dict):
    raise ValueError(f'expected an object, got {shorten(value)}')
  return {key: kind(item) for key, item in value.items()}


def sequence(kind: Callable[[Any], Any], value: Any) -> list[Any]:
  """A list whose elements are of a kind.

  Raises:
    ValueError: It is none.
  """
  if not isinstance(value, list):
    raise ValueError(f'expected a list, got {shorten(value)}')
  return [kind(item) for item in value]


def fields(value: Any, **kinds: Callable[[Any], Any]) -> dict[str, Any]:
  """An object with exactly these fields, each of its kind.

  Raises:
    ValueError: It is none.
  """
  if not isinstance(value, dict) or value.keys() != kinds.keys():
    found = list(value) if isinstance(value, dict) else value
    raise ValueError(f'expected an object of {", ".join(kinds)}, got {shorten(found)}')
  return {name: kind(value[name]) for name, kind in kinds.items()}


def shorten(value: Any, limit: int = 100) -> str:
  """The repr of a value, or a text, in one line of bounded length."""
  shown = value if isinstance(value, str) and value.isprintable() else repr(value)
  return printable(shown if len(shown) <= limit else f'{shown[:limit - 3]}...')


def printable(text: str) -> str:
  """A text without line breaks and what else a terminal acts upon."""
  return ''.join(character if character.isprintable() else '?' for character in text)
