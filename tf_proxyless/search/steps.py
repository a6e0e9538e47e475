"""The compiled steps of a search: train a sampled network's weights, differentiate its gates, score it."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import checks
from tf_proxyless.search import loss_scale
from tf_proxyless.search import weight_optimizer
from tf_proxyless.space import ops


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0) -> tf.Tensor:
  """Mean cross-entropy of int32 labels [batch] and logits [batch, classes], smoothed towards uniform targets."""
  classes = logits.shape[-1]
  targets = tf.one_hot(labels, classes) * (1.0 - label_smoothing) + label_smoothing / classes
  return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))


def count_correct(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  """How many are right: int32 scalar."""
  return tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == labels, tf.int32))


class SupernetSteps:
  """Graphs, each of which serves all paths. Images are float32 [batch, height, width, channels], labels int32 [batch].

  Attributes:
    image_shape: (height, width, channels).
    decisions: The space's decisions, in the order of a path.
  """

  def __init__(self, supernet: supernet_lib.Supernet, optimizer: weight_optimizer.SupernetSGD, label_smoothing: float = 0.1):
    """Compiles nothing yet; each graph is traced at its first use."""
    self._supernet = supernet
    self._optimizer = optimizer
    self._label_smoothing = label_smoothing
    self.image_shape = supernet.input_size
    self.decisions = supernet.decisions
    images = tf.TensorSpec([None, *self.image_shape], tf.float32)
    labels = tf.TensorSpec([None], tf.int32)
    path = tf.TensorSpec([len(supernet.decisions)], tf.int32)
    self.train = tf.function(self._train, input_signature=[images, labels, path, tf.TensorSpec([], tf.float32)], autograph=False)
    self._gate_gradients = tf.function(self._differentiate, input_signature=[images, labels, path, path], autograph=False)
    mixture = tf.TensorSpec([len(supernet.decisions), None], tf.float32)
    self._mixture_gradients = tf.function(self._differentiate_mixture, input_signature=[images, labels, mixture], autograph=False)
    self._sampled_gradients = tf.function(self._differentiate_sampled, input_signature=[images, labels, path], autograph=False)
    self._correct = tf.function(self._evaluate, input_signature=[images, labels, path], autograph=False)

  def _train(self, images, labels, path, learning_rate):
    """One weight step of one network: its loss with label smoothing, and how many of the batch were right.

    A loss that is not finite changes no weight, so that `explain` finds where it came from; nor does a learning rate that is not finite.
    """
    gates = self._supernet.sample(path)
    weights = [gate.weights for gate in gates]
    with tf.GradientTape() as tape:
      tape.watch(weights)
      logits = self._supernet(images, gates, path=path)
      loss = cross_entropy(labels, logits, self._label_smoothing)
    gate_gradients, fixed_gradients = self._gradient(tape, loss, (weights, self._supernet.fixed_weights))
    loss, when = self._judge(loss, gate_gradients, fixed_gradients, learning_rate)
    self._optimizer.apply(gates, gate_gradients, fixed_gradients, learning_rate, when)
    return loss, count_correct(labels, logits)

  def _gradient(self, tape, loss, sources):
    """Gradients of the loss, in float16 computed of the scaled loss."""
    scale = self._optimizer.loss_scale
    if scale is None:
      return tape.gradient(loss, sources)
    factor = scale.factor.read_value()
    return tf.nest.map_structure(lambda gradient: gradient / factor, tape.gradient(loss, sources, output_gradients=factor))

  def _judge(self, loss, gate_gradients, fixed_gradients, learning_rate):
    """The loss, NaN where gradients say that the step went wrong, and whether the step changes weights.

    They do where that of the first fixed weight is not finite: pools and ReLU make numbers of what is none. In float16 any may overflow,
    which skips the step and lowers the loss scale; only where that cannot be lowered, it is no overflow.
    """
    scale = self._optimizer.loss_scale
    if scale is None:
      for gradient in fixed_gradients[:1]:
        loss = tf.where(tf.math.is_finite(tf.reduce_sum(gradient)), loss, float('nan'))
      return loss, tf.math.is_finite(loss + learning_rate)
    finite, sound = loss_scale.all_finite((gate_gradients, fixed_gradients)), tf.math.is_finite(loss + learning_rate)
    loss = tf.where(finite | (scale.factor.read_value() > 1.0), loss, float('nan'))
    tf.cond(sound, lambda: scale.update(finite), lambda: None)
    return loss, finite & sound

  def _differentiate(self, images, labels, active, inactive):
    gates = self._supernet.sample_pair(active, inactive)
    values = [gate.gates for gate in gates]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(values)
      loss = cross_entropy(labels, self._supernet(images, gates, path=active))
    return loss, tf.stack(self._gradient(tape, loss, values))

  def _differentiate_mixture(self, images, labels, weights):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(weights)
      loss = cross_entropy(labels, self._supernet(images, self._supernet.mix(weights)))
    return loss, self._gradient(tape, loss, weights)

  def _differentiate_sampled(self, images, labels, path):
    weights = tf.ones(tf.shape(path))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(weights)
      loss = cross_entropy(labels, self._supernet(images, self._supernet.sample_mixture(path, weights)))
    return loss, self._gradient(tape, loss, weights)

  def _evaluate(self, images, labels, path):
    """How many are right: float32 scalar, NaN for a network with an output that is not finite, which would have a largest one too."""
    logits = self._supernet(images, self._supernet.sample(path), path=path)
    correct = tf.cast(count_correct(labels, logits), tf.float32)
    return tf.where(tf.reduce_all(tf.math.is_finite(logits)), correct, float('nan'))

  def gate_gradients(self, active: np.ndarray, inactive: np.ndarray, batch: tuple[tf.Tensor, tf.Tensor]):
    """Cross-entropy without smoothing on a batch (official: plain on validation data), and dL/dg, float32 [decisions, 2].

    Raises:
      SearchDivergedError: The cross-entropy is not finite.
    """
    return self._differentiated(self._gate_gradients, (*batch, tf.constant(active), tf.constant(inactive)), active)

  def mixture_gradients(self, weights: np.ndarray, batch: tuple[tf.Tensor, tf.Tensor]):
    """Cross-entropy without smoothing of a mixture of all candidates on a batch, and its gradients by the weights.

    Args:
      weights: float32 [decisions, most choices].
      batch: Images and labels.

    Raises:
      SearchDivergedError: The cross-entropy is not finite.
    """
    return self._differentiated(self._mixture_gradients, (*batch, tf.constant(weights)), weights.argmax(axis=1).astype(np.int32))

  def sampled_gradients(self, weights: np.ndarray, batch: tuple[tf.Tensor, tf.Tensor]):
    """As `mixture_gradients`, of the network of the largest weights, as if they were 1 and the others 0; gradients are 0 by the others."""
    path = weights.argmax(axis=1).astype(np.int32)
    loss, found = self._differentiated(self._sampled_gradients, (*batch, tf.constant(path)), path)
    gradients = np.zeros(weights.shape, np.float32)
    gradients[np.arange(len(path)), path] = found
    return loss, gradients

  def _differentiated(self, step, arguments, path):
    """Loss and gradients that a step gives, in float16 at a loss scale at which they do not overflow, if there is one.

    Raises:
      SearchDivergedError: The loss is not finite; `path` is the network that is looked at.
    """
    scale = self._optimizer.loss_scale
    while True:
      loss, gradients = step(*arguments)
      if not math.isfinite(loss):
        raise checks.bad_loss(float(loss), self.explain(path, arguments[0]))
      if scale is None or scale.factor.read_value() <= 1.0 or np.isfinite(gradients).all():
        return loss, gradients
      scale.update(False)

  def accuracies(self, paths: np.ndarray, batch: tuple[tf.Tensor, tf.Tensor]) -> np.ndarray:
    """Accuracy on one batch of each network of int32 [networks, decisions]: float32 [networks].

    Raises:
      SearchDivergedError: A network gives no finite output.
    """
    return self._count(paths, batch) / int(batch[1].shape[0])

  def accuracies_over(self, paths: np.ndarray, batches) -> np.ndarray:
    """Accuracy over many (images, labels) batches of each network of int32 [networks, decisions]: float64 [networks].

    Raises:
      SearchDivergedError: A network gives no finite output.
      ValueError: There is no image.
    """
    correct, images = np.zeros(len(paths)), 0
    for batch in batches:
      correct += self._count(paths, batch)
      images += int(batch[1].shape[0])
    if not images:
      raise ValueError('there are no images to score networks on')
    return correct / images

  def _count(self, paths: np.ndarray, batch: tuple[tf.Tensor, tf.Tensor]) -> np.ndarray:
    """How many each network has right: float32 [networks]."""
    correct = np.asarray([self._correct(*batch, tf.constant(path, tf.int32)) for path in paths], np.float32)
    if not np.isfinite(correct).all():
      raise checks.bad_score(self.explain(paths[np.argmin(np.isfinite(correct))], batch[0]))
    return correct

  def explain(self, path: np.ndarray, images: tf.Tensor) -> str:
    """Where a network stops giving finite numbers: the path of the decision with its choice, or of the block, and what is wrong there.

    Args:
      path: int32 [decisions].
      images: On which it does.
    """
    supernet = self._supernet
    finite = tf.function(lambda images, path: [tf.reduce_all(tf.math.is_finite(output))
                                               for output in supernet.block_outputs(images, supernet.sample(path), path)], autograph=False)
    bad = [i for i, output in enumerate(finite(images, tf.constant(path, tf.int32))) if not output]
    if not bad:
      return 'the cross-entropy of finite outputs'
    block, layer = supernet.space.blocks[bad[0]], supernet.block_layers[bad[0]]
    where = f'blocks/{block.name}'
    if layer in supernet.choices:
      layer = layer.candidate(path)
      where = f'{where}/op ({ops.short_name(layer.op)})'
    sound = all(np.isfinite(weight).all() for weight in layer.weights)
    return f'{where}, {f"which overflows in {supernet.precision}" if sound else "whose weights are not finite"}'
