"""Atomic writes and strict JSON parsing."""

from __future__ import annotations

import codecs
import collections
from collections.abc import Mapping, Sequence
import contextlib
import errno
import json
import math
import os
import re
import tempfile
from typing import Any, Union

MAX_JSON_BYTES = 4 * 2**20  # the worst of them takes 0.6 s to parse
MAX_JSON_DEPTH = 32
_MAX_INTEGER = 2**63  # what NumPy and other readers of JSON can hold
_ESCAPED_SURROGATE = re.compile(r'\\u[dD][89a-fA-F]')

PathLike = Union[str, os.PathLike]


def write_atomically(path: PathLike, content: bytes | str) -> None:
  """Writes a file so that a reader, or a restart after a crash, finds the old content or the new one, never a part.

  Args:
    path: File to write; its folder must exist.
    content: Bytes, or text that is encoded as UTF-8.

  Raises:
    OSError: The folder does not exist or cannot be written.
  """
  path = os.path.abspath(path)
  data = content.encode('utf-8') if isinstance(content, str) else content
  descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f'.{os.path.basename(path)}.')
  try:
    with os.fdopen(descriptor, 'wb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.chmod(temporary, 0o666 & ~_umask())  # mkstemp gives 0600
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):  # moved already
      os.unlink(temporary)
    raise
  sync_folder(os.path.dirname(path))


def sync_folder(path: PathLike) -> None:
  """Puts on the disk which files a folder has: a new name, too, is lost in a power failure until then.

  Raises:
    OSError: The folder does not exist, or the disk fails.
  """
  descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that do not know it
      raise
  finally:
    os.close(descriptor)


def _umask() -> int:
  """The process's umask, which can only be read by setting it."""
  mask = os.umask(0o077)
  os.umask(mask)
  return mask


def resolve(path: PathLike) -> str:
  """The absolute path without links of a file or folder, however it was spelled; `~` is the home directory."""
  return os.path.realpath(os.path.expanduser(path))


def cache_folder() -> str:
  """Where files are kept that can be made again: ~/.cache/tf_proxyless, or by XDG_CACHE_HOME."""
  return os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache'), 'tf_proxyless')


def write_json(path: PathLike, kind: str, body: Mapping[str, Any], version: int = 1) -> None:
  """Writes `body` atomically under the schema 'tf_proxyless/<kind>'.

  Raises:
    ValueError: A number in it is not finite.
  """
  content = {'schema': f'tf_proxyless/{kind}', 'version': version, **body}
  write_atomically(path, _layout(content) + '\n')


def _layout(value: Any, indent: str = '', width: int = 180) -> str:
  """JSON text for people too: what fits in a line stands in one, the rest is indented."""
  line = json.dumps(value, allow_nan=False)
  if len(indent) + len(line) <= width or not value or not isinstance(value, (Mapping, list, tuple)):
    return line
  deeper = indent + '  '
  if isinstance(value, Mapping):
    items = [f'{json.dumps(key)}: {_layout(item, deeper, width)}' for key, item in value.items()]
    opening, closing = '{}'
  else:
    items = [_layout(item, deeper, width) for item in value]
    opening, closing = '[]'
  return f'{opening}\n{deeper}' + f',\n{deeper}'.join(items) + f'\n{indent}{closing}'


def read_json(path: PathLike, kind: str, version: int = 1) -> dict[str, Any]:
  """`read_versioned_json` of a kind that has one version.

  Returns:
    The object without its `schema` and `version`.
  """
  return read_versioned_json(path, kind, (version,))[1]


def read_object(path: PathLike) -> dict[str, Any]:
  """Reads an untrusted file of one JSON object, of at most 4 MiB and 32 levels.

  Raises:
    ValueError: The content is no such object; the message is one line that begins with the path.
    OSError: The file cannot be read.
  """
  data = read_bytes(path, MAX_JSON_BYTES)
  try:
    body = parse_json(data)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
  if not isinstance(body, dict):
    raise ValueError(f'{path}: not a JSON object')
  return body


def read_versioned_json(path: PathLike, kind: str, versions: Sequence[int]) -> tuple[int, dict[str, Any]]:
  """`read_object` of one of our files.

  Args:
    path: The file.
    kind: The schema expected, without 'tf_proxyless/'.
    versions: Accepted versions, the newest last.

  Returns:
    The version, and the object without its `schema` and `version`.

  Raises:
    ValueError: The content is not such an object; the message is one line that begins with the path.
    OSError: The file cannot be read.
  """
  body = read_object(path)
  schema, version = body.pop('schema', None), body.pop('version', None)
  if schema != f'tf_proxyless/{kind}' or type(version) is not int or version not in versions:
    raise ValueError(f'{path}: schema and version must be {f"tf_proxyless/{kind}"!r} and {" or ".join(map(str, versions))}, '
                     f'got {shorten(schema)} and {shorten(version)}')
  return version, body


