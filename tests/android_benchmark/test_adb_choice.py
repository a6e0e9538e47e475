"""Which of the devices that adb sees is meant, and what is said where none is usable."""


import pytest

from android_benchmark import adb
from android_benchmark import errors


def test_two_devices_without_a_serial(start_phone):
  phones = [start_phone(connect=True), start_phone(connect=True)]
  with pytest.raises(errors.DeviceError, match='choose one by --device=adb:SERIAL') as raised:
    adb.AdbDevice().open()
  assert all(f'{phone.serial} (device)' in str(raised.value) for phone in phones)
  with adb.AdbDevice(phones[1].serial) as opened:
    opened.run('touch /data/local/tmp/here')
  assert [phone.android.map_path('/data/local/tmp/here').exists() for phone in phones] == [False, True]


def test_unauthorized(start_phone):
  phone = start_phone(connect=True, state='unauthorized')
  for serial in ('', phone.serial):
    with pytest.raises(errors.DeviceError, match="is unauthorized: unlock the phone and accept 'Allow USB debugging'"):
      adb.AdbDevice(serial).open()


def test_a_key_that_was_just_accepted(start_phone):
  """adb says that it failed to authenticate, and is connected."""
  phone = start_phone(state='asking')
  with adb.AdbDevice(phone.serial) as opened:
    assert opened.run('echo works').stdout == 'works\n'


def test_nothing_at_the_address(adb_server):
  with pytest.raises(errors.DeviceError, match='Connection refused'):
    adb.AdbDevice('127.0.0.1:9').open()


def test_without_adb(monkeypatch):
  monkeypatch.delenv('ADB', raising=False)
  monkeypatch.setenv('PATH', '')
  with pytest.raises(errors.DeviceError, match='adb is not installed'):
    adb.AdbDevice().open()
  monkeypatch.setenv('ADB', '/nowhere/adb')
  with pytest.raises(errors.DeviceError, match='/nowhere/adb cannot be run: No such file'):
    adb.AdbDevice().open()


@pytest.mark.parametrize('state', ['unauthorized', 'offline', 'no permissions', 'recovery', 'something new'])
def test_states_that_are_not_usable_say_what_to_do(state):
  with pytest.raises(errors.DeviceError, match=f'^X is {state}: '):
    adb._choose({'X': state}, '')
