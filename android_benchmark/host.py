"""This machine, measured like a phone."""

from __future__ import annotations

import contextlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile

from android_benchmark import device
from android_benchmark import errors
from android_benchmark import processes
from android_benchmark import sysfs


class HostDevice(device.Device):
  """Commands run in a shell of this machine, files are copied.

  Args:
    folder: Folder for files; None makes a temporary one, which close() removes.
  """

  name, is_shared = 'host', True

  def __init__(self, folder: pathlib.Path | None = None):
    self._given = folder
    self._temporary: tempfile.TemporaryDirectory | None = None

  def open(self) -> None:
    if self._given is None:
      self._temporary = tempfile.TemporaryDirectory(prefix='tf_proxyless_')
      self.folder = self._temporary.name
    else:
      self._given.mkdir(parents=True, exist_ok=True)
      self.folder = str(self._given.resolve())

  def close(self) -> None:
    if self._temporary is not None:
      self._temporary.cleanup()

  def push(self, source: pathlib.Path, target: str) -> None:
    _copy(source, pathlib.Path(target))

  def pull(self, source: str, target: pathlib.Path) -> None:
    _copy(pathlib.Path(source), target)

  def run(self, command: str, timeout_s: float = 60) -> device.CommandResult:
    try:
      done = processes.run(('sh', '-c', command), timeout_s, everything=True)
    except subprocess.TimeoutExpired:
      raise errors.ConnectionLost(f'host: no end after {timeout_s:g} s: {command}') from None
    exit_code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return device.CommandResult(exit_code, done.stdout, done.stderr)

  def describe(self) -> device.Description:
    processor = _processor()
    return device.Description(processor, soc=processor, system=platform.platform(), cores=os.cpu_count())

  def health(self) -> device.Health:
    readings = sysfs.parse(self.run(sysfs.COMMAND).stdout)
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    return device.Health(cpu_temperature_c=readings.cpu_temperature_c, cpu_khz=readings.cpu_khz, load=load)

  def reconnect(self, timeout_s: float) -> bool:
    return True


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
  partial = target.with_name(f'.{target.name}.partial')
  try:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, partial)
    os.replace(partial, target)
  except OSError as error:
    with contextlib.suppress(OSError):  # the folder itself may be what is wrong
      partial.unlink()
    raise errors.TransferError(f'host: {source} was not copied to {target}: {error.strerror or error}') from error


def _processor() -> str:
  """The processor's name."""
  try:
    found = re.search(r'^(?:model name|Hardware)\s*:\s*(.+)$', pathlib.Path('/proc/cpuinfo').read_text(), re.MULTILINE)
  except OSError:
    found = None  # not Linux
  return found.group(1).strip() if found else platform.processor() or platform.machine()
