"""What a search will cost, before its first step: images and time of each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import dataclasses
import time

import numpy as np
import tensorflow as tf

from tf_proxyless.derive import candidates
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import scoring
from tf_proxyless.search import steps as steps_lib

_WEIGHT_STEP = 3  # times the time of a forward pass of as many images, about
_ENOUGH_S = 5.0
_READING_S = 1.0


@dataclasses.dataclass(frozen=True)
class Part:
  """One part of a search.

  Attributes:
    name: For people.
    images: Images that pass a network, one that passes several counted for each.
    seconds: Estimate.
  """

  name: str
  images: int
  seconds: float


@dataclasses.dataclass(frozen=True)
class Seconds:
  """What an image takes on all devices together, in seconds.

  Attributes:
    weight_step: In a weight step of a network as they are sampled.
    dearest: In one of the dearest network.
    forward: Where a network is only run.
  """

  weight_step: float
  dearest: float
  forward: float


def weight_steps_per_update(passes: int, validation_batch: int, batch: int, steps_per_epoch: int) -> int:
  """Weight steps between architecture updates with which these take at most half of the time; at least 5 where an epoch has them.

  Args:
    passes: Forward passes of an update over its batch.
    validation_batch: Images of an update.
    batch: Images of a weight step.
    steps_per_epoch: Weight steps of an epoch.
  """
  return min(max(5, -(-passes * validation_batch // (_WEIGHT_STEP * batch))), steps_per_epoch)


def measure(steps: steps_lib.SupernetSteps, paths: np.ndarray, dearest: np.ndarray, batch: int, validation_batch: int) -> Seconds:
  """Times the steps of some networks; the learning rate of the weight steps is not finite, so that they change no weight.

  Args:
    steps: Steps of the supernet.
    paths: int32 [networks, decisions].
    dearest: int32 [decisions].
    batch: Images of a weight step.
    validation_batch: Images that a network is scored on.
  """
  replicas, workers = steps.devices.replicas, steps.devices.workers
  training, scoring = ((tf.fill([count, *steps.image_shape], 0.5), tf.zeros([count], tf.int32))
                       for count in (batch // workers, validation_batch))

  def train(path: np.ndarray) -> None:
    steps.train(*training, tf.constant(path), tf.constant(float('nan')))[0].numpy()

  def score(path: np.ndarray) -> None:
    steps.accuracies(np.tile(path, (replicas, 1)), scoring)

  weight_step = _mean_seconds(train, paths) / batch
  return Seconds(weight_step, max(weight_step, _mean_seconds(train, dearest[None]) / batch),
                 _mean_seconds(score, paths) / (validation_batch * replicas))


def _mean_seconds(step: Callable[[np.ndarray], None], paths: np.ndarray) -> float:
  step(paths[0])  # traces
  taken: list[float] = []
  for path in paths:
    start = time.perf_counter()
    step(path)
    taken.append(time.perf_counter() - start)
    if sum(taken) > _ENOUGH_S:
      break
  return sum(taken) / len(taken)


def images_per_second(batches: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> float:
  """How fast batches come while nothing else is done, for about a second; from the first one on, which is late, if there are others."""
  times, images = [time.perf_counter()], [0]
  for _, labels in batches:
    times.append(time.perf_counter())
    images.append(int(labels.shape[0]))
    if len(images) > 3 and times[-1] - times[1] > _READING_S:
      break
  first = min(1, len(images) - 2)
  return sum(images[first + 1:]) / (times[-1] - times[first])


def make(schedule: schedule_lib.Schedule, batch: int, validation_batch: int, passes: int, scored_afterwards: int, validation_images: int,
         seconds: Seconds) -> list[Part]:
  """The parts of a whole search.

  Args:
    schedule: Its epochs and updates.
    batch: Images of a weight step.
    validation_batch: Images of an update, and of the scoring of a network.
    passes: Forward passes of an update over its batch.
    scored_afterwards: Networks scored after the search.
    validation_images: The whole validation set, which scores the most likely network of each epoch, and those that derivation fine-tunes.
    seconds: Times of an image.
  """
  warmup, joint = (epochs * schedule.steps_per_epoch * batch for epochs in (schedule.warmup_epochs, schedule.search_epochs))
  scored = (schedule.updates * passes + scored_afterwards) * validation_batch
  final = (schedule.epochs + candidates.CANDIDATES) * validation_images
  tuned = candidates.CANDIDATES * scoring.fine_tuning_steps(schedule) * batch
  dearest = 0.5 * schedule_lib.DEAREST_PART  # of the choices of the warm-up
  of_warmup = (1.0 - dearest) * seconds.weight_step + dearest * seconds.dearest
  return [Part('warm-up', warmup, warmup * of_warmup), Part('weights', joint, joint * seconds.weight_step),
          Part('scoring', scored, scored * seconds.forward),
          Part('validation and derivation', final + tuned, final * seconds.forward + tuned * seconds.weight_step)]
