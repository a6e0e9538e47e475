"""The commands of tf-proxyless: `tf-proxyless COMMAND --help` says what each does."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
import sys

from tf_proxyless.app import command_line
from tf_proxyless.infra import errors
from tf_proxyless.infra import suggest

COMMANDS = {  # and what each does
    'quickstart': 'From a dataset and this machine to a measured int8 model.',
    'search': 'Searches for an architecture.',
    'derive': 'Derives an architecture from a finished search again.',
    'train': 'Trains a network, or says how good one is.',
    'compare': 'Says whether a search pays: found networks against random ones.',
    'tune': 'Tunes hyper-parameters of a training, a quantization or a search.',
    'quantize': 'Quantization-aware fine-tuning of a trained network.',
    'export': 'Exports a trained network as a .tflite file.',
    'measure': 'Measures latency and accuracy of a .tflite file.',
    'report': 'Writes the report of a search, figures, and an animation.',
    'describe': 'Prints the blocks of an architecture, or the decisions of a space.',
    'build-table': 'Measures a latency table of a search space.',
    'audit-table': 'Compares two latency tables.',
    'calibrate-table': 'Fits a latency table to networks that you measured.',
    'convert-table': 'Converts a latency table from or to the official YAML.',
    'import-torch-weights': 'Makes a Keras model of official PyTorch weights.',
}


def run(name: str, argv: Sequence[str] | None = None) -> None:
  """Runs a command and exits.

  Args:
    name: One of `COMMANDS`.
    argv: Name of the program and the command's arguments; by default those of the process.

  Raises:
    SystemExit: Always, with the exit code.
  """
  command_line.run(importlib.import_module(f'{__name__}.{name.replace("-", "_")}'), argv)


def main() -> None:
  """`tf-proxyless COMMAND FLAGS`.

  Raises:
    SystemExit: Always, with the exit code.
  """
  program, *arguments = sys.argv
  name = arguments[0] if arguments else '--help'
  if name in ('-h', '-?', '--help', '--helpshort', 'help'):
    width = max(map(len, COMMANDS))
    print('\n'.join(['tf-proxyless COMMAND FLAGS; tf-proxyless COMMAND --help lists the flags.', '', 'Commands:',
                     *(f'  {command:<{width}}  {text}' for command, text in COMMANDS.items())]))
    sys.exit(0)
  if name not in COMMANDS:
    shown = errors.one_line(name)
    print(f'error: unknown command {shown!r}{suggest.hint(name, COMMANDS)}; tf-proxyless --help lists all', file=sys.stderr)
    sys.exit(errors.MISTAKE)
  run(name, [f'{program} {name}', *arguments[1:]])
