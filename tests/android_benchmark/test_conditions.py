"""What a phone is set to while it is measured, and that it is given back as it was, whatever happens."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from android_benchmark import adb
from android_benchmark import conditions
from android_benchmark import device
from android_benchmark import errors
from android_benchmark import settings

ROOT = pathlib.Path(__file__).parents[2]
CPU = 'sys/devices/system/cpu'
GOLD = f'{CPU}/cpu4/cpufreq'
WHILE_MEASURING = {
    'settings/global/airplane_mode_on': '1',
    'settings/global/stay_on_while_plugged_in': '3',
    'settings/system/screen_brightness': '1',
    'settings/system/screen_brightness_mode': '0',
}
WITH_ROOT = {
    'props/init.svc.thermal-engine': 'stopped',
    'props/init.svc.perfd': 'stopped',
    f'{GOLD}/scaling_governor': 'performance',
    f'{GOLD}/scaling_min_freq': '2457600',
    f'{GOLD}/scaling_max_freq': '2457600',
}
OTHERS = (f'{CPU}/cpu0/cpufreq/scaling_governor', f'{CPU}/cpu0/cpufreq/scaling_min_freq')


def state(phone):
  return {path: phone.android.read(path) for path in (*WHILE_MEASURING, *WITH_ROOT, *OTHERS)}


@pytest.fixture
def lines():
  return []


@pytest.fixture
def keep(tmp_path, lines):
  """Conditions of an opened device."""
  def make(opened, core_mask='10', lock_clocks=True):
    return conditions.Conditions(opened, core_mask, lock_clocks, tmp_path / 'restore.json', lines.append)
  return make


@pytest.mark.parametrize('rooted', [False, True])
def test_set_and_restored(start_phone, keep, tmp_path, lines, rooted):
  phone = start_phone(rooted=rooted)
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened:
    with keep(opened):
      assert state(phone) == {**before, **WHILE_MEASURING, **(WITH_ROOT if rooted else {})}
      assert (tmp_path / 'restore.json').exists()
    assert state(phone) == before
  assert not (tmp_path / 'restore.json').exists()
  assert lines == ([] if rooted else [f'adb:{phone.serial} is not rooted: its clocks are not locked'])


def test_a_setting_that_was_not_there_is_not_there_again(phone, keep):
  path = phone.android.root / 'settings/global/stay_on_while_plugged_in'
  path.unlink()
  with adb.AdbDevice(phone.serial) as opened:
    with keep(opened):
      assert path.read_text() == '3\n'
    assert not path.exists()


@pytest.mark.parametrize('stop', [KeyboardInterrupt, SystemExit, errors.BenchmarkError])
def test_restored_after_an_exception(phone, keep, stop):
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened:
    with pytest.raises(stop), keep(opened):
      raise stop
    assert state(phone) == before


def test_restored_when_entering_fails_half_way(phone, keep):
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened:
    phone.fault('shell', 'drop', match='settings put system screen_brightness 1')
    with pytest.raises(errors.ConnectionLost), keep(opened):
      pytest.fail('not reached')
    assert state(phone) == before


def test_restored_over_a_connection_that_comes_back(phone, keep, lines):
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened:
    with keep(opened):
      phone.unplug(seconds=1)
    assert state(phone) == before
  assert not any('lost' in line for line in lines)


def test_a_phone_that_stays_away_is_restored_by_the_next_run(phone, keep, lines, monkeypatch, tmp_path):
  monkeypatch.setattr(conditions, '_RECONNECT_S', 0.5)
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened:
    with keep(opened, lock_clocks=False):
      phone.unplug()
    assert lines[0] == f'adb:{phone.serial} is lost. The next run with {tmp_path / "restore.json"} restores it; or in its shell:'
    assert '  settings put system screen_brightness 120' in lines
    assert state(phone) != before
    phone.plug_in()
    assert opened.reconnect(20)
    with keep(opened):
      pass
    assert state(phone) == before


KILLED = '''
import pathlib, sys, time
from android_benchmark import adb, conditions
with adb.AdbDevice(sys.argv[1]) as opened, conditions.Conditions(opened, '10', True, pathlib.Path(sys.argv[2]), print):
  print('inside', flush=True)
  time.sleep(600)
'''


def start_measuring(phone, journal):
  process = subprocess.Popen([sys.executable, '-c', KILLED, phone.serial, str(journal)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
  assert process.stdout.readline() == 'inside\n'
  return process


def test_restored_by_the_next_run_after_a_kill(start_phone, keep, tmp_path):
  phone = start_phone(rooted=True)
  before = state(phone)
  process = start_measuring(phone, tmp_path / 'restore.json')
  process.kill()
  process.communicate(timeout=30)
  assert state(phone) == {**before, **WHILE_MEASURING, **WITH_ROOT}
  with adb.AdbDevice(phone.serial) as opened:
    with keep(opened):  # would otherwise take the changed values for the originals
      pass
    assert state(phone) == before


def test_restored_after_ctrl_c_reaches_the_whole_process_group(start_phone, tmp_path):
  phone = start_phone(rooted=True)
  before = state(phone)
  process = start_measuring(phone, tmp_path / 'restore.json')
  os.killpg(process.pid, signal.SIGINT)
  process.communicate(timeout=30)
  assert state(phone) == before


def test_the_journal_of_another_phone_is_not_used(phone, keep, tmp_path):
  journal = tmp_path / 'restore.json'
  journal.write_text(json.dumps({'serial': 'OTHER', 'settings': []}))
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened, pytest.raises(errors.DeviceError, match='the phone OTHER, this is FA7AX1A00123'):
    with keep(opened):
      pytest.fail('not reached')
  assert journal.exists() and state(phone) == before


def test_the_journal_of_a_twin_is_not_used(phone, keep, tmp_path):
  journal = tmp_path / 'restore.json'
  journal.write_text(json.dumps({'serial': 'FA7AX1A00123', 'android_id': '9774d56d682e549c', 'settings': []}))
  phone.android.write('settings/secure/android_id', '0123456789abcdef')
  with adb.AdbDevice(phone.serial) as opened:
    with pytest.raises(errors.DeviceError, match='with the android_id 9774d56d682e549c, and this has 0123456789abcdef'), keep(opened):
      pytest.fail('not reached')
    phone.android.write('settings/secure/android_id', '9774d56d682e549c')
    with keep(opened):
      assert json.loads(journal.read_text())['android_id'] == '9774d56d682e549c'


def test_after_a_restart_the_clocks_are_set_again(start_phone, keep):
  phone = start_phone(rooted=True)
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened:
    with keep(opened) as kept:
      phone.reboot()
      assert opened.reconnect(20)
      assert state(phone) == {**before, **WHILE_MEASURING}  # settings outlive a restart
      kept.apply()
      assert state(phone) == {**before, **WHILE_MEASURING, **WITH_ROOT}
    assert state(phone) == before


def test_before_android_11_airplane_mode_is_the_users(start_phone, keep, lines):
  phone = start_phone(properties={'before_11': 'yes'})
  before = state(phone)
  with adb.AdbDevice(phone.serial) as opened, keep(opened, lock_clocks=False):
    assert state(phone) == {**before, **WHILE_MEASURING, 'settings/global/airplane_mode_on': '0'}
  assert lines == [f'adb:{phone.serial}: before Android 11, airplane mode has to be switched on by hand']


@pytest.mark.parametrize('mask, cores', [('10', [4]), ('f0', [4, 5, 6, 7]), ('81', [0, 7]), (None, list(range(8)))])
def test_the_clocks_of_the_masked_cores_are_locked(start_phone, mask, cores):
  phone = start_phone(rooted=True)
  with adb.AdbDevice(phone.serial) as opened:
    names = [setting.name for setting in settings.read(opened, mask, True, print)]
  assert [name for name in names if name.startswith('scaling_governor')] == [f'scaling_governor of core {core}' for core in cores]


class Cooling(device.Device):
  """Cools with every look at it."""
  name, folder = 'cooling', '/'
  open = close = push = pull = run = describe = reconnect = None

  def __init__(self, *readings):
    self.readings = list(readings)

  def health(self):
    return device.Health(**(self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]))


@pytest.mark.parametrize('readings, looks', [
    ([{}], 0),  # nothing readable: nothing to wait for
    ([{'battery_temperature_c': 40.0, 'thermal_status': 0}], 0),
    ([{'battery_temperature_c': 41.2}, {'battery_temperature_c': 40.3}, {'battery_temperature_c': 39.9}], 2),
    ([{'battery_temperature_c': 30.0, 'thermal_status': 1}, {'battery_temperature_c': 30.0, 'thermal_status': 0}], 1),
])
def test_waits_until_cool(readings, looks, lines):
  phone = Cooling(*readings)
  assert conditions.wait_until_cool(phone, 40, 60, lines.append, poll_s=0)
  assert len(readings) - len(phone.readings) == looks
  assert len(lines) == bool(looks)


def test_waits_for_a_real_reading(phone, lines):
  hot = phone.android.read('dumpsys/battery').replace('temperature: 291', 'temperature: 455')
  cool = phone.android.read('dumpsys/battery')
  phone.android.write('dumpsys/battery', hot)
  with adb.AdbDevice(phone.serial) as opened:
    timer = threading.Timer(0.5, phone.android.write, ('dumpsys/battery', cool))
    timer.start()
    assert conditions.wait_until_cool(opened, 40, 60, lines.append, poll_s=0.05)
    timer.join()
  assert 'battery 45.5 C' in lines[0]
