"""The genuine adb client with a server of its own, and phones for it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time

import pytest

from android_benchmark import adb
from tests import programs
from tests.android_benchmark import adbd
from tests.android_benchmark import drawer
from tests.android_benchmark import transfers


@pytest.fixture(scope='session')
def adb_environment(tmp_path_factory):
  """Variables that make every adb of this session use a server, and keys, of its own."""
  program = programs.require('adb')
  with socket.create_server(('127.0.0.1', 0)) as free:
    port = free.getsockname()[1]
  # The last one: otherwise the server looks for emulators on this machine by itself.
  variables = {'HOME': str(tmp_path_factory.mktemp('home')), 'ANDROID_ADB_SERVER_PORT': str(port), 'ADB_LOCAL_TRANSPORT_MAX_PORT': '5553'}
  environment = {**os.environ, **variables}
  subprocess.run([program, 'start-server'], env=environment, capture_output=True, check=True, timeout=30)
  yield variables
  subprocess.run([program, 'kill-server'], env=environment, capture_output=True, check=True, timeout=30)


def _disconnect_all():
  end = time.monotonic() + 30
  while True:
    subprocess.run(['adb', 'disconnect'], capture_output=True, check=True, timeout=30)
    devices = subprocess.run(['adb', 'devices'], capture_output=True, check=True, timeout=30, text=True).stdout
    if devices.strip() == 'List of devices attached':
      return
    assert time.monotonic() < end, devices
    time.sleep(0.1)  # one is just being connected


@pytest.fixture
def adb_server(adb_environment, monkeypatch):
  """Sets those variables; no device is connected before and after."""
  for name, value in adb_environment.items():
    monkeypatch.setenv(name, value)
  monkeypatch.delenv('ADB', raising=False)
  monkeypatch.delenv('ANDROID_SERIAL', raising=False)
  _disconnect_all()
  yield
  _disconnect_all()


@pytest.fixture
def start_phone(adb_server, tmp_path):
  """Starts phones: start_phone(connect=False, **arguments of adbd.Phone)."""
  with contextlib.ExitStack() as stack:
    started = []

    def start(connect=False, **arguments):
      folder = tmp_path / f'phone{len(started)}'
      phone = stack.enter_context(adbd.Phone(folder, **arguments))
      started.append(phone)
      if connect:
        subprocess.run(['adb', 'connect', phone.serial], capture_output=True, check=True, timeout=30)
      return phone

    yield start


@pytest.fixture
def phone(start_phone):
  """A Pixel 2 that is connected."""
  return start_phone(connect=True)


@pytest.fixture
def twins(start_phone, tmp_path, monkeypatch):
  """Two phones of one serial: the genuine adb, which knows them by address, behind a list and selectors as of USB."""
  phones = [start_phone(connect=True), start_phone(connect=True)]
  (tmp_path / 'devices').write_text(drawer.TWINS)
  program = tmp_path / 'adb'
  program.write_text(f'''#!/bin/sh
case "$1 $2" in
  "devices -l") exec cat {tmp_path}/devices ;;
  "-s usb:1-4.1" | "-t 7") to={phones[0].serial} ;;
  "-s usb:1-4.2" | "-t 12") to={phones[1].serial} ;;
  *) echo "adb: more than one device/emulator" >&2; exit 1 ;;
esac
shift 2
exec adb -s "$to" "$@"
''')
  program.chmod(0o755)
  monkeypatch.setenv('ADB', str(program))
  return phones


@pytest.fixture
def opened(phone):
  """The same, opened."""
  with adb.AdbDevice(phone.serial) as found:
    yield found


@pytest.fixture
def local(tmp_path):
  """A file to push."""
  path = tmp_path / 'local'
  path.write_bytes(transfers.CONTENT)
  return path
