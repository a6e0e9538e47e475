"""HostDevice, and what a user may write for a device."""

import pathlib

import pytest

from android_benchmark import adb
from android_benchmark import device
from android_benchmark import devices
from android_benchmark import errors
from android_benchmark import host
from tests.android_benchmark import processes


@pytest.fixture
def opened():
  with host.HostDevice() as found:
    yield found


def test_commands_run_and_exit_codes_come_back(opened):
  assert opened.run('echo out; echo err >&2; exit 3') == device.CommandResult(3, 'out\n', 'err\n')
  assert opened.run('cat; echo end').stdout == 'end\n'
  assert opened.run('if').exit_code == 2


def test_a_command_without_end(opened):
  with pytest.raises(errors.ConnectionLost, match='host: no end after 0.3 s: timeout'):
    opened.run('timeout 600 sleep 615', timeout_s=0.3)
  assert not processes.running('sleep', '615')


def test_files_go_there_and_back(opened, tmp_path):
  (tmp_path / 'file').write_bytes(b'content')
  (tmp_path / 'file').chmod(0o755)
  opened.push(tmp_path / 'file', f'{opened.folder}/new folder/file')
  assert opened.run(f"'{opened.folder}/new folder/file'").exit_code == 127  # it may be executed, though it is no program
  opened.pull(f'{opened.folder}/new folder/file', tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == b'content'


def test_a_file_that_is_not_there(opened, tmp_path):
  with pytest.raises(errors.TransferError, match='gone.*No such file'):
    opened.pull(f'{opened.folder}/gone', tmp_path / 'back')
  (tmp_path / 'file').touch()
  with pytest.raises(errors.TransferError, match='Not a directory|File exists'):
    opened.push(tmp_path / 'file', f'{tmp_path}/file/below')
  assert sorted(path.name for path in tmp_path.iterdir()) == ['file']


def test_its_own_folder_goes_and_a_given_one_stays(tmp_path):
  with host.HostDevice() as opened:
    own = pathlib.Path(opened.folder)
    assert own.is_dir()
  assert not own.exists()
  with host.HostDevice(tmp_path / 'given') as opened:
    assert opened.folder == str(tmp_path / 'given')
  assert (tmp_path / 'given').is_dir()


def test_says_what_it_is(opened):
  description = opened.describe()
  assert description.model and description.cores >= 1 and description.serial is None
  health = opened.health()
  assert health.load >= 0 and health.battery_percent is None
  assert opened.reconnect(0)


def test_what_a_user_writes():
  assert isinstance(devices.parse_device('host'), host.HostDevice)
  assert isinstance(devices.parse_device('adb'), adb.AdbDevice)
  assert devices.parse_device('adb').serial == ''
  assert devices.parse_device('adb:FA7AX1A00123').serial == 'FA7AX1A00123'
  assert devices.parse_device('adb:192.168.1.20:5555').serial == '192.168.1.20:5555'


@pytest.mark.parametrize('text', ['', 'Host', 'host:1', 'adb:', 'adb: ', 'adbx', 'usb:1', ' adb'])
def test_anything_else_is_refused(text):
  with pytest.raises(ValueError, match='a device is .* got ' + repr(text)):
    devices.parse_device(text)
