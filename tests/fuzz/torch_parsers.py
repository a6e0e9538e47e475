"""Files of PyTorch, in both of its forms, which must run nothing."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import functools
import os
import pathlib
import sys

import numpy as np

from tests.fuzz import harness
from tests.fuzz import json_parsers
from tests.fuzz.harness import put
from tf_proxyless.nn import torch_weights

import_torch_weights = harness.tool('import_torch_weights')

_ACTING = {'os', 'subprocess', 'socket', 'ctypes', 'shutil', 'pty', 'tempfile', 'urllib', 'webbrowser', 'signal'}
_WRITING = {'dataclasses', 'collections'}  # methods of classes, as text
_LOOKING = {'os.listdir', 'os.scandir'}
_events: list[tuple[str, str, tuple]] | None = None  # of Python's audit: the module where it is, its name, its arguments


@functools.cache
def _listen() -> None:
  """Notes events while there is a list for them; there is no way to stop listening."""

  def note(name: str, values: tuple) -> None:
    if _events is not None and name != 'sys._getframe':  # which is asked here
      _events.append((sys._getframe(1).f_globals.get('__name__', ''), name, values))

  sys.addaudithook(note)


def _does_something(where: str, name: str, values: tuple) -> bool:
  """Whether an event is more than that a file or a folder was read."""
  if name == 'open':
    return bool(values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
  if name == 'exec':
    return values[0].co_filename == '<string>' and where not in _WRITING  # what eval was given; a module has a file
  return name.split('.')[0] in _ACTING and name not in _LOOKING


@contextlib.contextmanager
def nothing_run() -> Iterator[None]:
  """Fails if Python audits more than that files are read, among them its own modules."""
  global _events
  _listen()
  _events = noted = []
  try:
    yield
  finally:
    _events = None
    assert not (found := [repr(event)[:300] for event in noted if _does_something(*event)]), found


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """What the tool reads."""
  with nothing_run():
    return import_torch_weights._read(path)


def network():
  return dataclasses.replace(json_parsers.network(), padding=torch_weights.PADDING)


def _weights(content: bytes, folder: pathlib.Path) -> None:
  state = read(put(content, folder, 'weights.pth'))
  assert all(array.dtype == np.float32 for array in state.values())
  assert sum(array.nbytes for array in state.values()) <= 4 * len(content)
  torch_weights.check(network(), state)


@functools.cache
def _seed(zipped: bool) -> bytes:
  from tests.torch import networks

  net = networks.ProxylessNet(network())
  return harness.written(functools.partial(networks.save, zipped=zipped), net, 'weights.pth')


_MODULES = ('tools.import_torch_weights',)
TORCH_PARSERS = (
    harness.Parser('.pth', _MODULES, 'zip', lambda: [_seed(True)], _weights),
    harness.Parser('.pth before PyTorch 1.6', _MODULES, 'pickle', lambda: [_seed(False)], _weights),
)
