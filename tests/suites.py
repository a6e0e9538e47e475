"""What the quick suite takes of tests with many values."""

from collections.abc import Iterable
from typing import Any

import pytest


def few(values: Iterable[Any], count: int = 2) -> list[Any]:
  """Values of a parametrised test, a tuple for several names, of which the quick suite has the first; the long one has the others."""
  values = list(values)
  rows = [value if isinstance(value, tuple) else (value,) for value in values[count:]]
  return values[:count] + [pytest.param(*row, marks=pytest.mark.long) for row in rows]
