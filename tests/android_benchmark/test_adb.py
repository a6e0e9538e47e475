"""AdbDevice through the genuine adb client, against a phone that fails as phones do."""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import time

import pytest

from android_benchmark import adb
from android_benchmark import device
from android_benchmark import errors

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = '/data/local/tmp/tf_proxyless'
CONTENT = bytes(range(256)) * 1200  # several packets


@pytest.fixture
def opened(phone):
  with adb.AdbDevice(phone.serial) as found:
    yield found


@pytest.fixture
def local(tmp_path):
  """A file to push."""
  path = tmp_path / 'local'
  path.write_bytes(CONTENT)
  return path


def files(phone):
  folder = phone.android.map_path(FOLDER)
  return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def running(text):
  """Whether a process has `text` in its command line."""
  lines = []
  for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
    try:
      lines.append(path.read_bytes())
    except (FileNotFoundError, ProcessLookupError):
      pass
  return any(text.encode() in line for line in lines)


# --- Commands


def test_commands_run_and_exit_codes_come_back(opened):
  assert opened.run('echo out; echo err >&2; exit 3') == device.CommandResult(3, 'out\n', 'err\n')
  assert opened.run('printf "no newline"') == device.CommandResult(0, 'no newline', '')
  assert opened.run("echo 'it''s' \"$((1+1))\" | cat").stdout == 'its 2\n'
  assert opened.run('cat; echo end').stdout == 'end\n'  # nothing on standard input
  assert opened.run('if').exit_code == 2  # a syntax error is the command's, not the connection's
  assert opened.run('exit 255').exit_code == 255  # adb's own code for errors


@pytest.mark.parametrize('signal_name, exit_code', [('ABRT', 134), ('KILL', 137), ('SEGV', 139)])
def test_signals_are_exit_codes(opened, signal_name, exit_code):
  assert opened.run(f'kill -{signal_name} $$').exit_code == exit_code
  assert opened.run(f'sh -c "kill -{signal_name} \\$\\$"; exit $?').exit_code == exit_code


def test_much_output(opened):
  assert opened.run('seq 200000').stdout == ''.join(f'{number}\n' for number in range(1, 200001))


