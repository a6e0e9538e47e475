"""Google's benchmark_model, where it is absent, on ai-edge-litert.

  python -m tf_proxyless.deploy.litert_benchmark --graph=model.tflite --num_threads=1 --use_xnnpack=false

In place of --graph, --graphs=FILE names a file with the path of a model in each line. They are measured one after the other in this
process, and what is printed of each stands between the lines '=== begin PATH' and '=== end PATH exit=N'.

The exit code is 0 if all models were measured, otherwise 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import importlib.metadata
import pathlib
import sys

from tf_proxyless.deploy.litert_benchmark import benchmark


class _Parser(argparse.ArgumentParser):
  """Ends with benchmark_model's exit code for a mistake."""

  def error(self, message: str):
    _say('ERROR', message)
    self.exit(1)


def _boolean(text: str) -> bool:
  values = {'true': True, '1': True, 'false': False, '0': False}
  if text.lower() not in values:
    raise argparse.ArgumentTypeError(f'must be true or false, got {text!r}')
  return values[text.lower()]


def _parser() -> argparse.ArgumentParser:
  parser = _Parser(prog='litert_benchmark', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                   allow_abbrev=False)
  models = parser.add_mutually_exclusive_group(required=True)
  models.add_argument('--graph', help='The model, a .tflite file.')
  models.add_argument('--graphs', type=pathlib.Path, help='A file with the path of a model in each line.')
  helps = {
      'num_threads': 'Threads; -1 leaves them to LiteRT.',
      'num_runs': 'At least so many runs.',
      'min_secs': 'At least so many seconds of runs.',
      'max_secs': 'No further run after so many seconds, whatever was asked for.',
      'warmup_runs': 'At least so many runs before those that count.',
      'warmup_min_secs': 'At least so many seconds of runs before those that count.',
      'use_xnnpack': 'true: XNNPACK, and say whether it took the model; false: the builtin kernels; by default XNNPACK.',
  }
  for field in dataclasses.fields(benchmark.Settings):
    kind = _boolean if field.default is None else type(field.default)
    default = '' if field.default is None else f' ({field.default})'
    parser.add_argument(f'--{field.name}', type=kind, default=field.default, help=helps[field.name] + default)
  return parser


def _say(severity: str, line: str) -> None:
  """Prints a line where benchmark_model would, at once: nothing measured is lost should the next model end the process."""
  print(f'{severity}: {line}', file=sys.stderr if severity == 'ERROR' else sys.stdout, flush=True)


def _run(path: str, settings: benchmark.Settings, unknown: Sequence[str]) -> int:
  """Measures one model; returns benchmark_model's exit code."""
  _say('INFO', 'STARTING!')
  if unknown:
    _say('WARN', f'Unconsumed cmdline flags: {" ".join(unknown)}')
  _say('INFO', f'Tool: [litert_benchmark on ai-edge-litert {importlib.metadata.version("ai-edge-litert")}]')
  _say('INFO', f'Num threads: [{settings.num_threads}]')
  _say('INFO', f'Graph: [{path}]')
  try:
    benchmark.run(path, settings, _say)
  except (OSError, RuntimeError, ValueError) as error:
    _say('ERROR', ' '.join(str(error).split()))
    _say('ERROR', 'Benchmarking failed.')
    return 1
  return 0


def main(argv: Sequence[str]) -> int:
  parser = _parser()
  arguments, unknown = parser.parse_known_args(argv)
  settings = benchmark.Settings(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(benchmark.Settings)})
  if arguments.graph is not None:
    return _run(arguments.graph, settings, unknown)
  try:
    paths = arguments.graphs.read_text(encoding='utf-8').split('\n')
  except OSError as error:
    parser.error(str(error))
  codes = []
  for path in filter(None, paths):
    print(f'=== begin {path}', flush=True)
    codes.append(_run(path, settings, unknown))
    print(f'=== end {path} exit={codes[-1]}', flush=True)
  return int(any(codes))


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
