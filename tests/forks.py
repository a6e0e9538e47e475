"""Processes of commands, forked from one that has imported everything and run nothing, so that a test does not pay for imports.

Forking a process with threads is not safe, and TensorFlow starts some with its first operation; so the server checks that it has one. It
reads a line of JSON for each process, and answers with its number; and for null with those that have ended: {number: exit code, negative
for a signal}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
import gc
import importlib
import json
import os
import pathlib
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
_LIBRARIES = ('tensorflow', 'tf_keras', 'tensorflow_datasets', 'tensorflow_model_optimization', 'sklearn.datasets', 'tqdm',
              'matplotlib.figure')
_COMMANDS = 'tf_proxyless.app.commands'
_ONE_THREAD = {'TF_CPP_MIN_LOG_LEVEL': '3', 'TF_USE_LEGACY_KERAS': '1', 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}


def environment() -> dict[str, str]:
  """That of this process, for processes in any folder."""
  return {**os.environ, 'PYTHONPATH': str(ROOT)}


class Process:
  """What tests need of subprocess.Popen.

  Attributes:
    args: Its command.
    pid: Its number.
    returncode: Exit code, negative for a signal; None while it runs.
  """

  def __init__(self, server: _Server, command: Sequence[str], pid: int, outputs: Sequence[pathlib.Path]):
    self.args, self.pid, self.returncode = command, pid, None
    self._server, self._outputs = server, outputs

  def poll(self) -> int | None:
    """The exit code, None as long as it runs."""
    if self.returncode is None:
      self.returncode = self._server.ended().get(self.pid)
    return self.returncode

  def wait(self, timeout: float | None = None) -> int:
    """The exit code.

    Raises:
      subprocess.TimeoutExpired: The time, seconds, is over.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while self.poll() is None:
      if deadline is not None and time.monotonic() > deadline:
        raise subprocess.TimeoutExpired(self.args, timeout)
      time.sleep(0.001)
    return self.returncode

  def communicate(self, timeout: float | None = None) -> tuple[str, str]:
    """What it has written to stdout and stderr, when it has ended."""
    self.wait(timeout)
    return tuple(path.read_text(encoding='utf-8') for path in self._outputs)

  def send_signal(self, number: signal.Signals) -> None:
    """Sends a signal if it runs."""
    if self.poll() is None:
      os.kill(self.pid, number)

  def kill(self) -> None:
    """Sends SIGKILL if it runs."""
    self.send_signal(signal.SIGKILL)


class _Server:
  """The process that is forked; it ends with this one, and what it has started with it."""

  def __init__(self, kind: str):
    self._process = subprocess.Popen([sys.executable, '-m', 'tests.forks', kind], cwd=ROOT, env={**environment(), **_ONE_THREAD},
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self._ended: dict[int, int] = {}
    self._folder = tempfile.TemporaryDirectory(prefix='forks_')
    if self._process.stdout.readline() != '"ready"\n':
      raise RuntimeError('the server did not start, see above')

  def start(self, **request) -> int:
    """The number of a new process; see `_become` for the request."""
    return self._ask(request)

  def new_outputs(self) -> list[pathlib.Path]:
    """Files for stdout and stderr."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=self._folder.name))
    return [folder / 'stdout', folder / 'stderr']

  def ended(self) -> dict[int, int]:
    """Exit codes by number, of all that have ended."""
    self._ended.update((int(number), code) for number, code in self._ask(None).items())
    return self._ended

  def _ask(self, request):
    print(json.dumps(request), file=self._process.stdin, flush=True)
    return json.loads(self._process.stdout.readline())


_server = functools.cache(_Server)


def start(*command: str | os.PathLike, cwd: os.PathLike | None = None, env: Mapping[str, str] | None = None,
          outputs: Sequence[pathlib.Path] | None = None, kind: str = 'tensorflow') -> Process:
  """Starts `python COMMAND`.

  Args:
    *command: '-m' and a module, '-c' and code, or a file; and arguments.
    cwd: Its folder; by default that of this process.
    env: Its environment; by default `environment()`.
    outputs: Files for stdout and stderr.
    kind: 'tensorflow', or 'light' without TensorFlow.
  """
  command = list(map(os.fspath, command))
  server = _server(kind)
  outputs = outputs or server.new_outputs()
  pid = server.start(command=command, cwd=os.fspath(cwd or os.getcwd()), env=dict(env or environment()), outputs=list(map(str, outputs)))
  return Process(server, command, pid, outputs)


def run(*command: str | os.PathLike, timeout: float = 300, **more) -> subprocess.CompletedProcess:
  """The same, waited for."""
  process = start(*command, **more)
  try:
    stdout, stderr = process.communicate(timeout)
  finally:
    process.kill()
  return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def _prepare(kind: str) -> None:
  if kind == 'light':
    importlib.import_module(f'{_COMMANDS}.search')
  else:
    package = importlib.import_module('tf_proxyless')
    ours = [module.name for module in pkgutil.walk_packages(package.__path__, 'tf_proxyless.') if not module.name.endswith('__main__')]
    for name in (*_LIBRARIES, *ours):
      importlib.import_module(name)
  threads = os.listdir('/proc/self/task')
  if len(threads) != 1:
    raise RuntimeError(f'{len(threads)} threads: this process cannot be forked')
  gc.freeze()


def _serve(answers) -> dict | None:
  """Answers until there is nothing to do any more (None), or until this is a new process, whose request is returned."""
  running: set[int] = set()
  for line in sys.stdin:
    request = json.loads(line)
    if request is not None:
      answer = os.fork()
      if answer == 0:
        return request
      running.add(answer)
    else:
      answer = {}
      for number in list(running):
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
          running.remove(number)
          answer[number] = os.waitstatus_to_exitcode(status)
    print(json.dumps(answer), file=answers, flush=True)
  for number in running:
    os.kill(number, signal.SIGKILL)
  return None


def _become(command: list[str], cwd: str, env: dict[str, str], outputs: list[str]) -> None:
  os.setsid()
  for path, descriptor in zip((os.devnull, *outputs), range(3)):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
  sys.stdin = open(os.devnull, encoding='utf-8')
  os.chdir(cwd)
  os.environ.clear()
  os.environ.update(env)
  program, *arguments = command
  if program in ('-m', '-c'):
    program, sys.path[0] = arguments.pop(0), ''
  sys.argv = [program, *arguments]
  if command[0] == '-m':
    runpy.run_module(program, run_name='__main__', alter_sys=True)
  elif command[0] == '-c':
    sys.argv[0] = '-c'
    exec(compile(program, '<string>', 'exec'), {'__name__': '__main__'})
  else:
    sys.path[0] = os.path.dirname(program)
    runpy.run_path(program, run_name='__main__')


if __name__ == '__main__':
  signal.signal(signal.SIGINT, signal.default_int_handler)
  with os.fdopen(os.dup(1), 'w', encoding='utf-8') as replies:
    os.dup2(2, 1)  # what libraries print is no answer
    _prepare(sys.argv[1])
    print(json.dumps('ready'), file=replies, flush=True)
    asked = _serve(replies)
  if asked is not None:
    _become(**asked)
