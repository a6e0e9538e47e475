"""Runs a parser on one input and judges what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import pathlib
import signal
import tempfile
import time
from types import ModuleType
from typing import Any

from tests.tools import loading

MAX_CPU_S = 1.0  # of an input; CPU time, which other processes of the machine do not lengthen
HANG_S = 60  # after which an input is given up, seconds by the clock on the wall
MAX_MESSAGE = 3000  # characters


@dataclasses.dataclass(frozen=True)
class Parser:
  """Something that reads what nobody vouches for.

  Attributes:
    name: For people.
    modules: Of ours, whose reading it covers.
    form: Of its input, see `mutations.mutate`.
    seeds: Makes valid inputs.
    parse: Reads an input, given a folder where it may put it. It does with the result what a main does first.
    errors: That it may raise instead, each with a message of one line.
    weight: Share of all inputs, less where an input takes long.
    refuses: Whether it accepts nothing, whatever the content.
  """

  name: str
  modules: tuple[str, ...]
  form: str
  seeds: Callable[[], list[bytes]]
  parse: Callable[[bytes, pathlib.Path], Any]
  errors: tuple[type[Exception], ...] = (ValueError,)
  weight: float = 1.0
  refuses: bool = False


def check(parser: Parser, content: bytes, folder: pathlib.Path) -> bool:
  """Whether an input was accepted; fails if it raises another error, or one of several lines, or takes too long."""
  start = time.process_time()
  with _given_up_after(HANG_S):
    try:
      parser.parse(content, folder)
      message = None
    except parser.errors as error:
      message = str(error)
  seconds = time.process_time() - start
  assert seconds < MAX_CPU_S, f'{parser.name}: {len(content)} bytes took {seconds:.1f} s'
  assert message is None or message and '\n' not in message, f'{parser.name}: not one line: {message!r}'
  assert message is None or len(message) <= MAX_MESSAGE, f'{parser.name}: a message of {len(message)} characters: {message[:300]!r}'
  return message is None


@contextlib.contextmanager
def accepted() -> Iterator[None]:
  """A context for what is done with something that was accepted: that it is refused here is a failure."""
  try:
    yield
  except ValueError as error:
    raise AssertionError('refused after it was accepted') from error


def written(save: Callable[[Any, pathlib.Path], Any], value: Any, name: str = 'file.json') -> bytes:
  """What a function that writes a file writes."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, name)
    save(value, path)
    return path.read_bytes()


def put(content: bytes, folder: pathlib.Path, name: str) -> pathlib.Path:
  """A file of that content."""
  path = folder / name
  path.write_bytes(content)
  return path


@contextlib.contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
  def give_up(number, frame):
    raise TimeoutError(f'no end after {seconds} s')

  before = signal.signal(signal.SIGALRM, give_up)
  signal.setitimer(signal.ITIMER_REAL, seconds)
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def tool(name: str) -> ModuleType:
  """A tool as a module, whose flags are nobody's."""
  with loading.loaded(name) as module:
    return module
