"""Search by whole networks: a designer suggests, an evaluator scores them, and the designer learns from the scores."""

from __future__ import annotations

from collections.abc import Callable
import os

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import files
from tf_proxyless.search.designers import base

BATCH = 10
# Accuracies in [0, 1] of int32 [networks, decisions]: of a supernet, a predictor, or networks that are trained. NaN is one that failed.
Evaluator = Callable[[np.ndarray], np.ndarray]


def ask_tell(designer: base.Designer, evaluator: Evaluator, cost_model: model_lib.CostModel, evaluations: int, *, batch: int = BATCH,
             path: files.PathLike | None = None, on_batch: Callable[[evaluations_lib.Evaluations], None] = lambda found: None,
             ) -> evaluations_lib.Evaluations:
  """Evaluates networks that a designer suggests.

  Args:
    designer: Suggests networks; new, without any evaluation.
    evaluator: Gives the accuracy in [0, 1] of each network of int32 [networks, decisions]; NaN where it has none, and the network is left
      out.
    cost_model: What networks cost.
    evaluations: Networks in all.
    batch: Networks between updates of the designer.
    path: File of the evaluations. One that is there already is continued, and ends as if it had not been interrupted.
    on_batch: Called with what is known after each batch that was evaluated.

  Returns:
    All evaluations, in their order.

  Raises:
    ValueError: The file is of other decisions, an accuracy is not in [0, 1], or no network of a batch has one.
  """
  file = evaluations_lib.EvaluationLog(os.fspath(path or ''), cost_model.paths, cost_model.choice_counts)
  rows = []
  if path is not None and os.path.exists(path):
    rows = batches(evaluations_lib.load(path)[1], batch)
    file.truncate(sum(map(len, rows)))
  elif path is not None:
    file.create()
  for number in range(-(-evaluations // batch)):
    new = number == len(rows)
    if new:
      rows.append(_evaluate(designer.suggest(min(batch, evaluations - number * batch)), evaluator, cost_model, number))
      if path is not None:
        file.append(rows[number])
    designer.update(rows[number])
    if new:
      on_batch(evaluations_lib.concatenate(rows))
  return evaluations_lib.concatenate(rows)


def batches(found: evaluations_lib.Evaluations, batch: int = BATCH) -> list[evaluations_lib.Evaluations]:
  """The batches of a file that are continued from; a last one that is not full may not be whole, and is left out."""
  ends = [*np.flatnonzero(np.diff(found.batch)) + 1, len(found)] if len(found) else []
  rows = [found[start:end] for start, end in zip([0, *ends], ends)]
  return rows[:-1] if rows and len(rows[-1]) < batch else rows


def _evaluate(paths: np.ndarray, evaluator: Evaluator, cost_model: model_lib.CostModel, number: int) -> evaluations_lib.Evaluations:
  accuracy = np.asarray(evaluator(paths), np.float32)
  known = ~np.isnan(accuracy)
  if not ((accuracy[known] >= 0) & (accuracy[known] <= 1)).all():
    raise ValueError('accuracies must be in [0, 1]')
  if not known.any():
    raise ValueError(f'none of the {len(paths)} networks of batch {number} has an accuracy')
  return evaluations_lib.Evaluations(cost_model.choice_counts, paths[known], accuracy[known], cost_model.costs(paths[known]),
                                     np.full(known.sum(), number))
