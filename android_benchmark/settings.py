"""Settings of an Android phone that change latencies: their original values, how to change them, how to restore them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import re
import shlex
from typing import Any

from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import reading

# By namespace and name: the value while measuring, and what it is for.
_PLAIN = {
    ('global', 'stay_on_while_plugged_in'): ('3', 'stay awake'),  # 1 by mains | 2 by USB
    ('system', 'screen_brightness_mode'): ('0', 'manual brightness'),
    ('system', 'screen_brightness'): ('1', 'dark screen'),  # the screen heats the phone too
}
# They lower clocks, or raise them for what touches the screen, by themselves.
_SERVICES = ('thermal-engine', 'vendor.thermal-engine', 'perfd', 'vendor.perfd', 'mpdecision')
_CPUFREQ = '/sys/devices/system/cpu/cpu{core}/cpufreq'
_LONGEST = 1000  # of a command in a journal, characters
_CLOCK_FILES = ('scaling_governor', 'scaling_max_freq', 'scaling_min_freq', 'cpuinfo_max_freq')
_CLOCK_VALUE = r'[A-Za-z_][\w-]{0,30}|[0-9]{1,9}'  # a governor, or kHz
# All commands that restore something, but for `settings put`.
_RESTORING = re.compile('|'.join([
    'cmd connectivity airplane-mode (?:enable|disable)',
    *(f'settings delete {namespace} {key}' for namespace, key in _PLAIN),
    f"(?:sh|su) -c 'start (?:{'|'.join(map(re.escape, _SERVICES))})'",
    rf"(?:sh|su) -c 'echo (?:{_CLOCK_VALUE}) > {_CPUFREQ.format(core='[0-9]{1,3}')}/(?:{'|'.join(_CLOCK_FILES[:3])})'"]), re.ASCII)
_NEAR = re.compile(r'(localhost|127\.[\d.]+|\[::1\]):\d+|(usb|transport_id):.+')  # not by network


@dataclasses.dataclass(frozen=True)
class Setting:
  """One setting of a phone.

  Attributes:
    name: Name shown to the user.
    change: Shell command that sets the value for measurements.
    restore: Shell command that restores the original value.
  """

  name: str
  change: str
  restore: str


def from_journal(value: Any) -> Setting:
  """A setting from a journal, if what restores it is a command that this module makes: no other is run.

  Raises:
    ValueError: It is another, or the value is no setting.
  """
  setting = Setting(**reading.fields(value, name=reading.text, change=reading.text, restore=reading.text))
  if not _RESTORING.fullmatch(setting.restore) and not any(_puts(setting.restore, *key) for key in _PLAIN):
    raise ValueError(f'not a command that restores a setting: {reading.shorten(setting.restore)}')
  return setting


def _puts(command: str, namespace: str, key: str) -> bool:
  """Whether a command does nothing but give a plain setting a value, which is quoted."""
  prefix = f'settings put {namespace} {key} '
  if len(command) > _LONGEST:
    return False
  try:
    value = shlex.split(command.removeprefix(prefix))
  except ValueError:  # quotes that do not end
    return False
  return len(value) == 1 and command == f'{prefix}{shlex.quote(value[0])}'


def read(device: device_lib.Device, core_mask: str | None, lock_clocks: bool, report: Callable[[str], None]) -> tuple[Setting, ...]:
  """The settings to change on a phone, with what they are now.

  Args:
    device: Opened device.
    core_mask, lock_clocks: Arguments of `conditions.Conditions`.
    report: Takes a line for the user.
  """
  settings = [*_airplane_mode(device, report), *(_plain(device, *key, *value) for key, value in _PLAIN.items())]
  if lock_clocks:
    root = _root(device)
    if root is None:
      report(f'{device.name} is not rooted: its clocks are not locked')
    else:
      settings += [*_services(device, root), *_clocks(device, root, core_mask)]
  return tuple(settings)


def _plain(device: device_lib.Device, namespace: str, key: str, value: str, name: str) -> Setting:
  original = _output(device, f'settings get {namespace} {key}')
  restore = f'settings delete {namespace} {key}' if original == 'null' else f'settings put {namespace} {key} {shlex.quote(original)}'
  if len(restore) > _LONGEST:
    raise errors.DeviceError(f'{device.name}: the value of {key} is too long to be restored: {reading.shorten(original)}')
  return Setting(name, f'settings put {namespace} {key} {value}', restore)


def _airplane_mode(device: device_lib.Device, report: Callable[[str], None]) -> Iterator[Setting]:
  """The radios, of which the shell may only dispose from Android 11 on."""
  serial = device.name.removeprefix('adb:')
  if ':' in serial and not _NEAR.fullmatch(serial):
    report(f'{device.name}: no airplane mode, because the phone is connected by network')
    return
  state = device.run('cmd connectivity airplane-mode').stdout.strip()
  if state in ('enabled', 'disabled'):
    command = 'cmd connectivity airplane-mode'
    yield Setting('airplane mode', f'{command} enable', f'{command} {state.removesuffix("d")}')
  elif _output(device, 'settings get global airplane_mode_on') != '1':
    report(f'{device.name}: before Android 11, airplane mode has to be switched on by hand')


def _root(device: device_lib.Device) -> str | None:
  """What runs a quoted line of shell as root: 'sh -c' where the shell is root already, 'su -c', or None where nothing does."""
  if device.run('id -u').stdout.strip() == '0':
    return 'sh -c'
  return 'su -c' if device.run("su -c 'id -u'").stdout.strip() == '0' else None


def _services(device: device_lib.Device, root: str) -> Iterator[Setting]:
  for service in _SERVICES:
    if _output(device, f'getprop init.svc.{service}') == 'running':
      yield Setting(f'service {service}', f"{root} 'stop {service}'", f"{root} 'start {service}'")


def _clocks(device: device_lib.Device, root: str, core_mask: str | None) -> Iterator[Setting]:
  """Governor and limits of the masked cores. Cores that share a clock share its files; restoring them twice does no harm."""
  for core in _cores(device, core_mask):
    folder = _CPUFREQ.format(core=core)
    done = device.run(f"{root} 'cd {folder} && cat {' '.join(_CLOCK_FILES)}'")
    values = done.stdout.split()
    if done.exit_code or len(values) != len(_CLOCK_FILES) or not all(re.fullmatch(_CLOCK_VALUE, value, re.ASCII) for value in values):
      raise errors.DeviceError(f'{device.name}: the clock of core {core} cannot be read in {folder}: {done.last_words}')
    wanted = ('performance', values[-1], values[-1])
    # In this order the minimum is never above the maximum, and restored in the reverse it is neither.
    for name, original, value in zip(_CLOCK_FILES, values, wanted):
      yield Setting(f'{name} of core {core}', *(f"{root} 'echo {text} > {folder}/{name}'" for text in (value, original)))


def _cores(device: device_lib.Device, core_mask: str | None) -> list[int]:
  count = device.describe().cores
  if count is None:
    raise errors.DeviceError(f'{device.name} does not tell how many cores it has')
  mask = int(core_mask, 16) if core_mask else (1 << count) - 1
  return [core for core in range(count) if mask >> core & 1]


def _output(device: device_lib.Device, command: str) -> str:
  """What a command prints.

  Raises:
    DeviceError: It fails, so that nothing is known that could be restored.
  """
  done = device.run(command)
  if done.exit_code:
    raise errors.DeviceError(f'{device.name}: {command}: {done.last_words or f"exit code {done.exit_code}"}')
  return done.stdout.strip()
