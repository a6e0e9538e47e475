"""What phones and the benchmark tool print, and what android_benchmark keeps of it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex

from android_benchmark import android_state
from android_benchmark import benchmark_model
from android_benchmark import conditions
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import output
from android_benchmark import power
from android_benchmark import power_log
from android_benchmark import protocol
from android_benchmark import round_script
from android_benchmark import settings
from android_benchmark import store
from android_benchmark import summary
from android_benchmark import sysfs
from android_benchmark import writing
from tests.android_benchmark import android
from tests.android_benchmark import outputs
from tests.fuzz.harness import parser
from tests.fuzz.harness import put
from tests.fuzz.harness import to_json

_IDENTITY = {'settings': {'kernels': 'builtin', 'threads': 1}, 'models': {'a': '12', 'b': '34'}}
_PLAN = protocol.Plan(('a', 'b'), ('a', 'b'), rounds=2)
_SETTINGS = benchmark_model.Settings()
_BENCHMARK = (errors.BenchmarkError,)
_DEVICE = (errors.DeviceError,)
_OUTPUTS = [value.encode() for name, value in vars(outputs).items() if name.isupper() and isinstance(value, str)]
_SYSFS = b'clock 300000\nclock 1900800\nclock -\nzone 345 tsens_tz_sensor4\nzone 37000 pm8998_tz\nzone - x\nzone 35 msm_therm\n'


class Phone(device_lib.Device):
  """A rooted phone that answers every command with the same text."""

  name, folder = 'adb:127.0.0.1:5555', '/data/local/tmp/x'

  def __init__(self, text: str):
    self.text = text
    self.commands: list[str] = []

  def run(self, command: str, timeout_s: float = 60) -> device_lib.CommandResult:
    self.commands.append(command)
    return device_lib.CommandResult(0, '0' if 'id -u' in command else self.text, '')

  def describe(self) -> device_lib.Description:
    return device_lib.Description('Pixel 2', 'FA7AX1A00123', cores=2)

  def health(self) -> device_lib.Health:
    return device_lib.Health()

  def _nothing(self, *_: object) -> None:
    pass

  open = close = push = pull = reconnect = _nothing


def check_command(command: str) -> None:
  """Fails unless a shell line is one program with quoted arguments, and a root shell gets one of the known lines."""
  words = shlex.split(command)
  assert shlex.join(words) == command, command
  if words[:2] in (['su', '-c'], ['sh', '-c']):
    assert re.fullmatch(r"id -u|(stop|start) [\w.-]+|echo [\w-]+ > [\w/]+|cd [\w/]+ && cat [\w ]+", words[2], re.ASCII), command


def _text(content: bytes) -> str:
  return content.decode('utf-8', 'replace')


@parser('benchmark output', 'text', lambda: _OUTPUTS, errors=_BENCHMARK)
def _output(content: bytes, folder: pathlib.Path) -> None:
  found = output.parse(_text(content))
  to_json(dataclasses.asdict(found))
  assert found.latency_ms > 0


@parser('launch', 'text', lambda: [*_OUTPUTS, b'STARTING!\nUnconsumed cmdline flags:  --use_xnnpack=x \nERROR: no\n'], errors=_BENCHMARK)
def _launch(content: bytes, folder: pathlib.Path) -> None:
  for kernels in benchmark_model.KERNELS:
    try:
      found = benchmark_model.read(0, _text(content), dataclasses.replace(_SETTINGS, kernels=kernels))
      to_json(summary.statistics_of([(0, found), (1, found)]))
    except errors.BenchmarkError:
      if kernels == 'builtin':  # the seeds are of this one, or of a launch that was ended
        benchmark_model.read(143, _text(content), _SETTINGS)


def _log_of_three() -> bytes:
  return b''.join(b'=== begin /data/local/tmp/%d.tflite\n%s\n\n=== end /data/local/tmp/%d.tflite exit=0\n' % (i, text, i)
                  for i, text in enumerate(_OUTPUTS[:3]))


@parser('log of a block', 'text', lambda: [_log_of_three()], errors=_BENCHMARK)
def _log(content: bytes, folder: pathlib.Path) -> None:
  assert all(section.exit_code is None or 0 <= section.exit_code < 2**31 for section in round_script.parse_log(_text(content)))


_RAILS = f'/sys/bus/iio/devices/iio:device0/energy_value\n{android.RAILS}'
_RAPL = '1000.25 3.5\n/sys/class/powercap/intel-rapl:0 package-0 262143000000 262143328850\n'


def _readings() -> list[bytes]:
  pairs = ((_RAILS, _RAILS.replace('349894', '351894').replace('30203502', '33203502')),
           (_RAPL, _RAPL.replace('1000.25', '1002.25').replace('262143000000', '7671150')),
           [f'-40{i}000 4000000 Discharging\n' for i in range(6)])
  return [''.join(map(power.marked, texts)).encode() for texts in pairs]


@parser('readings of a meter', 'text', _readings, errors=(errors.BenchmarkError, ValueError))
def _meter(content: bytes, folder: pathlib.Path) -> None:
  readings, _ = power.split(_text(content))
  meter = power.find(Phone(readings[0] if readings else ''))
  assert 0 < meter.power_w(readings) < float('inf')


@parser('log of a meter', 'text', lambda: [b'time,W\n1800000000.1,2.5\n1800000000.2,2.75\n1800000000.3,1\n',
                                           b'2027-01-15T08:00:00.5+00:00;2,5\n2027-01-15T08:00:01.5+00:00;2,5\n'])
def _power_log(content: bytes, folder: pathlib.Path) -> None:
  power_log.PowerLog(put(content, folder, 'meter.csv'))


def _stored() -> bytes:
  launches = {'a': output.Launch(1.5, 1.25, 1.0, 2.0, 0.25, 1.0, 20), 'b': output.Launch(7.0)}
  health = dataclasses.asdict(device_lib.Health(87.0, 29.1, 0, 33.4, (300000, 300000), 0.5))
  launches['b'] = dataclasses.replace(launches['b'], energy_mj=3.5)
  records = [protocol.Record(number, 0, 'a', (1.25, 1.3), launches, {}, {'b': 'hang'}, 'then', 1.5, health) for number in range(2)]
  header = {'schema': 'android_benchmark/partial', 'version': 1, 'started': 'then', 'identity': _IDENTITY}
  return b''.join(to_json(line) + b'\n' for line in (header, *map(dataclasses.asdict, records)))


@parser('session', 'json lines', lambda: [_stored()], errors=(ValueError, errors.BenchmarkError))
def _store(content: bytes, folder: pathlib.Path) -> None:
  with store.locked(put(content, folder, 'measurements.json.partial')) as file:
    opened = store.Store(file, _IDENTITY, 'now')
    protocol.next_block(_PLAN, opened.records)
    if protocol.kept(_PLAN, opened.records):
      measured = summary.summarize(_PLAN, opened.records, _SETTINGS, {'a': '12', 'b': '34'}, opened.started, 'now')
      writing.write_json(folder / 'measurements.json', measured)


def _journals() -> list[bytes]:
  known = list(settings.read(Phone('0'), None, False, lambda text: None))
  governor = "sh -c 'echo {} > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'"
  rooted = [settings.Setting('service perfd', "su -c 'stop perfd'", "su -c 'start perfd'"),
            settings.Setting('scaling_governor of core 0', governor.format('performance'), governor.format('schedutil'))]
  return [to_json({'serial': 'FA7AX1A00123', 'settings': [vars(setting) for setting in found]}) for found in (known, known + rooted)]


@parser('journal', 'json', _journals, errors=_DEVICE)
def _journal(content: bytes, folder: pathlib.Path) -> None:
  phone = Phone('0')
  with conditions.Conditions(phone, None, False, put(content, folder, 'm.json.restore'), lambda text: None):
    pass
  for command in phone.commands:
    check_command(command)


@parser("phone's settings", 'text', lambda: [b'schedutil 1900800 300000 1900800', b'running'], errors=_DEVICE)
def _device_settings(content: bytes, folder: pathlib.Path) -> None:
  for setting in settings.read(Phone(_text(content)), '3', True, lambda text: None):
    check_command(setting.change)  # what a phone prints never becomes a command
    check_command(setting.restore)
    assert settings.from_journal(vars(setting)) == setting


@parser("phone's description", 'text', lambda: [
    ''.join(f'{name}={value}\n' for name, value in android.PROPERTIES.items()).encode() + b'possible=0-7\n'])
def _description(content: bytes, folder: pathlib.Path) -> None:
  found = android_state.parse_description(_text(content))
  assert found.cores is None or 1 <= found.cores <= 4096
  to_json(dataclasses.asdict(found))


@parser("phone's health", 'text', lambda: ['=====\n'.join((android.BATTERY, android.THERMAL, _SYSFS.decode())).encode()])
def _health(content: bytes, folder: pathlib.Path) -> None:
  to_json(dataclasses.asdict(android_state.parse_health(_text(content))))


@parser('clocks and temperatures', 'text', lambda: [_SYSFS])
def _readings(content: bytes, folder: pathlib.Path) -> None:
  to_json(dataclasses.asdict(sysfs.parse(_text(content))))
