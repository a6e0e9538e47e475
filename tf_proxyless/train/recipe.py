"""Training recipes: schedule, optimizer and regularisation as data."""

from __future__ import annotations

import dataclasses
import math

OPTIMIZERS = ('sgd', 'rmsprop')
SCHEDULES = ('cosine', 'exponential')


@dataclasses.dataclass(frozen=True)
class Recipe:
  """Schedule, optimizer and regularisation of a training.

  Attributes:
    epochs: Number of epochs.
    steps_per_epoch: Batches per epoch.
    learning_rate: Learning rate at the end of the warm-up.
    momentum: Nesterov momentum for SGD, plain momentum for RMSProp.
    weight_decay: Decay of kernels, not of biases and batch normalisation; see `decoupled`.
    label_smoothing: Share of each label that is spread over all classes.
    decoupled: True decays by w -= learning rate * weight_decay * w in each step, apart from the momentum; False adds weight_decay * w
      to the gradient, where an equal effect takes a decay smaller by 1 - momentum.
    warmup_epochs: Epochs, perhaps a fraction, in which the learning rate rises in a line from 0 (Goyal et al., arXiv 1706.02677, 2.2).
    optimizer: One of OPTIMIZERS.
    schedule: One of SCHEDULES: a cosine from the end of the warm-up to 0 at the end, or steps of `decay_rate`.
    decay_rate: Factor of the exponential schedule every `decay_epochs`.
    decay_epochs: Epochs between two steps of the exponential schedule.
    rho: Decay of RMSProp's average of squared gradients.
    epsilon: Constant added to RMSProp's mean square.
    average_momentum: Momentum of the moving average of all weights, which is the result of the training; None for no average.
  """

  epochs: int
  steps_per_epoch: int
  learning_rate: float = 0.1
  momentum: float = 0.9
  weight_decay: float = 1e-3
  label_smoothing: float = 0.1
  decoupled: bool = True
  warmup_epochs: float = 0.0
  optimizer: str = 'sgd'
  schedule: str = 'cosine'
  decay_rate: float = 0.97
  decay_epochs: float = 2.4
  rho: float = 0.9
  epsilon: float = 1e-3
  average_momentum: float | None = None

  def __post_init__(self):
    for name in ('epochs', 'steps_per_epoch'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name} must be at least 1, got {getattr(self, name)}')
    for name in ('learning_rate', 'decay_epochs', 'epsilon'):
      if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
        raise ValueError(f'{name} must be a positive number, got {getattr(self, name)}')
    for name in ('momentum', 'weight_decay', 'label_smoothing', 'rho', 'average_momentum'):
      value = getattr(self, name)
      if value is not None and not 0 <= value < 1:
        raise ValueError(f'{name} must be at least 0 and below 1, got {value}')
    if not 0 < self.decay_rate <= 1:
      raise ValueError(f'decay_rate must be above 0 and at most 1, got {self.decay_rate}')
    if not 0 <= self.warmup_epochs <= self.epochs:
      raise ValueError(f'warmup_epochs must be from 0 to {self.epochs}, the number of epochs, got {self.warmup_epochs}')
    for name, known in (('optimizer', OPTIMIZERS), ('schedule', SCHEDULES)):
      if getattr(self, name) not in known:
        raise ValueError(f'{name} must be one of {known}, got {getattr(self, name)!r}')

  @property
  def steps(self) -> int:
    """Total number of steps."""
    return self.epochs * self.steps_per_epoch

  def learning_rate_at(self, step: int) -> float:
    """The learning rate of a step, counted from 0 over all epochs."""
    warmup = self.warmup_epochs * self.steps_per_epoch
    if step < warmup:
      return self.learning_rate * (step + 1) / (warmup + 1)  # never 0, and on the line to what follows
    if self.schedule == 'cosine':
      return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (self.steps - warmup)))
    return self.learning_rate * self.decay_rate ** math.floor(step / self.steps_per_epoch / self.decay_epochs)
