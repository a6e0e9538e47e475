"""Identity and state of an Android device, from what its shell prints."""

from __future__ import annotations

import re

from android_benchmark import device
from android_benchmark import sysfs

_PROPERTIES = ('ro.product.model', 'ro.serialno', 'ro.soc.model', 'ro.board.platform', 'ro.hardware',
               'ro.build.version.release', 'ro.build.id')

DESCRIBE = '\n'.join([*(f'echo "{name}=$(getprop {name})"' for name in _PROPERTIES),
                      'echo "possible=$(cat /sys/devices/system/cpu/possible 2>/dev/null)"',
                      'echo "android_id=$(settings get secure android_id 2>/dev/null)"',
                      'echo "boot_id=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"'])

# Each is optional: thermalservice exists from Android 10, /sys is closed to the shell on some phones.
HEALTH = f'dumpsys battery 2>/dev/null; echo =====; dumpsys thermalservice 2>/dev/null; echo =====\n{sysfs.COMMAND}'


def parse_description(text: str) -> device.Description:
  """Reads the output of `DESCRIBE`."""
  values = dict(line.split('=', 1) for line in text.splitlines() if '=' in line)
  values = {name: value.strip() for name, value in values.items() if value.strip()}
  release, build = values.get('ro.build.version.release'), values.get('ro.build.id')
  last_core = re.fullmatch(r'0(?:-(\d{1,3}))?', values.get('possible', ''), re.ASCII)
  return device.Description(
      model=values.get('ro.product.model', 'unknown'),
      serial=values.get('ro.serialno'),
      soc=next((values[name] for name in ('ro.soc.model', 'ro.board.platform', 'ro.hardware') if name in values), None),
      system=f'Android {release}' + (f' ({build})' if build else '') if release else None,
      cores=int(last_core.group(1) or 0) + 1 if last_core else None,
      android_id=_hexadecimal(values.get('android_id')), boot_id=_hexadecimal(values.get('boot_id')))


def _hexadecimal(value: str | None) -> str | None:
  """A number in hexadecimal, or None for anything else: 'null' is none, nor is what a command says that fails."""
  return value if value and re.fullmatch('[0-9a-f-]{8,40}', value) else None


def parse_health(text: str) -> device.Health:
  """Reads the output of `HEALTH`."""
  battery, thermal, rest = (text.split('=====') + ['', '', ''])[:3]  # less, where the connection ended or a command printed this too
  readings = sysfs.parse(rest)
  sensors = _processor_sensors(thermal)
  return device.Health(
      battery_percent=_number(r'^[ \t]*level: (\d{1,9})$', battery),
      battery_temperature_c=_number(r'^[ \t]*temperature: (\d{1,9})$', battery, unit=0.1),
      thermal_status=int(status) if (status := _number(r'Thermal Status: (\d{1,9})$', thermal)) is not None else None,
      cpu_temperature_c=max(sensors, default=readings.cpu_temperature_c),
      cpu_khz=readings.cpu_khz)


def _processor_sensors(thermal: str) -> list[float]:
  """Degrees Celsius of the sensors of type 0, CPU, that the phone's hardware layer reports now rather than those kept from before."""
  _, _, current = thermal.partition('Current temperatures from HAL:')
  current = re.split(r'\n\S', current)[0]  # up to the next heading, which is not indented
  return [float(value) for value in re.findall(r'mValue=(\d{1,4}(?:\.\d{1,20})?), mType=0\b', current)]


def _number(pattern: str, text: str, unit: float = 1) -> float | None:
  found = re.search(pattern, text, re.MULTILINE)
  return round(float(found.group(1)) * unit, 3) if found else None
