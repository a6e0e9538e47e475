"""What all predictors have in common, and how far to believe one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from tf_proxyless.space import schema

_WITHIN = 1.96  # standard deviations, which 95 % of normal errors are within
_FOLDS = 10


@runtime_checkable
class Predictor(Protocol):
  """Says how accurate networks are that were not trained, or how much energy those take that were not measured.

  It is fitted when it is made: by (decisions, paths, values, seed=0, parameters=None). Parameters of one that was fitted to the same
  networks take the place of a fit.

  Attributes:
    LEAST, MOST: Networks that it can be fitted to.
    decisions: Decisions of the space.
    paths: int [networks, decisions], canonical: the networks that it was fitted to.
    values: float64 [networks], what was found of them: accuracies in [0, 1], or measured energies in mJ.
    parameters: What was fitted, as JSON values.
    noise: Standard deviation of a value over trainings, or measurements, of one network.
  """

  LEAST: ClassVar[int]
  MOST: ClassVar[int]
  decisions: tuple[schema.Decision, ...]
  paths: np.ndarray
  values: np.ndarray
  parameters: Mapping[str, Any]

  def __init__(self, decisions: Sequence[schema.Decision], paths: np.ndarray, values: np.ndarray, seed: int = 0,
               parameters: Mapping[str, Any] | None = None):
    ...

  @property
  def noise(self) -> float:
    ...

  def predict(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of networks.

    Args:
      paths: int [networks, decisions], canonical.

    Returns:
      float64 [networks], and the standard deviation of its error, without the noise of a training or measurement.
    """
    ...


@dataclasses.dataclass(frozen=True)
class Scores:
  """How well values are predicted that were not seen.

  Attributes:
    networks: How many.
    spearman, kendall: Rank correlations of predicted and true values.
    error: Root mean square error of a value.
    spread: Standard deviation of the true values: the error of who always says their mean.
    within: Share of true values within 1.96 standard deviations of the prediction; 0.95 is right.
  """

  networks: int
  spearman: float
  kendall: float
  error: float
  spread: float
  within: float

  @classmethod
  def of(cls, predicted: np.ndarray, deviation: np.ndarray, true: np.ndarray) -> Scores:
    """Compares predictions, their standard deviations (noise included) and the truth: float [networks] each."""
    from scipy import stats  # takes a second

    spearman, kendall = (float(np.nan_to_num(rank(predicted, true).statistic)) for rank in (stats.spearmanr, stats.kendalltau))
    return cls(len(true), spearman, kendall, float(np.sqrt(np.mean((predicted - true)**2))), float(np.std(true)),
               float(np.mean(np.abs(predicted - true) <= _WITHIN * deviation)))


@dataclasses.dataclass(frozen=True)
class HeldOut:
  """Networks as they were predicted by a fit to others.

  Attributes:
    predicted, deviation: Predictions and their standard deviations, by network, with the noise of a training.
    values: The truth.
  """

  predicted: tuple[float, ...]
  deviation: tuple[float, ...]
  values: tuple[float, ...]

  def __post_init__(self) -> None:
    if not len(self.predicted) == len(self.deviation) == len(self.values):
      raise ValueError('predicted, deviation and values must be as many')

  @property
  def scores(self) -> Scores:
    """How good the predictions are."""
    return Scores.of(*map(np.array, (self.predicted, self.deviation, self.values)))


def check(kind: type[Predictor], decisions: Sequence[schema.Decision], paths: np.ndarray, values: np.ndarray) -> None:
  """Refuses what a predictor cannot be fitted to.

  Raises:
    ValueError: There are too few different networks or too many, they are of another space, or values are not finite or all equal.
  """
  counts = [len(decision.choices) for decision in decisions]
  if paths.shape != (len(values), len(counts)) or (paths < 0).any() or (paths >= counts).any():
    raise ValueError('the networks are of another space')
  different = len(np.unique(paths, axis=0))
  if not kind.LEAST <= different or not len(paths) <= kind.MOST:
    raise ValueError(f'{kind.__name__} is for {kind.LEAST} to {kind.MOST:,} networks, got {len(paths):,}, of which {different:,} differ')
  if not np.isfinite(values).all():
    raise ValueError('values must be finite')
  if np.ptp(values) == 0:
    raise ValueError(f'all {len(values)} networks have the value {values[0]:g}: there is nothing to predict')


def cross_validate(predictor: Predictor, seed: int = 0, folds: int = _FOLDS) -> HeldOut:
  """How well a predictor's kind does on networks that it was not fitted to: each by a fit to the other parts of the networks.

  Everything is fitted again. The lengths of a Gaussian process that have seen a network would make its error several times too small.

  Args:
    predictor: Of enough networks; not changed.
    seed: Seed of the partition and of the fits.
    folds: Parts; as many as there are networks leaves one out at a time.

  Raises:
    ValueError: Without a part there are too few networks.
  """
  count = len(predictor.values)
  mean, deviation = np.empty((2, count))
  for rows in np.array_split(np.random.default_rng(seed).permutation(count), min(folds, count)):
    others = np.setdiff1d(np.arange(count), rows)
    fitted = type(predictor)(predictor.decisions, predictor.paths[others], predictor.values[others], seed)
    mean[rows], known = fitted.predict(predictor.paths[rows])
    deviation[rows] = np.sqrt(known**2 + fitted.noise**2)
  return HeldOut(tuple(mean.tolist()), tuple(deviation.tolist()), tuple(predictor.values.tolist()))
