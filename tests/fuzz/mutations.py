"""Damages valid files as their form invites: values of a JSON tree, numbers and lines of a text, members of an archive, bytes.

A program is bytes, `STEP` for each mutation, so that what is random is one value that Hypothesis can shrink.
"""

from __future__ import annotations

from collections.abc import Iterator
import copy
import dataclasses
import io
import json
import re
from typing import Any
import warnings
import zipfile

STEP = 8  # bytes of a program for a mutation: operation, place (3), another place (2), value (2)
MAX_STEPS = 4
MAX_BYTES = 300_000  # of what a mutation makes
_REPEATED = 200_000  # bytes of an amplified slice: what is quadratic in the size of a file takes longer than it may

# What json.dumps does not write.
_TOKENS = ('NaN', '-Infinity', '1e999', '9' * 4301, '-' + '9' * 400, '1.0e', '01', '"\\ud800"', '"\\u0000"', '')
_MARK = 'raw token '
_NUMBERS = ('0', '-1', '1', '2', '3', '7', '255', '256', '257', '2147483648', '4294967296', '9223372036854775807', '9223372036854775808',
            '1' + '0' * 30, '9' * 400, '9' * 4301, '0.0', '-0.0', '1e308', '1e-308', '5e-324', '1e999', 'nan', 'inf', '-inf', '0x10', '1_0',
            '1.2.3', '\u0663', '\u00b2', '')
