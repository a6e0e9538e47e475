"""Models and commands for tests of whole measurements."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

BINARY = pathlib.Path(__file__).parent / 'programs' / 'benchmark_model'
ROOT = pathlib.Path(__file__).parents[2]


def write_models(folder: pathlib.Path, **models: str) -> pathlib.Path:
  """Writes 'models' that programs/benchmark_model understands, by name; all of different sizes."""
  folder.mkdir(exist_ok=True)
  for index, (name, text) in enumerate(models.items()):
    (folder / f'{name}.tflite').write_text('\n'.join([*text.split(), '#' * (index + 1)]) + '\n')
  return folder


def command(models: pathlib.Path, output: pathlib.Path, *flags: str, device: str = 'host') -> list[str]:
  """The command line of a measurement."""
  return [sys.executable, '-m', 'android_benchmark', f'--models={models}', f'--device={device}', f'--output={output}', *flags]


def start(models: pathlib.Path, output: pathlib.Path, *flags: str, device: str = 'host') -> subprocess.Popen:
  """Starts a measurement with programs/benchmark_model."""
  environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
  return subprocess.Popen(command(models, output, f'--benchmark_binary={BINARY}', *flags, device=device), env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def run(*args, **kwargs) -> tuple[int, str]:
  """Measures to the end; returns exit code and messages."""
  process = start(*args, **kwargs)
  messages = process.communicate(timeout=120)[1]
  return process.returncode, messages


def load(output: pathlib.Path) -> dict:
  return json.loads(output.read_text())


def blocks(output: pathlib.Path) -> list[dict]:
  """The blocks measured so far."""
  lines = pathlib.Path(f'{output}.partial').read_text().splitlines()
  return [json.loads(line) for line in lines[1:]]
