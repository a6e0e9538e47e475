"""Parses command lines with the flags of the programs that they start, and runs none; stdin and stdout are JSON.

A process of its own, since every program defines its flags in the same place.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from absl import flags

from tests.tools import loading
from tf_proxyless.app import command_line

_POSITIONAL = {'tools/audit_latency_table.py': ('FIRST_TABLE', 'SECOND_TABLE')}
_JOBS = {'train': ['-m', 'tf_proxyless.train'], 'quantize': ['tools/quantize.py']}


def parse(words: list[str]) -> None:
  """Parses the words after `python`.

  Raises:
    ValueError, SystemExit: The program would refuse them.
  """
  if words[:2] == ['-m', 'android_benchmark']:
    from android_benchmark import options
    with contextlib.redirect_stderr(io.StringIO()) as message:
      try:
        options.parse(words[2:], 'description')
      except SystemExit as error:
        raise ValueError(message.getvalue()) from error
    return
  path, arguments = (f'{words[1].replace(".", "/")}/__main__.py', words[2:]) if words[0] == '-m' else (words[0], words[1:])
  at = arguments.index('--') if '--' in arguments else len(arguments)
  with contextlib.ExitStack() as stack:
    if path.startswith('docs/examples/'):  # adds names to a search
      stack.enter_context(loading.loaded_file(path, path.replace('/', '_').removesuffix('.py')))
      path = 'tf_proxyless/search/__main__.py'
    stack.enter_context(loading.loaded_file(path, path.replace('/', '_').removesuffix('.py')))
    command_line.parse_flags([path, *arguments[:at]], _POSITIONAL.get(path, ()))
    job = flags.FLAGS.job if at < len(arguments) else None
  if job:
    parse([*_JOBS[job], *arguments[at + 1:], '--run_dir=of_a_trial'])


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
