"""Which processes this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import pathlib


def commands(where: Callable[[pathlib.Path], bool] = lambda folder: True) -> Iterator[list[str]]:
  """Command lines of the processes whose folder in /proc is as is asked for, without those that have ended."""
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      words = (folder / 'cmdline').read_bytes().decode(errors='replace').split('\0')[:-1]
      if words and where(folder):
        yield words
    except (FileNotFoundError, ProcessLookupError, PermissionError):
      pass  # ended meanwhile, or another user's


def running(*words: str) -> bool:
  """Whether a process has these words in its command line, one after the other."""
  return any(list(words) == command[start:start + len(words)] for command in commands() for start in range(len(command)))


def marked(mark: str) -> list[list[str]]:
  """Command lines of the processes with this variable and value in their environment, which all inherit that are started."""
  return list(commands(lambda folder: mark.encode() in (folder / 'environ').read_bytes().split(b'\0')))
