"""Search by whole networks: a designer suggests, an evaluator scores them, and the designer learns from the scores."""

from __future__ import annotations

from collections.abc import Callable
import os

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import files
from tf_proxyless.search.designers import base

# Accuracies in [0, 1] of int32 [networks, decisions]: of a supernet, a predictor, or networks that are trained.
Evaluator = Callable[[np.ndarray], np.ndarray]


def ask_tell(designer: base.Designer, evaluator: Evaluator, cost_model: model_lib.CostModel, evaluations: int, *, batch: int = 10,
             path: files.PathLike | None = None) -> evaluations_lib.Evaluations:
  """Evaluates networks that a designer suggests.

  Args:
    designer: Suggests networks; new, without any evaluation.
    evaluator: Gives the accuracy in [0, 1] of each network of int32 [networks, decisions].
    cost_model: What networks cost.
    evaluations: Networks in all.
    batch: Networks between updates of the designer.
    path: File of the evaluations. One that is there already is continued, and ends as if it had not been interrupted.

  Returns:
    All evaluations, in their order.

  Raises:
    ValueError: The file is of other decisions, or an accuracy is no number.
  """
  file = evaluations_lib.EvaluationLog(os.fspath(path or ''), cost_model.paths, cost_model.choice_counts)
  rows = []
  if path is not None and os.path.exists(path):
    known = evaluations_lib.load(path)[1]
    file.truncate(len(known) // batch * batch)
    rows = [known[start:start + batch] for start in range(0, len(known) // batch * batch, batch)]
  elif path is not None:
    file.create()
  for number in range(-(-evaluations // batch)):
    if number == len(rows):
      paths = designer.suggest(min(batch, evaluations - number * batch))
      rows.append(evaluations_lib.Evaluations(cost_model.choice_counts, paths, np.asarray(evaluator(paths), np.float32),
                                                cost_model.costs(paths), np.full(len(paths), number)))
      if path is not None:
        file.append(rows[-1])
    designer.update(rows[number])
  return evaluations_lib.concatenate(rows)
