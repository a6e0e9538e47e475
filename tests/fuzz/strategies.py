"""Hypothesis strategies that damage a valid file as its format invites: JSON values, numbers and lines, archive members, bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import io
import json
import pickletools
import re
from typing import Any
import warnings
import zipfile

from hypothesis import strategies as st

MAX_BYTES = 300_000
_REPEATED = 200_000  # bytes of a repeated slice: reading in quadratic time exceeds the limit
STRINGS = ('', ' ', 'a b;$(x)\'"', "'; reboot; '", '`x`', '\n', '\r\n', '\0', '\x1b]0;x\7', '\u202e', '\ud7ff', '\u0663', '/', '..',
           '../../etc/passwd', '/dev/zero', '-rf', '--flagfile=x', '%s%n', '{0}', '__class__', '#', '=', ':', ',', '|', '=====',
           '=== begin x', '=== end x exit=0', 'proxyless_mobile', 'measured', 'zero', 'one_of', 'finished', 'x' * 300)
_NUMBERS = (0, -1, 1, 2, 3, 255, 257, 2**31, 2**53, 2**63 - 1, 2**63, 10**30, 10**400, -0.0, 0.5, 1e308, 1e-308, 5e-324, float('nan'),
            float('inf'))
_RAW = {'raw token 0': '1e999', 'raw token 1': '9' * 4301, 'raw token 2': '01', 'raw token 3': '"\\ud800"', 'raw token 4': ''}
_TEXT_NUMBERS = (*map(str, _NUMBERS), *_RAW.values(), '0x10', '1_0', '1.2.3', '\u00b2')
_OBJECTS = ({'type': 'zero'}, {'type': 'classifier', 'units': 1}, {'type': 'one_of', 'choices': [{'type': 'zero'}], 'tag': 'op'},
            {'__class__': 'os.system'}, [0] * 5000)

_scalars = st.sampled_from((None, True, False, *_NUMBERS, *STRINGS, *_RAW)) | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(_scalars | st.sampled_from(_OBJECTS), lambda inner: st.lists(inner, max_size=3)
                      | st.dictionaries(st.sampled_from(STRINGS), inner, max_size=3), max_leaves=8)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
  """(container, key) of every value below a value."""
  for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
    yield value, key
    yield from _places(value[key])


def _json(draw: Callable, content: bytes) -> bytes:
  """Another value, one value fewer or more, a copy of another value, another number of about the same size."""
  try:
    tree = [json.loads(content)]
  except (ValueError, RecursionError):  # damaged before
    return _text(draw, content)
  container, key = draw(st.sampled_from(list(_places(tree))))
  value = container[key]
  kind = draw(st.sampled_from(('replace', 'delete', 'copy', 'wrap', 'add', 'change')))
  if kind == 'delete':
    del container[key]
  elif kind == 'add' and isinstance(container, dict):
    container[draw(st.sampled_from(STRINGS))] = draw(values)
  elif kind == 'add':
    container.insert(key, draw(st.just(value) | values))
  elif kind == 'change' and type(value) in (int, float):
    container[key] = draw(st.sampled_from((value + 1, value - 1, -value, value * 2, value / 3, value * 1_000_000)))
  elif kind == 'change' and isinstance(value, str):
    container[key] = value[:1] + draw(st.sampled_from(STRINGS)) + value[1:]
  elif kind == 'copy':
    other, other_key = draw(st.sampled_from(list(_places(tree))))
    container[key] = json.loads(json.dumps(other[other_key]))
  else:
    container[key] = draw(st.sampled_from(([value], {'x': value}, [value] * 2)) if kind == 'wrap' else values)
  text = json.dumps(tree[0]) if tree else ''
  for mark, token in _RAW.items():
    text = text.replace(f'"{mark}"', token)
  return text.encode()


def _json_lines(draw: Callable, content: bytes) -> bytes:
  lines = content.split(b'\n')
  if draw(st.booleans()):
    return _lines(draw, lines)
  index = draw(st.integers(0, len(lines) - 1))
  lines[index] = _json(draw, lines[index])
  return b'\n'.join(lines)


def _lines(draw: Callable, lines: list[bytes]) -> bytes:
  """A line removed, repeated elsewhere, or cut off."""
  index = draw(st.integers(0, len(lines) - 1))
  line = lines.pop(index)
  kind = draw(st.sampled_from(('remove', 'move', 'repeat', 'cut')))
  if kind in ('move', 'repeat'):
    lines.insert(draw(st.integers(0, len(lines))), line)
  if kind in ('repeat', 'cut'):
    lines.insert(index, line if kind == 'repeat' else line[:draw(st.integers(0, len(line)))])
  return b'\n'.join(lines)


def _text(draw: Callable, content: bytes) -> bytes:
  """Another number, word or line."""
  if draw(st.integers(0, 3)) == 0:
    return _lines(draw, content.split(b'\n'))
  tokens = re.findall(rb'\d+(?:\.\d+)?|[A-Za-z_]+|\s+|.', content, re.DOTALL) or [b'']
  places = [index for index, token in enumerate(tokens) if token[:1].isdigit()]
  if places and draw(st.booleans()):
    tokens[draw(st.sampled_from(places))] = draw(st.sampled_from(_TEXT_NUMBERS)).encode()
  else:
    start = draw(st.integers(0, len(tokens)))
    tokens[start:start + draw(st.integers(0, 3))] = [draw(st.sampled_from(STRINGS) | st.text(max_size=9)).encode('utf-8', 'replace')]
  return b''.join(tokens)


def _bytes(draw: Callable, content: bytes) -> bytes:
  """Cut off, or a few bytes replaced, removed, inserted or repeated."""
  start = draw(st.integers(0, len(content)))
  kind = draw(st.sampled_from(('cut', 'overwrite', 'field', 'repeat')))
  if kind == 'cut':
    return content[:start]
  if kind == 'repeat':
    part = content[start:start + draw(st.sampled_from((1, 2, 3, 8, 40)))] or b'x'
    return content[:start] + part * draw(st.sampled_from((2, _REPEATED // len(part)))) + content[start:]
  size = draw(st.sampled_from((1, 2, 4, 8)))
  number = draw(st.sampled_from((0, 1, 16, 2**(8 * size) - 1, 2**(8 * size - 1) - 1, 2**(8 * size - 1))))
  new = number.to_bytes(size, 'little') if kind == 'field' else draw(st.binary(max_size=16))
  return content[:start] + new + content[start + draw(st.sampled_from((len(new), 0, 16))):]


def make_zip(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
  """An archive of (name, content) pairs."""
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', compression) as archive, warnings.catch_warnings():
    warnings.simplefilter('ignore')  # names that occur twice
    for name, data in members:
      archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compress_type=compression)
  return buffer.getvalue()


def _zip(draw: Callable, content: bytes) -> bytes:
  """An archive with valid checksums whose members are damaged, missing, renamed or repeated."""
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      members = [(info.filename, archive.read(info)) for info in archive.infolist()]
  except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError, OSError, zipfile.zlib.error):  # damaged before
    members = []
  if not members:
    return _bytes(draw, content)
  name, data = members.pop(index := draw(st.integers(0, len(members) - 1)))
  kind = draw(st.sampled_from(('remove', 'twice', 'rename', 'inflate', *['damage'] * 6)))
  if kind == 'twice':
    members += [(name, data)] * 2
  elif kind == 'rename':
    members.append((draw(st.sampled_from(STRINGS)) or 'x', data))
  elif kind == 'inflate':
    members.append((name, data + bytes(1_000_000)))
  elif kind == 'damage':
    by_magic = {b'{': _json, b'\x93NUMPY': _npy, b'\x80\x02': _pickle}
    members.insert(index, (name, next((f for magic, f in by_magic.items() if data.startswith(magic)), _bytes)(draw, data)))
  return make_zip(members, zipfile.ZIP_DEFLATED if kind == 'inflate' else zipfile.ZIP_STORED)


_DTYPES = ('|O', '<f8', '<i8', '|V8', '<U3', '|S1', '>f4', '<c16', '<M8[s]', '|b1', '<f2')
_SHAPES = ('()', '(0,)', '(1,)', '(-1,)', '(9223372036854775807,)', '(1000000, 1000000)', '(3, 3)', '(1.5,)', "('a',)", '(True,)', '1',
           '(' + '1, ' * 40 + ')')


def _npy(draw: Callable, data: bytes) -> bytes:
  """Another type or shape in the header, or other data."""
  length = int.from_bytes(data[8:10], 'little')
  header, body = data[10:10 + length], data[10 + length:]
  kind = draw(st.sampled_from(('type', 'shape', 'header', 'body')))
  if kind == 'type':
    header = re.sub(rb"'descr': [^,]*", f"'descr': '{draw(st.sampled_from(_DTYPES))}'".encode(), header)
  elif kind == 'shape':
    header = re.sub(rb"'shape': \([^)]*\)", f"'shape': {draw(st.sampled_from(_SHAPES))}".encode(), header)
  elif kind == 'header':
    header = _text(draw, header)
  else:
    body = _bytes(draw, body)
  return data[:8] + (len(header) % 65536).to_bytes(2, 'little') + header + body


_GLOBALS = ('os system', 'posix system', '__builtin__ eval', 'builtins bytearray', '__builtin__ getattr', 'subprocess Popen', 'torch load',
            'torch.hub load', 'torch FloatTensor', 'torch Tensor', 'torch Size', 'torch HalfStorage', 'torch.storage UntypedStorage',
            'torch._utils _rebuild_sparse_tensor', 'torch._tensor _rebuild_from_type_v2', 'torch.nn.parameter Parameter', '_codecs encode')
_INTEGERS = (-1, 0, 1, 2, 7, 255, 65536, 2**31 - 1, 2**33, 2**40, 2**63 - 1, -2**63, 2**64, 2**2000)


def integer(value: int) -> bytes:
  """The pickle instruction LONG1."""
  encoded = value.to_bytes(value.bit_length() // 8 + 1, 'little', signed=True)
  return b'\x8a' + bytes([len(encoded)]) + encoded


def call(name: str, argument: bytes) -> bytes:
  """The pickle instructions GLOBAL, those of an argument, TUPLE1 and REDUCE."""
  return b'c' + name.replace(' ', '\n').encode() + b'\n' + argument + b'\x85R'


def _pickle(draw: Callable, data: bytes) -> bytes:
  """One instruction fewer or more, another global or integer, or a call instead of a value; or other bytes."""
  stream, ends = io.BytesIO(data), [0]
  try:
    while stream.tell() < len(data):
      ends += [stream.tell() for _ in pickletools.genops(stream)]
  except ValueError:  # the storages behind the pickles, or damaged before
    pass
  kinds = {'delete': None, 'repeat': None, 'call': None, 'global': b'c', 'integer': b'JKM'}
  kind = draw(st.sampled_from((*kinds, 'bytes')))
  places = [i for i in range(len(ends) - 1) if kind != 'bytes' and (kinds[kind] is None or data[ends[i]] in kinds[kind])]
  if not places:
    return _bytes(draw, data)
  start, end = ends[(place := draw(st.sampled_from(places)))], ends[place + 1]
  name, number = draw(st.sampled_from(_GLOBALS)), integer(draw(st.sampled_from(_INTEGERS)))
  new = {'delete': b'', 'repeat': 2 * data[start:end], 'integer': number, 'call': call(name, number),
         'global': b'c' + name.replace(' ', '\n').encode() + b'\n'}[kind]
  return data[:start] + new + data[end:]


_BY_FORMAT = {'json': _json, 'json lines': _json_lines, 'text': _text, 'zip': _zip, 'pickle': _pickle, 'binary': _bytes}


@st.composite
def damaged(draw: Callable, file_format: str, seeds: list[bytes]) -> bytes:
  """A valid file after one to four changes, most of them such as its format invites."""
  content = draw(st.sampled_from(seeds))
  for _ in range(draw(st.integers(1, 4))):
    change = _BY_FORMAT[file_format] if draw(st.integers(0, 9)) else _bytes
    content = change(draw, content)[:MAX_BYTES]
  return content
