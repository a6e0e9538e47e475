"""A few multilayer perceptrons, as once-for-all predicts accuracies (Cai et al., ICLR 2020, arXiv 1908.09791)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
import warnings

import numpy as np

from tf_proxyless.search.predictors import base
from tf_proxyless.search.predictors import features
from tf_proxyless.space import schema

_MEMBERS = 5
_HIDDEN = (64, 64)
_DECAY = 1.0  # of the weights


class MLPs:
  """The mean of perceptrons from different start values; where they disagree, little is known."""

  LEAST, MOST = 20, 1_000_000  # networks

  def __init__(self, decisions: Sequence[schema.Decision], paths: np.ndarray, values: np.ndarray, seed: int = 0,
               parameters: Mapping[str, Any] | None = None):
    """Fits them; see `base.Predictor`."""
    self.decisions, self.paths, self.values = tuple(decisions), np.asarray(paths), np.asarray(values, np.float64)
    base.check(type(self), self.decisions, self.paths, self.values)
    self._mean, self._scale = self.values.mean(), self.values.std()
    inputs = self._inputs(self.paths)
    self.parameters = dict(parameters or {'members': _fit(inputs, (self.values - self._mean) / self._scale, seed)})
    found = np.shape(self.parameters['members'][0][0][0])[0]
    if found != inputs.shape[1]:
      raise ValueError(f'perceptrons of this space have {inputs.shape[1]} inputs, got {found}')
    self.noise = float(np.sqrt(np.mean((self._outputs(inputs).mean(axis=0) - self.values)**2)))

  def _inputs(self, paths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((len(paths), 0)), *features.features(self.decisions, np.asarray(paths))], axis=1)

  def _outputs(self, inputs: np.ndarray) -> np.ndarray:
    """Values by each member, [members, networks]."""
    found = []
    for *hidden, (last, offset) in self.parameters['members']:
      layer = inputs
      for matrix, biases in hidden:
        layer = np.maximum(layer @ np.array(matrix) + biases, 0.0)
      found.append(self._mean + self._scale * (layer @ np.array(last) + offset)[:, 0])
    return np.array(found)

  def predict(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outputs = self._outputs(self._inputs(paths))
    return outputs.mean(axis=0), outputs.std(axis=0, ddof=1)


def _fit(inputs: np.ndarray, targets: np.ndarray, seed: int) -> list[list[list[Any]]]:
  """By member, of each layer the matrix (rows of inputs) and the biases."""
  from sklearn import exceptions
  from sklearn import neural_network
  import threadpoolctl

  members = []
  with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():  # small matrices, which threads make slower
    warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
    for member in range(_MEMBERS):
      fitted = neural_network.MLPRegressor(hidden_layer_sizes=_HIDDEN, solver='lbfgs', alpha=_DECAY, max_iter=300,
                                           random_state=seed * _MEMBERS + member).fit(inputs, targets)
      members.append([[matrix.tolist(), biases.tolist()] for matrix, biases in zip(fitted.coefs_, fitted.intercepts_)])
  return members
