"""Settings of an Android phone that change latencies: their original values, how to change them, how to restore them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import re
import shlex

from android_benchmark import device as device_lib
from android_benchmark import errors

# By namespace and name: the value while measuring, and what it is for.
_PLAIN = {
    ('global', 'stay_on_while_plugged_in'): ('3', 'stay awake'),  # 1 by mains | 2 by USB
    ('system', 'screen_brightness_mode'): ('0', 'manual brightness'),
    ('system', 'screen_brightness'): ('1', 'dark screen'),  # the screen heats the phone too
}
# They lower clocks, or raise them for what touches the screen, by themselves.
_SERVICES = ('thermal-engine', 'vendor.thermal-engine', 'perfd', 'vendor.perfd', 'mpdecision')
_CPUFREQ = '/sys/devices/system/cpu/cpu{core}/cpufreq'
_LOOPBACK = re.compile(r'(localhost|127\.[\d.]+|\[::1\]):\d+')


@dataclasses.dataclass(frozen=True)
class Setting:
  """One setting of a phone.

  Attributes:
    name: For people.
    change: Line of shell that sets what measurements need.
    restore: Line of shell that sets what was before.
  """

  name: str
  change: str
  restore: str


def read(device: device_lib.Device, core_mask: str | None, lock_clocks: bool, report: Callable[[str], None]) -> tuple[Setting, ...]:
  """The settings to change on a phone, with what they are now.

  Args:
    device: Opened.
    core_mask, lock_clocks: As for `conditions.Conditions`.
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
  return Setting(name, f'settings put {namespace} {key} {value}', restore)


def _airplane_mode(device: device_lib.Device, report: Callable[[str], None]) -> Iterator[Setting]:
  """The radios, of which the shell may only dispose from Android 11 on."""
  serial = device.name.removeprefix('adb:')
  if ':' in serial and not _LOOPBACK.fullmatch(serial):
    report(f'{device.name}: no airplane mode, because the phone is connected by network')
    return
  state = device.run('cmd connectivity airplane-mode').stdout.strip()
  if state in ('enabled', 'disabled'):
    command = 'cmd connectivity airplane-mode'
    yield Setting('airplane mode', f'{command} enable', f'{command} {state.removesuffix("d")}')
  elif _output(device, 'settings get global airplane_mode_on') != '1':
    report(f'{device.name}: before Android 11, airplane mode has to be switched on by hand')


def _root(device: device_lib.Device) -> str | None:
  """What makes a quoted line of shell run as root: '' before `sh -c` as it is, 'su -c', or None where nothing does."""
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
    names = ('scaling_governor', 'scaling_max_freq', 'scaling_min_freq', 'cpuinfo_max_freq')
    done = device.run(f"{root} 'cd {folder} && cat {' '.join(names)}'")
    values = done.stdout.split()
    if done.exit_code or len(values) != len(names):
      raise errors.DeviceError(f'{device.name}: the clock of core {core} cannot be read in {folder}: {done.stderr.strip()}')
    wanted = ('performance', values[-1], values[-1])
    # In this order the minimum is never above the maximum, and restored in the reverse it is neither.
    for name, original, value in zip(names, values, wanted):
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
    said = ' '.join((done.stderr or done.stdout).split())[-200:]
    raise errors.DeviceError(f'{device.name}: {command}: {said or f"exit code {done.exit_code}"}')
  return done.stdout.strip()
