"""The steps of a training: one compiled function for weights, one for evaluation, on one device, several, or several workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
import dataclasses
import math

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.infra import distribution
from tf_proxyless.train import dropout
from tf_proxyless.train import recipe as recipe_lib

class NotFiniteError(ValueError):
  """A loss or a weight is not a finite number. The message, one line, says what it is."""


WhileTracing = Callable[[keras.Model], contextlib.AbstractContextManager]


@dataclasses.dataclass(frozen=True)
class Scores:
  """Accuracy and loss of a model.

  Attributes:
    top1: Share of images whose largest logit is that of their label.
    top5: Share whose label is among the five largest; with fewer than five classes, all.
    loss: Mean cross-entropy, without label smoothing.
    images: Number of images.
  """

  top1: float
  top5: float
  loss: float
  images: int


class Trainer(tf.Module):
  """A model, its optimizer and averages, and the compiled steps. Everything that has a state is a tf.Variable of this module.

  Attributes:
    model: The model, trained in place.
    optimizer: Keras optimizer.
    averages: Moving averages of all weights of the model, in their order; empty if the recipe has none.
    progress: Steps made, and sums over the epoch so far.
  """

  def __init__(self, model: keras.Model, recipe: recipe_lib.Recipe, seed: int, strategy: tf.distribute.Strategy | None = None,
               while_tracing: WhileTracing = lambda model: contextlib.nullcontext()):
    """Makes the optimizer and the averages.

    Args:
      model: Model from float32 [batch, height, width, channels] to logits [batch, classes]; made in the scope of `strategy`.
      recipe: Schedule, optimizer and regularisation.
      seed: Seed of dropout.
      strategy: Distribution strategy; None is the default one.
      while_tracing: Context manager of the model that is entered while the training step is traced.
    """
    super().__init__(name='trainer')
    self.model = model
    self.recipe = recipe
    self._seed = seed
    self._devices = distribution.Devices(strategy)
    self._strategy = self._devices.strategy
    self._while_tracing = while_tracing
    self._loss = keras.losses.CategoricalCrossentropy(True, recipe.label_smoothing, reduction='none')
    with self._strategy.scope():
      self.optimizer = _make_optimizer(model, recipe)
      self.averages = [tf.Variable(weight, trainable=False) for weight in _averaged(model)] if recipe.average_momentum else []
    self.progress = Progress()

  @property
  def is_chief(self) -> bool:
    """Whether this process writes files."""
    return self._devices.is_chief

  @property
  def replicas(self) -> int:
    """Parts that each batch is divided into."""
    return self._strategy.num_replicas_in_sync

  def distribute(self, batches: tf.data.Dataset) -> Iterable:
    """Batches as `train` and `evaluate` take them."""
    return distribution.distribute(self._strategy, batches)

  def agree(self, stop: bool) -> bool:
    """Whether any of the workers wants to stop; all of them are to ask at the same time."""
    return self._devices.any(stop)

  def train(self, batch) -> None:
    """One step on a batch of all replicas; the sums are in `progress`."""
    step = int(self.progress.total_steps)
    self._set_learning_rate(self.recipe.learning_rate_at(step))
    self._train(*batch, tf.constant(step, tf.int64))
    self.progress.total_steps.assign(step + 1)

  def evaluate(self, batches: tf.data.Dataset) -> Scores:
    """Scores the model, or with averages these, on all images.

    Args:
      batches: Images and labels, int [batch].

    Raises:
      ValueError: There is no image.
    """
    with self.averaged():
      return score(lambda batch: self._evaluate(*batch).numpy(), self.distribute(batches))

  def keep_averages(self) -> None:
    """Makes the averages the weights of the model, if the recipe has them; the training is over then."""
    for weight, average in zip(_averaged(self.model), self.averages):
      weight.assign(average)

  def first_not_finite(self) -> str | None:
    """Name of the first weight of the model, or of the average of one, that is not finite everywhere; None if all are."""
    weights = [(weight.name, weight) for weight in self.model.weights]
    weights += [(f'the average of {weight.name}', average) for weight, average in zip(_averaged(self.model), self.averages)]
    return next((name for name, weight in weights if not np.isfinite(weight.numpy()).all()), None)

  @contextlib.contextmanager
  def averaged(self) -> Iterator[None]:
    """While it lasts, the averages stand in the model, if the recipe has them."""
    weights = _averaged(self.model) if self.averages else []
    kept = [weight.numpy() for weight in weights]
    self.keep_averages()
    try:
      yield
    finally:
      for weight, value in zip(weights, kept):
        weight.assign(value)

  def _set_learning_rate(self, rate: float) -> None:
    optimizer = getattr(self.optimizer, 'inner_optimizer', self.optimizer)
    optimizer.learning_rate = rate

  @tf.function(autograph=False)
  def _train(self, images, labels, step):
    sums = self._strategy.run(self._replica_step, args=(images, labels, step))
    loss, correct, count = (self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in sums)
    self._update_averages(step)
    self.progress.add(loss, correct, count)

  def _replica_step(self, images, labels, step):
    context = tf.distribute.get_replica_context()
    key = tf.stack([tf.cast(self._seed, tf.int64), step * self.replicas + tf.cast(context.replica_id_in_sync_group, tf.int64)])
    model, weights = self.model, self.model.trainable_variables
    with tf.GradientTape() as tape:
      with self._while_tracing(model), dropout.stateless(model, key):
        logits = tf.cast(model(images, training=True), tf.float32)
      targets = tf.one_hot(labels, logits.shape[-1])
      losses = self._loss(targets, logits)
      images_of_all = tf.size(labels) * self.replicas
      loss = tf.reduce_sum(losses) / tf.cast(images_of_all, tf.float32)
      scaled = self.optimizer.get_scaled_loss(loss) if self._scales else loss
    gradients = tape.gradient(scaled, weights)
    if self._scales:
      gradients = self.optimizer.get_unscaled_gradients(gradients)
    if not self.recipe.decoupled and self.recipe.weight_decay:  # the replicas' gradients are added up
      decay = self.recipe.weight_decay / self.replicas
      gradients = [gradient + decay * weight if _decays(weight) else gradient for gradient, weight in zip(gradients, weights)]
    self.optimizer.apply_gradients(zip(gradients, weights))
    return tf.reduce_sum(losses), _hits(logits, labels, 1), tf.size(labels)

  @property
  def _scales(self) -> bool:
    return isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)

  def _update_averages(self, step) -> None:
    """a += (1 - momentum) (w - a), with the smaller momentum (1 + n) / (10 + n) in step n, which keeps the start values out."""
    if not self.averages:
      return
    n = tf.cast(step, tf.float32)
    rate = 1.0 - tf.minimum(self.recipe.average_momentum, (1.0 + n) / (10.0 + n))
    for average, weight in zip(self.averages, _averaged(self.model)):
      value = tf.cast(self._read(weight), average.dtype)
      average.assign(average + rate * (value - self._read(average)))

  def _read(self, variable):
    """Of a variable that every replica has, or of one of batch normalisation that every replica has its own of, the mean."""
    return self._strategy.extended.read_var(variable)

  @tf.function(autograph=False)
  def _evaluate(self, images, labels):
    sums = self._strategy.run(lambda *batch: replica_scores(self.model, *batch), args=(images, labels))
    return self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)


class Progress(tf.Module):
  """Progress of a training: int64 total_steps, and sums over the epoch so far."""

  def __init__(self):
    super().__init__(name='progress')
    integer = lambda name: tf.Variable(0, dtype=tf.int64, trainable=False, name=name)
    with tf.device('CPU:0'):  # to read it in each step must not wait for a GPU
      self.total_steps = integer('total_steps')
    self.correct, self.images = map(integer, ('correct', 'images'))
    self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False, name='loss_sum')

  def add(self, loss, correct, images) -> None:
    """Adds the sums of a batch."""
    self.loss_sum.assign_add(tf.cast(loss, tf.float64))
    self.correct.assign_add(tf.cast(correct, tf.int64))
    self.images.assign_add(tf.cast(images, tf.int64))

  def figures(self) -> dict[str, float]:
    """Mean 'loss' and 'accuracy' of the epoch so far."""
    images = int(self.images)
    return {'loss': float(self.loss_sum) / images, 'accuracy': int(self.correct) / images}

  def start_epoch(self) -> None:
    """Forgets the sums."""
    for variable in (self.loss_sum, self.correct, self.images):
      variable.assign(tf.zeros_like(variable))


def replica_scores(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """float64 [4]: images, top-1 and top-5 hits, and the sum of cross-entropies."""
  logits = tf.cast(model(images, training=False), tf.float32)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  counts = [tf.size(labels), _hits(logits, labels, 1), _hits(logits, labels, min(5, logits.shape[-1])), tf.reduce_sum(losses)]
  return tf.stack([tf.cast(count, tf.float64) for count in counts])


def score(evaluate: Callable[[tuple], list[float]], batches: Iterable) -> Scores:
  """Adds up what `replica_scores` says of each batch.

  Raises:
    NotFiniteError: The loss of an image is not finite; it would count as right where its label is 0.
    ValueError: There is no image.
  """
  images, top1, top5, loss = 0.0, 0.0, 0.0, 0.0
  for batch in batches:
    found = evaluate(batch)
    images, top1, top5, loss = images + found[0], top1 + found[1], top5 + found[2], loss + found[3]
  if not images:
    raise ValueError('there are no images to evaluate on')
  if not math.isfinite(loss):
    raise NotFiniteError(f'the loss on {int(images):,} images is {loss}: weights of the model are not finite, or its activations overflow')
  return Scores(float(top1 / images), float(top5 / images), float(loss / images), int(images))


def _hits(logits: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
  if k == 1:
    return tf.math.count_nonzero(tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels)
  return tf.math.count_nonzero(tf.math.in_top_k(labels, logits, k))


def _averaged(model: keras.Model) -> list[tf.Variable]:
  """The weights that have averages: all, the statistics of batch normalisation too, so that they fit each other."""
  return [weight for weight in model.weights if weight.dtype.is_floating]


def _decays(weight: tf.Variable) -> bool:
  # The official code decays the classifier's bias too, whose share of the weights is below 1 in 4,000.
  return weight.shape.rank >= 2


def _make_optimizer(model: keras.Model, recipe: recipe_lib.Recipe) -> keras.optimizers.Optimizer:
  decay = recipe.weight_decay if recipe.decoupled and recipe.weight_decay else None
  if recipe.optimizer == 'sgd':
    optimizer = keras.optimizers.SGD(recipe.learning_rate, recipe.momentum, nesterov=True, weight_decay=decay)
  else:
    optimizer = keras.optimizers.RMSprop(recipe.learning_rate, recipe.rho, recipe.momentum, recipe.epsilon, weight_decay=decay)
  optimizer.exclude_from_weight_decay([weight for weight in model.trainable_weights if not _decays(weight)])
  if any(layer.dtype_policy.name == 'mixed_float16' for layer in model.layers if hasattr(layer, 'dtype_policy')):
    optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
  optimizer.build(model.trainable_variables)
  return optimizer
