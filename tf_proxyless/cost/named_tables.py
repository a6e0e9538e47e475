"""Finds a latency table by what a user calls it: a file, the name of a shipped one, or the name of an estimate."""

from __future__ import annotations

from collections.abc import Sequence

from tf_proxyless import shipped
from tf_proxyless import spelling
from tf_proxyless.cost import latency_table
from tf_proxyless.cost import pixel2
from tf_proxyless.space import network as network_lib


def find(name: str, space: network_lib.Network | None = None, besides: Sequence[str] = ()) -> latency_table.LatencyTable:
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
    path = shipped.latency_table(name)
  except ValueError as error:
    raise ValueError(f'{error}; estimates are {", ".join(pixel2.NAMES)}{spelling.hint(name, (*pixel2.NAMES, *besides))}') from error
  return latency_table.load(path)
