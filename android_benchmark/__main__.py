"""Measures the latency of TFLite models on a phone or on this machine.

  python -m android_benchmark --models=FOLDER --device=adb --benchmark_binary=FILE --output=measurements.json
  python -m android_benchmark --models=FOLDER --device=adb:SERIAL,SERIAL --benchmark_binary=FILE --output=measurements.json
  python -m android_benchmark --models=FOLDER --device=host --host_runner='COMMAND' --output=measurements.json

Every .tflite file of the folder is measured in several rounds, each time in a new launch of TFLite's benchmark_model. What is measured
is kept in OUTPUT.partial until all is: the same command continues an interrupted session. Several phones of one model share the work;
the output says of each how far it is off the others.

Exit codes: 0 all was measured; 2 a mistake, told in one line; 3 the output says which models failed, how far the device drifted, or how
far phones are apart; 4 the device was lost, the same command continues; 130 Ctrl-C, likewise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import contextlib
import dataclasses
import functools
import glob
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from typing import Any, BinaryIO

from android_benchmark import benchmark_model
from android_benchmark import conditions as conditions_lib
from android_benchmark import deal as deal_lib
from android_benchmark import device as device_lib
from android_benchmark import devices
from android_benchmark import errors
from android_benchmark import hashing
from android_benchmark import launchers
from android_benchmark import options
from android_benchmark import power
from android_benchmark import processes
from android_benchmark import protocol
from android_benchmark import reading
from android_benchmark import session as session_lib
from android_benchmark import store as store_lib
from android_benchmark import summary
from android_benchmark import writing

MISTAKE, INCOMPLETE, LOST, INTERRUPTED = 2, 3, 4, 130
_POLL_S = 0.2


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


def _shared(models: Mapping[str, pathlib.Path]) -> tuple[str, ...]:
  """Models that phones are compared by: some of all sizes."""
  by_size = sorted(models, key=lambda name: (models[name].stat().st_size, name))
  return tuple({by_size[round(part * (len(by_size) - 1) / 4)]: None for part in range(5)})


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
  if args.unit == 'mJ' and len(devices.parse_devices(args.device)) > 1:
    raise ValueError(f'--unit=mJ is for one phone at a time, got --device={args.device}')
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
  print(f'{reading.printable(text)}\n', end='', file=sys.stderr, flush=True)  # in one piece, for threads


def _identity(args: argparse.Namespace, settings: benchmark_model.Settings, tool: Mapping[str, Any], sha256: Mapping[str, str],
              description: device_lib.Description, meter: power.Meter | None) -> dict[str, Any]:
  """What must be equal for measurements to belong together; there may be more rounds, and drift may be judged otherwise."""
  how = {name: value for name, value in dataclasses.asdict(settings).items() if name != 'timeout_s'}
  return {'models': sha256, 'benchmark': tool, 'device': {'model': description.model},
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


def _journals(args: argparse.Namespace, phones: Sequence[devices.Phone]) -> dict[str, pathlib.Path]:
  """Where it says how to restore each phone, by its key; tells of those of other phones."""
  names = {phone.key: re.sub('[^A-Za-z0-9.-]', '_', phone.key) for phone in phones}
  journals = {key: args.output.with_name(f'{args.output.name}.{name}.restore') for key, name in names.items()}
  older = args.output.with_name(f'{args.output.name}.restore')  # of before several phones could measure into one output
  if len(phones) == 1 and older.exists():
    journals = {phones[0].key: older}
  for path in sorted(args.output.parent.glob(f'{glob.escape(args.output.name)}*.restore')):
    if path not in journals.values():
      _report(f'warning: {path} says how to restore a phone that is not here: run again with that one, too')
  return journals


def _keep(conditions: conditions_lib.Conditions, stack: contextlib.ExitStack) -> None:
  """Enters conditions.

  Raises:
    ValueError: They cannot be, which is the user's to mend.
    ConnectionLost: The phone was lost.
  """
  try:
    stack.enter_context(conditions)
  except errors.ConnectionLost:
    raise
  except errors.DeviceError as error:
    raise ValueError(str(error)) from error


def _measure_on(args: argparse.Namespace, phone: devices.Phone, journal: pathlib.Path, models: Mapping[str, pathlib.Path],
                settings: benchmark_model.Settings, deal: deal_lib.Deal, meter: power.Meter | None) -> None:
  """Measures on one device until all is measured, or the device is of no more use and others are there."""
  device = phone.device
  launcher = _launcher(args, models, settings, device, meter)
  only = len(deal.interrupts) == 1
  conditions = None if args.device == 'host' else conditions_lib.Conditions(
      device, settings.core_mask, args.lock_clocks, journal, _report)

  def report(text: str) -> None:
    _report(text if only or device.name in text else f'{device.name}: {text}')

  def make_ready() -> None:
    if conditions is not None and not conditions_lib.wait_until_cool(device, args.max_temperature_c, args.cool_down_s, report):
      raise errors.DeviceError(f'{device.name} is still hotter than {args.max_temperature_c:g} C after {args.cool_down_s:g} s')

  def on_return() -> None:
    if conditions is not None:
      conditions.apply()

  session = session_lib.Session(deal, phone.key, settings, device, launcher, make_ready, on_return, args.reconnect_s, report, meter)
  with _leaving(deal, phone.key), contextlib.ExitStack() as stack:
    if conditions is not None:
      _keep(conditions, stack)
    stack.enter_context(_leaving(deal, phone.key))  # before the phone is restored: others take over meanwhile
    with contextlib.nullcontext() if only else processes.interruptible(deal.interrupts[phone.key]):
      session.run()
    try:
      launcher.clean()
    except errors.DeviceError as error:
      _report(f'warning: files were left on the device: {error}')


@contextlib.contextmanager
def _leaving(deal: deal_lib.Deal, phone: str) -> Iterator[None]:
  """Ends what is inside, where one of several phones is of no more use or nobody needs it any more."""
  try:
    yield
  except KeyboardInterrupt:
    if not deal.is_done():
      raise
  except (errors.DeviceError, errors.BenchmarkError) as error:
    if not deal.leave(phone, error):
      raise


def _measure(args: argparse.Namespace, plan: protocol.Plan, models: Mapping[str, pathlib.Path], settings: benchmark_model.Settings,
             phones: Sequence[devices.Phone], partial: BinaryIO) -> dict[str, Any]:
  """Measures all, and writes and returns it; `partial` is the store's file."""
  tool, description = _tool(args, models[plan.references[0]]), phones[0].description
  meter = power.find(phones[0].device, args.power_log) if args.unit == 'mJ' else None  # of the only one, see _check
  if meter is not None and args.min_secs is None:
    settings = dataclasses.replace(settings, min_secs=meter.min_secs)
  sha256 = {name: hashing.sha256(path) for name, path in models.items()}
  store = store_lib.Store(partial, _identity(args, settings, tool, sha256, description, meter), session_lib.now(),
                          [phone.key for phone in phones])
  if store.records:
    _report(f'continuing after {len(store.records)} blocks')
  deal = deal_lib.Deal(plan, store, {phone.key: phone.device.name for phone in phones}, _report)
  journals = _journals(args, phones)
  work = [functools.partial(_measure_on, args, phone, journals[phone.key], models, settings, deal, meter) for phone in phones]
  if len(work) == 1:  # Ctrl-C comes where it is needed
    work[0]()
  else:
    _measure_together(deal, work)
  measured = {**summary.summarize(plan, deal.records, settings, sha256, store.started, session_lib.now(), deal.names),
              'device': dataclasses.asdict(description), 'benchmark': tool, **({} if meter is None else {'meter': meter.name})}
  measured['warnings'] += deal.warnings
  writing.write_json(args.output, measured)
  store.clear()
  return measured


