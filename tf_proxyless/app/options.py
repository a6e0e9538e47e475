"""Typed options: fields of frozen dataclasses with bounds, units and help, from which flags, help and records are generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import functools
import math
import types
import typing
from typing import Any, TypeVar

from tf_proxyless.infra import suggest

_T = TypeVar('_T', bound='Config')
_KINDS = {bool: 'true or false', int: 'an integer', float: 'a number', str: 'text'}


@dataclasses.dataclass(frozen=True)
class Option:
  """One option of a command.

  Attributes:
    name: Name of the field, and of the flag.
    kind: bool, int, float or str; of each item if there are several.
    several: Whether the value is a tuple.
    optional: Whether the value may be None.
    default: What holds if nothing is given.
    heading: Under which it is listed.
    group: The field of the configuration that holds it, '' for the configuration itself.
    help: What it means, in sentences.
    choices: The accepted values; empty if there are others.
    low, high: Bounds, included.
    above, below: Bounds, excluded.
    unit: What a number is of, where the help does not say it.
    required: Whether a command needs it.
    may_change: Whether a run may continue with another value.
    earlier: What held before there was this option, for runs of that time; None if that is the default.
    repeated: Whether several values are given by several flags, not with commas between them.
    positional: Whether it is an argument without a name.
    unnamed: Whether its flag may be left out before the value.
    rest: Whether it is everything after '--'.
    resolve: Of what names a path, gives the one spelling that is kept, so that it is found from another folder and is the same run.
  """

  name: str
  kind: type
  several: bool
  optional: bool
  default: Any
  heading: str
  group: str
  help: str = ''
  choices: tuple[Any, ...] = ()
  low: float | None = None
  high: float | None = None
  above: float | None = None
  below: float | None = None
  unit: str = ''
  required: bool = False
  may_change: bool = False
  earlier: Any = None
  repeated: bool = False
  positional: bool = False
  unnamed: bool = False
  rest: bool = False
  resolve: Callable[[str], str] | None = None

  @property
  def is_flag(self) -> bool:
    return not (self.positional or self.rest)

  def accepted(self) -> str:
    """What a value must be, for instance 'an integer, at least 1'; '' if any text will do."""
    if self.choices:
      return f'one of {", ".join(map(str, self.choices))}'
    if self.several:
      return f'{"integers" if self.kind is int else "numbers"} with commas between them' if self.kind in (int, float) else ''
    if self.kind is str:
      return ''
    if self.low is not None and self.high is not None:
      return f'{_KINDS[self.kind]} from {self.low:g} to {_bound(self.high)}'
    bounds = (('at least', self.low), ('above', self.above), ('at most', self.high), ('below', self.below))
    return ', '.join([_KINDS[self.kind], *(f'{word} {_bound(bound)}' for word, bound in bounds if bound is not None)])

  def check(self, value: Any) -> None:
    """Refuses a value.

    Raises:
      TypeError: It is of another type.
      ValueError: It is out of bounds, or not among the choices.
    """
    if value is None and self.optional:
      return
    items = value if self.several and isinstance(value, (tuple, list)) else [value]
    allowed = (int, float) if self.kind is float else self.kind
    wrong = [item for item in items if not isinstance(item, allowed) or isinstance(item, bool) != (self.kind is bool)]
    if wrong or self.several and not isinstance(value, (tuple, list)):
      expected = self.accepted() or ('texts' if self.several else 'text')
      raise TypeError(f'`{self.name}` must be {expected}, got {value!r}')
    for item in items:
      self._check_item(item)

  def _check_item(self, item: Any) -> None:
    if self.choices and item not in self.choices:
      raise ValueError(f'`{self.name}` must be {self.accepted()}, got {item!r}')
    if isinstance(item, float) and not math.isfinite(item) or isinstance(item, int) and abs(item) >= 2**63:
      raise ValueError(f'`{self.name}` must be a finite number{" of 64 bits" * isinstance(item, int)}, got {str(item)[:60]}')
    for word, bound, fine in (('at least', self.low, lambda bound: item >= bound), ('at most', self.high, lambda bound: item <= bound),
                              ('above', self.above, lambda bound: item > bound), ('below', self.below, lambda bound: item < bound)):
      if bound is not None and not fine(bound):
        raise ValueError(f'`{self.name}` must be {word} {_bound(bound)}, got {item:g}')


def _bound(value: float) -> str:
  return f'{value:,}' if isinstance(value, int) else f'{value:g}'


def option(default: Any, text: str, **details: Any) -> Any:
  """A dataclass field that is an option; see `Option` for the details."""
  return dataclasses.field(default=default, metadata={'option': {'help': text, **details}})


def group(heading: str, config_class: type) -> Any:
  """A dataclass field that holds options of another dataclass, under a heading of their own."""
  return dataclasses.field(default_factory=config_class, metadata={'heading': heading})


class Config:
  """Base of frozen dataclasses of options; values are checked as they are made."""

  HEADING = 'Options'  # of options that are in no group

  def __post_init__(self) -> None:
    for each in options(type(self)).values():
      value = None if each.group else getattr(self, each.name)
      if not each.group:
        each.check(value)
      if value and each.resolve:
        object.__setattr__(self, each.name, each.resolve(value))

  def require(self, *names: str) -> None:
    """Refuses a configuration that lacks one of these options, by default of those that are required.

    Raises:
      ValueError: One is None or empty.
    """
    values = flat(self)
    for name in names or [each.name for each in options(type(self)).values() if each.required]:
      if not values[name]:
        raise ValueError(f'`{name}` is required')


def options(config_class: Any) -> Mapping[str, Option]:
  """The options of a configuration by name, those of its groups included, in the order of definition."""
  return _by_name(config_class)


@functools.cache
def _by_name(config_class: Any) -> Mapping[str, Option]:
  return {each.name: each for each in _options(config_class, '', '')}


def _options(config_class: Any, heading: str, in_group: str) -> Iterator[Option]:
  hints = typing.get_type_hints(config_class)
  for field in dataclasses.fields(config_class):
    hint = hints[field.name]
    if 'heading' in field.metadata:
      yield from _options(hint, field.metadata['heading'], field.name)
    elif 'option' in field.metadata:
      kind, several, optional = _kind(hint)
      yield Option(field.name, kind, several, optional, field.default, heading or config_class.HEADING, in_group,
                   **field.metadata['option'])


def _kind(hint: Any) -> tuple[type, bool, bool]:
  """Type of an item, whether there are several, and whether None will do."""
  parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
  plain = next(part for part in parts if part is not type(None))
  several = typing.get_origin(plain) is tuple
  return typing.get_args(plain)[0] if several else plain, several, type(None) in parts


def flat(config: Config) -> dict[str, Any]:
  """Values by option."""
  return {name: getattr(getattr(config, each.group) if each.group else config, name) for name, each in options(type(config)).items()}


def make(config_class: type[_T], values: Mapping[str, Any]) -> _T:
  """A configuration of values by option; those that are missing have their defaults.

  Raises:
    TypeError: There is no such option, or a value is of another type.
    ValueError: A value is out of bounds.
  """
  known, hints = options(config_class), typing.get_type_hints(config_class)
  unknown = sorted(values.keys() - known.keys())
  if unknown:
    raise TypeError(f'there is no setting {unknown[0]!r}{suggest.hint(unknown[0], known)}')
  groups: dict[str, dict[str, Any]] = {}
  for name, value in values.items():
    groups.setdefault(known[name].group, {})[name] = tuple(value) if isinstance(value, list) else value
  nested = {name: hints[name](**inner) for name, inner in groups.items() if name}
  return config_class(**groups.get('', {}), **nested)


def replace(config: _T, **values: Any) -> _T:
  """A configuration with other values for some options, in groups or not."""
  return make(type(config), {**flat(config), **values})


def identity(config: Config) -> dict[str, Any]:
  """What makes a run this run, as JSON values: options by name, sorted.

  Without those that may change when it continues, and those that have the value of before there was such an option.
  """
  values = flat(config)
  return {name: list(values[name]) if isinstance(values[name], tuple) else values[name]
          for name, each in sorted(options(type(config)).items())
          if not each.may_change and (each.earlier is None or values[name] != each.earlier)}


def headings(config_class: type) -> dict[str, str]:
  """The heading of each option by name, in the order of definition."""
  return {name: each.heading for name, each in options(config_class).items()}
