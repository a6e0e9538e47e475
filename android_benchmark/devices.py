"""From what a user writes to a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import dataclasses

from android_benchmark import adb
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import host


def parse_device(text: str) -> device_lib.Device:
  """The device that is meant by 'host', 'adb' or 'adb:SERIAL', not yet opened.

  Raises:
    ValueError: Anything else.
  """
  only, = parse_devices(text, most=1)
  return only


def parse_devices(text: str, most: int | None = None) -> list[device_lib.Device]:
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


@dataclasses.dataclass(frozen=True)
class Phone:
  """A device that measures.

  Attributes:
    device: The device, opened.
    description: Its identity.
    key: What tells it from others for good.
  """

  device: device_lib.Device
  description: device_lib.Description
  key: str


def open_all(text: str, stack: contextlib.ExitStack, report: Callable[[str], None]) -> list[Phone]:
  """Opens the devices that a user means.

  Args:
    text: See `parse_devices`.
    stack: What closes them.
    report: Takes a line for the user.

  Raises:
    ValueError: One cannot be used, two are the same, or they are of different models; one line that names them.
    ConnectionLost: One was lost.
  """
  try:
    opened = [stack.enter_context(each) for each in parse_devices(text)]
    phones = [Phone(each, description, description.key) for each in opened for description in (each.describe(),)]
  except errors.ConnectionLost:
    raise
  except errors.DeviceError as error:  # the user's to mend
    raise ValueError(str(error)) from error
  if len({(phone.description.model, phone.description.soc) for phone in phones}) > 1:
    listing = ', '.join(f'{phone.device.name} is a {phone.description.model} ({phone.description.soc})' for phone in phones)
    raise ValueError(f'--device: phones that share a table must be of one model: {listing}')
  if len({phone.description.system for phone in phones}) > 1:
    listing = ', '.join(f'{phone.device.name} {phone.description.system}' for phone in phones)
    report(f'warning: the phones have different systems: {listing}')
  return [dataclasses.replace(phone, key=_key_among(phone, phones)) for phone in phones]


def _key_among(phone: Phone, phones: Sequence[Phone]) -> str:
  """The key of a phone; of twins that nothing but their places tells apart, with its place."""
  twins = [other for other in phones if other is not phone and other.key == phone.key]
  for twin in twins:
    if twin.description.boot_id == phone.description.boot_id:
      raise ValueError(f'--device: {twin.device.name} and {phone.device.name} are one phone, or nothing tells them apart: both have the '
                       f'serial number and android_id {phone.key!r} and the boot_id {phone.description.boot_id}')
  return f'{phone.key} {phone.device.name}' if twins else phone.key
