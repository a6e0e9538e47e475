"""Mistakes of a user as exceptions of one line, and the exit codes of commands."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re
import sys
from typing import Any

MISTAKE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
_LONGEST = 300  # characters of what an operation says, and of the name of a file
_NODES = (r'\{\{.*?\}\}|\[\[.*?\]\]|\[Op:.*?\](?: name:.*)?|Original stack trace.*|Error in user-defined function passed to \S+ '
          r'transformation with iterator: \S+: ')


class UserError(ValueError):
  """A user's mistake, explained in one line. Names of settings stand in backquotes, as in '`run_dir` is required'."""


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
  """Turns errors of what a user chose into `UserError`; for the part of a command that checks, loads and builds."""
  try:
    yield
  except UserError:
    raise
  except (ValueError, KeyError, TypeError, OSError, *of_operations()) as error:
    raise UserError(describe(error)) from error


def of_operations() -> tuple[type[Exception], ...]:
  """What TensorFlow's operations raise of files that cannot be read or decoded, and of a memory that is full; none before it is loaded."""
  kinds = getattr(sys.modules.get('tensorflow'), 'errors', None)
  names = ('InvalidArgumentError', 'NotFoundError', 'FailedPreconditionError', 'DataLossError', 'PermissionDeniedError',
           'ResourceExhaustedError')
  return tuple(getattr(kinds, name) for name in names) if kinds else ()


def describe(error: Exception) -> str:
  """An exception in one line, without Python's decoration."""
  if isinstance(error, OSError) and error.strerror:
    return f'{_middle_left_out(str(error.filename))}: {error.strerror}' if error.filename else error.strerror
  if isinstance(error, KeyError) and error.args:
    return one_line(error.args[0])  # str() of a KeyError is the repr of its message
  if isinstance(error, of_operations()):
    return _describe_operation(str(error))
  return one_line(error) or type(error).__name__


def _middle_left_out(name: str) -> str:
  return name if len(name) <= _LONGEST else f'{name[:100]}...{name[100 - _LONGEST:]}'


def _describe_operation(message: str) -> str:
  """What went wrong, without the names of nodes; of the images, where it is their iterator that says so."""
  of_images = 'an image of the dataset cannot be read: ' if 'IteratorGetNext' in message else ''
  text = one_line(re.sub(_NODES, '', message.replace('\n', ' ')))
  return of_images + (text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...')


def one_line(message: Any) -> str:
  """Text without line breaks and control characters."""
  text = ' '.join(str(message).split())
  return ''.join(character if character.isprintable() else '?' for character in text)
