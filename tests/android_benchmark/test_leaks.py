"""What a measurement leaves on this machine and on the phone: nothing but the server that adb itself keeps running."""

import os
import signal
import socket
import subprocess
import uuid

import pytest

from tests import suites
from tests.android_benchmark import measuring
from tests.android_benchmark import processes


@pytest.fixture
def mark(tmp_path, monkeypatch):
  """Marks all that is started from now on, which gets a folder of its own for temporary files."""
  (tmp_path / 'tmp').mkdir()
  monkeypatch.setenv('TMPDIR', str(tmp_path / 'tmp'))
  value = uuid.uuid4().hex
  monkeypatch.setenv('LEAK_TEST', value)
  return f'LEAK_TEST={value}'


@pytest.fixture
def no_server():
  """An address at which no server of adb is yet; afterwards there is none again, and other fixtures have theirs."""
  with socket.create_server(('127.0.0.1', 0)) as free:
    port = free.getsockname()[1]
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('ANDROID_ADB_SERVER_PORT', str(port))
    yield
    subprocess.run(['adb', 'kill-server'], capture_output=True, check=True, timeout=30)


def temporary_files(tmp_path):
  """But for the log of adb's server."""
  return [path.name for path in (tmp_path / 'tmp').iterdir() if path.name != f'adb.{os.getuid()}.log']


@pytest.mark.parametrize('number, exit_code', suites.few([(None, 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)], 1))
def test_on_a_phone(start_phone, mark, no_server, tmp_path, number, exit_code):
  phone = start_phone()
  models = measuring.write_models(tmp_path / 'models', a='latency_us=7', b='latency_us=8')
  process = measuring.start(models, tmp_path / 'm.json', '--rounds=2', device=f'adb:{phone.serial}')
  if number is not None:
    assert 'blocks' in process.stderr.readline()
    os.killpg(process.pid, number)  # as a terminal does
  messages = process.communicate(timeout=120)[1]
  assert process.returncode == exit_code, messages
  server, = processes.marked(mark)
  assert 'fork-server' in server, 'others may use it by now'
  assert temporary_files(tmp_path) == []
  if number is None:
    folder = phone.android.map_path('/data/local/tmp/tf_proxyless')
    assert [path for path in folder.rglob('*') if path.is_file()] == []


@pytest.mark.parametrize('number, exit_code', [(None, 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_on_this_machine(mark, tmp_path, number, exit_code):
  models = measuring.write_models(tmp_path / 'models', a='latency_us=7', b='latency_us=8')
  process = measuring.start(models, tmp_path / 'm.json', '--rounds=2')
  if number is not None:
    assert 'blocks' in process.stderr.readline()
    os.killpg(process.pid, number)
  messages = process.communicate(timeout=120)[1]
  assert process.returncode == exit_code, messages
  assert processes.marked(mark) == []
  assert temporary_files(tmp_path) == []