def _measure_together(deal: deal_lib.Deal, work: Sequence[Callable[[], None]]) -> None:
  """Measures on several phones, each in a thread. Whatever ends this, each restores its phone first."""
  with futures.ThreadPoolExecutor(len(work)) as pool:
    try:
      running = {pool.submit(each) for each in work}
      while running:  # a signal that another thread receives ends no wait of this one: it sees it after a moment
        done, running = futures.wait(running, _POLL_S, futures.FIRST_COMPLETED)
        for each in done:
          each.result()
    except BaseException:  # Ctrl-C, a termination, or what is not one phone's fault
      _ignore_signals()
      deal.interrupt()
      raise


def _run(args: argparse.Namespace) -> int:
  _check(args)
  models, settings = _models(args.models), _settings(args)
  plan = protocol.Plan(tuple(models), _references(models, args.reference), args.rounds, args.seed, args.max_drift_percent, args.max_repeats,
                       args.block_models)
  with contextlib.ExitStack() as stack:
    # First and last: who has it alone changes and restores the phones.
    partial = stack.enter_context(store_lib.locked(args.output.with_name(f'{args.output.name}.partial')))
    phones = devices.open_all(args.device, stack, _report)
    plan = dataclasses.replace(plan, shared=_shared(models) if len(phones) > 1 else (), fastest_counts=phones[0].device.is_shared)
    measured = _measure(args, plan, models, settings, phones, partial)
  for text in (*measured['warnings'], *(f'{model} failed: {reason}' for model, reason in measured['failed'].items())):
    _report(f'warning: {text}')
  several = measured.get('phones', ())
  for phone in several:
    _report(f'{phone["name"]}: {phone["blocks"]} blocks, scale {phone["scale"]:.3f}, at most {abs(phone["worst_percent"]):.1f} % off the '
            f'others ({phone["worst_model"]})')
  by = f' by {len(several)} phones' if several else ''
  _report(f'{len(measured["models"])} models measured in {measured["seconds"]:.0f} s{by}: {args.output}')
  off = [measured['reference']['drift_percent'], *(abs(phone['worst_percent']) for phone in several)]
  return 0 if not measured['failed'] and max(off) <= args.max_drift_percent else INCOMPLETE


def _ignore_signals() -> None:
  """Whoever asks again for the end of this process changes nothing: phones are being restored."""
  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)


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
