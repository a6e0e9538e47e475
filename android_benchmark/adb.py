"""Phones through Android's own adb client."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import time
import uuid

from android_benchmark import android_state
from android_benchmark import device
from android_benchmark import errors
from android_benchmark import hashing
from android_benchmark import processes

_CALL_TIMEOUT_S = 30
_SETTLE_S = 1
_MAX_PULLED_BYTES = 2**28  # logs of blocks; a device may claim anything
_BYTES_PER_S = 2**20  # slower than USB 2 or Wi-Fi ever are: the time limit of a transfer

# What to do about a device that `adb devices` shows in another state than 'device'.
_ADVICE = {
    'unauthorized': "unlock the phone and accept 'Allow USB debugging'",
    'authorizing': "unlock the phone and accept 'Allow USB debugging'",
    'offline': 'unplug it and plug it in again, or: adb reconnect offline',
    'no permissions': "this user may not use the phone's USB device: udev rules, or the group plugdev",
    'recovery': 'the phone is in recovery mode: adb reboot',
    'sideload': 'the phone is in recovery mode: adb reboot',
    'bootloader': 'the phone is in its bootloader: fastboot reboot',
}


# The mark of a command is in the environment of all that it started. Until none are left, because they start others meanwhile.
_KILL_FOUND = '''while files=$(found); [ -n "$files" ]; do
  for file in $files; do
    pid=${file#/proc/}
    kill -9 ${pid%/environ} 2>/dev/null
  done
done
echo ended'''


class AdbDevice(device.Device):
  """A phone, through the adb client of the environment variable ADB, or the one on the PATH.

  adb's own exit codes and messages differ by version, and without the shell_v2 protocol it has no exit code of a command at all. So every
  command is wrapped and prints its exit code behind a mark that nothing else prints: without the mark the connection was lost, whatever
  adb says. Files are compared by SHA-256 after a transfer.

  Args:
    serial: Serial as `adb devices` shows it, or HOST:PORT to connect to; '' takes the only device.
    folder: Absolute folder on the phone in which programs may be executed; made if missing, and kept.
  """

  def __init__(self, serial: str = '', folder: str = '/data/local/tmp/tf_proxyless'):
    self.serial = serial
    self.name = f'adb:{serial}' if serial else 'adb'
    self.folder = folder
    self._program = ''
    self._lost_commands: list[str] = []  # marks of commands that may still run on the device

  def open(self) -> None:
    self._program = os.environ.get('ADB') or shutil.which('adb') or ''
    if not self._program:
      raise errors.DeviceError("adb is not installed: put Android's platform-tools on the PATH, or name the program in the variable ADB")
    if ':' in self.serial:
      self._connect()
    self.serial = self._find()
    self.name = f'adb:{self.serial}'
    made = self.run(f'mkdir -p {shlex.quote(self.folder)}')
    if made.exit_code:
      raise errors.DeviceError(f'{self.name}: {self.folder} cannot be made: {_reason(made)}')

  def close(self) -> None:
    pass  # adb's server stays, as after any command of adb: others may use it by now

  def push(self, source: pathlib.Path, target: str) -> None:
    partial = f'{target}.partial'
    try:
      timeout_s = _transfer_timeout(source.stat().st_size)
      self._check_transfer(self._adb('push', str(source), partial, timeout_s=timeout_s), f'{source} to {target}')
      sums = self.run(f'sha256sum < {shlex.quote(partial)}', timeout_s)
      if sums.stdout.split()[:1] != [hashing.sha256(source)]:
        raise errors.TransferError(f'{self.name}: {source} to {target}: what arrived differs from what was sent; is its disk full?')
      moved = self.run(f'mv -f {shlex.quote(partial)} {shlex.quote(target)}')
      if moved.exit_code:
        raise errors.TransferError(f'{self.name}: {source} to {target}: {_reason(moved)}')
    except errors.TransferError:
      self.run(f'rm -f {shlex.quote(partial)}')
      raise

  def pull(self, source: str, target: pathlib.Path) -> None:
    quoted = shlex.quote(source)
    listed = self.run(f'wc -c < {quoted} && sha256sum < {quoted}', 600)
    if listed.exit_code:
      raise errors.TransferError(f'{self.name}: {source} cannot be read: {_reason(listed)}')
    size, digest = _parse_listing(listed.stdout, f'{self.name}: {source}')
    partial = target.with_name(f'.{target.name}.partial')
    try:
      timeout_s = _transfer_timeout(size)
      self._check_transfer(self._adb('pull', source, str(partial), timeout_s=timeout_s), f'{source} to {target}')
      if hashing.sha256(partial) != digest:
        raise errors.TransferError(f'{self.name}: {source} to {target}: what arrived differs from what was sent')
      os.replace(partial, target)
    finally:
      partial.unlink(missing_ok=True)

  def run(self, command: str, timeout_s: float = 60) -> device.CommandResult:
    mark = f'mark_{uuid.uuid4().hex}'
    self._lost_commands.append(mark)
    try:
      done = self._adb('shell', f'{mark}= sh -c {shlex.quote(command)}; code=$?; echo; echo {mark} $code', timeout_s=timeout_s)
    except BaseException:  # Ctrl-C too: a benchmark that nobody waits for would disturb the next
      with contextlib.suppress(errors.DeviceError):
        self._end_lost_commands()
      raise
    found = re.search(rf'\r?\n{mark} (\d{{1,9}})\r?\n', done.stdout)
    if not found:
      raise errors.ConnectionLost(f'{self.name}: connection lost: {_reason(done)}')
    self._lost_commands.remove(mark)
    return device.CommandResult(int(found.group(1)), done.stdout[:found.start()], done.stderr)

  def describe(self) -> device.Description:
    return android_state.parse_description(self.run(android_state.DESCRIBE).stdout)

  def health(self) -> device.Health:
    return android_state.parse_health(self.run(android_state.HEALTH).stdout)

  def reconnect(self, timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while True:
      try:
        if ':' in self.serial:
          self._connect(max(1.0, end - time.monotonic()))
        if self._attached().get(self.serial) == 'device':
          self.run(f'mkdir -p {shlex.quote(self.folder)}')
          self._end_lost_commands()
          return not self._lost_commands
      except errors.DeviceError:
        pass  # not yet
      if time.monotonic() > end:
        return False
      time.sleep(0.2)

  def _find(self) -> str:
    """The serial of the device that is meant. One that was just connected or accepted may take a moment."""
    end = time.monotonic() + _SETTLE_S
    while True:
      try:
        return _choose(self._attached(), self.serial)
      except errors.DeviceError:
        if time.monotonic() > end:
          raise
        time.sleep(0.1)

  def _connect(self, timeout_s: float = _CALL_TIMEOUT_S) -> None:
    """Connects to HOST:PORT. adb exits with 0 even on failure, and may say so of a device that it then can use: `adb devices` decides."""
    done = self._call('connect', self.serial, timeout_s=timeout_s)
    if self._attached().get(self.serial) == 'offline':  # a connection that was lost and that adb holds on to
      self._call('disconnect', self.serial)
      done = self._call('connect', self.serial, timeout_s=timeout_s)
    if self.serial not in self._attached():
      raise errors.DeviceError(f'{self.name}: {_reason(done)}')

  def _attached(self) -> dict[str, str]:
    """State by serial of all devices that adb sees."""
    lines = self._call('devices').stdout.splitlines()
    rows = [line.split('\t', 1) for line in lines if '\t' in line]
    return {serial: re.split(r'[(;]', state)[0].strip() for serial, state in rows}

  def _end_lost_commands(self) -> None:
    """Kills what lost commands left running; as far as the device answers."""
    for mark in tuple(self._lost_commands):
      done = self._adb('shell', f'found() {{ grep -ls {mark}= /proc/[0-9]*/environ; }}\n{_KILL_FOUND}', timeout_s=10)
      if 'ended' in done.stdout:
        self._lost_commands.remove(mark)

  def _check_transfer(self, done: subprocess.CompletedProcess, what: str) -> None:
    """Raises if adb failed: its word for what this or the other machine refuses, or else that the connection was lost."""
    if done.returncode:
      reason = _reason(done)
      refused = re.search(r'remote |: cannot |Permission denied|No space left', reason)
      raise (errors.TransferError if refused else errors.ConnectionLost)(f'{self.name}: {what}: {reason}')

  def _adb(self, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess:
    return self._call('-s', self.serial, *arguments, timeout_s=timeout_s)

  def _call(self, *arguments: str, timeout_s: float = _CALL_TIMEOUT_S) -> subprocess.CompletedProcess:
    try:
      return processes.run((self._program, *arguments), timeout_s)
    except subprocess.TimeoutExpired:
      raise errors.ConnectionLost(f'{self.name}: no answer after {timeout_s:g} s: adb {" ".join(arguments)[:200]}') from None
    except OSError as error:
      raise errors.DeviceError(f'{self._program} cannot be run: {error.strerror}') from error


def _choose(attached: dict[str, str], serial: str) -> str:
  """The serial of the device that is meant, '' for the only one, which must be usable."""
  listing = ', '.join(f'{name} ({state})' for name, state in attached.items()) or 'none'
  if serial and serial not in attached:
    raise errors.DeviceError(f'no device {serial} is connected; found: {listing}')
  candidates = [serial] if serial else [name for name, state in attached.items() if state == 'device'] or list(attached)
  if not candidates:
    raise errors.DeviceError('no device is connected: plug in a phone whose developer options allow USB debugging')
  if len(candidates) > 1:
    raise errors.DeviceError(f'several devices are connected, choose one by --device=adb:SERIAL; found: {listing}')
  state = attached[candidates[0]]
  if state != 'device':
    advice = _ADVICE.get(state, 'it must be in the state device')
    raise errors.DeviceError(f'{candidates[0]} is {state}: {advice}')
  return candidates[0]


def _parse_listing(text: str, what: str) -> tuple[int, str]:
  """Size and SHA-256 of a file, as `wc -c` and `sha256sum` print them.

  Raises:
    TransferError: They are not there, or the file is larger than any that is pulled from a device.
  """
  found = re.match(r'\s*([0-9]{1,12})\s+([0-9a-f]{64})\b', text)
  if not found or int(found[1]) > _MAX_PULLED_BYTES:
    raise errors.TransferError(f'{what} has not a size up to {_MAX_PULLED_BYTES} and a checksum: {text[:100]!r}')
  return int(found[1]), found[2]


def _transfer_timeout(size: int) -> float:
  return _CALL_TIMEOUT_S + size / _BYTES_PER_S


def _reason(done: subprocess.CompletedProcess | device.CommandResult) -> str:
  """The line in which adb or a command says what went wrong; it may be on either stream, and not the last."""
  lines = [line.strip() for line in (done.stderr + '\n' + done.stdout).splitlines() if line.strip()]
  telling = [line for line in lines if re.search('error|failed|cannot|not ', line, re.IGNORECASE)]
  return (telling or lines[-1:] or ['no reason given'])[0]
