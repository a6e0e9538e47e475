"""The examples of docs/extend.md as modules."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import types

FOLDER = pathlib.Path(__file__).parents[2] / 'docs' / 'examples'


def load(name: str) -> types.ModuleType:
  """An example; the same module each time."""
  full_name = f'example_{name}'
  if full_name not in sys.modules:
    spec = importlib.util.spec_from_file_location(full_name, FOLDER / f'{name}.py')
    sys.modules[full_name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[full_name])
  return sys.modules[full_name]
