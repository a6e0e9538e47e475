"""Atomic checkpoints with checksums; a damaged one is passed over for the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import errno
import hashlib
import os
import pathlib
import shutil

from absl import logging

from tf_proxyless.infra import files

PREFIX = 'ckpt'
_CHECKSUMS = '.sha256'
_INDEX = '.index'
_MAX_CHECKSUM_BYTES = 2**16


class Checkpoints:
  """The checkpoints in a folder, numbered from 1.

  Beside the files of checkpoint n lies ckpt-n.sha256 with the SHA-256 of each, in the format of the program sha256sum. A checkpoint is
  there once its index is: that is moved last and deleted first. One without checksums, of an earlier version, is believed.

  Args:
    folder: May be missing as long as nothing is added.
  """

  def __init__(self, folder: pathlib.Path):
    self._folder = folder
    self._damaged: set[int] = set()
    self._good: set[int] = set()

  def exist(self) -> bool:
    """Whether there is one, be it damaged."""
    return bool(self._numbers())

  def newest(self) -> str | None:
    """Path of the newest one that is not damaged, without suffixes; None if there is none at all. Says in one line what is passed over.

    Read from the files themselves, not from TensorFlow's list of them, so that whoever deletes one gets the one before.

    Raises:
      ValueError: All are damaged.
    """
    numbers = self._numbers()
    for number in reversed(numbers):
      if number not in self._good | self._damaged:
        self._check(number, last=number == numbers[0])
      if number in self._good:
        return self._path(number)
    if numbers:
      raise ValueError(f'all checkpoints in {self._folder} are damaged; restore them from a copy, or delete the folder to start again')
    return None

  def add(self, write: Callable[[str], None], keep: int = 2) -> None:
    """Adds a checkpoint, and deletes all but the newest and those that are damaged.

    TensorFlow writes in place, and leaves half an index when it is killed. So it writes elsewhere, and the index is moved last.

    Args:
      write: Makes the files of a checkpoint, given their path without suffixes.
      keep: Number of undamaged checkpoints to keep.

    Raises:
      OSError: It cannot be written, for instance since the disk is full; those that were there are there still.
    """
    import tensorflow as tf  # commands look for checkpoints before they load it

    numbers = self._numbers()
    number = numbers[-1] + 1 if numbers else 1
    staging = self._folder / 'writing'
    shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
    staging.mkdir()
    try:
      write(str(staging / f'{PREFIX}-{number}'))
    except tf.errors.OpError as error:
      shutil.rmtree(staging, ignore_errors=True)  # a full disk gets its room back
      raise OSError(errno.EIO, f'the checkpoint cannot be written: {files.one_line(error.message)}', str(self._folder)) from error
    written = sorted(staging.iterdir(), key=lambda file: file.suffix == _INDEX)
    lines = [f'{_digest(file, sync=True)}  {file.name}\n' for file in written]
    files.write_atomically(self._folder / f'{PREFIX}-{number}{_CHECKSUMS}', ''.join(lines))
    for file in written:
      if file.suffix == _INDEX:
        files.sync_folder(self._folder)  # what the index speaks of is there first, also after a power failure
      os.replace(file, self._folder / file.name)
    files.sync_folder(self._folder)
    staging.rmdir()
    self._good.add(number)
    good = [old for old in (*numbers, number) if old not in self._damaged]
    self._delete(old for old in numbers if old not in good[-keep:])

  def _numbers(self) -> list[int]:
    """Numbers of the checkpoints whose index exists, ascending."""
    names = [index.name.removeprefix(f'{PREFIX}-').removesuffix(_INDEX) for index in self._folder.glob(f'{PREFIX}-*{_INDEX}')]
    return sorted(int(name) for name in names if name.isdecimal())

  def _path(self, number: int) -> str:
    return str(self._folder / f'{PREFIX}-{number}')

  def _check(self, number: int, last: bool) -> None:
    reason = self._damage(number)
    (self._good if reason is None else self._damaged).add(number)
    if reason is not None:
      logging.warning('checkpoint %s is damaged (%s)%s', self._path(number), reason, '' if last else '; the one before is used')

  def _damage(self, number: int) -> str | None:
    """What is wrong with a checkpoint."""
    checksums = pathlib.Path(self._path(number) + _CHECKSUMS)
    if not checksums.exists():
      return None
    with open(checksums, encoding='utf-8', errors='replace') as content:
      lines = content.read(_MAX_CHECKSUM_BYTES).splitlines()
    rows = [line.split('  ', 1) for line in lines if '  ' in line]
    expected = {name: digest for digest, name in rows}
    if f'{PREFIX}-{number}{_INDEX}' not in expected:
      return f'{checksums.name} is cut off'
    for name, digest in expected.items():
      file = self._folder / name
      if file.parent != self._folder or not file.is_file():
        return f'{files.one_line(name)} is missing'
      if _digest(file) != digest:
        return f'{files.one_line(name)} has another checksum'
    return None

  def _delete(self, numbers: Iterable[int]) -> None:
    for number in numbers:
      for file in sorted(self._folder.glob(f'{PREFIX}-{number}.*'), key=lambda file: file.suffix != _INDEX):
        file.unlink()


def _digest(path: pathlib.Path, sync: bool = False) -> str:
  """SHA-256 of a file, which is on the disk then if asked for."""
  digest = hashlib.sha256()  # hashlib.file_digest is not in Python 3.10
  with open(path, 'rb') as content:
    if sync:
      os.fsync(content.fileno())
    while part := content.read(2**20):
      digest.update(part)
  return digest.hexdigest()
