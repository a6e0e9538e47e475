"""What each choice is worth, estimated from the networks that a search scored.

The main effect of a choice is its coefficient in a ridge regression (`ridge`) of accuracy on choices: how much a network with
this choice scores above the others of its batch, on average over the networks that the policy came to prefer.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import ridge as ridge_lib

# Recent samples weigh more where there are enough of them: effects at the end of a search are those near the optimum. In
# simulation that loses 0.03 of the gain at 3k samples and noise of 5 %; from 10k samples or at 1 % it loses nothing and wins
# up to 0.03 with interactions and 0.02 with a supernet that still learns.
HALF_LIFE = 1 / 6
_ENOUGH_SAMPLES = 10_000
_LITTLE_NOISE = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Effects:
  """Main effects of choices on accuracy; those of a decision add up to 0. Features are the choices of all decisions in order.

  Attributes:
    choice_counts: Number of choices of each decision.
    coefficients: float64, [features], accuracy that a choice adds.
    covariance: float64, [features, features], of their errors; knows noise, not the systematic error of a supernet.
    counts: int64, [features], networks that hold a choice and share a batch with others.
    ridge: Strength, by marginal likelihood.
    noise_sd: Standard deviation of one network's accuracy around the fit, within its batch.
    half_life: Share of the samples after which an older one weighs half; None for equal weights.
    networks: How many were used.
    mean_accuracy, mean_accuracy_error: Mean of the (weighted) batches, and its standard error.
    mean_features: float64, [features], of the (weighted) batches.
  """

  choice_counts: tuple[int, ...]
  coefficients: np.ndarray
  covariance: np.ndarray
  counts: np.ndarray
  ridge: float
  noise_sd: float
  half_life: float | None
  networks: int
  mean_accuracy: float
  mean_accuracy_error: float
  mean_features: np.ndarray

  def by_decision(self, features: np.ndarray) -> tuple[np.ndarray, ...]:
    """Splits [features] into one array a decision."""
    return tuple(np.split(features, np.cumsum(self.choice_counts)[:-1]))

  @property
  def values(self) -> tuple[np.ndarray, ...]:
    """By decision, the effect of each choice."""
    return self.by_decision(self.coefficients)

  @property
  def standard_errors(self) -> tuple[np.ndarray, ...]:
    """By decision, the standard error of each effect."""
    return self.by_decision(np.sqrt(np.diag(self.covariance)))


def fit(samples: evaluations_lib.Evaluations, recency: bool | None = None) -> Effects:
  """Estimates the main effects of all choices.

  Args:
    samples: Scored networks. Where every batch scored a single network they are centred over windows of 100 batches.
    recency: Whether recent samples weigh more; None decides by their number and noise. Without use for frozen weights.

  Returns:
    The effects.

  Raises:
    ValueError: No two networks share a batch, or all networks are equal.
  """
  moments = ridge_lib.moments(samples) if len(samples) else None
  if moments is None or not moments.freedom or not np.any(moments.gram):
    raise ValueError(f'effects need networks that differ and share a batch; none of the {len(samples)} networks does')
  uniform = ridge_lib.posterior(moments, ridge_lib.strength(moments))
  if recency is None:
    recency = len(samples) >= _ENOUGH_SAMPLES or uniform.noise_variance <= _LITTLE_NOISE**2
  half_life = HALF_LIFE if recency else None
  if recency:
    moments = ridge_lib.moments(samples, half_life)
  result = ridge_lib.posterior(moments, ridge_lib.strength(moments)) if recency else uniform
  weights = moments.batch_weights / moments.batch_weights.sum()
  left = moments.batch_accuracy - moments.batch_features @ result.coefficients
  mean_error = np.sqrt(weights**2 @ (left - weights @ left) ** 2)
  # Samples cannot tell a level that all choices of a decision share: there the covariance is the prior's, and nobody needs it.
  owner = np.repeat(np.arange(len(samples.choice_counts)), samples.choice_counts)
  same = owner[:, None] == owner
  centring = np.eye(len(owner)) - same / same.sum(axis=1)
  return Effects(samples.choice_counts, result.coefficients, centring @ result.covariance @ centring, moments.counts, result.ridge,
                 float(np.sqrt(result.noise_variance)), half_life, len(samples), float(weights @ moments.batch_accuracy),
                 float(mean_error), weights @ moments.batch_features)


def _features(effects: Effects, choices: Sequence[int]) -> np.ndarray:
  return ridge_lib.one_hot(effects.choice_counts, np.asarray(choices)[None])[0]


def _error(effects: Effects, contrast: np.ndarray) -> float:
  return float(np.sqrt(max(contrast @ effects.covariance @ contrast, 0.0)))


def predict(effects: Effects, choices: Sequence[int]) -> tuple[float, float]:
  """Accuracy on a validation batch and its standard error, of a network given by its choices [decisions]."""
  contrast = _features(effects, choices) - effects.mean_features
  return (effects.mean_accuracy + float(contrast @ effects.coefficients),
          float(np.hypot(_error(effects, contrast), effects.mean_accuracy_error)))


def difference(effects: Effects, choices: Sequence[int], others: Sequence[int]) -> tuple[float, float]:
  """Accuracy of one network less that of another, and its standard error; both are choices [decisions]."""
  contrast = _features(effects, choices) - _features(effects, others)
  return float(contrast @ effects.coefficients), _error(effects, contrast)


def draw(effects: Effects, count: int, rng: np.random.Generator) -> np.ndarray:
  """Coefficients as they might be: float64 [count, features] from the normal distribution around the estimates."""
  return rng.multivariate_normal(effects.coefficients, effects.covariance, count, method='eigh')


def drift(samples: evaluations_lib.Evaluations) -> float | None:
  """How far effects moved between the first and the last quarter of the samples, in standard errors.

  Args:
    samples: Scored networks.

  Returns:
    Root mean square over choices of the difference of coefficients over its standard error: about 1 if nothing moved. None if
    a quarter lacks networks that differ and share a batch, or all scores are equal.
  """
  quarter = len(samples) // 4
  if not quarter:
    return None
  whole, first, last = (ridge_lib.moments(part) for part in (samples, samples[:quarter], samples[-quarter:]))
  if not (np.any(first.gram) and np.any(last.gram)):
    return None
  ridge = ridge_lib.strength(whole)
  noise_variance = ridge_lib.posterior(whole, ridge).noise_variance
  a, b = (ridge_lib.posterior(part, ridge) for part in (first, last))
  # Both estimates shrink the same coefficients: of that error only ridge * (H_a - H_b)^2 is not shared.
  unshared = a.inverse - b.inverse
  variance = noise_variance * np.diag(a.inverse @ first.gram @ a.inverse + b.inverse @ last.gram @ b.inverse
                                      + ridge * unshared @ unshared)
  seen = ((first.counts > 0) | (last.counts > 0)) & (variance > 0.0)
  if not seen.any():
    return None
  return float(np.sqrt(np.mean((a.coefficients - b.coefficients)[seen] ** 2 / variance[seen])))


def cost_slope(samples: evaluations_lib.Evaluations) -> tuple[float, float] | None:
  """How accuracy rises with cost within batches: what tells whether a supernet is trained enough to be searched.

  Args:
    samples: Scored networks of a policy that is still nearly uniform.

  Returns:
    Accuracy per unit of cost by least squares, and its standard error; None without three networks in batches that differ in cost.
  """
  starts = ridge_lib.batch_starts(samples.batch)
  sizes = np.diff(np.append(starts, len(samples)))
  freedom = int((sizes - 1).sum()) - 1
  if freedom < 1:
    return None
  cost, accuracy = (values - np.repeat(np.add.reduceat(values, starts) / sizes, sizes)
                    for values in (samples.cost, samples.accuracy.astype(np.float64)))
  spread = float(cost @ cost)
  if not spread:
    return None
  slope = float(cost @ accuracy) / spread
  return slope, float(np.sqrt(np.sum((accuracy - slope * cost) ** 2) / freedom / spread))
