"""What all designers have in common; `search.ask_tell` knows no more of them than this."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib


@runtime_checkable
class Designer(Protocol):
  """Suggests networks, and learns from their accuracies.

  What it suggests is a pure function of its settings and of the evaluations that it was given: one that is given them again continues
  exactly where another stopped.
  """

  def suggest(self, count: int) -> np.ndarray:
    """Networks to evaluate next.

    Args:
      count: How many.

    Returns:
      int32 [count, decisions], canonical paths (see `space.schema.canonical`).
    """
    ...

  def update(self, evaluations: evaluations_lib.Evaluations) -> None:
    """Learns from networks that were evaluated, usually those that it suggested last."""
    ...
