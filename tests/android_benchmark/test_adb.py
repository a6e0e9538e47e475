"""AdbDevice through the genuine adb client, against a phone that fails as phones do."""

import pytest

from android_benchmark import adb
from android_benchmark import device
from android_benchmark import errors

FOLDER = '/data/local/tmp/tf_proxyless'


@pytest.fixture
def opened(phone):
  with adb.AdbDevice(phone.serial) as found:
    yield found


def test_commands_run_and_exit_codes_come_back(opened):
  assert opened.run('echo out; echo err >&2; exit 3') == device.CommandResult(3, 'out\n', 'err\n')
  assert opened.run('printf "no newline"') == device.CommandResult(0, 'no newline', '')
  assert opened.run("echo 'it''s' \"$((1+1))\" | cat").stdout == 'its 2\n'
  assert opened.run('if').exit_code == 2  # a syntax error is the command's, not the connection's


@pytest.mark.parametrize('signal, exit_code', [('ABRT', 134), ('KILL', 137), ('SEGV', 139)])
def test_signals_are_exit_codes(opened, signal, exit_code):
  assert opened.run(f'kill -{signal} $$').exit_code == exit_code


def test_files_go_there_and_back(opened, phone, tmp_path):
  content = bytes(range(256)) * 1000
  (tmp_path / 'a file').write_bytes(content)
  opened.push(tmp_path / 'a file', f'{FOLDER}/new folder/a file')
  assert phone.android.map_path(f'{FOLDER}/new folder/a file').read_bytes() == content
  opened.pull(f'{FOLDER}/new folder/a file', tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == content


def test_describes_a_pixel_2(opened):
  assert opened.describe() == device.Description('Pixel 2', 'FA7AX1A00123', 'msm8998', 'Android 11 (RP1A.201005.004.A1)', 8)


def test_a_dropped_connection_is_no_exit_code(opened, phone):
  phone.fault('shell', 'drop', match='marker-of-this-test', after_bytes=3)
  with pytest.raises(errors.ConnectionLost, match='connection lost'):
    opened.run('echo marker-of-this-test; sleep 600')
  assert opened.reconnect(10)
  assert opened.run('echo again').stdout == 'again\n'
