"""Which of the devices that adb sees is meant, and what is said where none is usable."""


import pytest

from android_benchmark import adb
from android_benchmark import errors
from tests import suites
from tests.android_benchmark import drawer


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
    adb._choose([adb._Attached('X', state, {})], '')


@pytest.mark.parametrize('selector, number', [('usb:1-4.1', 0), ('usb:1-4.2', 1), ('transport_id:12', 1)])
def test_twins_are_told_apart_by_their_place(twins, selector, number):
  with adb.AdbDevice(selector) as opened:
    opened.run('touch /data/local/tmp/here')
    assert opened.name == f'adb:usb:1-4.{number + 1}'  # a transport's number would be another after a lost connection
    assert opened.reconnect(5)
  assert [phone.android.map_path('/data/local/tmp/here').exists() for phone in twins] == [number == 0, number == 1]


@pytest.mark.parametrize('selector', suites.few(['0123456789ABCDEF', '', 'model:Pixel_2'], 1))
def test_twins_are_not_told_apart_by_their_serial(twins, selector):
  with pytest.raises(errors.DeviceError, match='have the serial 0123456789ABCDEF: choose one by --device=adb:usb:PATH') as raised:
    adb.AdbDevice(selector).open()
  assert '(device, usb:1-4.1, transport_id:7)' in str(raised.value) and '(device, usb:1-4.2, transport_id:12)' in str(raised.value)
  assert '\n' not in str(raised.value)


def test_a_place_without_a_phone(twins):
  with pytest.raises(errors.DeviceError, match='no device usb:9-9 is connected; found: 0123456789ABCDEF'):
    adb.AdbDevice('usb:9-9').open()


def test_android_serial_names_the_device_as_for_adb(start_phone, monkeypatch):
  phones = [start_phone(connect=True), start_phone(connect=True)]
  monkeypatch.setenv('ANDROID_SERIAL', phones[1].serial)
  with adb.AdbDevice() as opened:
    assert opened.serial == phones[1].serial
  with adb.AdbDevice(phones[0].serial) as opened:  # what is said counts
    assert opened.serial == phones[0].serial


def test_what_adb_lists():
  found = adb._parse_devices('* daemon not running; starting now at tcp:5037\n* daemon started successfully\n' + drawer.TWINS)
  assert [each.state for each in found] == ['device', 'device', 'no permissions'] and found[2].details['usb'] == '2-1'
  old = adb._parse_devices('List of devices attached\nA\tdevice\nB\tunauthorized\n????????????\tno permissions; see [http]\n\n')
  assert [(each.serial, each.state) for each in old] == [('A', 'device'), ('B', 'unauthorized'), ('????????????', 'no permissions')]
  assert adb._choose(old, '') == 'A'
