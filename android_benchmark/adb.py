"""Phones through Android's own adb client."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
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


# What adb's -s takes besides serials, and -t's transport_id; `adb devices -l` lists them.
_QUALIFIERS = ('usb', 'transport_id', 'product', 'model', 'device')
_DETAIL = re.compile(rf'(?:^|\s)({"|".join(_QUALIFIERS)}):(\S+)')

# The mark of a command is in the environment of all that it started. Until none are left, because they start others meanwhile.
_KILL_FOUND = '''while files=$(found); [ -n "$files" ]; do
  for file in $files; do
    pid=${file#/proc/}
    kill -9 ${pid%/environ} 2>/dev/null
  done
done
echo ended'''


@dataclasses.dataclass(frozen=True)
class _Attached:
  """A device that adb sees: its state, and by name what tells it from others of its serial."""

  serial: str
  state: str
  details: dict[str, str]

  def is_meant(self, selector: str) -> bool:
    name, _, value = selector.partition(':')
    return selector == self.serial or self.details.get(name) == value

  def describe(self, *names: str) -> str:
    return f'{self.serial} ({", ".join([self.state, *(f"{name}:{self.details[name]}" for name in names if name in self.details)])})'


class AdbDevice(device.Device):
  """A phone, through the adb client of the environment variable ADB, or the one on the PATH.

  adb's own exit codes and messages differ by version, and without the shell_v2 protocol it has no exit code of a command at all. So every
  command is wrapped and prints its exit code behind a mark that nothing else prints: without the mark the connection was lost, whatever
  adb says. What a ROM or a login script prints before a command's output stands before another mark. Files are compared by SHA-256 after
  a transfer.

  Args:
    serial: Serial as `adb devices` shows it, or HOST:PORT to connect to; or a place or name as `adb devices -l` shows them, such as
      usb:1-4.2, transport_id:7 or model:Pixel_2; '' takes that of the variable ANDROID_SERIAL, else the only device.
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
    self.serial = self.serial or os.environ.get('ANDROID_SERIAL', '')
    if self._is_address():
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
      marked = shlex.quote(f'echo; echo {mark} begins\n{command}')
      done = self._adb('shell', f'{mark}= sh -c {marked}; code=$?; echo; echo {mark} $code', timeout_s=timeout_s)
    except BaseException:  # Ctrl-C too: a benchmark that nobody waits for would disturb the next
      with contextlib.suppress(errors.DeviceError):
        self._end_lost_commands()
      raise
    found = re.search(rf'\r?\n{mark} (\d{{1,9}})\r?\n', done.stdout)
    if not found:
      raise errors.ConnectionLost(f'{self.name}: connection lost: {_reason(done)}')
    self._lost_commands.remove(mark)
    noise = re.search(rf'{mark} begins\r?\n', done.stdout)
    return device.CommandResult(int(found.group(1)), done.stdout[noise.end() if noise else 0:found.start()], done.stderr)

  def describe(self) -> device.Description:
    return android_state.parse_description(self.run(android_state.DESCRIBE).stdout)

  def health(self) -> device.Health:
    return android_state.parse_health(self.run(android_state.HEALTH).stdout)

  def reconnect(self, timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while True:
      try:
        if self._is_address():
          self._connect(max(1.0, end - time.monotonic()))
        if self._states() == ['device']:
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

  def _is_address(self) -> bool:
    """Whether it is HOST:PORT."""
    return ':' in self.serial and self.serial.partition(':')[0] not in _QUALIFIERS

  def _states(self) -> list[str]:
    return [found.state for found in self._attached() if found.is_meant(self.serial)]

  def _connect(self, timeout_s: float = _CALL_TIMEOUT_S) -> None:
    """Connects to HOST:PORT. adb exits with 0 even on failure, and may say so of a device that it then can use: `adb devices` decides."""
    done = self._call('connect', self.serial, timeout_s=timeout_s)
    if self._states() == ['offline']:  # a connection that was lost and that adb holds on to
      self._call('disconnect', self.serial)
      done = self._call('connect', self.serial, timeout_s=timeout_s)
    if not self._states():
      raise errors.DeviceError(f'{self.name}: {_reason(done)}')

  def _attached(self) -> list[_Attached]:
    """All devices that adb sees."""
    return _parse_devices(self._call('devices', '-l').stdout)

  def _end_lost_commands(self) -> None:
    """Kills what lost commands left running; as far as the device answers."""
    for mark in tuple(self._lost_commands):
      done = self._adb('shell', f'found() {{ grep -ls {mark}= /proc/[0-9]*/environ; }}\n{_KILL_FOUND}', timeout_s=10)
      if re.search(r'^ended\r?$', done.stdout, re.MULTILINE):
        self._lost_commands.remove(mark)

  def _check_transfer(self, done: subprocess.CompletedProcess, what: str) -> None:
    """Raises if adb failed: its word for what this or the other machine refuses, or else that the connection was lost."""
    if done.returncode:
      reason = _reason(done)
      refused = re.search(r'remote |: cannot |Permission denied|No space left', reason)
      raise (errors.TransferError if refused else errors.ConnectionLost)(f'{self.name}: {what}: {reason}')

  def _adb(self, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess:
    name, _, value = self.serial.partition(':')
    chosen = ('-t', value) if name == 'transport_id' else ('-s', self.serial)
    return self._call(*chosen, *arguments, timeout_s=timeout_s)

  def _call(self, *arguments: str, timeout_s: float = _CALL_TIMEOUT_S) -> subprocess.CompletedProcess:
    try:
      return processes.run((self._program, *arguments), timeout_s)
    except subprocess.TimeoutExpired:
      raise errors.ConnectionLost(f'{self.name}: no answer after {timeout_s:g} s: adb {" ".join(arguments)[:200]}') from None
    except OSError as error:
      raise errors.DeviceError(f'{self._program} cannot be run: {error.strerror}') from error


def _parse_devices(text: str) -> list[_Attached]:
  """Reads `adb devices -l`: behind its heading a serial, a state and details in each line."""
  _, _, listed = text.partition('List of devices attached')
  found = []
  for line in listed.splitlines():
    serial, _, rest = line.strip().replace('\t', ' ').partition(' ')
    if serial and rest.strip():
      details = dict(_DETAIL.findall(rest))
      found.append(_Attached(serial, re.split(r'[(;]', _DETAIL.sub('', rest))[0].strip(), details))
  return found


def _choose(attached: Sequence[_Attached], selector: str) -> str:
  """What names the device that is meant, '' for the only one, which must be usable.

  A transport's number is another after the phone was lost; so what stays is returned, if there is such.
  """
  serials = [found.serial for found in attached]
  listing = ', '.join(found.describe('usb', *(['transport_id'] if serials.count(found.serial) > 1 else [])) for found in attached) or 'none'
  if selector:
    candidates = [found for found in attached if found.is_meant(selector)]
  else:
    candidates = [found for found in attached if found.state == 'device'] or list(attached)
  if selector and not candidates:
    raise errors.DeviceError(f'no device {selector} is connected; found: {listing}')
  if not candidates:
    raise errors.DeviceError('no device is connected: plug in a phone whose developer options allow USB debugging')
  if len(candidates) > 1 and len({found.serial for found in candidates}) < len(candidates):
    raise errors.DeviceError(f'several devices have the serial {candidates[0].serial}: choose one by --device=adb:usb:PATH or '
                             f'--device=adb:transport_id:NUMBER; found: {listing}')
  if len(candidates) > 1:
    raise errors.DeviceError(f'several devices are connected, choose one by --device=adb:SERIAL; found: {listing}')
  chosen, = candidates
  if chosen.state != 'device':
    advice = _ADVICE.get(chosen.state, 'it must be in the state device')
    raise errors.DeviceError(f'{chosen.serial} is {chosen.state}: {advice}')
  if selector.startswith('usb:'):
    return selector
  if serials.count(chosen.serial) == 1:
    return chosen.serial
  return f'usb:{chosen.details["usb"]}' if 'usb' in chosen.details else selector


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
