"""Damages archives whose checksums then fit, and the arrays and pickles in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import io
import pickletools
import re
import struct
import warnings
import zipfile

from tests.fuzz import plain_mutations
from tests.fuzz.plain_mutations import STRINGS
from tests.fuzz.plain_mutations import Step


def mutate_zip(content: bytes, step: Step) -> bytes:
  """Another archive, whose checksums fit; damage to the bytes of the archive itself is `mutate_bytes`."""
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      members = [(info.filename, archive.read(info)) for info in archive.infolist()]
  except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError, OSError, zipfile.zlib.error):  # damaged before
    return plain_mutations.mutate_bytes(content, step)
  if not members:
    return plain_mutations.mutate_bytes(content, step)
  index = step.other % len(members)
  name, data = members[index]
  match step.operation % 10:
    case 0:
      del members[index]
    case 1:
      members.append((name, data))  # twice the same name
    case 2:
      members[index] = (STRINGS[step.value % len(STRINGS)] or 'x', data)
    case 3:
      members.append((STRINGS[step.value % len(STRINGS)] or 'x', bytes(step.place % 1000)))
    case 4:  # small, and a thousand times as large once it is read
      members[index] = (name, data + bytes(1_000_000))
    case _:
      members[index] = (name, _mutation_of(data)(data, step))
  return make_zip(members, zipfile.ZIP_DEFLATED if step.operation % 10 == 4 else zipfile.ZIP_STORED)


def _mutation_of(data: bytes) -> Callable[[bytes, Step], bytes]:
  """What damages a member, by how it begins."""
  by_magic = {b'{': plain_mutations.mutate_json, b'\x93NUMPY': _mutate_npy, b'\x80\x02': mutate_pickle}
  return next((mutate for magic, mutate in by_magic.items() if data.startswith(magic)), plain_mutations.mutate_bytes)


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
      header = plain_mutations.mutate_text(header, step)
    case _:
      body = plain_mutations.mutate_bytes(body, step)
  return data[:8] + (len(header) % 65536).to_bytes(2, 'little') + header + body


# --- Pickles

_GLOBALS = (b'os\nsystem', b'posix\nsystem', b'__builtin__\neval', b'builtins\nbytearray', b'__builtin__\ngetattr', b'subprocess\nPopen',
            b'torch\nload', b'torch.hub\nload', b'torch\nFloatTensor', b'torch\nTensor', b'torch\nSize', b'torch\nHalfStorage',
            b'torch.storage\nUntypedStorage', b'torch._utils\n_rebuild_sparse_tensor', b'torch._utils\n_rebuild_meta_tensor_no_storage',
            b'torch._tensor\n_rebuild_from_type_v2', b'torch.nn.parameter\nParameter', b'collections\nCounter', b'_codecs\nencode')
_INTEGERS = (-1, 0, 1, 2, 7, 255, 65536, 2**20, 2**31 - 1, 2**33, 2**40, 2**62, 2**63 - 1, -2**63, 2**64, 2**2000)


def mutate_pickle(data: bytes, step: Step) -> bytes:
  """An instruction fewer or more, another global, another integer, a call in place of a value; or other bytes."""
  parts = list(_instructions(data))
  chosen = step.operation % 8
  wanted = b'c' if chosen in (2, 3) else b'JKM' if chosen in (4, 5) else bytes(range(256))
  places = [index for index, part in enumerate(parts) if part[0] in wanted]
  if not places or chosen == 7:
    return plain_mutations.mutate_bytes(data, step)
  index = places[step.place % len(places)]
  named = b'c' + _GLOBALS[step.value % len(_GLOBALS)] + b'\n'
  match chosen:
    case 0:
      del parts[index]
    case 1:
      parts.insert(index, parts[step.other % len(parts)])
    case 2 | 3:
      parts[index] = named
    case 4 | 5:
      parts[index] = _integer(_INTEGERS[step.value % len(_INTEGERS)])
    case _:  # GLOBAL, its argument, TUPLE1, REDUCE
      parts[index] = named + _integer(_INTEGERS[step.other % len(_INTEGERS)]) + b'\x85R'
  return b''.join(parts)


def _integer(value: int) -> bytes:
  """The instruction BININT or LONG1."""
  if -2**31 <= value < 2**31:
    return b'J' + struct.pack('<i', value)
  encoded = value.to_bytes(value.bit_length() // 8 + 1, 'little', signed=True)
  return b'\x8a' + bytes([len(encoded)]) + encoded


def _instructions(data: bytes) -> Iterator[bytes]:
  """The instructions of the pickles that stand one after the other, and then the rest."""
  begin = 0
  while data.startswith(b'\x80', begin):
    stream = io.BytesIO(data[begin:])
    try:
      ends = [begin + stream.tell() for _ in pickletools.genops(stream)]
    except ValueError:  # damaged before
      break
    for end in ends:
      yield data[begin:end]
      begin = end
  yield from (data[begin:],) if begin < len(data) else ()
