"""Parses command lines with the flags of the programs that they start, and runs none; stdin and stdout are JSON.

A process of its own, since every program defines its flags in the same place.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pathlib
import re
import sys

from absl import flags as absl_flags

from tf_proxyless.app import commands
from tf_proxyless.app import flags
from tf_proxyless.app import options

_ROOT = pathlib.Path(__file__).parents[2]


def _command(words: list[str]) -> tuple[type[options.Config], list[str]]:
  """The options of the program that words after `python` start, and its arguments."""
  if words[:2] == ['-m', 'tf_proxyless']:
    name, arguments = words[2], words[3:]
  else:
    path, arguments = (f'{words[1].replace(".", "/")}/__main__.py', words[2:]) if words[0] == '-m' else (words[0], words[1:])
    named = re.search(r"commands\.run\('([\w-]+)'", (_ROOT / path).read_text(encoding='utf-8'))
    if named is None:
      return importlib.import_module(path.removesuffix('.py').replace('/', '.')).Config, arguments
    name = named[1]
  if name not in commands.COMMANDS:
    raise ValueError(f'unknown command {name}')
  return importlib.import_module(f'tf_proxyless.app.commands.{name.replace("-", "_")}').Config, arguments


def parse(words: list[str]) -> None:
  """Parses the words after `python`.

  Raises:
    ValueError, SystemExit: The program would refuse them.
  """
  if words[:2] == ['-m', 'android_benchmark']:
    from android_benchmark import options as android_options
    with contextlib.redirect_stderr(io.StringIO()) as message:
      try:
        android_options.parse(words[2:], 'description')
      except SystemExit as error:
        raise ValueError(message.getvalue()) from error
    return
  config_class, arguments = _command(words)
  known = set(absl_flags.FLAGS)
  try:
    config = flags.parse(config_class, [words[0], *arguments])
  finally:
    absl_flags.FLAGS.remove_flag_values([name for name in absl_flags.FLAGS if name not in known])
    absl_flags.FLAGS.unparse_flags()
  if '--' in arguments:
    parse(['-m', 'tf_proxyless', config.job, *config.arguments, '--run_dir=of_a_trial'])


def main() -> None:
  problems = []
  for words in json.load(sys.stdin):
    try:
      parse(words)
      problems.append(None)
    except (ValueError, KeyError, OSError) as error:
      problems.append(f'{type(error).__name__}: {error}')
  json.dump(problems, sys.stdout)


if __name__ == '__main__':
  main()
