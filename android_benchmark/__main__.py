"""Measures the latency of TFLite models on a phone or on this machine.

  python -m android_benchmark --models=FOLDER --device=adb --benchmark_binary=FILE --output=measurements.json
  python -m android_benchmark --models=FOLDER --device=host --host_runner='COMMAND' --output=measurements.json

Every .tflite file of the folder is measured in several rounds, each time in a new launch of TFLite's benchmark_model. What is measured
is kept in OUTPUT.partial until all is: the same command continues an interrupted session.

Exit codes: 0 all was measured; 2 a mistake, told in one line; 3 the output says which models failed, or how far the device drifted;
4 the device was lost, the same command continues; 130 Ctrl-C, likewise.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import contextlib
import dataclasses
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from typing import Any, BinaryIO

from android_benchmark import benchmark_model
from android_benchmark import conditions as conditions_lib
from android_benchmark import device as device_lib
from android_benchmark import devices
from android_benchmark import errors
from android_benchmark import hashing
from android_benchmark import launchers
from android_benchmark import options
from android_benchmark import power
from android_benchmark import protocol
from android_benchmark import reading
from android_benchmark import session as session_lib
from android_benchmark import store as store_lib
from android_benchmark import summary
from android_benchmark import writing

MISTAKE, INCOMPLETE, LOST, INTERRUPTED = 2, 3, 4, 130


def _models(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  if not folder.is_dir():
    raise ValueError(f'--models: there is no folder {str(folder)!r}')
  models = {path.stem: path for path in sorted(folder.glob('*.tflite'))}
  if not models:
    raise ValueError(f'--models: there is no .tflite file in {str(folder)!r}')
  for name in models:
    if not re.fullmatch(r'[\w+.,=@%-]+', name, re.ASCII) or name.startswith('-'):
      raise ValueError(f'--models: a name must consist of letters, digits and _+.,=@%-, got {name!r}')
  return models


def _references(models: Mapping[str, pathlib.Path], chosen: str | None) -> tuple[str, ...]:
  """The models that may be the reference: the chosen one, or all by how close their sizes are to the median."""
  if chosen is not None:
    if chosen not in models:
      raise ValueError(f'--reference: there is no model {chosen!r} in --models')
    return (chosen,)
  by_size = sorted(models, key=lambda name: (models[name].stat().st_size, name))
  middle = (len(by_size) - 1) // 2
  return tuple(sorted(by_size, key=lambda name: abs(by_size.index(name) - middle)))


def _settings(args: argparse.Namespace) -> benchmark_model.Settings:
  mask = args.core_mask if args.core_mask is not None else 'all' if args.device == 'host' else options.PHONE_CORE_MASK
  given = {} if args.min_secs is None else {'min_secs': args.min_secs}
  return benchmark_model.Settings(args.threads, None if mask == 'all' else mask.lower(), args.kernels, args.num_runs,
                                  warmup_secs=args.warmup_secs, timeout_s=args.timeout_s, **given)


def _check(args: argparse.Namespace) -> None:
  """Checks what argparse and the parts do not."""
  if args.host_runner is not None and args.device != 'host':
    raise ValueError('--host_runner needs --device=host; a phone needs --benchmark_binary')
  if args.benchmark_binary is not None and not args.benchmark_binary.is_file():
    raise ValueError(f'--benchmark_binary: there is no file {str(args.benchmark_binary)!r}')
  if args.power_log is not None and args.unit != 'mJ':
    raise ValueError('--power_log is for --unit=mJ')
  if args.unit == 'mJ' and args.rounds < 2:
    raise ValueError('--unit=mJ needs at least 2 --rounds, which say how large the error is')
  if not args.output.absolute().parent.is_dir():
    raise ValueError(f'--output: there is no folder {str(args.output.parent)!r}')
  for name, minimum in (('rounds', 1), ('block_models', 1), ('max_drift_percent', 0), ('max_repeats', 0), ('max_temperature_c', 0),
                        ('cool_down_s', 0), ('reconnect_s', 0)):
    if not minimum <= getattr(args, name) < float('inf'):
      raise ValueError(f'--{name} must be at least {minimum}, got {getattr(args, name)}')


def _tool(args: argparse.Namespace, model: pathlib.Path) -> dict[str, str | None]:
  """The benchmark tool, as measurements.json names it; a runner says it while it runs a model."""
  if args.benchmark_binary is not None:
    return {'tool': 'benchmark_model', 'version': None, 'sha256': hashing.sha256(args.benchmark_binary)}
  command = [*shlex.split(args.host_runner), f'--graph={model}', '--num_runs=1', '--min_secs=0', '--warmup_min_secs=0']
  try:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=args.timeout_s)
  except (OSError, subprocess.TimeoutExpired) as error:
    raise ValueError(f'--host_runner does not run: {error}') from error
  found = re.search(r'Tool: \[(\S+) on (.+)\]', done.stdout)
  if not found:
    raise ValueError(f'--host_runner does not run: {" ".join((done.stderr or done.stdout).split())[-300:]}')
  return {'tool': found[1], 'version': found[2], 'sha256': None}


def _report(text: str) -> None:
  print(reading.printable(text), file=sys.stderr, flush=True)


def _identity(args: argparse.Namespace, settings: benchmark_model.Settings, tool: Mapping[str, Any], sha256: Mapping[str, str],
              description: device_lib.Description, meter: power.Meter | None) -> dict[str, Any]:
  """What must be equal for measurements to belong together; there may be more rounds, and drift may be judged otherwise."""
  how = {name: value for name, value in dataclasses.asdict(settings).items() if name != 'timeout_s'}
  return {'models': sha256, 'benchmark': tool, 'device': {'model': description.model, 'serial': description.serial},
          'settings': {**how, 'seed': args.seed, 'block_models': args.block_models, 'reference': args.reference,
                       'lock_clocks': args.lock_clocks, **({} if meter is None else {'meter': meter.name})}}


def _launcher(args: argparse.Namespace, models: Mapping[str, pathlib.Path], settings: benchmark_model.Settings,
              device: device_lib.Device, meter: power.Meter | None) -> launchers.Launcher:
  if args.host_runner is not None:
    command = shlex.split(args.host_runner)
    if meter is None:
      return launchers.RunnerLauncher(command, models, settings)
    return launchers.RunnerLauncher(command, models, settings, lambda: power.marked(device.run(meter.command).stdout), meter.period_s)
  return launchers.ScriptLauncher(device, args.benchmark_binary, models, settings, args.device != 'host', meter)


def _measure(args: argparse.Namespace, plan: protocol.Plan, models: Mapping[str, pathlib.Path], settings: benchmark_model.Settings,
             device: device_lib.Device, conditions: conditions_lib.Conditions | None, partial: BinaryIO) -> dict[str, Any]:
  """Runs a session to its end, and writes and returns what it measured; `partial` is the store's file."""
  tool, description = _tool(args, models[plan.references[0]]), device.describe()
  meter = power.find(device, args.power_log) if args.unit == 'mJ' else None
  if meter is not None and args.min_secs is None:
    settings = dataclasses.replace(settings, min_secs=meter.min_secs)
  sha256 = {name: hashing.sha256(path) for name, path in models.items()}
  launcher = _launcher(args, models, settings, device, meter)

  def make_ready() -> None:
    if conditions is not None and not conditions_lib.wait_until_cool(device, args.max_temperature_c, args.cool_down_s, _report):
      raise errors.DeviceError(f'{device.name} is still hotter than {args.max_temperature_c:g} C after {args.cool_down_s:g} s')

  def on_return() -> None:
    if conditions is not None:
      conditions.apply()

  store = store_lib.Store(partial, _identity(args, settings, tool, sha256, description, meter), session_lib.now())
  session_lib.Session(plan, settings, device, launcher, store, make_ready, on_return, args.reconnect_s, _report, meter).run()
  measured = {**summary.summarize(plan, store.records, settings, sha256, store.started, session_lib.now()),
              'device': dataclasses.asdict(description), 'benchmark': tool, **({} if meter is None else {'meter': meter.name})}
  writing.write_json(args.output, measured)
  store.clear()
  try:
    launcher.clean()
  except errors.DeviceError as error:
    _report(f'warning: files were left on the device: {error}')
  return measured


