"""Flags that belong to a run: they lie beside it in a file, and say whether it may continue. For mains only; loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
import dataclasses

from absl import flags

from tf_proxyless import flag_headings


@dataclasses.dataclass(frozen=True)
class RunFlags:
  """The flags of one kind of run.

  Attributes:
    headings: For each heading, in the order of --help, what defines its flags.
    may_change: Names of those that may change without making it another run.
  """

  headings: Mapping[str, Callable[[flags.FlagValues], None]]
  may_change: Collection[str]

  def define(self, values: flags.FlagValues) -> None:
    """Defines all of them on `values`."""
    for heading, define in self.headings.items():
      with flag_headings.under(heading, values):
        define(values)

  def _defined(self) -> flags.FlagValues:
    values = flags.FlagValues()
    self.define(values)
    return values

  def by_heading(self) -> dict[str, list[str]]:
    """Names by heading, in the order of definition."""
    return flag_headings.headings(self._defined())

  def names(self, values: flags.FlagValues) -> list[str]:
    """Names of those that `values` has, sorted."""
    return sorted(name for name in self._defined() if name in values)

  def identity(self, values: flags.FlagValues) -> dict[str, object]:
    """What makes a run this run: flags by name, without those that may change when it continues."""
    return {name: values[name].value for name in self.names(values) if name not in self.may_change}

  def to_flagfile(self, values: flags.FlagValues) -> str:
    """The flags as the text of a flagfile that repeats the run."""
    return ''.join(values[name].serialize() + '\n' for name in self.names(values) if values[name].value is not None)

  def from_flagfile(self, lines: Iterable[str]) -> flags.FlagValues:
    """Flag values from the lines of a run's flags.txt.

    Raises:
      ValueError: A line is not a flag of such a run.
    """
    values = self._defined()
    try:
      _, *others = values(['flags.txt', *(line.strip() for line in lines if line.strip())])
    except flags.Error as error:
      raise ValueError(f'flags.txt: {error}') from error
    if others:
      raise ValueError(f'flags.txt: not a flag: {others[0]!r}')
    return values
