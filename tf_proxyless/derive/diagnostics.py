"""When a derivation may mislead: one line for each reason, with its numbers.

Thresholds are those at which simulated searches went wrong (docs/research.md, "Derivation").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses

import numpy as np

from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib

_WANTED_ERROR = 0.001  # 0.1 points
_CLEAR_MARGIN = 2.0  # standard errors
_MOST_DRIFT = 1.3  # rms z: 0.95 when all is well, 1.5 to 3.7 undertrained
_BELOW_TARGET = 0.05
# Slope of accuracy on cost over its standard error, first quarter of the samples: 14 and more in simulated searches that went well,
# -3 to -6 where evidence derived 0.84 of the optimum's gain, -40 in the severe case (0.77).
_CLEAR_SLOPE = 3.0
# Both are of the same images, and the best validation was chosen for being high: it lies above its estimate when all is well.
_MOST_SHORTFALL = 0.05  # 5 points
_CLEAR_SHORTFALL = 4.0  # standard errors of the estimate
_FEW_IMAGES = 500
_MANY_SCORES = 10_000
_LISTED = 6


@dataclasses.dataclass(frozen=True)
class SearchEnd:
  """Where a search stood when it ended.

  Attributes:
    target: Target of the expected cost; None without a constraint.
    expected_cost: Under the final probabilities, in the unit of the target.
    multiplier: Final Lagrange multiplier; None without the constrained objective.
    batch_images: Images in the validation batch that scores networks.
  """

  target: float | None
  expected_cost: float
  multiplier: float | None
  batch_images: int


def warnings(derivation: candidates_lib.Derivation, decisions: Sequence[str], end: SearchEnd, effects: effects_lib.Effects | None,
             samples: evaluations_lib.Evaluations | None) -> tuple[str, ...]:
  """Everything that the user should know before believing a derivation.

  Args:
    derivation: What was derived.
    decisions: Path of each decision.
    end: Where the search stood when it ended.
    effects: What evidence was based on, or None.
    samples: What `effects` was fitted to, or None.

  Returns:
    One line for each warning, the gravest first.
  """
  found = _collapse(end, samples) + _shortfall(derivation)
  if effects is not None and samples is not None:
    found += _premature(samples)
  if effects is not None and samples is not None and derivation.by == 'evidence':  # else it did not decide alone
    found += _drift(samples) + _small_batches(samples, end) + _rare_choices(effects, decisions) + _unclear_decisions(derivation, decisions)
  return tuple(found)


def _collapse(end: SearchEnd, samples: evaluations_lib.Evaluations | None) -> list[str]:
  if end.target is None:
    return []
  below = 1.0 - end.expected_cost / end.target
  # A multiplier is a mean of noisy estimates, for which short searches have few updates: the last networks must say the same.
  slope = None if samples is None else effects_lib.cost_slope(samples[3 * len(samples) // 4:])
  negative = end.multiplier is not None and end.multiplier < 0.0 and (slope is None or slope[0] < -_CLEAR_SLOPE * slope[1])
  if below <= _BELOW_TARGET and not negative:
    return []
  multiplier = '' if end.multiplier is None else f', the multiplier at {end.multiplier:.3g}'
  return [f'larger networks do not score better: expected cost ended {100 * below:.1f} % below the target{multiplier}; the '
          'supernet is undertrained or collapsed to Zero, and neither estimates nor their standard errors can be believed; '
          'warm up for longer']


def _shortfall(derivation: candidates_lib.Derivation) -> list[str]:
  best = derivation.candidates[0]  # if they were scored
  if best.validation_accuracy is None or best.estimate is None or best.standard_error is None:
    return []
  below = best.estimate - best.validation_accuracy
  if below <= max(_MOST_SHORTFALL, _CLEAR_SHORTFALL * best.standard_error):
    return []
  return [f'the best of the networks scored on the whole validation split has {100 * best.validation_accuracy:.2f} % there, '
          f'{100 * below:.1f} points below its estimate of {100 * best.estimate:.2f} +- {100 * best.standard_error:.2g} %: batches or '
          'weights of the two differ, for instance by batches of too few images or classes, or by training that went wrong at the '
          'end; find out which before you believe either']


def _premature(samples: evaluations_lib.Evaluations) -> list[str]:
  slope = effects_lib.cost_slope(samples[:len(samples) // 4])
  if slope is None or slope[0] > _CLEAR_SLOPE * slope[1]:
    return []
  return [f'accuracy did not clearly rise with cost in the first quarter of the samples (slope {slope[0]:.3g} +- {slope[1]:.2g} '
          'per unit of cost): the supernet was undertrained when the search began, and what it preferred then may have stayed; '
          'warm up for longer']


def _drift(samples: evaluations_lib.Evaluations) -> list[str]:
  drift = effects_lib.drift(samples)
  if drift is None or not drift > _MOST_DRIFT:  # NaN of too few samples
    return []
  return [f'effects drifted by {drift:.1f} standard errors (rms) from the first to the last quarter of the samples, 1 being '
          'none: choices interact, or the supernet was still learning; real errors exceed the standard errors']


def _small_batches(samples: evaluations_lib.Evaluations, end: SearchEnd) -> list[str]:
  advice = 'the network by probability may be the better of the two; score both on the whole validation split'
  if len(np.unique(samples.batch)) == len(samples):
    return [f'each batch scored one network, so that differences between batches are noise in the evidence: {advice}']
  if end.batch_images < _FEW_IMAGES and len(samples) < _MANY_SCORES:
    return [f'{len(samples)} scores on batches of {end.batch_images} images are little evidence (below {_FEW_IMAGES} images, '
            f'{_MANY_SCORES} are wanted): {advice}']
  return []


def _rare_choices(effects: effects_lib.Effects, decisions: Sequence[str]) -> list[str]:
  wanted = int(np.ceil((effects.noise_sd / _WANTED_ERROR) ** 2))
  rare = sorted((int(count), f'{path}[{i}]') for path, counts in zip(decisions, effects.by_decision(effects.counts))
                for i, count in enumerate(counts) if count < wanted)
  if not rare:
    return []
  return [f'{len(rare)} of {len(effects.counts)} choices have fewer than the {wanted} samples that a standard error of 0.1 '
          f'points takes at a noise of {100 * effects.noise_sd:.2g} points: ' + _join(f'{name} {n}' for n, name in rare)]


def _unclear_decisions(derivation: candidates_lib.Derivation, decisions: Sequence[str]) -> list[str]:
  unclear = sorted((m.difference / m.standard_error if m.standard_error else 0.0, decisions[m.decision])
                   for m in derivation.margins if m.difference < _CLEAR_MARGIN * m.standard_error)
  if not unclear:
    return []
  return [f'in {len(unclear)} of {len(decisions)} decisions the choice by evidence beats the next that fits by less than '
          f'{_CLEAR_MARGIN:g} standard errors: ' + _join(f'{path} {z:.1f}' for z, path in unclear)]


def _join(items: Iterable[str]) -> str:
  items = list(items)
  return ', '.join(items[:_LISTED]) + (', ...' if len(items) > _LISTED else '')
