"""What devices and the benchmark tool print, and what android_benchmark keeps of it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shlex

from android_benchmark import android_state
from android_benchmark import benchmark_model
from android_benchmark import conditions
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import output
from android_benchmark import protocol
from android_benchmark import round_script
from android_benchmark import settings
from android_benchmark import store
from android_benchmark import summary
from android_benchmark import sysfs
from android_benchmark import writing
from tests.android_benchmark import android
from tests.android_benchmark import outputs
from tests.fuzz import harness
from tests.fuzz.harness import put

_IDENTITY = {'settings': {'kernels': 'builtin', 'threads': 1}, 'models': {'a': '12', 'b': '34'}}
_PLAN = protocol.Plan(('a', 'b'), ('a', 'b'), rounds=2)
_SETTINGS = benchmark_model.Settings()


class Printing(device_lib.Device):
  """A rooted device whose every command prints the same, but for the one that asks who it is.

  Attributes:
    text: That.
    commands: What was run.
  """

  name, folder = 'adb:127.0.0.1:5555', '/data/local/tmp/x'

  def __init__(self, text: str):
    self.text = text
    self.commands: list[str] = []

  def open(self) -> None:
    pass

  def close(self) -> None:
    pass

  def push(self, source: pathlib.Path, target: str) -> None:
    pass

  def pull(self, source: str, target: pathlib.Path) -> None:
    target.write_text(self.text)

  def run(self, command: str, timeout_s: float = 60) -> device_lib.CommandResult:
    self.commands.append(command)
    return device_lib.CommandResult(0, '0' if 'id -u' in command else self.text, '')

  def describe(self) -> device_lib.Description:
    return device_lib.Description('Pixel 2', 'FA7AX1A00123', cores=2)

  def health(self) -> device_lib.Health:
    return device_lib.Health()

  def reconnect(self, timeout_s: float) -> bool:
    return True


def _text(content: bytes) -> str:
  return content.decode('utf-8', 'replace')


def _launch(content: bytes, folder: pathlib.Path) -> None:
  for kernels in benchmark_model.KERNELS:
    try:
      found = benchmark_model.read(0, _text(content), dataclasses.replace(_SETTINGS, kernels=kernels))
      json.dumps(summary.statistics_of([(0, found), (1, found)]), allow_nan=False)
    except errors.BenchmarkError:
      benchmark_model.read(143, _text(content), _SETTINGS) if kernels == 'builtin' else None


def _output(content: bytes, folder: pathlib.Path) -> None:
  found = output.parse(_text(content))
  json.dumps(dataclasses.asdict(found), allow_nan=False)
  assert found.latency_ms > 0


def _log(content: bytes, folder: pathlib.Path) -> None:
  for section in round_script.parse_log(_text(content)):
    assert section.exit_code is None or 0 <= section.exit_code < 2**31


def _store(content: bytes, folder: pathlib.Path) -> None:
  path = put(content, folder, 'measurements.json.partial')
  with store.locked(path) as file:
    opened = store.Store(file, _IDENTITY, 'now')
    protocol.next_block(_PLAN, opened.records)
    if protocol.kept(_PLAN, opened.records):
      measured = summary.summarize(_PLAN, opened.records, _SETTINGS, {'a': '12', 'b': '34'}, opened.started, 'now')
      writing.write_json(folder / 'measurements.json', measured)


def _stored() -> bytes:
  launches = {'a': output.Launch(1.5, 1.25, 1.0, 2.0, 0.25, 1.0, 20), 'b': output.Launch(7.0)}
  health = dataclasses.asdict(device_lib.Health(87.0, 29.1, 0, 33.4, (300000, 300000), 0.5))
  records = [protocol.Record(number, 0, 'a', (1.25, 1.3), launches, {}, {'b': 'hang'}, 'then', 1.5, health) for number in range(2)]
  header = {'schema': 'android_benchmark/partial', 'version': 1, 'started': 'then', 'identity': _IDENTITY}
  return b''.join(json.dumps(line).encode() + b'\n' for line in (header, *map(dataclasses.asdict, records)))


def check_command(command: str) -> None:
  """Fails unless a line of shell is one program with arguments that are quoted, if need be, of which a root's shell gets one kind only."""
  words = shlex.split(command)
  assert shlex.join(words) == command, command
  if words[:2] in (['su', '-c'], ['sh', '-c']):
    assert re.fullmatch(r"id -u|(stop|start) [\w.-]+|echo [\w-]+ > [\w/]+|cd [\w/]+ && cat [\w ]+", words[2], re.ASCII), command


