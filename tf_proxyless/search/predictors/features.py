"""Networks as numbers, for predictors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_proxyless.space import schema


def features(decisions: Sequence[schema.Decision], paths: np.ndarray) -> list[np.ndarray]:
  """What predictors see of networks.

  A decision between numbers (filters, an expansion, a resolution) is its logarithm, from 0 for the least to 1 for the greatest; one
  between operations is one-hot, of two a single 0 or 1. A decision without alternatives is left out.

  Args:
    decisions: Decisions of the space.
    paths: int [networks, decisions], canonical.

  Returns:
    By decision, float64 [networks, features], in [0, 1].
  """
  return [_values(decision)[paths[:, i]] for i, decision in enumerate(decisions) if len(decision.choices) > 1]


def _values(decision: schema.Decision) -> np.ndarray:
  """float64 [choices, features]."""
  choices = decision.choices
  if all(isinstance(choice, (int, float)) and choice > 0 for choice in choices):
    logs = np.log(np.array(choices, np.float64))
    return ((logs - logs.min()) / (logs.max() - logs.min()))[:, None]
  return np.eye(len(choices))[:, :1] if len(choices) == 2 else np.eye(len(choices)) * 0.5**0.5  # any two of them are 1 apart
