"""Frozen dataclasses to JSON values and back, checked field by field against their type annotations.

Annotations may be int, float, str, bool, `X | None`, `tuple[...]`, `Mapping[str, X]`, another dataclass, or a union of
dataclasses that are told apart by a "type" name (see `tags`).
"""

from __future__ import annotations

from collections.abc import Mapping
import collections.abc
import dataclasses
import functools
import math
import types
import typing
from typing import Any

from tf_proxyless.infra import files

Tags = Mapping[str, type]

_SCALARS = {int: 'an integer', str: 'a string', bool: 'true or false'}


def encode(value: Any, tags: Tags = types.MappingProxyType({})) -> Any:
  """Turns a dataclass into JSON values.

  Args:
    value: A frozen dataclass of numbers, strings, tuples, mappings and dataclasses.
    tags: Class by name; an instance of such a class is written with its name as "type".

  Returns:
    dicts, lists and scalars. Fields that are None are left out, and those with the metadata 'omit_default' that have their default.
  """
  if dataclasses.is_dataclass(value):
    fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
    record = {field.name: encode(item, tags) for field, item in fields
              if item is not None and not (field.metadata.get('omit_default') and item == field.default)}
    return next(({'type': name, **record} for name, kind in tags.items() if kind is type(value)), record)
  if isinstance(value, Mapping):
    return {key: encode(item, tags) for key, item in value.items()}
  if isinstance(value, (tuple, list)):
    return [encode(item, tags) for item in value]
  return value


def decode(kind: Any, value: Any, tags: Tags = types.MappingProxyType({}), where: str = '') -> Any:
  """Turns JSON values into a dataclass.

  Args:
    kind: The dataclass or annotation expected.
    value: JSON value to convert.
    tags: Class by name, see `encode`.
    where: Place in the file, for messages.

  Returns:
    An instance of `kind`.

  Raises:
    ValueError: A field is missing, unknown, of another type, or refused by its class; one line that names the place.
  """
  if kind is Any and type(value) in (int, float, str, bool):  # a choice of numbers or names
    _check(type(value) is not float or _is_finite(value), where, 'a finite number', value)
    return value
  if kind is Any or kind in tags.values() or _is_union_of_dataclasses(kind):
    return _decode_tagged(kind, value, tags, where)
  if isinstance(kind, type) and dataclasses.is_dataclass(kind):
    return _decode_dataclass(kind, value, tags, where)
  origin, arguments = typing.get_origin(kind), typing.get_args(kind)
  if origin in (typing.Union, types.UnionType):
    if value is None and type(None) in arguments:
      return None
    inner = [argument for argument in arguments if argument is not type(None)]
    if len(inner) > 1:  # a number or name, or a decision on it
      inner = [argument for argument in inner if dataclasses.is_dataclass(argument) == isinstance(value, dict)]
    return decode(inner[0], value, tags, where)
  if origin is tuple:
    return _decode_tuple(arguments, value, tags, where)
  if origin is collections.abc.Mapping:
    _check(isinstance(value, dict), where, 'an object', value)
    return {key: decode(arguments[1], item, tags, _join(where, key)) for key, item in value.items()}
  if kind is float:
    _check(type(value) in (int, float) and _is_finite(value), where, 'a finite number', value)
    return float(value)
  _check(type(value) is kind, where, _SCALARS[kind], value)
  return value


def _decode_dataclass(kind: type, value: Any, tags: Tags, where: str) -> Any:
  _check(isinstance(value, dict), where, 'an object', value)
  hints = _hints(kind)
  unknown = sorted(set(value) - set(hints))
  if unknown:
    raise _error(where, f'unknown fields {files.shorten(unknown)}; fields are {", ".join(hints)}')
  required = [field.name for field in dataclasses.fields(kind)
              if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]
  missing = [name for name in required if name not in value]
  if missing:
    raise _error(where, f'missing fields {missing}')
  arguments = {name: decode(hints[name], item, tags, _join(where, name)) for name, item in value.items()}
  try:
    return kind(**arguments)
  except (TypeError, ValueError) as error:
    raise _error(where, str(error)) from error


def _decode_tagged(kind: Any, value: Any, tags: Tags, where: str) -> Any:
  accepted = {name: cls for name, cls in tags.items() if kind in (Any, cls) or cls in typing.get_args(kind)}
  _check(isinstance(value, dict), where, 'an object', value)
  name = value.get('type')
  if not isinstance(name, str) or name not in accepted:
    raise _error(where, f'type must be one of {", ".join(accepted)}, got {files.shorten(name)}')
  fields = {key: item for key, item in value.items() if key != 'type'}
  return _decode_dataclass(accepted[name], fields, tags, where)


def _decode_tuple(arguments: tuple[Any, ...], value: Any, tags: Tags, where: str) -> tuple[Any, ...]:
  _check(isinstance(value, list), where, 'a list', value)
  if len(arguments) == 2 and arguments[1] is Ellipsis:
    arguments = arguments[:1] * len(value)
  if len(value) != len(arguments):
    raise _error(where, f'must have {len(arguments)} elements, got {len(value)}')
  return tuple(decode(kind, item, tags, _join(where, str(i))) for i, (kind, item) in enumerate(zip(arguments, value)))


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
  return typing.get_type_hints(kind)


def _is_union_of_dataclasses(kind: Any) -> bool:
  arguments = typing.get_args(kind)
  return typing.get_origin(kind) is typing.Union and all(dataclasses.is_dataclass(argument) for argument in arguments)


def _is_finite(value: float) -> bool:
  try:
    return math.isfinite(value)
  except OverflowError:  # an integer beyond every float
    return False


def _check(condition: bool, where: str, expected: str, value: Any) -> None:
  if not condition:
    raise _error(where, f'must be {expected}, got {files.shorten(value)}')


def _error(where: str, message: str) -> ValueError:
  return ValueError(files.one_line(f'{where}: {message}' if where else message))


def _join(where: str, segment: str) -> str:
  return f'{where}/{segment}' if where else segment
