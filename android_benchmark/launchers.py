"""Launchers of a block of models: a script on the device, or a program of this machine that takes many models."""

from __future__ import annotations

import abc
import codecs
from collections.abc import Callable, Mapping, Sequence
import dataclasses
import itertools
import os
import pathlib
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
import typing
from typing import IO

from android_benchmark import benchmark_model
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import power
from android_benchmark import round_script
from android_benchmark import staging

IDLE = 'idle'  # in the place of a model: nothing runs, for as long as a launch takes
_FOLDER = 'benchmark'  # in the device's
_BINARY = 'benchmark_model'
_END_S = 6  # from the end of a launch's time to that of its process


class Launcher(abc.ABC):
  """Launches models one after the other."""

  @abc.abstractmethod
  def prepare(self) -> None:
    """Brings everything to where it is needed. Called again after a lost connection.

    Raises:
      BenchmarkError: The benchmark tool cannot run.
      DeviceError: The device cannot be used.
    """

  @abc.abstractmethod
  def launch(self, models: Sequence[str]) -> tuple[round_script.Section, ...]:
    """Launches models by name, each on its own; `IDLE` only where there is a meter.

    Returns:
      Output of each launch, in order.

    Raises:
      DeviceError: The device cannot be used.
    """

  @abc.abstractmethod
  def clean(self) -> None:
    """Removes what prepare() brought."""


class ScriptLauncher(Launcher):
  """Launches TFLite's benchmark_model, once for each model, by one script a block.

  Args:
    device: Device to launch on.
    binary: benchmark_model for the device, a local file.
    models: .tflite files by name.
    settings: Settings of the measurement.
    push_binary: True copies the binary to the device; False runs it in place.
    meter: Is read around each launch.
  """

  def __init__(self, device: device_lib.Device, binary: pathlib.Path, models: Mapping[str, pathlib.Path],
               settings: benchmark_model.Settings, push_binary: bool, meter: power.Meter | None = None):
    self._meter = meter
    self._device = device
    self._binary = binary
    self._models = models
    self._settings = settings
    self._push_binary = push_binary

  @property
  def _folder(self) -> str:
    return f'{self._device.folder}/{_FOLDER}'

  @property
  def _program(self) -> str:
    return f'{self._folder}/{_BINARY}' if self._push_binary else str(self._binary.resolve())

  def prepare(self) -> None:
    files = {_file_name(name): path for name, path in self._models.items()}
    if self._push_binary:
      files[_BINARY] = self._binary
    with tempfile.TemporaryDirectory(prefix='android_benchmark_') as temporary:
      script = pathlib.Path(temporary, round_script.NAME)
      script.write_text(round_script.SCRIPT, encoding='utf-8')
      staging.stage(self._device, {**files, round_script.NAME: script}, self._folder)
    self._check_program()

  def _check_program(self) -> None:
    mask = self._settings.core_mask
    if mask and self._device.run(f'taskset {mask} true').exit_code:
      raise errors.BenchmarkError(f'{self._device.name} has not the cores of the mask {mask}')
    help_text = self._device.run(f'timeout 30 {shlex.quote(self._program)} --help')
    if help_text.exit_code not in (0, 1):  # 1 is what most versions return for it
      raise errors.BenchmarkError(f'{self._binary} does not run on {self._device.name} (exit code {help_text.exit_code}): '
                                  f'{help_text.last_words}')

  def launch(self, models: Sequence[str]) -> tuple[round_script.Section, ...]:
    limit_s = self._settings.timeout_s
    log = f'{self._folder}/block.log'
    paths = [f'idle={self._settings.min_secs:g}' if name == IDLE else f'{self._folder}/{_file_name(name)}' for name in models]
    command = round_script.command(f'{self._folder}/{round_script.NAME}', log, limit_s, self._settings.core_mask,
                                   benchmark_model.arguments(self._settings), self._program, paths, self._meter)
    done = self._device.run(command, 60 + (len(models) + 1) * (limit_s + _END_S))
    if done.exit_code:
      reason = 'no space left for the log' if done.exit_code == round_script.NO_SPACE else f'the script ended with {done.exit_code}'
      raise errors.DeviceError(f'{self._device.name}: {reason}: {done.last_words}')
    with tempfile.TemporaryDirectory(prefix='android_benchmark_') as temporary:
      local = pathlib.Path(temporary, 'block.log')
      self._device.pull(log, local)
      sections = round_script.parse_log(local.read_text(encoding='utf-8', errors='replace'))
    if [section.path for section in sections] != paths:
      raise errors.DeviceError(f'{self._device.name}: the log of a block tells of {len(sections)} launches instead of {len(paths)}')
    return sections

  def clean(self) -> None:
    staging.remove(self._device, self._folder)


