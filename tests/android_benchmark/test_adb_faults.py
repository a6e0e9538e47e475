"""AdbDevice through the genuine adb client, against a phone that fails as phones do."""

import os
import signal
import subprocess
import sys
import time

import pytest

from android_benchmark import adb
from android_benchmark import errors
from tests.android_benchmark import measuring
from tests.android_benchmark import processes
from tests.android_benchmark import transfers


@pytest.mark.parametrize('after_bytes', [0, 100_000])
def test_connection_dropped_in_push(opened, phone, local, after_bytes):
  phone.android.map_path(f'{transfers.FOLDER}/file').write_text('old')
  fault = phone.fault('push', 'drop', match='file', after_bytes=after_bytes)
  with pytest.raises(errors.ConnectionLost):
    opened.push(local, f'{transfers.FOLDER}/file')
  assert fault.happened == 1
  assert phone.android.map_path(f'{transfers.FOLDER}/file').read_text() == 'old'
  assert opened.reconnect(20)
  opened.push(local, f'{transfers.FOLDER}/file')
  assert phone.android.map_path(f'{transfers.FOLDER}/file').read_bytes() == transfers.CONTENT
  assert transfers.files(phone) == ['file']


@pytest.mark.parametrize('after_bytes', [0, 3])
def test_connection_dropped_in_a_command(opened, phone, after_bytes):
  fault = phone.fault('shell', 'drop', match='sleep 611', after_bytes=after_bytes)
  with pytest.raises(errors.ConnectionLost, match='connection lost'):
    opened.run('echo begins; timeout 600 sleep 611')
  assert fault.happened == 1
  assert opened.reconnect(20)
  assert not processes.running('sleep', '611'), 'it would disturb what is measured next'
  assert opened.run('echo again').stdout == 'again\n'


def test_exit_codes_of_adb_are_not_those_of_commands(opened, phone):
  for exit_code in (0, 1, 255):
    phone.fault('shell', 'exit', match='lost', exit_code=exit_code)
    with pytest.raises(errors.ConnectionLost):
      opened.run('echo lost')


def test_a_command_without_end(opened):
  with pytest.raises(errors.ConnectionLost, match='no answer after 0.5 s'):
    opened.run('echo begins; timeout 600 sleep 612', timeout_s=0.5)
  assert not processes.running('sleep', '612')
  assert opened.run('echo again').stdout == 'again\n'


def test_a_phone_that_does_not_answer(opened, phone, local, tmp_path, monkeypatch):
  monkeypatch.setattr(adb, '_CALL_TIMEOUT_S', 0.5)
  phone.android.map_path(f'{transfers.FOLDER}/file').write_bytes(transfers.CONTENT)
  for on, call in (('push', lambda: opened.push(local, f'{transfers.FOLDER}/other')),
                   ('pull', lambda: opened.pull(f'{transfers.FOLDER}/file', tmp_path / 'back')),
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
  process = subprocess.Popen([sys.executable, '-c', CTRL_C, phone.serial], cwd=measuring.ROOT, stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
  assert process.stdout.readline() == 'opened\n'
  end = time.monotonic() + 30
  while not processes.running('sleep', '613') and time.monotonic() < end:
    time.sleep(0.02)
  os.killpg(process.pid, signal.SIGINT)  # as a terminal does
  assert process.communicate(timeout=30)[0] == 'still there\n\n'
  assert not processes.running('sleep', '613')


def test_a_file_that_arrives_damaged(opened, phone, local):
  program = phone.android.root / 'bin/sha256sum'
  program.unlink()
  program.write_text(f'#!/bin/sh\necho {"0" * 64}\n')
  program.chmod(0o755)
  with pytest.raises(errors.TransferError, match='differs from what was sent'):
    opened.push(local, f'{transfers.FOLDER}/file')
  assert transfers.files(phone) == []


def test_a_restart_that_wipes_the_folder(opened, phone, local):
  opened.push(local, f'{transfers.FOLDER}/file')
  phone.fault('shell', 'reboot', match='sleep 614')
  with pytest.raises(errors.ConnectionLost):
    opened.run('sleep 614')
  assert opened.reconnect(20)
  assert transfers.files(phone) == []
  opened.push(local, f'{transfers.FOLDER}/file')  # the folder is there again
  assert transfers.files(phone) == ['file']
