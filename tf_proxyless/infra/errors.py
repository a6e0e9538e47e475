"""Mistakes of a user as exceptions of one line, and the exit codes of commands."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

MISTAKE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141


class UserError(ValueError):
  """A user's mistake, explained in one line. Names of settings stand in backquotes, as in '`run_dir` is required'."""


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
  """Turns errors of what a user chose into `UserError`; for the part of a command that checks, loads and builds."""
  try:
    yield
  except UserError:
    raise
  except (ValueError, KeyError, TypeError, OSError) as error:
    raise UserError(describe(error)) from error


def describe(error: Exception) -> str:
  """An exception in one line, without Python's decoration."""
  if isinstance(error, OSError) and error.strerror:
    return f'{error.filename}: {error.strerror}' if error.filename else error.strerror
  if isinstance(error, KeyError) and error.args:
    return one_line(error.args[0])  # str() of a KeyError is the repr of its message
  return one_line(error)


def one_line(message: Any) -> str:
  """Text without line breaks and control characters."""
  text = ' '.join(str(message).split())
  return ''.join(character if character.isprintable() else '?' for character in text)
