"""From sums of a table's entries to milliseconds, or millijoules, of whole networks, and how well that predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_proxyless.cost import table as table_lib

MIN_NETWORKS = 3

# Sums that differ by a smaller part tell nothing about the scale: measurements are not repeatable to better than a few percent.
_MIN_SPREAD = 0.05
_SMALLER = {'ms': ('microseconds', 'milliseconds'), 'mJ': ('microjoules', 'millijoules')}
_USUAL = (0.2, 5.0)  # scales of tables of the same or a similar device


def fit(sums_ms: Sequence[float], measured_ms: Sequence[float], names: Sequence[str], unit: str = 'ms') -> table_lib.Calibration:
  """Fits ms = offset_ms + scale * sum to whole networks, by least squares of the relative errors.

  Errors of measured latencies grow with the latency, so each network's is divided by its own.

  Args:
    sums_ms: Sum of the entries of each network, not calibrated.
    measured_ms: Latency of each network.
    names: Names of the networks, for messages.
    unit: Unit of all numbers, 'ms' or 'mJ', for messages.

  Returns:
    The calibration.

  Raises:
    ValueError: There are fewer than three networks, a number is not finite or a measurement not positive, the networks are too much
      alike, larger sums go with smaller latencies, or one side is in microseconds.
  """
  sums, measured = _pairs(sums_ms, measured_ms, names, unit)
  if np.ptp(sums) < _MIN_SPREAD * np.abs(sums).max():
    raise ValueError(f'the sums of {", ".join(names)} all lie between {sums.min():g} and {sums.max():g} {unit}, which tells nothing about '
                     'the scale; measure networks of different size')
  scale, offset_ms = _line(sums, measured)
  if scale <= 0:
    less = 'faster' if unit == 'ms' else 'cheaper'
    raise ValueError(f'of the networks {", ".join(names)}, those with larger sums were measured {less} (scale {scale:g}): is this the '
                     'table of that runtime?')
  for thousand, side in ((1e3, 'measurements'), (1e-3, "table's entries")):
    if is_usual(scale / thousand):
      raise ValueError(f'the measurements are {scale:.4g} times the sums of {", ".join(names)}: are the {side} in {_SMALLER[unit][0]}? '
                       f'Both must be {_SMALLER[unit][1]}')
  return table_lib.Calibration(scale, offset_ms, len(sums))


def doubt(line: table_lib.Calibration, unit: str = 'ms') -> str | None:
  """What is to be said of a scale far from 1; None of others."""
  if is_usual(line.scale):
    return None
  return f'the scale {line.scale:.4g} is far from 1: are all numbers in {_SMALLER[unit][1]}, and is this the table of that device?'


def is_usual(scale: float) -> bool:
  """Whether latencies of one device may be so many times those of a similar one."""
  return _USUAL[0] <= scale <= _USUAL[1]


def leave_one_out(sums_ms: Sequence[float], measured_ms: Sequence[float], names: Sequence[str]) -> tuple[float, ...]:
  """What the fit on all other networks predicts for each, in ms; arguments and errors as for `fit`.

  With three networks, each prediction is from the line through two: an honest figure, but a rough one.
  """
  fit(sums_ms, measured_ms, names)
  sums, measured = _pairs(sums_ms, measured_ms, names)
  predictions = []
  for i in range(len(sums)):
    others = np.arange(len(sums)) != i
    scale, offset_ms = _line(sums[others], measured[others])
    predictions.append(offset_ms + scale * float(sums[i]))
  return tuple(predictions)


def validate(predicted_ms: Sequence[float], measured_ms: Sequence[float], names: Sequence[str],
             unit: str = 'ms') -> table_lib.Validation:
  """Compares predictions with measurements of networks that were used for nothing else.

  Args:
    predicted_ms: Calibrated prediction for each network.
    measured_ms: Latency of each network.
    names: Names of the networks, for messages.
    unit: Unit of all numbers, for messages.

  Returns:
    RMSE in that unit, mean absolute percentage error, shares within 5 and 10 percent of the measurement, rank correlation.

  Raises:
    ValueError: There are fewer than three networks, a number is not finite or a measurement not positive, or all predictions or all
      measurements are equal.
  """
  predicted, measured = _pairs(predicted_ms, measured_ms, names, unit)
  errors = np.abs(predicted - measured)
  return table_lib.Validation(
      rmse_ms=float(np.sqrt(np.mean(errors**2))), mape_percent=float(100 * np.mean(errors / measured)),
      within_5_percent=float(100 * np.mean(errors <= 0.05 * measured)),
      within_10_percent=float(100 * np.mean(errors <= 0.1 * measured)), spearman=spearman(predicted, measured), networks=len(measured))


def spearman(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
  """Spearman's rank correlation; equal values share the mean of their ranks.

  Raises:
    ValueError: All values of one side are equal, so that there is no order.
  """
  if min(len(np.unique(first)), len(np.unique(second))) < 2:
    raise ValueError('a rank correlation needs values that differ')
  return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Sequence[float] | np.ndarray) -> np.ndarray:
  _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
  return (np.cumsum(counts) - (counts - 1) / 2)[index]


def _line(sums: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
  """Scale and offset that minimise sum(((offset + scale * sum) / measured - 1)^2)."""
  scale, offset = np.linalg.lstsq(np.stack([sums, np.ones_like(sums)], 1) / measured[:, None], np.ones_like(sums), rcond=None)[0]
  return float(scale), float(offset)


def _pairs(first_ms: Sequence[float], measured_ms: Sequence[float], names: Sequence[str],
           unit: str = 'ms') -> tuple[np.ndarray, np.ndarray]:
  first, measured = np.asarray(first_ms, float), np.asarray(measured_ms, float)
  if not len(first) == len(measured) == len(names):
    raise ValueError(f'expected a prediction and a measurement for each network, got {len(first)} and {len(measured)} for {len(names)}')
  if len(names) < MIN_NETWORKS:
    raise ValueError(f'needs at least {MIN_NETWORKS} networks, got {len(names)}: {", ".join(names) or "none"}')
  for name, prediction, measurement in zip(names, first, measured):
    if not (np.isfinite(prediction) and np.isfinite(measurement) and measurement > 0):
      raise ValueError(f'{"latencies" if unit == "ms" else "energies"} must be finite, and measured ones positive, got {prediction:g} and '
                       f'{measurement:g} {unit} for {name!r}')
  return first, measured
