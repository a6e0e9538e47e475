"""Lenient reading of a run directory: unreadable files become problems; texts lose their absolute paths."""

from __future__ import annotations

import math
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

from tf_proxyless.infra import files

_T = TypeVar('_T')
_MOST_PROBLEMS = 30
_SIGNIFICANT_DIGITS = 7  # as float32 has

# The folders of an absolute path, also after 'folder:', how a dataset is named; not those of an address.
_FOLDERS = re.compile(r'(?:(?<=folder:)|(?<![\w.:/~-]))/(?:[^/\s:;,\'"]+/)+')


class Reader:
  """Reads the files of one run directory, and collects a line for each problem."""

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._problems: list[str] = []

  def read(self, path: pathlib.Path, load: Callable[[pathlib.Path], _T]) -> _T | None:
    """Loads a file; None if it is missing, or cannot be loaded, which adds a problem."""
    if not os.path.lexists(path):
      return None
    return self.attempt(lambda: load(path), path.name)

  def attempt(self, make: Callable[[], _T], name: str = '') -> _T | None:
    """Calls `make`; None if it raises an error of a file (of that name) or of files that do not fit together, which adds a problem."""
    try:
      return make()
    except OSError as error:
      problem = f'{error.filename or name}: {error.strerror or error}'
    except KeyError as error:
      problem = str(error.args[0] if error.args else error)  # str() of a KeyError is the repr of its message
    except ValueError as error:
      problem = str(error)
    self.add(problem if name in problem else f'{name}: {problem}')
    return None

  def add(self, problem: str) -> None:
    """Adds a problem, in one line."""
    text = ' '.join(problem.split())
    self._problems.append(without_folders(text.replace(f'{self._path}{os.sep}', '').replace(f'{self._path}:', 'run directory:')))

  def problems(self) -> list[str]:
    """Distinct problems, the first 30."""
    problems = list(dict.fromkeys(self._problems))
    hidden = len(problems) - _MOST_PROBLEMS
    return problems if hidden <= 0 else [*problems[:_MOST_PROBLEMS], f'and {hidden} more']


def without_folders(text: str) -> str:
  """A text with the last part only of each absolute path in it."""
  return _FOLDERS.sub('', text)


def to_json(value: Any) -> Any:
  """JSON values of a report: numbers finite and rounded, names instead of paths."""
  if isinstance(value, float):
    return float(f'{value:.{_SIGNIFICANT_DIGITS}g}') if math.isfinite(value) else None
  if isinstance(value, str):
    return without_folders(value)
  if isinstance(value, dict):
    return {without_folders(str(key)): to_json(item) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [to_json(item) for item in value]
  if value is None or isinstance(value, (bool, int)):
    return value
  raise TypeError(f'not a JSON value: {files.shorten(value)}')
