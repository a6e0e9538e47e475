"""One process at a time in a folder: the second is refused, and a lock whose process has ended, however it ended, is none."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import pathlib
import platform
from typing import TextIO

from absl import logging

from tf_proxyless.infra import files

NAME = 'lock'
_MAX_BYTES = 4096


def take(folder: files.PathLike) -> TextIO:
  """Locks a folder until the file that this returns is closed, or all processes that have it end; a context manager.

  The system keeps the lock (flock), not the file, which only says whose it is: what a killed process leaves locks nothing.

  Args:
    folder: Exists. Gets a file `lock`, which stays.

  Raises:
    ValueError: Another process has it; the message says which.
    OSError: The folder cannot be written to.
  """
  path = pathlib.Path(folder) / NAME
  file = open(path, 'a+', encoding='utf-8', errors='replace')
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    file.seek(0)
    holder = _describe(file.read(_MAX_BYTES))
    file.close()
    raise ValueError(f'{folder} is in use by {holder}; wait for its end, or choose another folder') from error
  except OSError as error:  # some network file systems
    logging.warning('%s cannot be locked (%s): see to it that no second process works there', folder, error.strerror)
  file.seek(0)
  file.truncate()
  started = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  file.write(json.dumps({'host': platform.node(), 'pid': os.getpid(), 'started': started}) + '\n')
  file.flush()
  return file


def is_free(folder: files.PathLike) -> bool:
  """Whether a folder was locked, and whoever had it has ended; not where that cannot be told."""
  try:
    with open(pathlib.Path(folder) / NAME, encoding='utf-8') as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except OSError:  # there is none, another process has it, or the file system does not know locks
    return False
  return True


def _describe(text: str) -> str:
  """Whose lock it is, in words."""
  try:
    holder = files.parse_json(text)
    host, pid, started = str(holder['host']), int(holder['pid']), str(holder['started'])
  except (ValueError, KeyError, TypeError):
    return 'another process'
  name = files.one_line(f'process {pid} on {host} since {started}', 200)
  if host == platform.node() and not pathlib.Path('/proc', str(pid)).exists() and pathlib.Path('/proc/self').exists():
    return f'a process that outlived {name}'
  return name
