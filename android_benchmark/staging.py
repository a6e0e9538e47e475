"""Puts files on a device: in one archive, and only those that are not there yet."""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
import shlex
import tarfile
import tempfile

from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import hashing

_TIMEOUT_S = 300


def stage(device: device_lib.Device, files: Mapping[str, pathlib.Path], folder: str) -> int:
  """Makes files be on a device.

  Args:
    device: Target device.
    files: Local files by their names there.
    folder: Absolute folder there for them; other files in it stay.

  Returns:
    Number of files that had to be sent.

  Raises:
    TransferError: They cannot be put there.
    ConnectionLost: Whatever is there by then need not be sent again.
  """
  expected = {name: hashing.sha256(path) for name, path in files.items()}
  missing = _differing(device, expected, folder)
  if missing:
    archive = f'{folder}/staged.tar'
    with tempfile.TemporaryDirectory(prefix='android_benchmark_') as temporary:
      local = pathlib.Path(temporary, 'staged.tar')
      with tarfile.open(local, 'w', format=tarfile.GNU_FORMAT) as tar:  # toybox does not know PAX headers
        for name in missing:
          _add(tar, name, files[name])
      device.push(local, archive)
    unpacked = device.run(f'cd {shlex.quote(folder)} && tar -xf staged.tar; code=$?; rm -f staged.tar; exit $code', _TIMEOUT_S)
    remaining = _differing(device, expected, folder)
    if remaining:
      raise errors.TransferError(f'{device.name}: {len(remaining)} of {len(missing)} files did not arrive in {folder}: '
                                 f'{unpacked.last_words or "no reason given"}')
  return len(missing)


def remove(device: device_lib.Device, folder: str) -> None:
  """Removes what was staged."""
  device.run(f'rm -rf {shlex.quote(folder)}', _TIMEOUT_S)


def _add(tar: tarfile.TarFile, name: str, path: pathlib.Path) -> None:
  info = tarfile.TarInfo(name)
  info.size, info.mode = os.path.getsize(path), 0o755
  with open(path, 'rb') as file:
    tar.addfile(info, file)


def _differing(device: device_lib.Device, expected: Mapping[str, str], folder: str) -> list[str]:
  """Names of the files that are not there as they should be."""
  listed = device.run(f'cd {shlex.quote(folder)} 2>/dev/null && sha256sum ./*', _TIMEOUT_S).stdout  # ./, for names that begin with -
  present = {name.removeprefix('./'): digest for digest, _, name in (line.partition('  ') for line in listed.splitlines())}
  return [name for name, digest in expected.items() if present.get(name) != digest]
