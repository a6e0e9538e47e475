"""Scores networks with frozen weights, so that a search by gradients can be derived by evidence too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tensorflow as tf

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.search import loop
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search.optimizers import base
from tf_proxyless.space import schema

NETWORKS_PER_BATCH = 10
EXPLORATION = 0.3  # share of each decision that is drawn evenly (simulation: policy + 30 % floor)


def draw(probabilities: Sequence[np.ndarray], networks: int, seed: Sequence[int], exploration: float = EXPLORATION) -> np.ndarray:
  """Networks from a policy with an even share: a pure function of its arguments.

  Args:
    probabilities: By decision, float [choices].
    networks: How many.
    seed: Integers.
    exploration: The even share.

  Returns:
    int32 [networks, decisions].
  """
  rng = np.random.default_rng(list(seed))
  columns = []
  for p in probabilities:
    p = np.asarray(p, np.float64)
    p = (1.0 - exploration) * p / p.sum() + exploration / len(p)
    columns.append(np.searchsorted(np.cumsum(p)[:-1], rng.random(networks), side='right'))
  return np.stack(columns, axis=1).astype(np.int32)


def score_policy(
    steps: steps_lib.SupernetSteps,
    architecture: base.ArchitectureOptimizer,
    stream: Callable[[int], Iterable[tuple[tf.Tensor, tf.Tensor]]],
    sample_file: evaluations_lib.EvaluationLog,
    scored: int,
    networks: int,
    seed: int,
    observer: loop.Observer,
) -> bool:
  """Scores networks of the final policy, ten on each validation batch, and appends them to the file of samples.

  Args:
    steps: Steps of the trained supernet.
    architecture: Whose policy is drawn from; not changed.
    stream: (first batch) -> validation batches.
    sample_file: Holds `scored` networks of this phase already, a multiple of ten.
    scored: See there.
    networks: How many there shall be, rounded up to a multiple of ten.
    seed: Seed of the draws.
    observer: Told of each batch, and asked whether to stop.

  Returns:
    False if it was asked to stop.
  """
  first = scored // NETWORKS_PER_BATCH
  batches = -(-networks // NETWORKS_PER_BATCH)
  rows = architecture.parameters.probabilities().numpy()
  probabilities = [row[:count] for row, count in zip(rows, architecture.cost_model.choice_counts)]
  updates = int(architecture.updates)
  for index, batch in zip(range(first, batches), stream(updates + first)):
    paths = draw(probabilities, NETWORKS_PER_BATCH, (seed, index))
    paths = np.array([schema.canonical(architecture.cost_model.decisions, path) for path in paths], np.int32)
    accuracies = steps.accuracies(paths, batch)
    sample_file.append(loop.make_evaluations(architecture, paths, accuracies, updates + index))
    observer.on_scored(float(accuracies.mean()))
    if observer.should_stop():
      return False
  return True
