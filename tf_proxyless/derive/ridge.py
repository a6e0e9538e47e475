"""Bayesian ridge regression of accuracy on one-hot choices, centred within batches.

The model is y = mean of the batch + x' beta + noise with beta ~ N(0, noise variance / ridge); batches may differ in weight.
Its strength is the one that makes the data most likely (MacKay, "Bayesian interpolation", Neural Computation 4, 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib

# Batches of one network are centred over this many of them, `docs/research.md`, "Derivation".
WINDOW = 100

_CHUNK = 8192

# Accuracies are float32: a noise below their rounding is not there to be seen.
_LEAST_NOISE_VARIANCE = 2.0**-48


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
  """All that a fit needs of weighted samples; features are the choices of all decisions, one after the other.

  Attributes:
    gram: float64, [features, features], X' W X of centred features.
    squared_gram: float64, [features, features], X' W^2 X.
    moment: float64, [features], X' W y.
    square: y' W y.
    freedom: Sum of weights, less one network's weight a batch for its mean.
    counts: int64, [features], networks that hold a choice and share their batch with others.
    batch_weights: float64, [batches].
    batch_features: float64, [batches, features], means.
    batch_accuracy: float64, [batches], means.
  """

  gram: np.ndarray
  squared_gram: np.ndarray
  moment: np.ndarray
  square: float
  freedom: float
  counts: np.ndarray
  batch_weights: np.ndarray
  batch_features: np.ndarray
  batch_accuracy: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Posterior:
  """Coefficients and what is known about them.

  Attributes:
    coefficients: float64, [features].
    covariance: float64, [features, features], of the error of the coefficients (sandwich, see `posterior`).
    inverse: float64, [features, features], (gram + ridge I)^-1.
    ridge: Noise variance over the variance of the coefficients.
    noise_variance: Noise variance of one network within its batch.
  """

  coefficients: np.ndarray
  covariance: np.ndarray
  inverse: np.ndarray
  ridge: float
  noise_variance: float


def one_hot(choice_counts: Sequence[int], paths: np.ndarray) -> np.ndarray:
  """Features of networks: int [networks, decisions] to float64 [networks, sum of choice_counts]."""
  starts = np.cumsum([0, *choice_counts[:-1]])
  features = np.zeros((len(paths), sum(choice_counts)))
  features[np.arange(len(paths))[:, None], starts + paths] = 1.0
  return features


def batch_starts(batch: np.ndarray) -> np.ndarray:
  """First row of each group of networks that is centred together: a batch, or `WINDOW` batches if each holds one network."""
  starts = np.flatnonzero(np.diff(batch, prepend=batch[:1] - 1))
  return starts if len(starts) < len(batch) else starts[::WINDOW]


def moments(samples: evaluations_lib.Evaluations, half_life: float | None = None) -> Moments:
  """Accumulates the moments of samples in chunks.

  Args:
    samples: Scored networks.
    half_life: Share of the samples after which an older batch weighs half; None for equal weights.

  Returns:
    The moments; the newest batch weighs 1.
  """
  starts = batch_starts(samples.batch)
  ends = np.append(starts[1:], len(samples))
  age = 1.0 - ends / len(samples)
  weights = np.ones(len(starts)) if half_life is None else 0.5 ** (age / half_life)
  size = sum(samples.choice_counts)
  gram, squared_gram = np.zeros((size, size)), np.zeros((size, size))
  moment, counts, square = np.zeros(size), np.zeros(size), 0.0
  feature_means, accuracy_means = np.zeros((len(starts), size)), np.zeros(len(starts))
  first = 0
  while first < len(starts):
    last = max(first + 1, int(np.searchsorted(ends, starts[first] + _CHUNK, side='right')))
    rows, groups = slice(starts[first], ends[last - 1]), slice(first, last)
    sizes, local = (ends - starts)[groups], starts[groups] - starts[first]
    features = one_hot(samples.choice_counts, samples.paths[rows])
    accuracy = samples.accuracy[rows].astype(np.float64)
    counts += features[np.repeat(sizes > 1, sizes)].sum(axis=0)
    feature_means[groups] = np.add.reduceat(features, local, axis=0) / sizes[:, None]
    accuracy_means[groups] = np.add.reduceat(accuracy, local) / sizes
    features -= np.repeat(feature_means[groups], sizes, axis=0)
    accuracy -= np.repeat(accuracy_means[groups], sizes)
    row_weights = np.repeat(weights[groups], sizes)
    weighted = features * row_weights[:, None]
    gram += weighted.T @ features
    squared_gram += weighted.T @ weighted if half_life is not None else 0.0
    moment += weighted.T @ accuracy
    square += float(row_weights @ accuracy**2)
    first = last
  freedom = float(weights @ (ends - starts - 1))
  return Moments(gram, gram if half_life is None else squared_gram, moment, square, freedom, counts.astype(np.int64),
                 weights, feature_means, accuracy_means)


def strength(m: Moments) -> float:
  """The ridge that maximises the marginal likelihood, with the noise variance at its own maximum.

  -2 log p(y | ridge) = n log(s / n) + log det(I + gram / ridge) + constant, s = y'Wy - b' (gram + ridge I)^-1 b, n = freedom.
  Weights temper the likelihood: a batch of weight 1/2 counts as half a batch.
  """
  eigenvalues, vectors = np.linalg.eigh(m.gram)
  eigenvalues = np.maximum(eigenvalues, 0.0)
  ridges = eigenvalues[-1] * np.geomspace(1e-8, 1e3, 512)
  shifted = eigenvalues + ridges[:, None]
  residual = m.square - (vectors.T @ m.moment) ** 2 @ (1.0 / shifted.T)
  variance = np.maximum(residual / m.freedom, _LEAST_NOISE_VARIANCE)
  return float(ridges[np.argmin(m.freedom * np.log(variance) + np.log(shifted / ridges[:, None]).sum(axis=1))])


def posterior(m: Moments, ridge: float) -> Posterior:
  """Coefficients, noise, and the covariance of the coefficients' error.

  With H = (gram + ridge I)^-1 the error is H (X' W noise - ridge beta), so its covariance under the model is
  noise variance * H (X' W^2 X + ridge I) H. Without weights that is the ridge posterior, noise variance * H; with recency
  weights noise variance * H would be 1.4 times too wide in standard error.
  """
  inverse = np.linalg.inv(m.gram + ridge * np.eye(len(m.gram)))
  inverse = (inverse + inverse.T) / 2
  coefficients = inverse @ m.moment
  residual = m.square - 2 * coefficients @ m.moment + coefficients @ m.gram @ coefficients
  # Expected residual over noise variance: freedom, less what the fit takes of the noise, plus what shrinkage leaves.
  fitted, squared = inverse @ m.gram, inverse @ m.squared_gram
  freedom = m.freedom - 2 * np.trace(squared) + np.sum(fitted * squared.T) + ridge * np.sum(fitted * inverse)
  variance = max(residual / freedom, _LEAST_NOISE_VARIANCE)
  covariance = variance * (squared @ inverse + ridge * inverse @ inverse)
  return Posterior(coefficients, (covariance + covariance.T) / 2, inverse, ridge, variance)