_STRINGS = ('', ' ', 'a b;$(x)\'"', "'; reboot; '", '`x`', '\n', '\r\n', '\x00', '\x1b]0;x\x07', '\u202e', '\xfc', '\ud7ff', '/', '..',
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
  return [None, True, False, *numbers, *containers, *_STRINGS, *(_MARK + str(i) for i in range(len(_TOKENS)))]


_VALUES = _values()


@dataclasses.dataclass(frozen=True)
class Step:
  """One mutation; every number is taken modulo what there is."""

  operation: int
  place: int
  other: int
  value: int


def steps(program: bytes) -> Iterator[Step]:
  """The mutations of a program."""
  for start in range(0, len(program) - STEP + 1, STEP):
    part = program[start:start + STEP]
    yield Step(part[0], int.from_bytes(part[1:4], 'little'), int.from_bytes(part[4:6], 'little'), int.from_bytes(part[6:8], 'little'))


def mutate(form: str, content: bytes, program: bytes) -> bytes:
  """A valid file of a form ('json', 'json lines', 'text', 'zip' or 'binary') after the mutations of a program."""
  by_form = {'json': _mutate_json, 'json lines': _mutate_json_lines, 'text': _mutate_text, 'zip': _mutate_zip, 'binary': _mutate_bytes}
  for step in steps(program):
    if step.operation >= 254:
      content = _repeat(content, step)
    elif step.operation >= 236:
      content = _mutate_bytes(content, step)
    else:
      content = by_form[form](content, step)
    content = content[:MAX_BYTES]
  return content


def _repeat(content: bytes, step: Step) -> bytes:
  """A slice of a few bytes, or a line, a great many times."""
  if not content:
    return content
  start = step.place % len(content)
  length = (1, 2, 3, 8, 40)[step.value % 5]
  part = content[start:start + length]
  return content[:start] + part * (_REPEATED // len(part)) + content[start:]


# --- JSON


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
  """(container, key) of every value below a value."""
  items = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
  for key, child in items:
    yield value, key
    yield from _places(child)


def _mutate_json(content: bytes, step: Step) -> bytes:
  try:
    tree = [json.loads(content)]
  except (ValueError, RecursionError):  # damaged before
    return _mutate_text(content, step)
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
        container[_STRINGS[step.other % len(_STRINGS)]] = extra
    case 7:  # another number of about the same size, another string
      value = container[key]
      if isinstance(value, str):
        cut = step.other % (len(value) + 1)
        container[key] = value[:cut] + _STRINGS[step.value % len(_STRINGS)] + value[cut:]
      elif isinstance(value, (int, float)):
        try:
          container[key] = (value + 1, value - 1, -value, value * 2, value * 1_000_000, value / 3, value * 1e300)[step.value % 7]
        except OverflowError:
          container[key] = 1e308


def _mutate_json_lines(content: bytes, step: Step) -> bytes:
  lines = content.split(b'\n')
  if step.operation % 4 == 0:
    return _mutate_lines(lines, step)
  index = step.other % len(lines)
  lines[index] = _mutate_json(lines[index], step)
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


def _mutate_text(content: bytes, step: Step) -> bytes:
  if step.operation % 4 == 0:
    return _mutate_lines(content.split(b'\n'), step)
  tokens = _TOKEN.findall(content)
  if step.operation % 4 == 1:
    numbers = [index for index, token in enumerate(tokens) if token[:1].isdigit()]
    if numbers:
      tokens[numbers[step.place % len(numbers)]] = _NUMBERS[step.value % len(_NUMBERS)].encode()
      return b''.join(tokens)
  index = step.place % (len(tokens) + 1)
  inserted = _STRINGS[step.value % len(_STRINGS)].encode()
  if step.operation % 4 == 2:
    return b''.join([*tokens[:index], inserted, *tokens[index:]])
  return b''.join([*tokens[:index], inserted, *tokens[index + 1 + step.other % 3:]])


# --- Bytes

_FIELDS = tuple(value.to_bytes(size, 'little') for size in (1, 2, 4, 8)
                for value in (0, 1, 2**(8 * size) - 1, 2**(8 * size - 1) - 1, 2**(8 * size - 1), 16))


def _mutate_bytes(content: bytes, step: Step) -> bytes:
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


# --- Archives


def _mutate_zip(content: bytes, step: Step) -> bytes:
  """Another archive, whose checksums fit; damage to the bytes of the archive itself is `_mutate_bytes`."""
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      members = [(info.filename, archive.read(info)) for info in archive.infolist()]
  except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError, OSError, zipfile.zlib.error):  # damaged before
    return _mutate_bytes(content, step)
  if not members:
    return _mutate_bytes(content, step)
  index = step.other % len(members)
  name, data = members[index]
  match step.operation % 10:
    case 0:
      del members[index]
    case 1:
      members.append((name, data))  # twice the same name
    case 2:
      members[index] = (_STRINGS[step.value % len(_STRINGS)] or 'x', data)
    case 3:
      members.append((_STRINGS[step.value % len(_STRINGS)] or 'x', bytes(step.place % 1000)))
    case 4:  # small, and a thousand times as large once it is read
      members[index] = (name, data + bytes(1_000_000))
    case _:
      form = 'json' if data[:1] == b'{' else 'npy' if data[:6] == b'\x93NUMPY' else 'binary'
      members[index] = (name, {'json': _mutate_json, 'npy': _mutate_npy, 'binary': _mutate_bytes}[form](data, step))
  return make_zip(members, zipfile.ZIP_DEFLATED if step.operation % 10 == 4 else zipfile.ZIP_STORED)


def make_zip(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
  """An archive of members by name."""
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', compression) as archive, warnings.catch_warnings():
    warnings.simplefilter('ignore')  # of names that are there twice
    for name, data in members:
      archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compress_type=compression)
  return buffer.getvalue()


_DTYPES = (b"'|O'", b"'<f8'", b"'<i8'", b"'|V8'", b"'<U3'", b"'|S1'", b"'>f4'", b"'<c16'", b"[('a', '<f4')]", b"'<M8[s]'", b"'|b1'",
           b"'<f2'")
_SHAPES = (b'()', b'(0,)', b'(1,)', b'(-1,)', b'(9223372036854775807,)', b'(1000000, 1000000)', b'(3, 3)', b'(1.5,)', b"('a',)", b'(True,)',
           b'1', b'(' + b'1, ' * 40 + b')')


def _mutate_npy(data: bytes, step: Step) -> bytes:
  """Its type or shape, or else the bytes of its numbers."""
  length = int.from_bytes(data[8:10], 'little')
  header, body = data[10:10 + length], data[10 + length:]
  match step.operation % 5:
    case 0:
      header = re.sub(rb"'descr': [^,]*", lambda _: b"'descr': " + _DTYPES[step.value % len(_DTYPES)], header)
    case 1:
      header = re.sub(rb"'shape': \([^)]*\)", lambda _: b"'shape': " + _SHAPES[step.value % len(_SHAPES)], header)
    case 2:
      header = _mutate_text(header, step)
    case _:
      body = _mutate_bytes(body, step)
  return data[:8] + (len(header) % 65536).to_bytes(2, 'little') + header + body
