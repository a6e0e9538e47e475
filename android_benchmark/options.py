"""The command line: options in groups, and what a mistyped one may have been meant for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import difflib
import pathlib
import re
from typing import NoReturn

from android_benchmark import benchmark_model

PHONE_CORE_MASK = '10'  # a single big core of most phones with eight


class _Parser(argparse.ArgumentParser):
  """Tells a mistake in one line."""

  def error(self, message: str) -> NoReturn:
    self.exit(2, f'error: {message}\n')


def parse(argv: Sequence[str], description: str) -> argparse.Namespace:
  """The options of a command line.

  Args:
    argv: Arguments without the program's name.
    description: Description of the command for --help.

  Raises:
    SystemExit: With 2 after a mistake, which was told in one line; with 0 after --help.
  """
  parser = _parser(description)
  known = set(re.findall(r'--\w+', parser.format_help()))
  for name in (argument.partition('=')[0] for argument in argv if argument.startswith('--')):
    if name not in known:
      near = difflib.get_close_matches(name, sorted(known), n=1)
      parser.error(f'unrecognized arguments: {name}' + (f'; did you mean {near[0]}?' if near else ''))
  return parser.parse_args(argv)


def _parser(description: str) -> argparse.ArgumentParser:
  parser = _Parser('python -m android_benchmark', description=description, allow_abbrev=False,
                   formatter_class=argparse.RawDescriptionHelpFormatter)
  _add_task(parser.add_argument_group('What is measured, and where'))
  _add_interpreter(parser.add_argument_group('Interpreter'))
  _add_amount(parser.add_argument_group('How much is measured'))
  _add_conditions(parser.add_argument_group('Conditions'))
  return parser


def _add_task(group: argparse._ArgumentGroup) -> None:
  add = group.add_argument
  add('--models', type=pathlib.Path, required=True, metavar='FOLDER', help='with .tflite files, which are known by their names')
  add('--device', required=True, help="'adb' for the one phone that is connected, 'adb:SERIAL' "
      "(or 'adb:usb:1-4.2', as `adb devices -l` lists it), 'adb:SERIAL,SERIAL,...' for several phones of one model, or 'host'")
  tool = group.add_mutually_exclusive_group(required=True)
  tool.add_argument('--benchmark_binary', type=pathlib.Path, metavar='FILE', help="TFLite's benchmark_model for the device")
  tool.add_argument('--host_runner', metavar='COMMAND', help='a program that measures many models in one process; on the host only')
  add('--unit', choices=('ms', 'mJ'), default='ms',
      help='what is measured: latency alone, or the energy of a run above that of the idle device too (%(default)s)')
  add('--power_log', type=pathlib.Path, metavar='FILE',
      help='for --unit=mJ, what an external meter writes meanwhile: a time and watts in each line')
  add('--output', type=pathlib.Path, required=True, metavar='FILE', help='measurements, as JSON')


def _add_interpreter(group: argparse._ArgumentGroup) -> None:
  add = group.add_argument
  add('--threads', type=int, default=1, help='threads of the interpreter (%(default)s)')
  add('--core_mask', help=f"cores to run on, hexadecimal as for taskset, or 'all' ({PHONE_CORE_MASK} on phones, all on the host)")
  add('--kernels', choices=benchmark_model.KERNELS, default='builtin', help='kernels of the interpreter (%(default)s)')


def _add_amount(group: argparse._ArgumentGroup) -> None:
  add = group.add_argument
  add('--rounds', type=int, default=5, help='launches of each model (%(default)s)')
  add('--num_runs', '--runs', type=int, default=20, help='a launch measures at least so many runs (%(default)s)')
  add('--min_secs', type=float, help='and at least so many seconds (0.3; for energy 2, by a fuel gauge 10)')
  add('--warmup_secs', type=float, default=0.1, help='seconds of warm-up before them (%(default)s)')
  add('--block_models', type=int, default=20, help='models between two readings of the reference; fewer on a busy machine (%(default)s)')
  add('--reference', metavar='NAME', help='the model that is measured again and again (the one of median size)')
  add('--seed', type=int, default=0, help='seed of the order of measurements (%(default)s)')


def _add_conditions(group: argparse._ArgumentGroup) -> None:
  add = group.add_argument
  add('--max_drift_percent', type=float, default=3.0,
      help='blocks of measurements are repeated when the reference drifts further, percent (%(default)s)')
  add('--max_repeats', type=int, default=6, help='but not more often than so many times (%(default)s)')
  add('--max_temperature_c', type=float, default=40.0, help='a phone that is warmer cools down first, degrees Celsius (%(default)s)')
  add('--cool_down_s', type=float, default=600.0, help='seconds that this may take (%(default)s)')
  add('--lock_clocks', action='store_true', help='fix the clocks of a rooted phone while measuring')
  add('--timeout_s', type=float, default=60.0, help='a launch that takes longer has failed, seconds (%(default)s)')
  add('--reconnect_s', type=float, default=120.0, help='a lost phone is waited for so many seconds (%(default)s)')
