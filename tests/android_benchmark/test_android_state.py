"""What phones print of themselves: those that tell all, and those that tell nothing."""

import pytest

from android_benchmark import android_state
from android_benchmark import device
from android_benchmark import sysfs
from tests.android_benchmark import android


def test_a_newer_phone_names_its_system_on_chip():
  text = ('ro.product.model=Pixel 8\nro.serialno=38\nro.soc.model=Tensor G3\nro.board.platform=zuma\nro.hardware=shiba\n'
          'ro.build.version.release=15\nro.build.id=\npossible=0-8\n')
  assert android_state.parse_description(text) == device.Description('Pixel 8', '38', 'Tensor G3', 'Android 15', 9)


def test_a_phone_that_tells_nothing():
  text = ''.join(f'{line}\n' for line in ('ro.product.model=', 'ro.serialno=', 'ro.build.id=X', 'possible='))
  assert android_state.parse_description(text) == device.Description('unknown')
  text = "=====\nCan't find service: thermalservice\n=====\nclock -\nclock -\nzone - tsens\n"
  assert android_state.parse_health(text) == device.Health()


def test_sensors_now_rather_than_those_kept():
  """The cached processor temperature is 55, that of now at most 36.1; the skin, which is hotter, is no processor."""
  health = android_state.parse_health(f'{android.BATTERY}\n=====\n{android.THERMAL}\n=====\n')
  assert health == device.Health(battery_percent=87, battery_temperature_c=29.1, thermal_status=0, cpu_temperature_c=36.1)


@pytest.mark.parametrize('zones, celsius', [
    ('zone 412 tsens_tz_sensor4', 41.2),  # tenths
    ('zone 45 msm_therm', 45.0),  # degrees
    ('zone 45123 cpu-1-0-usr', 45.123),  # thousandths
    ('zone 52000 x86_pkg_temp\nzone 61000 x86_pkg_temp', 61.0),
    ('zone 61000 battery\nzone 37000 pm8998_tz', None),  # not of the processor
    ('zone -40000 cpu0\nzone 0 cpu1\nzone - cpu2', None),  # no reading
])
def test_units_of_thermal_zones(zones, celsius):
  assert sysfs.parse(zones).cpu_temperature_c == celsius


@pytest.mark.parametrize('clocks, khz', [
    ('clock 300000\nclock 2457600', (300000, 2457600)),
    ('clock 300000\nclock -', None),
    ('', None),
])
def test_clocks(clocks, khz):
  assert sysfs.parse(clocks).cpu_khz == khz
