"""Finds a latency table by what a user calls it: a file, the name of a shipped one, or the name of an estimate."""

from __future__ import annotations

from collections.abc import Sequence

from tf_proxyless.cost import pixel2
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import resources
from tf_proxyless.infra import suggest
from tf_proxyless.space import network as network_lib


def find(name: str, space: network_lib.Network | None = None, besides: Sequence[str] = ()) -> table_lib.LatencyTable:
  """The table of that name.

  Args:
    name: A path, a shipped name, or one of `pixel2.NAMES`.
    space: What an estimate shall have entries for; other tables have the entries that they have, and need none.
    besides: Names that the caller knows besides, which may have been meant.

  Raises:
    ValueError: There is no such table, or the file is none.
    OSError: The file cannot be read.
  """
  if name in pixel2.NAMES:
    if space is None:
      raise ValueError(f'{name} has no entries of its own; it is made for a search space')
    return pixel2.named_table(name, space)
  try:
    path = resources.latency_table(name)
  except ValueError as error:
    raise ValueError(f'{error}; estimates are {", ".join(pixel2.NAMES)}{suggest.hint(name, (*pixel2.NAMES, *besides))}') from error
  return table_lib.load(path)