def _open(args: argparse.Namespace, settings: benchmark_model.Settings,
          stack: contextlib.ExitStack) -> tuple[device_lib.Device, conditions_lib.Conditions | None]:
  """The device, and for a phone what keeps it measurable."""
  try:
    device = stack.enter_context(devices.parse_device(args.device))
    if args.device == 'host':
      return device, None
    journal = args.output.with_name(f'{args.output.name}.restore')
    return device, stack.enter_context(conditions_lib.Conditions(device, settings.core_mask, args.lock_clocks, journal, _report))
  except errors.ConnectionLost:
    raise
  except errors.DeviceError as error:  # the user's to mend
    raise ValueError(str(error)) from error


def _run(args: argparse.Namespace) -> int:
  _check(args)
  models, settings = _models(args.models), _settings(args)
  plan = protocol.Plan(tuple(models), _references(models, args.reference), args.rounds, args.seed, args.max_drift_percent, args.max_repeats,
                       args.block_models)
  with contextlib.ExitStack() as stack:
    # First and last: who has it alone changes and restores the phone.
    partial = stack.enter_context(store_lib.locked(args.output.with_name(f'{args.output.name}.partial')))
    device, conditions = _open(args, settings, stack)
    measured = _measure(args, plan, models, settings, device, conditions, partial)
  for text in (*measured['warnings'], *(f'{model} failed: {reason}' for model, reason in measured['failed'].items())):
    _report(f'warning: {text}')
  _report(f'{len(measured["models"])} models measured in {measured["seconds"]:.0f} s: {args.output}')
  complete = not measured['failed'] and measured['reference']['drift_percent'] <= args.max_drift_percent
  return 0 if complete else INCOMPLETE


def _terminated(number: int, frame: Any) -> None:
  """Ends as after Ctrl-C, so that what was changed on the phone is restored; whoever asks again changes nothing."""
  for again in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(again, signal.SIG_IGN)
  raise SystemExit(128 + number)


def main(argv: Sequence[str]) -> int:
  """Parses the command line, measures, and returns the exit code."""
  args = options.parse(argv, __doc__)
  for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, _terminated)
  try:
    return _run(args)
  except (ValueError, OSError, errors.BenchmarkError) as error:
    _report(f'error: {error}')
    return MISTAKE
  except errors.DeviceError as error:
    _report(f'error: {error}; what was measured is kept, the same command continues')
    return LOST
  except KeyboardInterrupt:
    _report('interrupted; what was measured is kept, the same command continues')
    return INTERRUPTED


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
