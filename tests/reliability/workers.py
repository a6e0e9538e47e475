"""Commands as several workers on this machine, which talk over gRPC."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys

from tests.search import runs

ROOT = pathlib.Path(__file__).parents[2]


def start(module: str, *flags: str, count: int = 2, more: tuple[tuple[str, ...], ...] = ((), ())) -> list[subprocess.Popen]:
  """`python -m MODULE` with flags as worker 0, 1 and so on, each with `more` of its own."""
  sockets = [socket.create_server(('localhost', 0)) for _ in range(count)]
  cluster = {'worker': [f'localhost:{each.getsockname()[1]}' for each in sockets]}
  for each in sockets:
    each.close()
  found = []
  for index in range(count):
    config = json.dumps({'cluster': cluster, 'task': {'type': 'worker', 'index': index}})
    environment = {**runs.environment(), 'CUDA_VISIBLE_DEVICES': '', 'TF_CONFIG': config}
    command = [sys.executable, '-m', module, *map(os.fspath, flags), *more[index]]
    found.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
  return found


def finish(workers: list[subprocess.Popen], limit_s: float = 600) -> list[tuple[int, str, str]]:
  """Exit code, stdout and stderr of each."""
  outputs = [worker.communicate(timeout=limit_s) for worker in workers]
  return [(worker.returncode, *output) for worker, output in zip(workers, outputs)]
