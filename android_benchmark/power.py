"""What a launch draws, by counters of the device: read in the shell that launches, just before and just after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import pathlib
import re
import shlex
import time

from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import power_log

BEGIN, END = '=== meter', '=== metered'  # around a reading in a log

_COUNTER_SECS, _GAUGE_SECS = 2.0, 10.0  # long against the refresh of rails (at most some 0.2 s) and of fuel gauges (1 s)
_GAUGE_PERIOD_S = 0.25
_LEAST_W = 0.01  # of a device that is awake
_READING = re.compile(rf'^{BEGIN}\n((?:(?!{BEGIN}$).*\n)*?){END}$\n?', re.MULTILINE)
_CLOCK = 'date +%s.%N'

Counters = Mapping[str, tuple[float, float, float]]  # by name: seconds, joules, and the joules after which it begins again


@dataclasses.dataclass(frozen=True)
class Meter:
  """Something that shows what a device draws.

  Attributes:
    name: For people.
    command: POSIX shell that prints a reading.
    min_secs: Least seconds of a launch for it.
    power_w: From the readings of a launch, in order, to its mean power, W. Raises BenchmarkError if they do not say it.
    period_s: Seconds between readings during a launch, of a meter that shows power; None of one that counts energy.
  """

  name: str
  command: str
  min_secs: float
  power_w: Callable[[Sequence[str]], float]
  period_s: float | None = None


def marked(reading: str) -> str:
  """A reading as it stands in a log."""
  return f'{BEGIN}\n{reading}{"" if reading.endswith(chr(10)) else chr(10)}{END}\n'


def split(text: str) -> tuple[tuple[str, ...], str]:
  """The readings in the text of a launch, and the rest of it."""
  return tuple(_READING.findall(text)), _READING.sub('', text)


def find(device: device_lib.Device, log: pathlib.Path | None = None, sys: str = '/sys') -> Meter:
  """The best meter that a device has: power rails, RAPL, or the fuel gauge of a battery that is discharging.

  Args:
    device: Opened device.
    log: File that an external meter writes meanwhile; is taken instead.
    sys: Where sysfs is.

  Raises:
    ValueError: It has none that can be read; one line says what was looked for.
  """
  if log is not None:
    return _external(device, log)
  reasons = []
  for look in (_rails, _rapl, _gauge):
    found = look(device, sys)
    if isinstance(found, Meter):
      return found
    reasons.append(found)
  raise ValueError(f'{device.name} does not show what it draws: {"; ".join(reasons)}; an external meter can: --power_log')


def _rails(device: device_lib.Device, sys: str) -> Meter | str:
  """On-device power rails of Pixel 6 and later; only root may read them on some."""
  files = f'{sys}/bus/iio/devices/*/energy_value'
  script = f'for file in {files}; do echo "$file"; cat "$file"; done'
  for command in (script, f'su -c {shlex.quote(script)}'):
    rails = _read_rails(device.run(command).stdout)
    if rails:
      return Meter(f'{len(rails)} power rails', command, _COUNTER_SECS, lambda readings: _mean_power('the power rails', *(
          _read_rails(reading) for reading in _ends(readings))))
  return f'{files} cannot be read{_why(device, script)}'


def _read_rails(text: str) -> dict[str, tuple[float, float, float]]:
  """Reads t=MILLISECONDS and CH0(T=MILLISECONDS)[RAIL], MICROWATT-SECONDS of each meter."""
  found: dict[str, tuple[float, float, float]] = {}
  for path, body in re.findall(r'^(\S+/energy_value)\n((?:(?:t=|CH).*\n?)+)', text.replace('\r', ''), re.MULTILINE):
    clock = re.search(r'^t=([0-9]{1,18})$', body, re.MULTILINE)
    for rail, energy in re.findall(r'^CH\d+(?:\(T=[0-9]+\))?\[([^\]]+)\], ([0-9]{1,19})$', body, re.MULTILINE) if clock else ():
      found[f'{path} {rail}'] = int(clock[1]) / 1e3 if clock else 0.0, int(energy) / 1e6, 0.0
  return found


def _rapl(device: device_lib.Device, sys: str) -> Meter | str:
  """Counters of processors and memory of Intel and AMD."""
  zones = f'{sys}/class/powercap/intel-rapl:*'
  script = (f'cat /proc/uptime; for zone in {zones}; do '
            'echo "$zone $(cat "$zone/name") $(cat "$zone/energy_uj") $(cat "$zone/max_energy_range_uj")"; done')
  found = _read_rapl(device.run(script).stdout)
  if not found:
    return f'{zones}/energy_uj cannot be read{_why(device, f"cat {zones}/energy_uj")}'
  return Meter(f'RAPL of {len(found)} zones', script, _COUNTER_SECS, lambda readings: _mean_power('the counters of RAPL', *(
      _read_rapl(reading) for reading in _ends(readings))))


def _read_rapl(text: str) -> dict[str, tuple[float, float, float]]:
  """Reads packages and memory; cores are part of their package."""
  clock = re.match(r'([0-9]{1,12}\.[0-9]{1,9}) ', text)
  zones = re.findall(r'^(\S+) (?:package-[0-9]+|dram) ([0-9]{1,19}) ([0-9]{1,19})$', text, re.MULTILINE)
  return {zone: (float(clock[1]), int(energy) / 1e6, int(most) / 1e6) for zone, energy, most in zones} if clock else {}


def _gauge(device: device_lib.Device, sys: str) -> Meter | str:
  """Current and voltage of a battery, which say something of the load while it is discharging only."""
  supplies = f'{sys}/class/power_supply/*'
  script = f'for supply in {supplies}; do [ "$(cat "$supply/type")" = Battery ] && echo "$supply"; done'
  for supply in re.findall(r'^[\w./:-]+$', device.run(script).stdout, re.MULTILINE | re.ASCII):
    command = 'echo "' + ' '.join(f'$(cat {shlex.quote(f"{supply}/{name}")})' for name in ('current_now', 'voltage_now', 'status')) + '"'
    found = re.match(r'-?[0-9]+ [0-9]+ ?(.{0,30})', device.run(command).stdout)
    if not found:
      continue
    if found[1] != 'Discharging':
      return (f'{supply} is {found[1].lower() or "of unknown status"}, and its current no measure of the load (connect by network, or '
              'switch charging off)')
    return Meter('the fuel gauge', command, _GAUGE_SECS, functools.partial(_gauge_power, supply), _GAUGE_PERIOD_S)
  return f'no battery in {supplies} shows current_now and voltage_now'


def _gauge_power(supply: str, readings: Sequence[str]) -> float:
  """Mean of a battery's power, without the first third, in which a gauge still shows what was before."""
  values = []
  for reading in readings[len(readings) // 3:-1]:
    found = re.match(r'(-?[0-9]{1,12}) ([0-9]{1,12}) Discharging$', reading.strip())
    if not found:
      raise errors.BenchmarkError(f'{supply} shows {reading.strip()[:60]!r} in place of microamperes, microvolts and Discharging')
    values.append(abs(int(found[1])) * int(found[2]) * 1e-12)
  if len(set(values)) < 2:
    raise errors.BenchmarkError(f'the current of {supply} did not move in {len(values)} readings')
  power = sum(values) / len(values)
  if power < _LEAST_W:
    raise errors.BenchmarkError(f'{supply} shows {power:.2g} W: is current_now in microamperes, and voltage_now in microvolts?')
  return power


def _external(device: device_lib.Device, path: pathlib.Path) -> Meter:
  """A log with the clock of this machine."""
  before = time.time()
  found = re.match(r'[0-9]{1,12}\.[0-9]{1,9}$', device.run(_CLOCK).stdout.strip())
  if not found:
    raise ValueError(f'{device.name} has no clock with fractions of a second, for --power_log')
  offset_s = float(found[0]) - (before + time.time()) / 2
  log = power_log.PowerLog(path)

  def power_w(readings: Sequence[str]) -> float:
    begin, end = (float(reading) - offset_s for reading in _ends(readings))
    return log.mean_w(begin, end)

  return Meter(f'the log {path.name}', _CLOCK, _COUNTER_SECS, power_w)


def _ends(readings: Sequence[str]) -> tuple[str, str]:
  if len(readings) < 2:
    raise errors.BenchmarkError(f'{len(readings)} readings of the meter instead of 2')
  return readings[0], readings[-1]


def _mean_power(name: str, first: Counters, last: Counters) -> float:
  """Mean power between two readings of counters, each by its own clock, W."""
  if not first or first.keys() != last.keys():
    raise errors.BenchmarkError(f'{name} could not be read')
  power = 0.0
  for key, (begin_s, begin_j, most_j) in first.items():
    seconds, joules = last[key][0] - begin_s, last[key][1] - begin_j
    joules += most_j if joules < 0 else 0.0  # it began again
    if seconds < 0 or joules < 0:
      raise errors.BenchmarkError(f'{name} were set back meanwhile')
    power += joules / seconds if seconds else 0.0
  if not power:
    raise errors.BenchmarkError(f'{name} did not move')
  return power


def _why(device: device_lib.Device, command: str) -> str:
  """The reason, if a command says that it is the permission."""
  return ' without root' if 'ermission denied' in device.run(command).stderr else ''