class RunnerLauncher(Launcher):
  """Launches a program of this machine that measures many models in one process.

  It takes the flags of benchmark_model but, in place of --graph, --graphs=FILE with a path a line, and prints the log of a block.

  Args:
    command: The program and its first arguments.
    models: .tflite files by name.
    settings: Settings of the measurement.
    read_meter: Gives a reading of a meter as it stands in a log; is called around each launch.
    period_s: Seconds between such readings during a launch, of a meter that needs them.
  """

  def __init__(self, command: Sequence[str], models: Mapping[str, pathlib.Path], settings: benchmark_model.Settings,
               read_meter: Callable[[], str] | None = None, period_s: float | None = None):
    self._read_meter, self._period_s = read_meter, period_s
    self._command = tuple(command)
    self._models = models
    self._settings = settings

  def prepare(self) -> None:
    pass

  def launch(self, models: Sequence[str]) -> tuple[round_script.Section, ...]:
    groups = itertools.groupby(models, lambda name: name == IDLE)
    return tuple(section for idle, names in groups for section in (
        [self._idle() for _ in names] if idle else self._launch(tuple(names))))

  def _idle(self) -> round_script.Section:
    assert self._read_meter is not None
    text, end = self._read_meter(), time.monotonic() + self._settings.min_secs
    while (left := end - time.monotonic()) > 0:
      time.sleep(min(left, self._period_s or left))
      text += self._read_meter()
    return round_script.Section(IDLE, 0, '', power.split(text)[0])

  def _launch(self, models: Sequence[str]) -> tuple[round_script.Section, ...]:
    paths = [str(self._models[name].resolve()) for name in models]
    sections: list[round_script.Section] = []
    while len(sections) < len(paths):
      remaining = paths[len(sections):]
      found, last_words = self._run(remaining)
      if not found or [section.path for section in found] != remaining[:len(found)]:
        raise errors.BenchmarkError(f'{" ".join(self._command)} does not run: {last_words}')
      sections += found
    return tuple(sections)

  def _run(self, paths: Sequence[str]) -> tuple[tuple[round_script.Section, ...], str]:
    """One process, up to its end or to the model that ends it; and the last that it said."""
    with tempfile.TemporaryDirectory(prefix='android_benchmark_') as temporary:
      listing = pathlib.Path(temporary, 'models')
      listing.write_text('\n'.join(paths) + '\n', encoding='utf-8')
      mask = self._settings.core_mask
      command = (*(('taskset', mask) if mask else ()), *self._command, f'--graphs={listing}', *benchmark_model.arguments(self._settings))
      exit_code, text = _capture(command, self._settings.timeout_s, self._read_meter, self._period_s)
    sections = [dataclasses.replace(section, exit_code=exit_code or None) if section.exit_code is None else section
                for section in round_script.parse_log(text)] if '=== begin ' in text else []
    return tuple(sections), ' '.join(text.split())[-300:] or f'exit code {exit_code}'

  def clean(self) -> None:
    pass


class _Metered:
  """Puts readings of a meter into a log while it is written: behind each line that begins a launch, before each that ends one."""

  def __init__(self, read_meter: Callable[[], str] | None):
    self._read_meter = read_meter
    self._text, self._rest = '', ''

  def add(self, chunk: str) -> None:
    """More of the log."""
    *lines, self._rest = (self._rest + chunk).split('\n')
    reading = ''  # of the end of a launch and the beginning of the next
    for line in lines:
      if self._read_meter is not None and line.startswith(('=== begin ', '=== end ')):
        reading = reading or self._read_meter()
        line = f'{line}\n{reading[:-1]}' if line.startswith('=== begin ') else f'{reading}{line}'
      self._text += f'{line}\n'

  def read(self) -> None:
    """A reading now."""
    if self._read_meter is not None:
      self._text += self._read_meter()

  def text(self) -> str:
    """All of it."""
    return self._text + self._rest


def _capture(command: Sequence[str], silence_s: float, read_meter: Callable[[], str] | None = None,
             period_s: float | None = None) -> tuple[int, str]:
  """Runs a program until it ends, or is silent for so long; `RunnerLauncher` tells of the meter.

  Returns:
    Its exit code, 128 + n for a signal, 124 after the silence; and stdout and stderr together.
  """
  try:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
  except OSError as error:
    raise errors.BenchmarkError(f'{command[0]} cannot be run: {error.strerror}') from error
  log, decoder = _Metered(read_meter), codecs.getincrementaldecoder('utf-8')(errors='replace')
  heard = time.monotonic()
  try:
    with typing.cast(IO[bytes], process.stdout) as stdout, selectors.DefaultSelector() as selector:
      selector.register(stdout, selectors.EVENT_READ)
      while True:
        left = silence_s - (time.monotonic() - heard)
        if left <= 0:
          return 124, log.text()
        if not selector.select(min(left, period_s or left)):
          log.read()
          continue
        chunk = os.read(stdout.fileno(), 2**16)
        if not chunk:
          break
        heard = time.monotonic()
        log.add(decoder.decode(chunk))
    code = process.wait()
    return code if code >= 0 else 128 - code, log.text()
  finally:  # after a silence, and after Ctrl-C
    if process.poll() is None:
      os.killpg(process.pid, signal.SIGKILL)
      process.wait()


def _file_name(name: str) -> str:
  return f'{name}.tflite'
