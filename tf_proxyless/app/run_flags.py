"""Flags that belong to a run: they lie beside it in a file, and say whether it may continue. For mains only; loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
import dataclasses
import re

from absl import flags

from tf_proxyless.app import flag_headings
from tf_proxyless.infra import files

_MAX_BYTES = 2**20
_FLAG = re.compile(r'--?[A-Za-z]\w{0,49}(=|$)', re.ASCII)  # what absl makes of long names takes long


def check_below_one(values: flags.FlagValues, *names: str) -> None:
  """Refuses flags of 1 and more, some of which a bound of absl's lets pass; None passes.

  Raises:
    ValueError: In one line, which.
  """
  for name in names:
    if values[name].value is not None and values[name].value >= 1.0:
      raise ValueError(f'--{name} must be below 1, got {values[name].value:g}')


def check_validation_images(images: float, may_be_none: bool = False) -> None:
  """Refuses a value of --validation_images that is neither a count nor a fraction.

  Args:
    images: The value.
    may_be_none: Whether 0 will do.

  Raises:
    ValueError: In one line, why.
  """
  fraction = 0 <= images < 1 if may_be_none else 0 < images < 1
  if not fraction and not (images > 1 and images == int(images)):
    raise ValueError(f'--validation_images must be a count above 1, or a fraction {"below 1" if may_be_none else "between 0 and 1"}, '
                     f'got {images:g}')


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

  def read(self, path: files.PathLike) -> flags.FlagValues:
    """Flag values from a run's flags.txt.

    Raises:
      ValueError: A line is not a flag of such a run, or the file is none.
      OSError: The file cannot be read.
    """
    try:
      return self.from_flagfile(files.read_text(path, _MAX_BYTES).splitlines())
    except ValueError as error:
      raise ValueError(files.one_line(str(error))) from error

  def from_flagfile(self, lines: Iterable[str]) -> flags.FlagValues:
    """Flag values from the lines of a run's flags.txt.

    Raises:
      ValueError: A line is not a flag of such a run.
    """
    values = self._defined()
    given = [line.strip() for line in lines if line.strip()]
    wrong = [line for line in given if not _FLAG.match(line)]
    if wrong:
      raise ValueError(f'flags.txt: not a flag: {files.shorten(wrong[0])}')
    try:
      _, *others = values(['flags.txt', *given])
    except flags.Error as error:
      raise ValueError(f'flags.txt: {error}') from error
    if others:
      raise ValueError(f'flags.txt: not a flag: {others[0]!r}')
    return values
