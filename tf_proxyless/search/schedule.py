"""When a search does what: epochs, phases, learning rates, architecture updates. Pure functions of (epoch, step)."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math

import numpy as np

WARMUP = 'warmup'
JOINT = 'joint'

DEAREST_PART = 0.5  # of the warm-up, see `Schedule.dearest`


@dataclasses.dataclass(frozen=True)
class Schedule:
  """Warm-up of the weights alone, then weights and architecture in turn (official search, reference section 2.4).

  Attributes:
    steps_per_epoch: Weight steps an epoch.
    warmup_epochs: Epochs in which only weights learn.
    search_epochs: Epochs of the joint phase.
    warmup_learning_rate: Decays by a cosine to 0 over the warm-up (official 0.05).
    search_learning_rate: Likewise over the joint phase (official 0.025).
    weight_steps_per_update: Weight steps between architecture updates (official 5 for gradients, about 16 for REINFORCE).
    frozen_epochs: First epochs of the joint phase without architecture updates (official 1).
  """

  steps_per_epoch: int
  warmup_epochs: int
  search_epochs: int
  warmup_learning_rate: float = 0.05
  search_learning_rate: float = 0.025
  weight_steps_per_update: int = 5
  frozen_epochs: int = 1

  def __post_init__(self) -> None:
    for name, least in (('steps_per_epoch', 1), ('warmup_epochs', 0), ('search_epochs', 1), ('weight_steps_per_update', 1),
                        ('frozen_epochs', 0)):
      if getattr(self, name) < least:
        raise ValueError(f'{name} must be at least {least}, got {getattr(self, name)}')
    if self.updates == 0:
      raise ValueError(f'the architecture would never be updated: {self.search_epochs} search epochs of {self.steps_per_epoch} '
                       f'steps, of which {self.frozen_epochs} without updates, hold no {self.weight_steps_per_update} steps')

  @property
  def epochs(self) -> int:
    """Epochs of both phases."""
    return self.warmup_epochs + self.search_epochs

  @property
  def updates(self) -> int:
    """Architecture updates of the whole search."""
    return max(self.search_epochs - self.frozen_epochs, 0) * (self.steps_per_epoch // self.weight_steps_per_update)

  def phase(self, epoch: int) -> str:
    """'warmup' or 'joint'."""
    return WARMUP if epoch < self.warmup_epochs else JOINT

  def learning_rate(self, epoch: int, step: int) -> float:
    """Of the weight step `step` of epoch `epoch`: a cosine to 0 over its phase."""
    if self.phase(epoch) == WARMUP:
      start, first, epochs = self.warmup_learning_rate, 0, self.warmup_epochs
    else:
      start, first, epochs = self.search_learning_rate, self.warmup_epochs, self.search_epochs
    done = ((epoch - first) * self.steps_per_epoch + step) / (epochs * self.steps_per_epoch)
    return 0.5 * start * (1.0 + math.cos(math.pi * done))

  def dearest(self, epoch: int, step: int) -> float:
    """Probability with which each decision takes its dearest choice in a step of the warm-up: from 1 to 0 over its first half.

    A supernet that begins with one network, and admits the others to what that has learned, learns much faster (docs/research.md).
    """
    done = (epoch * self.steps_per_epoch + step) / (self.warmup_epochs * self.steps_per_epoch)
    return max(0.0, 1.0 - done / DEAREST_PART)

  def updates_after(self, epoch: int, step: int) -> bool:
    """Whether an architecture update follows the weight step `step` (from 0) of epoch `epoch`."""
    return epoch >= self.warmup_epochs + self.frozen_epochs and (step + 1) % self.weight_steps_per_update == 0


def interpolate(points: Sequence[tuple[int, float]], updates: int) -> float:
  """A value by the number of architecture updates, between known points and only between them, in logarithms.

  Args:
    points: (updates, value), rising in the first.
    updates: Updates of the whole search.
  """
  x, y = zip(*points)
  return float(np.exp(np.interp(math.log(max(updates, 1)), np.log(x), np.log(y))))
