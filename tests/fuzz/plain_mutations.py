"""Damages JSON, lines, text and bytes: values of a tree, numbers, words, bits."""

from __future__ import annotations

from collections.abc import Iterator
import copy
import dataclasses
import json
import re
from typing import Any

# What json.dumps does not write.
_TOKENS = ('NaN', '-Infinity', '1e999', '9' * 4301, '-' + '9' * 400, '1.0e', '01', '"\\ud800"', '"\\u0000"', '')
_MARK = 'raw token '
_NUMBERS = ('0', '-1', '1', '2', '3', '7', '255', '256', '257', '2147483648', '4294967296', '9223372036854775807', '9223372036854775808',
            '1' + '0' * 30, '9' * 400, '9' * 4301, '0.0', '-0.0', '1e308', '1e-308', '5e-324', '1e999', 'nan', 'inf', '-inf', '0x10', '1_0',
            '1.2.3', '\u0663', '\u00b2', '')
STRINGS = ('', ' ', 'a b;$(x)\'"', "'; reboot; '", '`x`', '\n', '\r\n', '\x00', '\x1b]0;x\x07', '\u202e', '\xfc', '\ud7ff', '/', '..',
            '../../etc/passwd', '/dev/zero', '-rf', '--flagfile=x', '%s%n', '{0}', '__class__', '#', '=', ':', ',', '|', '=====',
            '=== begin x', '=== end x exit=0', 'proxyless_mobile', 'measured', 'zero', 'one_of', 'finished', 'x' * 300)


def _values() -> list[Any]:
  """What may stand anywhere in a JSON file from elsewhere."""
  deep: Any = 1
  for _ in range(40):
    deep = [deep]
  numbers = [0, -1, 1, 2, 3, 255, 257, 2**31, 2**53, 2**63 - 1, 2**63, 10**30, -10**30, 10**400,
             0.0, -0.0, 0.5, 1.5, 1e308, -1e308, 1e-308, 5e-324]
  containers = [[], {}, [[]], [{}], {'': {}}, deep, [0] * 5000, ['a', 'a'], [1.5, None], {'type': 'zero'},
                {'type': 'classifier', 'units': 1}, {'type': 'one_of', 'choices': [{'type': 'zero'}], 'tag': 'op'},
                {'__class__': 'os.system'}]
  return [None, True, False, *numbers, *containers, *STRINGS, *(_MARK + str(i) for i in range(len(_TOKENS)))]


_VALUES = _values()


@dataclasses.dataclass(frozen=True)
class Step:
  """One mutation; every number is taken modulo what there is."""

  operation: int
  place: int
  other: int
  value: int


# --- JSON


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
  """(container, key) of every value below a value."""
  items = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
  for key, child in items:
    yield value, key
    yield from _places(child)


def mutate_json(content: bytes, step: Step) -> bytes:
  try:
    tree = [json.loads(content)]
  except (ValueError, RecursionError):  # damaged before
    return mutate_text(content, step)
  places = list(_places(tree))
  container, key = places[step.place % len(places)]
  _change_value(tree, places, container, key, step)
  if not tree:
    return b''
  text = json.dumps(tree[0])
  for i, token in enumerate(_TOKENS):
    text = text.replace(json.dumps(_MARK + str(i)), token)
  return text.encode()


def _change_value(tree: list, places: list, container: Any, key: Any, step: Step) -> None:
  match step.operation % 8:
    case 0 | 1 | 2:
      container[key] = copy.deepcopy(_VALUES[step.value % len(_VALUES)])
    case 3:
      del container[key]
    case 4:  # a copy of another value, perhaps of one that holds this one
      other, other_key = places[step.other % len(places)]
      container[key] = copy.deepcopy(other[other_key])
    case 5:
      container[key] = {0: [container[key]], 1: {'x': container[key]}, 2: [container[key]] * 2}[step.value % 3]
    case 6:  # one more
      extra = copy.deepcopy(_VALUES[step.value % len(_VALUES)])
      if isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]) if step.other % 2 else extra)
      else:
        container[STRINGS[step.other % len(STRINGS)]] = extra
    case 7:  # another number of about the same size, another string
      value = container[key]
      if isinstance(value, str):
        cut = step.other % (len(value) + 1)
        container[key] = value[:cut] + STRINGS[step.value % len(STRINGS)] + value[cut:]
      elif isinstance(value, (int, float)):
        try:
          container[key] = (value + 1, value - 1, -value, value * 2, value * 1_000_000, value / 3, value * 1e300)[step.value % 7]
        except OverflowError:
          container[key] = 1e308


def mutate_json_lines(content: bytes, step: Step) -> bytes:
  lines = content.split(b'\n')
  if step.operation % 4 == 0:
    return _mutate_lines(lines, step)
  index = step.other % len(lines)
  lines[index] = mutate_json(lines[index], step)
  return b'\n'.join(lines)


def _mutate_lines(lines: list[bytes], step: Step) -> bytes:
  index, other = step.place % len(lines), step.other % len(lines)
  match step.value % 4:
    case 0:
      del lines[index]
    case 1:
      lines.insert(other, lines[index])
    case 2:
      lines[index], lines[other] = lines[other], lines[index]
    case 3:
      lines[index] = lines[index][:step.value % (len(lines[index]) + 1)]
  return b'\n'.join(lines)


# --- Text

_TOKEN = re.compile(rb'\d+(?:\.\d+)?|[A-Za-z_]+|\s+|.', re.DOTALL)


def mutate_text(content: bytes, step: Step) -> bytes:
  if step.operation % 4 == 0:
    return _mutate_lines(content.split(b'\n'), step)
  tokens = _TOKEN.findall(content)
  if step.operation % 4 == 1:
    numbers = [index for index, token in enumerate(tokens) if token[:1].isdigit()]
    if numbers:
      tokens[numbers[step.place % len(numbers)]] = _NUMBERS[step.value % len(_NUMBERS)].encode()
      return b''.join(tokens)
  index = step.place % (len(tokens) + 1)
  inserted = STRINGS[step.value % len(STRINGS)].encode()
  if step.operation % 4 == 2:
    return b''.join([*tokens[:index], inserted, *tokens[index:]])
  return b''.join([*tokens[:index], inserted, *tokens[index + 1 + step.other % 3:]])


# --- Bytes

_FIELDS = tuple(value.to_bytes(size, 'little') for size in (1, 2, 4, 8)
                for value in (0, 1, 2**(8 * size) - 1, 2**(8 * size - 1) - 1, 2**(8 * size - 1), 16))


def mutate_bytes(content: bytes, step: Step) -> bytes:
  start = step.place % (len(content) + 1)
  match step.operation % 6:
    case 0:
      return content[:start]
    case 1:
      return content[:start] + bytes([(content[start] if start < len(content) else 0) ^ (1 << step.value % 8)]) + content[start + 1:]
    case 2:
      field = _FIELDS[step.value % len(_FIELDS)]
      return content[:start] + field + content[start + len(field):]
    case 3:
      return content[:start] + content[start + 1 + step.other % 16:]
    case 4:
      other = step.other % (len(content) + 1)
      return content[:start] + content[other:other + 1 + step.value % 64] + content[start:]
    case _:
      return content[:start] + bytes([step.value % 256]) * (1 + step.other % 16) + content[start:]
