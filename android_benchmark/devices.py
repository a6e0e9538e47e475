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
  only, = parse_devices(text, most=1)
  return only


def parse_devices(text: str, most: int | None = None) -> list[device.Device]:
  """The same, or the phones that are meant by 'adb:SERIAL,SERIAL,...'.

  Args:
    text: What the user wrote.
    most: Maximum number of devices; None is without limit.

  Raises:
    ValueError: Anything else, or a phone is named twice.
  """
  transport, colon, listed = text.partition(':')
  if text == 'host':
    return [host.HostDevice()]
  serials = [serial.strip().removeprefix('adb:') for serial in listed.split(',')]
  if transport != 'adb' or bool(colon) != all(serials) or len(serials) > (most or len(serials)):
    raise ValueError("a device is 'host', 'adb' (the one phone that is connected), 'adb:SERIAL,SERIAL' (phones of one model) or "
                     f"'adb:SERIAL', got {text!r}")
  twice = next((serial for serial in serials if serials.count(serial) > 1), None)
  if twice is not None:
    raise ValueError(f'--device names {twice!r} twice')
  return [adb.AdbDevice(serial) for serial in serials]
