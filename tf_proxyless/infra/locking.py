"""Exclusive lock on a directory (flock); the system releases it when the processes that hold it end.

The package filelock was tried instead: its refusal does not name the holder, a child process cannot inherit its lock (a trial that
outlives its tuning must keep the directory), and a lock in a directory without write permission cannot be looked at.
"""

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
  """Locks a directory until the returned file is closed, or all processes that inherited it have ended.

  Args:
    folder: Existing directory. The file `lock` in it names the holder; it stays there after the lock is released.

  Returns:
    The open lock file, a context manager.

  Raises:
    ValueError: Another process holds the lock; the message names it.
    OSError: The directory is not writable.
  """
  file = open(pathlib.Path(folder) / NAME, 'a+', encoding='utf-8', errors='replace')
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    file.seek(0)
    holder = _describe(file.read(_MAX_BYTES))
    file.close()
    raise ValueError(f'{folder} is in use by {holder}; wait for its end, or choose another folder') from error
  except OSError as error:  # some network file systems
    logging.warning('%s cannot be locked (%s): see to it that no second process works there', folder, error.strerror)
  started = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  file.truncate(0)  # mode 'a' writes at the end
  file.write(json.dumps({'host': platform.node(), 'pid': os.getpid(), 'started': started}) + '\n')
  file.flush()
  return file


def is_free(folder: files.PathLike) -> bool:
  """Whether a directory was locked once and is not now; False if this cannot be determined."""
  try:
    with open(pathlib.Path(folder) / NAME, encoding='utf-8') as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except OSError:  # no lock file, a holder, or a file system without locks
    return False
  return True


def _describe(text: str) -> str:
  """The holder named in a lock file, in words."""
  try:
    holder = files.parse_json(text)
    host, pid, started = str(holder['host']), int(holder['pid']), str(holder['started'])
  except (ValueError, KeyError, TypeError):
    return 'another process'
  name = files.one_line(f'process {pid} on {host} since {started}', 200)
  if host == platform.node() and not pathlib.Path('/proc', str(pid)).exists() and pathlib.Path('/proc/self').exists():
    return f'a process that outlived {name}'
  return name
