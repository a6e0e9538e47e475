"""Tools as modules, one at a time: several have flags of the same names, and absl keeps the flags of a process in one place."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import importlib.util
import pathlib
import sys
from types import ModuleType

from absl import flags

ROOT = pathlib.Path(__file__).parents[2]


def loaded(name: str) -> contextlib.AbstractContextManager[ModuleType]:
  """The tool of that name; afterwards its flags are gone again."""
  return loaded_file(f'tools/{name}.py', name)


@contextlib.contextmanager
def loaded_file(path: str, name: str) -> Iterator[ModuleType]:
  """The same for any main: its path from the root, and the name that it gets, which is not '__main__'."""
  spec = importlib.util.spec_from_file_location(name, ROOT / path)
  module = importlib.util.module_from_spec(spec)
  sys.modules[spec.name] = module
  known = set(flags.FLAGS)
  try:
    spec.loader.exec_module(module)
    yield module
  finally:
    flags.FLAGS.remove_flag_values([name for name in flags.FLAGS if name not in known])
    flags.FLAGS.unparse_flags()
    del sys.modules[spec.name]
