"""Scores networks after a search: with frozen weights, so that a search by gradients can be derived by evidence too; and, one by one,
after some weight steps of their own, for a derivation to compare (docs/research.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import itertools
import math

import numpy as np
import tensorflow as tf

from tf_proxyless.derive import candidates
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import progress
from tf_proxyless.search import loop
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search.optimizers import base
from tf_proxyless.space import schema

NETWORKS_PER_BATCH = 10
FINE_TUNING_STEPS = 100  # of a network, at most
FINE_TUNING_PART = 0.25  # of the weight steps of the search, at most, for all networks that a derivation compares
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


class StoppedError(Exception):
  """What was asked to stop has done so; done again, it gives what it would have given."""


def fine_tuning_steps(schedule: schedule_lib.Schedule) -> int:
  """Weight steps that each network gets which a derivation compares; none after a very short search."""
  return min(FINE_TUNING_STEPS, int(FINE_TUNING_PART * schedule.epochs * schedule.steps_per_epoch) // candidates.CANDIDATES)


def score_fine_tuned(steps: steps_lib.SupernetSteps, schedule: schedule_lib.Schedule, data: loop.Data, observer: loop.Observer,
                     paths: np.ndarray) -> np.ndarray:
  """Accuracy of each network on the validation set after `fine_tuning_steps` of its own; each begins with the weights of the search.

  All get the same batches. The learning rate falls by a cosine to 0, from that with which the joint phase began.

  Args:
    steps: Steps of the trained supernet, whose weights are the same afterwards.
    schedule: Schedule of the search.
    data: Its batches.
    observer: Asked before each network whether to stop.
    paths: int32 [networks, decisions].

  Returns:
    float64 [networks].

  Raises:
    SearchDivergedError: A network gives no finite output.
    StoppedError: It was asked to stop.
  """
  count = fine_tuning_steps(schedule)
  if not count:
    return steps.accuracies_over(paths, data.validation_pass())
  rates = [0.5 * schedule.search_learning_rate * (1.0 + math.cos(math.pi * step / count)) for step in range(count)]
  epochs = -(-count // schedule.steps_per_epoch)
  accuracies = []
  with steps.kept_weights() as undo:
    for path in progress.over(paths, f'fine-tuning and scoring {len(paths)} networks', len(paths), 'network'):
      if observer.should_stop():
        raise StoppedError
      batches = itertools.chain.from_iterable(data.training(schedule.epochs + epoch, 0) for epoch in range(epochs))
      for rate, (images, labels) in zip(rates, batches):
        steps.train(images, labels, tf.constant(path), tf.constant(rate, tf.float32))
      accuracies.append(steps.accuracies_over(path[None], data.validation_pass())[0])
      undo()
  return np.array(accuracies)