def test_a_phone_without_the_shell_protocol(start_phone, local, tmp_path):
  """Before Android 7: adb's exit code is always 0 and standard error comes with the output."""
  phone = start_phone(features='cmd')
  with adb.AdbDevice(phone.serial) as opened:
    assert opened.run('echo out; echo err >&2; exit 3') == device.CommandResult(3, 'out\nerr\n', '')
    opened.push(local, f'{FOLDER}/file')
    opened.pull(f'{FOLDER}/file', tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == CONTENT


# --- Files


def test_files_go_there_and_back(opened, phone, tmp_path):
  (tmp_path / "a file's").write_bytes(CONTENT)
  (tmp_path / "a file's").chmod(0o755)
  opened.push(tmp_path / "a file's", f"{FOLDER}/new folder/a file's")
  there = phone.android.map_path(f"{FOLDER}/new folder/a file's")
  assert there.read_bytes() == CONTENT
  assert stat.S_IMODE(there.stat().st_mode) == 0o755
  opened.pull(f"{FOLDER}/new folder/a file's", tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == CONTENT
  (tmp_path / 'empty').touch()
  opened.push(tmp_path / 'empty', f'{FOLDER}/empty')
  opened.pull(f'{FOLDER}/empty', tmp_path / 'empty back')
  assert (tmp_path / 'empty back').read_bytes() == b''


def test_push_replaces(opened, phone, local):
  phone.android.map_path(f'{FOLDER}/file').write_text('old')
  opened.push(local, f'{FOLDER}/file')
  assert phone.android.map_path(f'{FOLDER}/file').read_bytes() == CONTENT
  assert files(phone) == ['file']


def test_a_file_that_is_not_there(opened, tmp_path):
  with pytest.raises(errors.TransferError, match='gone.*No such file'):
    opened.pull(f'{FOLDER}/gone', tmp_path / 'back')
  assert list(tmp_path.glob('*back*')) == []


# --- Faults


@pytest.mark.parametrize('after_bytes', [0, 100_000])
def test_connection_dropped_in_push(opened, phone, local, after_bytes):
  phone.android.map_path(f'{FOLDER}/file').write_text('old')
  fault = phone.fault('push', 'drop', match='file', after_bytes=after_bytes)
  with pytest.raises(errors.ConnectionLost):
    opened.push(local, f'{FOLDER}/file')
  assert fault.happened == 1
  assert phone.android.map_path(f'{FOLDER}/file').read_text() == 'old'
  assert opened.reconnect(20)
  opened.push(local, f'{FOLDER}/file')
  assert phone.android.map_path(f'{FOLDER}/file').read_bytes() == CONTENT
  assert files(phone) == ['file']


@pytest.mark.parametrize('after_bytes', [0, 100_000])
def test_connection_dropped_in_pull(opened, phone, tmp_path, after_bytes):
  phone.android.map_path(f'{FOLDER}/file').write_bytes(CONTENT)
  (tmp_path / 'back').write_text('old')
  fault = phone.fault('pull', 'drop', match='file', after_bytes=after_bytes)
  with pytest.raises(errors.ConnectionLost):
    opened.pull(f'{FOLDER}/file', tmp_path / 'back')
  assert fault.happened == 1
  assert (tmp_path / 'back').read_text() == 'old'
  assert opened.reconnect(20)
  opened.pull(f'{FOLDER}/file', tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == CONTENT
  assert list(tmp_path.glob('.*')) == []


@pytest.mark.parametrize('after_bytes', [0, 3])
def test_connection_dropped_in_a_command(opened, phone, after_bytes):
  fault = phone.fault('shell', 'drop', match='sleep 611', after_bytes=after_bytes)
  with pytest.raises(errors.ConnectionLost, match='connection lost'):
    opened.run('echo begins; timeout 600 sleep 611')
  assert fault.happened == 1
  assert opened.reconnect(20)
  assert not running('sleep\x00611'), 'it would disturb what is measured next'
  assert opened.run('echo again').stdout == 'again\n'


def test_exit_codes_of_adb_are_not_those_of_commands(opened, phone):
  for exit_code in (0, 1, 255):
    phone.fault('shell', 'exit', match='lost', exit_code=exit_code)
    with pytest.raises(errors.ConnectionLost):
      opened.run('echo lost')


def test_a_command_without_end(opened):
  with pytest.raises(errors.ConnectionLost, match='no answer after 0.5 s'):
    opened.run('echo begins; timeout 600 sleep 612', timeout_s=0.5)
  assert not running('sleep\x00612')
  assert opened.run('echo again').stdout == 'again\n'


def test_a_phone_that_does_not_answer(opened, phone, local, tmp_path, monkeypatch):
  monkeypatch.setattr(adb, '_CALL_TIMEOUT_S', 0.5)
  phone.android.map_path(f'{FOLDER}/file').write_bytes(CONTENT)
  for on, call in (('push', lambda: opened.push(local, f'{FOLDER}/other')),
                   ('pull', lambda: opened.pull(f'{FOLDER}/file', tmp_path / 'back')),
                   ('shell', lambda: opened.run('true', timeout_s=0.5))):
    phone.fault(on, 'hang', times=1)
    with pytest.raises(errors.ConnectionLost, match='no answer after'):
      call()
  assert opened.run('echo again').stdout == 'again\n'


CTRL_C = '''
import sys
from android_benchmark import adb
with adb.AdbDevice(sys.argv[1]) as opened:
  print('opened', flush=True)
  try:
    opened.run('timeout 600 sleep 613')
  except KeyboardInterrupt:
    print(opened.run('echo still there').stdout)
'''


def test_after_ctrl_c_the_device_is_still_there(phone):
  process = subprocess.Popen([sys.executable, '-c', CTRL_C, phone.serial], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
  assert process.stdout.readline() == 'opened\n'
  end = time.monotonic() + 30
  while not running('sleep\x00613') and time.monotonic() < end:
    time.sleep(0.02)
  os.killpg(process.pid, signal.SIGINT)  # as a terminal does
  assert process.communicate(timeout=30)[0] == 'still there\n\n'
  assert not running('sleep\x00613')


def test_disk_full_in_push(opened, phone, local):
  phone.fault('push', 'disk_full', after_bytes=100_000)
  with pytest.raises(errors.TransferError, match='No space left on device'):
    opened.push(local, f'{FOLDER}/file')
  assert files(phone) == []
  opened.push(local, f'{FOLDER}/file')


def test_disk_full_in_a_command(opened, phone):
  phone.android.free_bytes = 4096
  done = opened.run(f'seq 100000 > {FOLDER}/file')
  assert done.exit_code and 'write error' in done.stderr
  assert phone.android.map_path(f'{FOLDER}/file').stat().st_size <= 4096


def test_a_file_that_arrives_damaged(opened, phone, local):
  program = phone.android.root / 'bin/sha256sum'
  program.unlink()
  program.write_text(f'#!/bin/sh\necho {"0" * 64}\n')
  program.chmod(0o755)
  with pytest.raises(errors.TransferError, match='differs from what was sent'):
    opened.push(local, f'{FOLDER}/file')
  assert files(phone) == []


def test_a_restart_that_wipes_the_folder(opened, phone, local):
  opened.push(local, f'{FOLDER}/file')
  phone.fault('shell', 'reboot', match='sleep 614')
  with pytest.raises(errors.ConnectionLost):
    opened.run('sleep 614')
  assert opened.reconnect(20)
  assert files(phone) == []
  opened.push(local, f'{FOLDER}/file')  # the folder is there again
  assert files(phone) == ['file']


def test_a_phone_that_stays_away(opened, phone):
  phone.unplug()
  with pytest.raises(errors.ConnectionLost):
    opened.run('true')
  assert not opened.reconnect(0.5)
  phone.plug_in()
  assert opened.reconnect(20)


@pytest.mark.parametrize('kind, exit_code', [('1', 1), ('134', 134), ('137', 137), ('139', 139)])
def test_a_launch_that_fails(opened, phone, kind, exit_code):
  phone.fault_at_launch(kind, match='model_b', skip=1)
  codes = [opened.run(f'taskset 10 echo {model}').exit_code for model in ('model_a', 'model_b', 'model_b', 'model_b')]
  assert codes == [0, 0, exit_code, 0]


def test_a_launch_that_takes_the_connection_or_the_phone_with_it(opened, phone):
  for kind in ('drop', 'reboot', 'unplug'):
    phone.fault_at_launch(kind)
    with pytest.raises(errors.ConnectionLost):
      opened.run('taskset 10 echo launched')
    phone.plug_in()
    assert opened.reconnect(20)
  assert opened.run('taskset 10 echo launched').stdout == 'launched\n'


def test_masks_are_those_of_the_phones_cores(opened):
  assert opened.run('taskset f0 echo runs').stdout == 'runs\n'
  assert opened.run('taskset 100 echo runs').exit_code == 1


# --- Which device


def test_the_one_device_is_found(phone):
  with adb.AdbDevice() as opened:
    assert opened.name == f'adb:{phone.serial}'
    assert opened.run('getprop ro.product.model').stdout == 'Pixel 2\n'


def test_no_device(adb_server):
  with pytest.raises(errors.DeviceError, match='no device is connected: plug in'):
    adb.AdbDevice().open()


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
  for serial in (None, phone.serial):
    with pytest.raises(errors.DeviceError, match="is unauthorized: unlock the phone and accept 'Allow USB debugging'"):
      adb.AdbDevice(serial).open()


def test_offline(start_phone):
  phone = start_phone(state='offline')
  with subprocess.Popen(['adb', 'connect', phone.serial], stdout=subprocess.DEVNULL) as connecting:  # waits for 10 s
    end = time.monotonic() + 9
    while phone.serial not in subprocess.run(['adb', 'devices'], capture_output=True, text=True).stdout and time.monotonic() < end:
      time.sleep(0.02)
    try:
      with pytest.raises(errors.DeviceError, match='is offline: unplug it'):
        adb.AdbDevice().open()
    finally:
      connecting.kill()


def test_in_recovery_mode(start_phone):
  phone = start_phone(state='recovery')
  with pytest.raises(errors.DeviceError, match='is recovery: .*: adb reboot'):
    adb.AdbDevice(phone.serial).open()


def test_the_one_that_is_usable_is_taken(start_phone):
  start_phone(connect=True, state='unauthorized')
  usable = start_phone(connect=True)
  with adb.AdbDevice() as opened:
    assert opened.serial == usable.serial


def test_a_key_that_was_just_accepted(start_phone):
  """adb says that it failed to authenticate, and is connected."""
  phone = start_phone(state='asking')
  with adb.AdbDevice(phone.serial) as opened:
    assert opened.run('echo works').stdout == 'works\n'


def test_nothing_at_the_address(adb_server):
  with pytest.raises(errors.DeviceError, match='Connection refused'):
    adb.AdbDevice('127.0.0.1:9').open()


def test_a_serial_that_is_not_there(phone):
  with pytest.raises(errors.DeviceError, match=f'no device FA7AX is connected; found: {phone.serial} \\(device\\)'):
    adb.AdbDevice('FA7AX').open()


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
    adb._choose({'X': state}, None)


# --- What it says of itself


def test_describes_a_pixel_2(opened):
  assert opened.describe() == device.Description('Pixel 2', 'FA7AX1A00123', 'msm8998', 'Android 11 (RP1A.201005.004.A1)', 8)


def test_health_of_a_pixel_2(opened):
  assert opened.health() == device.Health(
      battery_percent=87, battery_temperature_c=29.1, thermal_status=0, cpu_temperature_c=36.1,
      cpu_khz=(300000,) * 8, load=None)


def test_the_phone_is_a_program_too(adb_server, tmp_path):
  command = [sys.executable, '-m', 'tests.android_benchmark.adbd', str(tmp_path / 'phone')]
  with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
    with adb.AdbDevice(process.stdout.readline().strip()) as opened:
      assert opened.run('getprop ro.product.model').stdout == 'Pixel 2\n'
    process.stdin.close()
    assert process.wait(timeout=30) == 0