def _journal(content: bytes, folder: pathlib.Path) -> None:
  path = put(content, folder, 'm.json.restore')
  phone = Printing('0')
  with conditions.Conditions(phone, None, False, path, lambda text: None):
    pass
  for command in phone.commands:
    check_command(command)


def _journals() -> list[bytes]:
  found = []
  for rooted in (False, True):
    printing = Printing('0')
    known = list(settings.read(printing, None, False, lambda text: None))
    if rooted:
      governor = "sh -c 'echo {} > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'"
      known += [settings.Setting('service perfd', "su -c 'stop perfd'", "su -c 'start perfd'"),
                settings.Setting('scaling_governor of core 0', governor.format('performance'), governor.format('schedutil'))]
    found.append(json.dumps({'serial': 'FA7AX1A00123', 'settings': [vars(setting) for setting in known]}).encode())
  return found


def _device_settings(content: bytes, folder: pathlib.Path) -> None:
  """What a phone says of its settings never becomes a command, and what is kept can be read again."""
  for setting in settings.read(Printing(_text(content)), '3', True, lambda text: None):
    check_command(setting.change)
    check_command(setting.restore)
    assert settings.from_journal(vars(setting)) == setting


def _description(content: bytes, folder: pathlib.Path) -> None:
  found = android_state.parse_description(_text(content))
  assert found.cores is None or 1 <= found.cores <= 4096
  json.dumps(dataclasses.asdict(found), allow_nan=False)


def _health(content: bytes, folder: pathlib.Path) -> None:
  json.dumps(dataclasses.asdict(android_state.parse_health(_text(content))), allow_nan=False)


def _readings(content: bytes, folder: pathlib.Path) -> None:
  json.dumps(dataclasses.asdict(sysfs.parse(_text(content))), allow_nan=False)


_SYSFS = b'clock 300000\nclock 1900800\nclock -\nzone 345 tsens_tz_sensor4\nzone 37000 pm8998_tz\nzone - x\nzone 35 msm_therm\n'
_OUTPUTS = [value.encode() for name, value in vars(outputs).items() if name.isupper() and isinstance(value, str)]
_LOG = b''.join(b'=== begin /data/local/tmp/%d.tflite\n%s\n\n=== end /data/local/tmp/%d.tflite exit=0\n' % (i, text, i)
                for i, text in enumerate(_OUTPUTS[:3]))

PARSERS = (
    harness.Parser('benchmark output', ('android_benchmark.output',), 'text', lambda: _OUTPUTS, _output, (errors.BenchmarkError,)),
    harness.Parser('launch', ('android_benchmark.benchmark_model',), 'text',
                   lambda: [*_OUTPUTS, b'STARTING!\nUnconsumed cmdline flags:  --use_xnnpack=x \nERROR: no\n'], _launch,
                   (errors.BenchmarkError,)),
    harness.Parser('log of a block', ('android_benchmark.round_script', 'android_benchmark.launchers'), 'text', lambda: [_LOG], _log,
                   (errors.BenchmarkError,)),
    harness.Parser('session', ('android_benchmark.store',), 'json lines', lambda: [_stored()], _store, (ValueError, errors.BenchmarkError)),
    harness.Parser('journal', ('android_benchmark.conditions', 'android_benchmark.reading'), 'json', _journals, _journal,
                   (errors.DeviceError,)),
    harness.Parser("phone's settings", ('android_benchmark.settings',), 'text', lambda: [b'schedutil 1900800 300000 1900800', b'running'],
                   _device_settings, (errors.DeviceError,)),
    harness.Parser("phone's description", ('android_benchmark.android_state',), 'text', lambda: [
        ''.join(f'{name}={value}\n' for name, value in android.PROPERTIES.items()).encode() + b'possible=0-7\n'], _description),
    harness.Parser("phone's health", ('android_benchmark.android_state',), 'text', lambda: [
        '=====\n'.join((android.BATTERY, android.THERMAL, _SYSFS.decode())).encode()], _health),
    harness.Parser('clocks and temperatures', ('android_benchmark.sysfs',), 'text', lambda: [_SYSFS], _readings),
)
