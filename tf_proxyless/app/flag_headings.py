"""What flags are about: headings under which --help and reports list them."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

from absl import flags

_PREFIX = 'about: '  # absl lists flags by the module that defines them; no module is called so


@contextlib.contextmanager
def under(heading: str, values: flags.FlagValues) -> Iterator[None]:
  """A context in which flags are defined that belong together.

  Args:
    heading: For people, for instance 'Data'.
    values: Where they are defined.
  """
  before = set(values)
  yield
  for name in values:
    if name not in before:
      values.register_flag_by_module(_PREFIX + heading, values[name])


def headings(values: flags.FlagValues) -> dict[str, list[str]]:
  """Names of flags by their heading, both in the order of definition; flags without a heading are left out."""
  return {module.removeprefix(_PREFIX): [flag.name for flag in found]
          for module, found in values.flags_by_module_dict().items() if module.startswith(_PREFIX)}
