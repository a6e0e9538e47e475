"""The networks that a search scored and derived, for its report."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import serialization
from tf_proxyless.report.document import networks as networks_lib

_MOST_POINTS = 2000
_POINTS_OF_FRONT = 25
_LEAST_IN_GROUP = 20
_MOST_EVIDENCE = 50_000  # networks, the last ones: a million take a minute to fit


@dataclasses.dataclass(frozen=True)
class DerivationFile:
  """Content of derivation.json, as `candidates_lib.Derivation` writes it; None where there was no evidence, or no scoring."""

  by: str
  probability: candidates_lib.Candidate
  margins: tuple[candidates_lib.Margin, ...]
  candidates: tuple[candidates_lib.Candidate, ...]
  warnings: tuple[str, ...]
  differing: tuple[int, ...]
  budget: float | None = None
  estimate: float | None = None
  standard_error: float | None = None
  validation_accuracy: float | None = None
  evidence: candidates_lib.Candidate | None = None
  advantage: float | None = None
  advantage_error: float | None = None
  expected_loss: float | None = None

  def __post_init__(self) -> None:
    if self.by not in candidates_lib.BY:
      raise ValueError(f'by must be one of {", ".join(candidates_lib.BY)}, got {files.shorten(self.by)}')
    if not self.candidates:
      raise ValueError('no candidates')

  @property
  def chosen(self) -> candidates_lib.Candidate:
    """The network that was delivered."""
    return {'probability': self.probability, 'evidence': self.evidence}.get(self.by) or self.candidates[0]


def load_derivation(path: pathlib.Path) -> DerivationFile:
  """Reads derivation.json.

  Raises:
    ValueError: The file is not one; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  body = files.read_json(path, 'derivation')
  try:
    return serialization.decode(DerivationFile, body)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


@dataclasses.dataclass(frozen=True)
class FrontPoint:
  """A network of front.json, see `result.save_front`; None where there was no evidence, or no scoring."""

  limit: float
  cost: float
  architecture: str
  estimate: float | None = None
  standard_error: float | None = None
  validation_accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class FrontFile:
  """Content of front.json."""

  by: str
  unit: str
  points: tuple[FrontPoint, ...]
  warnings: tuple[str, ...]


def load_front(path: pathlib.Path) -> dict[str, Any]:
  """Reads front.json: 'by', 'unit', 'points' and 'warnings'.

  Raises:
    ValueError: The file is not one; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  body = files.read_json(path, 'front')
  try:
    found = dataclasses.asdict(serialization.decode(FrontFile, body))
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
  return {**found, 'unit': networks_lib.MACS if found['unit'] == 'macs' else found['unit']}


def load_predictions(path: pathlib.Path) -> dict[str, Any]:
  """Reads predictor.json: 'scores', and by network 'predicted' and 'accuracy'.

  Raises:
    ValueError: The file is not one; one line that names the file.
    OSError: The file cannot be read.
  """
  from tf_proxyless.search.predictors import file as predictor_file  # SciPy, without which most searches start sooner

  found = predictor_file.load_held_out(path)
  return {'scores': dataclasses.asdict(found.scores), 'predicted': list(found.predicted), 'accuracy': list(found.values)}


def derivation(found: DerivationFile, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """How the network was derived, and how clear each choice was.

  Args:
    found: Content of derivation.json.
    decisions: Decisions of the report's document.

  Raises:
    ValueError: The file belongs to another search.
  """
  margins = []
  for margin in found.margins:
    try:
      decision = decisions[margin.decision]
      choice, alternative = (decision['choices'][index]['label'] for index in (margin.choice, margin.alternative))
    except IndexError:
      raise ValueError(f'derivation.json: margin {margin} is not of this search space') from None
    margins.append({'decision': decision['label'], 'choice': choice, 'alternative': alternative, 'difference': margin.difference,
                    'standard_error': margin.standard_error})
  return {'by': found.by, 'budget': found.budget, 'warnings': list(found.warnings), 'margins': margins}


def candidates(found: DerivationFile) -> list[dict[str, Any]]:
  """The networks that were considered."""
  return [{'source': candidate.source, 'cost': candidate.cost, 'macs': candidate.macs, 'validation_accuracy': candidate.validation_accuracy,
           'estimate': candidate.estimate, 'standard_error': candidate.standard_error,
           'chosen': candidate.choices == found.chosen.choices} for candidate in found.candidates]


def samples(found: evaluations_lib.Evaluations, frozen: bool, cost_model: model_lib.CostModel | None) -> dict[str, Any] | None:
  """Scored networks: points, evenly thinned, and a front.

  Args:
    found: Scored networks in order of time, each with its accuracy on one validation batch.
    frozen: Whether weights were frozen while networks were scored.
    cost_model: Cost model of a search that is over, for a front by estimated effects; None for a front by means, which is quick.

  Returns:
    None if there are none.
  """
  if not len(found):
    return None
  rows = np.linspace(0, len(found) - 1, min(len(found), _MOST_POINTS)).round().astype(int)
  return {'count': len(found), 'cost': found.cost[rows].tolist(), 'accuracy': found.accuracy[rows].astype(float).tolist(),
          'front': _front_by_evidence(found, frozen, cost_model) or front_by_means(found, frozen)}


def front_by_means(found: evaluations_lib.Evaluations, frozen: bool) -> Mapping[str, Any]:
  """Mean accuracies of networks of similar cost, where no cheaper ones are better.

  Single accuracies are those on one batch: the best of them are the luckiest. So networks are put in order of cost and into groups of
  equal size; of these means the front is taken.

  Args:
    found: Scored networks.
    frozen: Whether weights were frozen while networks were scored; if not, only the last quarter counts.

  Returns:
    'of': the kind of front; 'cost' and 'accuracy': means of the groups; 'error': the accuracy's standard error (networks that share a batch
    are not independent, so that batches are counted, not networks).
  """
  found = found if frozen else found[3 * len(found) // 4:]
  order = np.argsort(found.cost, kind='stable')
  groups = np.array_split(order, max(1, min(_POINTS_OF_FRONT, len(order) // _LEAST_IN_GROUP)))
  points = []
  for group in groups:
    accuracy = found.accuracy[group].astype(float)
    if not points or accuracy.mean() > points[-1][1]:
      points.append((found.cost[group].mean(), accuracy.mean(), accuracy.std() / np.sqrt(len(np.unique(found.batch[group])))))
  return _front('means of networks of similar cost', points)


def _front_by_evidence(found: evaluations_lib.Evaluations, frozen: bool,
                       cost_model: model_lib.CostModel | None) -> Mapping[str, Any] | None:
  """The best network of each budget by the estimated effects of its choices; None without a cost model or without evidence."""
  if cost_model is None or found.choice_counts != cost_model.choice_counts:
    return None
  try:
    effects = effects_lib.fit(found[-_MOST_EVIDENCE:], recency=False if frozen else None)
  except ValueError:  # too few networks, or all alike
    return None
  points = {}
  for limit in np.linspace(max(found.cost.min(), cost_model.smallest), max(found.cost.max(), cost_model.smallest), _POINTS_OF_FRONT):
    choices = candidates_lib.by_evidence(effects, candidates_lib.Budget(limit, cost_model))
    points[choices] = (cost_model.cost(choices), *effects_lib.predict(effects, choices))
  return _front('the best network of each cost, by estimated effects of its choices', sorted(points.values()))


def _front(of: str, points: Sequence[tuple[float, float, float]]) -> Mapping[str, Any]:
  columns = [[float(value) for value in column] for column in zip(*points)]
  return {'of': of, **dict(zip(('cost', 'accuracy', 'error'), columns))}
