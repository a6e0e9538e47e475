"""From what a user writes to a device."""

from __future__ import annotations

from android_benchmark import adb
from android_benchmark import device
from android_benchmark import host


def parse_device(text: str) -> device.Device:
  """The device that is meant by 'host', 'adb' or 'adb:SERIAL', not yet opened.

  Raises:
    ValueError: Anything else.
  """
  transport, colon, serial = text.partition(':')
  if text == 'host':
    return host.HostDevice()
  if transport == 'adb' and bool(serial.strip()) == bool(colon):
    return adb.AdbDevice(serial)
  raise ValueError(f"a device is 'host', 'adb' (the one phone that is connected) or 'adb:SERIAL', got {text!r}")
