"""Starts mains by forking a process that has imported everything and run nothing, so that a kill does not cost an import.

Forking a process with threads is not safe, and TensorFlow starts some with its first operation; so the server checks that it has one.
It reads a line of JSON for each main, [stdout, stderr, program, argument, ...], and answers with its number; and for [] with the mains
that have ended: {number: exit code, negative for a signal}.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys

_MODULES = ('tensorflow', 'tf_keras', 'tensorflow_datasets', 'sklearn.datasets', 'tqdm', 'matplotlib.figure',
            'tf_proxyless.app.build_search',
            'tf_proxyless.app.build_training', 'tf_proxyless.app.build_quantization', 'tf_proxyless.derive.result',
            'tf_proxyless.deploy.op_models', 'tf_proxyless.deploy.export')


def _prepare() -> None:
  for name in _MODULES:
    importlib.import_module(name)
  threads = os.listdir('/proc/self/task')
  if len(threads) != 1:
    raise RuntimeError(f'{len(threads)} threads: this process cannot be forked')
  gc.freeze()


def _serve(answers) -> list[str] | None:
  """Answers until there is nothing to do any more (None), or until this is the process of a main, whose command is returned."""
  ended = {}
  for line in sys.stdin:
    request = json.loads(line)
    if request:
      number = os.fork()
      if number == 0:
        return request
      answer = number
    else:
      while True:
        try:
          number, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
          break
        if number == 0:
          break
        ended[number] = os.waitstatus_to_exitcode(status)
      answer = ended
    print(json.dumps(answer), file=answers, flush=True)
  return None


def _become(stdout: str, stderr: str, program: str, *arguments: str) -> None:
  os.setsid()
  for path, descriptor in ((os.devnull, 0), (stdout, 1), (stderr, 2)):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
  sys.stdin = open(os.devnull, encoding='utf-8')
  sys.argv = [program, *arguments]
  if program.endswith('.py'):
    runpy.run_path(program, run_name='__main__')
  else:
    runpy.run_module(program, run_name='__main__', alter_sys=True)


if __name__ == '__main__':
  signal.signal(signal.SIGINT, signal.default_int_handler)
  with os.fdopen(os.dup(1), 'w', encoding='utf-8') as replies:
    os.dup2(2, 1)  # what libraries print is no answer
    _prepare()
    print(json.dumps('ready'), file=replies, flush=True)
    command = _serve(replies)
  if command is not None:
    _become(*command)
