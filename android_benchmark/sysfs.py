"""Clocks and temperatures that Linux shows, on phones and on other machines alike."""

from __future__ import annotations

import dataclasses
import re

# One line a core, in order, '-' where the clock is not readable, and one a thermal zone. Written for the shells of Android.
COMMAND = '''i=0
while [ -d /sys/devices/system/cpu/cpu$i ]; do
  echo "clock $(cat /sys/devices/system/cpu/cpu$i/cpufreq/scaling_cur_freq 2>/dev/null || echo -)"
  i=$((i+1))
done
for zone in /sys/class/thermal/thermal_zone*; do
  echo "zone $(cat $zone/temp 2>/dev/null || echo -) $(cat $zone/type 2>/dev/null)"
done'''

# Thermal zones of processors: those of Qualcomm, Samsung, MediaTek, HiSilicon and Intel, by what their names hold.
_PROCESSOR_ZONE = re.compile(r'cpu|tsens_tz_sensor|msm_therm|^big$|^little$|^mid$|cluster|x86_pkg_temp|soc', re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Readings:
  """What `COMMAND` printed.

  Attributes:
    cpu_khz: Current clock of each core in kHz; None unless that of every core is readable.
    cpu_temperature_c: The hottest processor sensor, degrees Celsius.
  """

  cpu_khz: tuple[int, ...] | None
  cpu_temperature_c: float | None


def parse(text: str) -> Readings:
  """Reads the output of `COMMAND`."""
  clocks = re.findall(r'^clock (\S+)$', text, re.MULTILINE)
  zones = re.findall(r'^zone (-?[0-9]{1,9}) (.*)$', text, re.MULTILINE)
  temperatures = [_celsius(int(value)) for value, kind in zones if _PROCESSOR_ZONE.search(kind)]
  return Readings(
      cpu_khz=tuple(map(int, clocks)) if clocks and all(re.fullmatch('[0-9]{1,9}', clock) for clock in clocks) else None,
      cpu_temperature_c=max((value for value in temperatures if value is not None), default=None))


def _celsius(value: int) -> float | None:
  """Degrees Celsius of a sensor. Kernels of phones give degrees (msm_therm), tenths (tsens) or thousandths; None is no temperature."""
  if 0 < value < 150:
    return float(value)
  if 150 <= value < 1500:
    return value / 10
  return value / 1000 if 5000 <= value < 150000 else None
