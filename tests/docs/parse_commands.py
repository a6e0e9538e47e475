"""Parses command lines with the flags of the mains that they start, and runs none: stdin and stdout are JSON.

A process of its own, since every main defines its flags in the same place, and examples add names to them.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import io
import json
import sys
from types import ModuleType

from absl import flags

from tests.tools import loading
from tf_proxyless.app import command_line
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import quantize_flags
from tf_proxyless.app import train_flags

_MODULES = {'tf_proxyless.search': 'tf_proxyless/search/__main__.py', 'tf_proxyless.train': 'tf_proxyless/train/__main__.py'}
_POSITIONAL = {'tools/audit_latency_table.py': ('FIRST_TABLE', 'SECOND_TABLE')}
_JOBS = {'train': ['-m', 'tf_proxyless.train'], 'quantize': ['tools/quantize.py']}
_CHECKS: dict[str, Callable[[flags.FlagValues], None]] = {  # of flags against each other
    'tf_proxyless/search/__main__.py': problem_lib.check_flags,
    'tf_proxyless/train/__main__.py': train_flags.check,
    'tools/quantize.py': quantize_flags.check,
}


def flags_of(path: str) -> contextlib.AbstractContextManager[ModuleType]:
  """Loads a main under a name of its own; afterwards its flags are gone again."""
  return loading.loaded_file(path, path.replace('/', '_').removesuffix('.py'))


def parse(words: list[str]) -> None:
  """Parses what stands after the interpreter.

  Raises:
    ValueError, SystemExit: The main would refuse it.
  """
  if words[:2] == ['-m', 'android_benchmark']:
    from android_benchmark import options
    with contextlib.redirect_stderr(io.StringIO()) as message:
      try:
        options.parse(words[2:], 'description')
      except SystemExit as error:
        raise ValueError(message.getvalue()) from error
    return
  path, arguments = (_MODULES[words[1]], words[2:]) if words[0] == '-m' else (words[0], words[1:])
  if path.startswith('docs/examples/'):
    with flags_of(path):
      pass  # now its name is known to the search
    path = _MODULES['tf_proxyless.search']
  for_job = []
  if '--' in arguments:
    at = arguments.index('--')
    arguments, for_job = arguments[:at], arguments[at + 1:]
  with flags_of(path):
    command_line.parse_flags([path, *arguments], _POSITIONAL.get(path, ()))
    if path in _CHECKS:
      _CHECKS[path](flags.FLAGS)
    job = flags.FLAGS.job if for_job else None
  if for_job:
    parse([*_JOBS[job], *for_job, '--run_dir=of_a_trial'])


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
