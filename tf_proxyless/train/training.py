"""SGD with Nesterov momentum, a cosine to 0, weight decay and label smoothing (the recipe of ProxylessNAS, ICLR 2019, section 4)."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import math

import tensorflow as tf
import tf_keras as keras

Batches = Callable[[int], tf.data.Dataset]


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How a network is trained.

  Attributes:
    epochs: Number of epochs.
    steps_per_epoch: Batches of each.
    learning_rate: At the start; a cosine to 0 over all steps.
    momentum: Nesterov's.
    weight_decay: Of kernels, not of biases and batch normalisation: w -= learning rate * weight_decay * w in each step, apart from
      the momentum. An L2 term in the gradient has the same effect at weight_decay * (1 - momentum).
    label_smoothing: Share of each label that is spread over all classes.
  """

  epochs: int
  steps_per_epoch: int
  learning_rate: float = 0.1
  momentum: float = 0.9
  weight_decay: float = 1e-3
  label_smoothing: float = 0.1

  def __post_init__(self):
    for name in ('epochs', 'steps_per_epoch'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name} must be at least 1, got {getattr(self, name)}')
    if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
      raise ValueError(f'learning_rate must be a positive number, got {self.learning_rate}')
    for name in ('momentum', 'weight_decay', 'label_smoothing'):
      if not 0 <= getattr(self, name) < 1:
        raise ValueError(f'{name} must be at least 0 and below 1, got {getattr(self, name)}')


def fit(model: keras.Model, batches: Batches, recipe: Recipe, seed: int,
        on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, figures: None) -> tuple[dict[str, float], ...]:
  """Trains a model in place. The same model, batches, recipe and seed give the same weights, on one machine with as many threads.

  Args:
    model: From float32 [batch, height, width, channels] to logits [batch, classes].
    batches: From the epoch, from 0, to its batches: images and labels, int [batch].
    recipe: How.
    seed: Of dropout. The order of the data is the caller's, and the model has its start values.
    on_epoch: Called with the epoch and its figures.

  Returns:
    For each epoch its mean 'loss' and 'accuracy' on the training batches.

  Raises:
    ValueError: An epoch has not as many batches as the recipe says, or the loss is no longer finite.
  """
  keras.utils.set_random_seed(seed)
  classes = model.output_shape[-1]
  model.compile(_optimizer(model, recipe), keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
                metrics=['accuracy'])
  history = []
  for epoch in range(recipe.epochs):
    examples = batches(epoch).map(lambda images, labels: (images, tf.one_hot(labels, classes)))
    before = int(model.optimizer.iterations)
    found = model.fit(examples, initial_epoch=epoch, epochs=epoch + 1, verbose=0, shuffle=False).history
    steps = int(model.optimizer.iterations) - before
    if steps != recipe.steps_per_epoch:
      raise ValueError(f'epoch {epoch} has {steps} batches; the recipe says {recipe.steps_per_epoch}')
    history.append({name: float(values[0]) for name, values in found.items()})
    if not math.isfinite(history[-1]['loss']):
      raise ValueError(f'the loss is not finite after epoch {epoch}; lower the learning rate, {recipe.learning_rate:g}')
    on_epoch(epoch, history[-1])
  return tuple(history)


def _optimizer(model: keras.Model, recipe: Recipe) -> keras.optimizers.Optimizer:
  schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * recipe.steps_per_epoch)
  optimizer = keras.optimizers.SGD(schedule, recipe.momentum, nesterov=True, weight_decay=recipe.weight_decay or None)
  optimizer.exclude_from_weight_decay([weight for weight in model.trainable_weights if weight.shape.rank < 2])
  return optimizer


def accuracy(model: keras.Model, batches: tf.data.Dataset) -> float:
  """Share of images whose largest logit is that of their label.

  Args:
    model: As for `fit`.
    batches: Images and labels, int [batch].

  Raises:
    ValueError: There is no batch.
  """

  @tf.function
  def correct(images, labels):
    predicted = tf.argmax(model(images, training=False), axis=-1, output_type=labels.dtype)
    return tf.math.count_nonzero(predicted == labels)

  counts = [(int(correct(images, labels)), len(labels)) for images, labels in batches]
  if not counts:
    raise ValueError('there are no images to evaluate on')
  return sum(right for right, _ in counts) / sum(images for _, images in counts)
