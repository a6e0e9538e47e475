"""Launchers of a block of models: a script on the device, or a program of this machine that takes many models."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
import os
import pathlib
import selectors
import shlex
import signal
import subprocess
import tempfile
import typing
from typing import IO

from android_benchmark import benchmark_model
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import round_script
from android_benchmark import staging

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
    """Launches models by name, each on its own.

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
  """

  def __init__(self, device: device_lib.Device, binary: pathlib.Path, models: Mapping[str, pathlib.Path],
               settings: benchmark_model.Settings, push_binary: bool):
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
    paths = [f'{self._folder}/{_file_name(name)}' for name in models]
    command = round_script.command(f'{self._folder}/{round_script.NAME}', log, limit_s, self._settings.core_mask,
                                   benchmark_model.arguments(self._settings), self._program, paths)
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
  """

  def __init__(self, command: Sequence[str], models: Mapping[str, pathlib.Path], settings: benchmark_model.Settings):
    self._command = tuple(command)
    self._models = models
    self._settings = settings

  def prepare(self) -> None:
    pass

  def launch(self, models: Sequence[str]) -> tuple[round_script.Section, ...]:
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
      exit_code, text = _capture(command, self._settings.timeout_s)
    sections = [round_script.Section(section.path, exit_code or None, section.text) if section.exit_code is None else section
                for section in round_script.parse_log(text)] if '=== begin ' in text else []
    return tuple(sections), ' '.join(text.split())[-300:] or f'exit code {exit_code}'

  def clean(self) -> None:
    pass


def _capture(command: Sequence[str], silence_s: float) -> tuple[int, str]:
  """Runs a program until it ends, or is silent for so long.

  Returns:
    Its exit code, 128 + n for a signal, 124 after the silence; and stdout and stderr together.
  """
  try:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
  except OSError as error:
    raise errors.BenchmarkError(f'{command[0]} cannot be run: {error.strerror}') from error
  chunks: list[bytes] = []
  try:
    with typing.cast(IO[bytes], process.stdout) as stdout, selectors.DefaultSelector() as selector:
      selector.register(stdout, selectors.EVENT_READ)
      while True:
        if not selector.select(silence_s):
          return 124, b''.join(chunks).decode(errors='replace')
        chunk = os.read(stdout.fileno(), 2**16)
        if not chunk:
          break
        chunks.append(chunk)
    code = process.wait()
    return code if code >= 0 else 128 - code, b''.join(chunks).decode(errors='replace')
  finally:  # after a silence, and after Ctrl-C
    if process.poll() is None:
      os.killpg(process.pid, signal.SIGKILL)
      process.wait()


def _file_name(name: str) -> str:
  return f'{name}.tflite'
