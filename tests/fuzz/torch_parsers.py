"""PyTorch's weight files in both formats; reading them must run nothing."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import functools
import os
import pathlib
import sys

import numpy as np
import pytest

from tests.fuzz import file_parsers
from tests.fuzz.harness import parser
from tests.fuzz.harness import put
from tests.fuzz.harness import saved
from tf_proxyless.app.commands import import_torch_weights
from tf_proxyless.nn import torch_weights

_ACTING = {'os', 'subprocess', 'socket', 'ctypes', 'shutil', 'pty', 'tempfile', 'urllib', 'webbrowser', 'signal'}
_GENERATING = {'dataclasses', 'collections'}  # compile methods of classes
_READING = {'os.listdir', 'os.scandir'}
_events: list[tuple[str, str, tuple]] | None = None  # audit events: module, name, arguments


@functools.cache
def _listen() -> None:
  """Collects audit events while there is a list for them; an audit hook cannot be removed."""

  def note(name: str, values: tuple) -> None:
    if _events is not None and name != 'sys._getframe':  # caused by the next line
      _events.append((sys._getframe(1).f_globals.get('__name__', ''), name, values))

  sys.addaudithook(note)


def _acts(module: str, name: str, values: tuple) -> bool:
  """Whether an event is more than reading a file or folder."""
  if name == 'open':
    return bool(values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
  if name == 'exec':
    return values[0].co_filename == '<string>' and module not in _GENERATING
  return name.split('.')[0] in _ACTING and name not in _READING


@contextlib.contextmanager
def nothing_run() -> Iterator[None]:
  """Fails if Python audits more than the reading of files, its own modules included."""
  global _events
  _listen()
  _events = noted = []
  try:
    yield
  finally:
    _events = None
    assert not (found := [repr(event)[:300] for event in noted if _acts(*event)]), found


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The state dict of a weight file."""
  with nothing_run():
    return import_torch_weights._read(path)


def _network():
  return dataclasses.replace(file_parsers.network(), padding=torch_weights.PADDING)


@functools.cache
def _seed(zipped: bool) -> bytes:
  from tests.torch import networks

  return saved(functools.partial(networks.save, zipped=zipped), networks.ProxylessNet(_network()), 'weights.pth')


@parser('.pth', 'zip', lambda: [_seed(True)], marks=(pytest.mark.torch,), quick=100)
@parser('.pth before PyTorch 1.6', 'pickle', lambda: [_seed(False)], marks=(pytest.mark.torch,), quick=100)
def _weights(content: bytes, folder: pathlib.Path) -> None:
  state = read(put(content, folder, 'weights.pth'))
  assert all(array.dtype == np.float32 for array in state.values())
  assert sum(array.nbytes for array in state.values()) <= 4 * len(content)
  torch_weights.check(_network(), state)
