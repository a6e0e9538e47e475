"""A Gaussian process, as ChamNet predicts accuracies (Dai et al., CVPR 2019, arXiv 1812.08934)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import linalg
from scipy import optimize

from tf_proxyless.search.predictors import base
from tf_proxyless.search.predictors import features
from tf_proxyless.space import schema

# Priors, normal in the logarithm: (mean, standard deviation). Without them as many lengths as decisions fit a few dozen networks whatever
# these say. Lengths have that of Hvarfner et al. ("Vanilla Bayesian optimization performs great in high dimensions", ICML 2024,
# arXiv 2402.02229), whose mean grows with the decisions; the others are shares of the variance of the values.
_LENGTH = (2**0.5, 3**0.5)
_SHARES = {'linear': (0.0, 1.5), 'smooth': (-1.0, 1.5), 'noise': (-3.0, 1.5)}
_BOUND = 9.0  # of the logarithms


class GaussianProcess:
  """Effects of single features, a Matern 5/2 kernel with a length a decision, and noise: most likely by the data and a prior."""

  LEAST, MOST = 4, 2000  # networks; time grows with the third power, and 2,000 take minutes

  def __init__(self, decisions: Sequence[schema.Decision], paths: np.ndarray, values: np.ndarray, seed: int = 0,
               parameters: Mapping[str, Any] | None = None):
    """Fits it; see `base.Predictor`. There is nothing random about it."""
    self.decisions, self.paths, self.values = tuple(decisions), np.asarray(paths), np.asarray(values, np.float64)
    base.check(type(self), self.decisions, self.paths, self.values)
    self._inputs = features.features(self.decisions, self.paths)
    self._centres = [inputs.mean(axis=0) for inputs in self._inputs]
    self._size = max(sum(np.sum((each - centre)**2) for each, centre in zip(self._inputs, self._centres)) / len(self.paths), 1e-9)
    self._mean, self._scale = self.values.mean(), self.values.std()
    self._targets = (self.values - self._mean) / self._scale
    self.parameters = dict(parameters or self._fit())
    lengths = self.parameters['lengths']
    if len(lengths) != len(self._inputs):
      raise ValueError(f'a Gaussian process of this space has {len(self._inputs)} lengths, got {len(lengths)}')
    self._logs = np.log([*lengths, *(self.parameters[name] for name in _SHARES)])
    products, distances = self._compare(self._inputs)
    covariance = _Covariance(products, distances, self._logs).total
    self._factor = linalg.cho_factor(covariance + self.parameters['noise'] * np.eye(len(self._targets)), lower=True)
    self._weights = linalg.cho_solve(self._factor, self._targets)

  @property
  def noise(self) -> float:
    return float(self._scale * self.parameters['noise']**0.5)

  def _compare(self, others: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Products of all features, and squares of distances by decision, of networks with those that it was fitted to."""
    pairs = [(a - centre, b - centre) for a, b, centre in zip(others, self._inputs, self._centres)]
    products = np.array([a @ b.T for a, b in pairs])
    squares = [np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) for a, b in pairs]
    return products.sum(axis=0) / self._size, np.maximum(np.array(squares) - 2 * products, 0.0)

  def _fit(self) -> dict[str, Any]:
    products, distances = self._compare(self._inputs)
    count, identity = len(distances), np.eye(len(self._targets))
    shares = np.array(list(_SHARES.values()))
    means = np.array([*[_LENGTH[0] + 0.5 * np.log(max(count, 1))] * count, *shares[:, 0]])
    deviations = np.array([*[_LENGTH[1]] * count, *shares[:, 1]])
    flat = distances.reshape(count, -1)

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
      """Minus the logarithm of likelihood and prior, and its gradient."""
      covariance, noise = _Covariance(products, distances, logs), np.exp(logs[-1])
      factor = linalg.cho_factor(covariance.total + noise * identity, lower=True)
      weights, inverse = linalg.cho_solve(factor, self._targets), linalg.cho_solve(factor, identity)
      error = inverse - np.outer(weights, weights)
      gradient = 0.5 * np.array([*flat @ (error * covariance.slope).ravel() * np.exp(-2 * logs[:count]), np.sum(error * covariance.linear),
                                 np.sum(error * covariance.smooth), noise * np.trace(error)])
      value = 0.5 * self._targets @ weights + np.sum(np.log(np.diag(factor[0]))) + 0.5 * np.sum(((logs - means) / deviations)**2)
      return value, gradient + (logs - means) / deviations**2

    found = optimize.minimize(loss, means, jac=True, method='L-BFGS-B', bounds=[(-_BOUND, _BOUND)] * len(means),
                              options={'maxiter': 200}).x
    return {'lengths': np.exp(found[:count]).tolist(), **dict(zip(_SHARES, np.exp(found[count:]).tolist()))}

  def predict(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inputs = features.features(self.decisions, np.asarray(paths))
    across = _Covariance(*self._compare(inputs), self._logs).total
    own = sum(np.sum((each - centre)**2, axis=1) for each, centre in zip(inputs, self._centres)) / self._size
    known = np.sum(across * linalg.cho_solve(self._factor, across.T).T, axis=1)
    variance = own * self.parameters['linear'] + self.parameters['smooth'] - known
    return self._mean + self._scale * (across @ self._weights), self._scale * np.sqrt(np.maximum(variance, 0.0))


class _Covariance:
  """The parts of a covariance.

  Attributes:
    linear, smooth: Of effects of single features, and of the Matern kernel.
    slope: Derivatives of `smooth` by the logarithms of the lengths, but for the factor distance / length ** 2.
  """

  def __init__(self, products: np.ndarray, distances: np.ndarray, logs: np.ndarray):
    count = len(distances)
    linear, smooth = np.exp(logs[count:count + 2])
    root = np.sqrt(5.0 * np.tensordot(np.exp(-2 * logs[:count]), distances, 1))
    decay = smooth * np.exp(-root)
    self.linear, self.smooth = linear * products, (1.0 + root + root**2 / 3.0) * decay
    self.slope = 5.0 / 3.0 * (1.0 + root) * decay

  @property
  def total(self) -> np.ndarray:
    return self.linear + self.smooth
