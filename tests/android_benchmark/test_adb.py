"""AdbDevice through the genuine adb client: commands, files, and what the phone says of itself."""

import stat

import pytest

from android_benchmark import adb
from android_benchmark import device
from android_benchmark import errors
from android_benchmark import settings
from tests.android_benchmark import transfers


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


@pytest.mark.parametrize('features', ['shell_v2,cmd,stat_v2', 'cmd'])
@pytest.mark.parametrize('greeting', ['Welcome to this ROM\nended\n 7 lines\r\n', 'WARNING: linker: unused DT entry $ '])
def test_what_a_rom_prints_before_each_output_is_none_of_it(start_phone, local, tmp_path, features, greeting):
  phone = start_phone(features=features)
  phone.android.greeting = greeting
  with adb.AdbDevice(phone.serial) as opened:
    assert opened.run('echo out; exit 3') == device.CommandResult(3, 'out\n', '')
    assert opened.run('printf "no newline"').stdout == 'no newline' and opened.run('true').stdout == ''
    opened.push(local, f'{transfers.FOLDER}/file')
    opened.pull(f'{transfers.FOLDER}/file', tmp_path / 'back')
    assert (tmp_path / 'back').read_bytes() == transfers.CONTENT
    assert opened.describe().model == 'Pixel 2' and opened.health().battery_percent == 87
    read = settings.read(opened, None, False, lambda line: None)
    assert "settings put system screen_brightness 120" in [setting.restore for setting in read]


def test_a_phone_without_the_shell_protocol(start_phone, local, tmp_path):
  """Before Android 7: adb's exit code is always 0 and standard error comes with the output."""
  phone = start_phone(features='cmd')
  with adb.AdbDevice(phone.serial) as opened:
    assert opened.run('echo out; echo err >&2; exit 3') == device.CommandResult(3, 'out\nerr\n', '')
    opened.push(local, f'{transfers.FOLDER}/file')
    opened.pull(f'{transfers.FOLDER}/file', tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == transfers.CONTENT


# --- Files


def test_files_go_there_and_back(opened, phone, tmp_path):
  (tmp_path / "a file's").write_bytes(transfers.CONTENT)
  (tmp_path / "a file's").chmod(0o755)
  opened.push(tmp_path / "a file's", f"{transfers.FOLDER}/new folder/a file's")
  there = phone.android.map_path(f"{transfers.FOLDER}/new folder/a file's")
  assert there.read_bytes() == transfers.CONTENT
  assert stat.S_IMODE(there.stat().st_mode) == 0o755
  opened.pull(f"{transfers.FOLDER}/new folder/a file's", tmp_path / 'back')
  assert (tmp_path / 'back').read_bytes() == transfers.CONTENT
  (tmp_path / 'empty').touch()
  opened.push(tmp_path / 'empty', f'{transfers.FOLDER}/empty')
  opened.pull(f'{transfers.FOLDER}/empty', tmp_path / 'empty back')
  assert (tmp_path / 'empty back').read_bytes() == b''


def test_a_file_that_is_not_there(opened, tmp_path):
  with pytest.raises(errors.TransferError, match='gone.*No such file'):
    opened.pull(f'{transfers.FOLDER}/gone', tmp_path / 'back')
  assert list(tmp_path.glob('*back*')) == []


# --- What it says of itself


def test_describes_a_pixel_2(opened, phone):
  found = opened.describe()
  boot_id = phone.android.read('proc/sys/kernel/random/boot_id')
  assert found == device.Description('Pixel 2', 'FA7AX1A00123', 'msm8998', 'Android 11 (RP1A.201005.004.A1)', 8, None, boot_id)
  assert found.key == 'FA7AX1A00123'
  phone.android.write('settings/secure/android_id', '9774d56d682e549c')
  assert opened.describe().key == 'FA7AX1A00123 9774d56d682e549c'
