"""Training in memory, without a run directory: for comparisons of many small networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import math

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.train import recipe as recipe_lib
from tf_proxyless.train import trainer as trainer_lib

Batches = Callable[[int], tf.data.Dataset]
Recipe = recipe_lib.Recipe


def fit(model: keras.Model, batches: Batches, recipe: Recipe, seed: int,
        on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, figures: None) -> tuple[dict[str, float], ...]:
  """Trains a model in place. The same model, batches, recipe and seed give the same weights, on one machine with as many threads.

  Args:
    model: Model from float32 [batch, height, width, channels] to logits [batch, classes].
    batches: Function from the epoch, from 0, to its batches: images and labels, int [batch].
    recipe: Schedule, optimizer and regularisation.
    seed: Seed of dropout; the caller decides the order of the data and the start values.
    on_epoch: Called with the epoch and its statistics.

  Returns:
    For each epoch its mean 'loss' and 'accuracy' on the training batches.

  Raises:
    ValueError: An epoch has not as many batches as the recipe says, or the loss is no longer finite.
  """
  trainer = trainer_lib.Trainer(model, recipe, seed)
  history = []
  for epoch in range(recipe.epochs):
    trainer.progress.start_epoch()
    steps = 0
    for batch in batches(epoch):
      trainer.train(batch)
      steps += 1
    if steps != recipe.steps_per_epoch:
      raise ValueError(f'epoch {epoch} has {steps} batches; the recipe says {recipe.steps_per_epoch}')
    history.append(trainer.progress.figures())
    if not math.isfinite(history[-1]['loss']):
      raise ValueError(f'the loss is not finite after epoch {epoch}; lower the learning rate, {recipe.learning_rate:g}')
    on_epoch(epoch, history[-1])
  trainer.keep_averages()
  return tuple(history)


def evaluate(model: keras.Model, batches: Iterable) -> trainer_lib.Scores:
  """Top-1, top-5 and loss of a model.

  Args:
    model: Model from images to logits, see `fit`.
    batches: Images and labels, int [batch].

  Raises:
    ValueError: There is no image.
  """
  compiled = tf.function(lambda images, labels: trainer_lib.replica_scores(model, images, labels), autograph=False, reduce_retracing=True)
  return trainer_lib.score(lambda batch: compiled(*batch).numpy(), batches)


def accuracy(model: keras.Model, batches: tf.data.Dataset) -> float:
  """Share of images whose largest logit is that of their label; see `evaluate`."""
  return evaluate(model, batches).top1
