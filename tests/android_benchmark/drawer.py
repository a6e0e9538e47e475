"""Phones of one model for tests of a drawer of them, and models on which each can have a speed of its own."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib

from tests.android_benchmark import adbd

_MODEL = '''latency_us={latency_us}
seconds={seconds}
percent=$(cat "$ANDROID/percent_{name}" 2>/dev/null || cat "$ANDROID/percent")
latency_us=$((latency_us * percent / 100))
'''

# What `adb devices -l` says of two phones of one serial number, and of a third.
TWINS = '''List of devices attached
0123456789ABCDEF       device usb:1-4.1 product:walleye model:Pixel_2 device:walleye transport_id:7
0123456789ABCDEF       device usb:1-4.2 product:walleye model:Pixel_2 device:walleye transport_id:12
FA7AX1A00123           no permissions (user in plugdev group; are your udev rules wrong?); see [http://x] usb:2-1 transport_id:3
'''


def start(start_phone, count: int) -> list[adbd.Phone]:
  """Starts phones that differ in serial number and android_id, and are as fast as each other."""
  phones = []
  for number in range(count):
    phone = start_phone(connect=True, properties={'ro.serialno': f'SERIAL{number}'})
    phone.android.write('settings/secure/android_id', f'{number:016x}')
    phone.android.write('percent', '100')
    phones.append(phone)
  return phones


def write_models(folder: pathlib.Path, count: int, seconds: float = 0) -> pathlib.Path:
  """Models that take 10, 11, ... milliseconds, times a phone's `percent` or `percent_NAME`, and so many seconds a launch."""
  folder.mkdir()
  for number in range(count):
    name = f'model{number:02d}'
    text = _MODEL.format(name=name, latency_us=10000 + 1000 * number, seconds=seconds)
    (folder / f'{name}.tflite').write_text(text + '#' * number + '\n')
  return folder


def device(phones: Sequence[adbd.Phone]) -> str:
  """What names them."""
  return 'adb:' + ','.join(phone.serial for phone in phones)


def launches(phone: adbd.Phone) -> int:
  """How many launches of models a phone saw."""
  path = phone.android.root / 'launches'
  return sum('--graph=' in line for line in path.read_text().splitlines()) if path.exists() else 0
