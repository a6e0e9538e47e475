"""Parsers of files from elsewhere, and the promises that each must keep on any input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import json
import pathlib
import tempfile
import time
from typing import Any

import pytest

MAX_CPU_S = 3.0  # CPU time, which depends less on other processes than the clock: under 1 on most machines, 1.0 on the slowest seen
MAX_MESSAGE = 3000  # characters

Parse = Callable[[bytes, pathlib.Path], Any]


@dataclasses.dataclass(frozen=True)
class Parser:
  """A function that reads untrusted content.

  Attributes:
    name: Name of the content, for test ids.
    file_format: Key of `strategies.damaged`.
    seeds: Makes valid contents.
    parse: Reads content, given a folder for files, and uses the result as a command would.
    errors: Documented exceptions, each with a message of one line.
    quick: Number of inputs tried in the quick tests.
    refuses: Whether even valid content is refused.
  """

  name: str
  file_format: str
  seeds: Callable[[], list[bytes]]
  parse: Parse
  errors: tuple[type[Exception], ...] = (ValueError,)
  quick: int = 20
  refuses: bool = False


PARSERS: list[Any] = []  # parameters of pytest


def parser(name: str, file_format: str, seeds: Callable[[], list[bytes]], marks: tuple = (), **options: Any) -> Callable[[Parse], Parse]:
  """Adds the decorated function to the parsers."""

  def add(parse: Parse) -> Parse:
    PARSERS.append(pytest.param(Parser(name, file_format, seeds, parse, **options), id=name, marks=marks))
    return parse

  return add


def check(tested: Parser, content: bytes, folder: pathlib.Path) -> bool:
  """Whether the content was accepted; fails on an undocumented error, a message that is not one short line, or too much time."""
  start = time.process_time()
  try:
    tested.parse(content, folder)
    message = None
  except tested.errors as error:
    message = str(error)
  seconds = time.process_time() - start
  assert seconds < MAX_CPU_S, f'{len(content)} bytes took {seconds:.1f} s'
  assert message is None or message and '\n' not in message and len(message) <= MAX_MESSAGE, f'not one line: {message[:300]!r}'
  return message is None


@contextlib.contextmanager
def accepted() -> Iterator[None]:
  """A context for the use of accepted content: refusing it here is a failure."""
  try:
    yield
  except ValueError as error:
    raise AssertionError('refused after it was accepted') from error


def read_twice(path: pathlib.Path, content: bytes, load: Callable, save: Callable) -> Any:
  """What a file with the content holds; fails if that cannot be saved, or loads differently."""
  found = load(put(content, path.parent, path.name))
  with accepted():
    save(found, path)
    assert load(path) == found
  return found


def put(content: bytes, folder: pathlib.Path, name: str) -> pathlib.Path:
  """A file with the content."""
  path = folder / name
  path.write_bytes(content)
  return path


def saved(save: Callable[[Any, pathlib.Path], Any], value: Any, name: str = 'file.json') -> bytes:
  """What a function writes."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, name)
    save(value, path)
    return path.read_bytes()


def to_json(value: Any) -> bytes:
  """Strict JSON; fails on numbers that are not finite."""
  return json.dumps(value, allow_nan=False).encode()


def check_seeds(tested: Parser, folder: pathlib.Path) -> None:
  """Valid content is accepted; also loads TensorFlow where needed, whose time is not the parser's."""
  with contextlib.suppress(*tested.errors):
    tested.parse(tested.seeds()[0], folder)
  assert any(check(tested, seed, folder) for seed in tested.seeds()) != tested.refuses
