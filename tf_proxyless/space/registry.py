"""Names of operations in files.

A class is registered where it is defined:

  @registry.register('my_op')
  @dataclasses.dataclass(frozen=True)
  class MyOp: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import types
from typing import TypeVar

_CLASSES: dict[str, type] = {}

T = TypeVar('T', bound=type)


def register(name: str) -> Callable[[T], T]:
  """A class decorator: instances are written to files with "type": name, and read back from it.

  Raises:
    ValueError: Another class has the name.
  """
  def add(kind: T) -> T:
    known = _CLASSES.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
      raise ValueError(f'{name!r} is registered already, for {known.__module__}.{known.__qualname__}')
    _CLASSES[name] = kind
    return kind
  return add


def name_of(kind: type) -> str:
  """The name of a registered class.

  Raises:
    TypeError: It is not registered.
  """
  for name, known in _CLASSES.items():
    if known is kind:
      return name
  raise TypeError(f'{kind.__name__} is not registered; known are {", ".join(_CLASSES)}')


def classes() -> Mapping[str, type]:
  """Class by name."""
  return types.MappingProxyType(_CLASSES)