def read_numbers(path: PathLike, kind: str, name: str) -> dict[str, float]:
  """`read_json` of an object of numbers that are not negative, under a name.

  Raises:
    ValueError: The file holds something else.
    OSError: It cannot be read.
  """
  found = read_json(path, kind).get(name)
  if not isinstance(found, dict) or not all(type(value) in (int, float) and value >= 0 for value in found.values()):
    raise ValueError(f'{path}: {name} must be an object of numbers, none below 0, got {shorten(found)}')
  return {key: float(value) for key, value in found.items()}


def read_bytes(path: PathLike, limit: int) -> bytes:
  """Reads a file that may be anything, an endless one too.

  Raises:
    ValueError: It is larger than `limit` bytes.
    OSError: It cannot be read.
  """
  with open(path, 'rb') as file:
    data = file.read(limit + 1)
  if len(data) > limit:
    raise ValueError(f'{path}: larger than {limit} bytes, which no file of this kind is')
  return data


def read_text(path: PathLike, limit: int) -> str:
  """Reads a file of text; see `read_bytes` and `decode`.

  Raises:
    ValueError: It is larger than `limit` bytes, or not UTF-8.
    OSError: It cannot be read.
  """
  try:
    return decode(read_bytes(path, limit))
  except UnicodeDecodeError as error:
    raise ValueError(f'{path}: not UTF-8 text') from error


def decode(data: bytes) -> str:
  """Text in UTF-8, or as Windows writes it: with a mark before it, by PowerShell's `>` in UTF-16.

  Raises:
    UnicodeDecodeError: It is neither.
  """
  return data.decode('utf-16' if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 'utf-8-sig')


def parse_json(text: bytes | str) -> Any:
  """Parses JSON strictly.

  No more than 4 MiB and 32 levels; no key twice in an object; no NaN, infinity, or integer beyond 64 bits; only text that can be written.

  Raises:
    ValueError: The text is refused; one line that says why.
  """
  if len(text) > MAX_JSON_BYTES:
    raise ValueError(f'larger than {MAX_JSON_BYTES} bytes')
  if not text.strip():
    raise ValueError('empty, not JSON')
  try:
    text = decode(text) if isinstance(text, bytes) else text
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer)
    if _ESCAPED_SURROGATE.search(text):
      json.dumps(value, ensure_ascii=False).encode('utf-8')
  except RecursionError:
    raise ValueError(f'nested deeper than {MAX_JSON_DEPTH} levels') from None
  except UnicodeError as error:
    raise ValueError('not UTF-8 text, so not JSON') from error
  except json.JSONDecodeError as error:
    raise ValueError(f'not JSON, or truncated: {error}') from error
  level, depth = [value], 0
  while level:
    depth += 1
    if depth > MAX_JSON_DEPTH:
      raise ValueError(f'nested deeper than {MAX_JSON_DEPTH} levels')
    containers = [item for item in level if isinstance(item, (dict, list))]
    level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
  return value


def shorten(value: Any, limit: int = 60) -> str:
  """The repr of a value that may be anything, in one line of bounded length."""
  return one_line(repr(value), limit)


def one_line(text: str, limit: int = 1000) -> str:
  """Text that may be anything, in one line of bounded length."""
  text = text if len(text) <= limit else f'{text[:limit - 3]}...'
  return ''.join(character if character.isprintable() else '?' for character in text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  result = dict(pairs)
  if len(result) != len(pairs):
    repeated = sorted(key for key, count in collections.Counter(key for key, _ in pairs).items() if count > 1)
    raise ValueError(f'keys appear twice: {shorten(repeated)}')
  return result


def _refuse_constant(name: str) -> None:
  raise ValueError(f'{name} is not a number that JSON knows')


def _finite(text: str) -> float:
  value = float(text)
  if not math.isfinite(value):
    raise ValueError(f'{shorten(text)} is beyond every number')
  return value


def _integer(text: str) -> int:
  value = int(text)
  if not -_MAX_INTEGER <= value < _MAX_INTEGER:
    raise ValueError(f'{shorten(text)} has more than 64 bits')
  return value
