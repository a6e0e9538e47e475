"""The compiled steps of a search: train a sampled network's weights, differentiate its gates, score it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import functools
import itertools
import math

import numpy as np
import tensorflow as tf

from tf_proxyless.infra import distribution
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import checks
from tf_proxyless.search import loss_scale
from tf_proxyless.search import weight_optimizer
from tf_proxyless.space import ops

Batch = tuple[tf.Tensor, tf.Tensor]


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

  Several devices share a step: what takes gradients divides the batch among them, and each device normalises by the statistics of its
  part; what scores gives a network and a whole batch to each, so that a score does not depend on how many devices there are.

  Attributes:
    devices: The devices that share the steps.
    image_shape: (height, width, channels).
    decisions: The space's decisions, in the order of a path.
  """

  def __init__(self, supernet: supernet_lib.Supernet, optimizer: weight_optimizer.SupernetSGD, label_smoothing: float = 0.1,
               devices: distribution.Devices | None = None):
    """Compiles nothing yet; each graph is traced at its first use. Weights are made in the scope of the devices, by default of one."""
    self.devices = devices or distribution.Devices()
    self._supernet = supernet
    self._optimizer = optimizer
    self._label_smoothing = label_smoothing
    self.image_shape = supernet.input_size
    self.decisions = supernet.decisions
    images = tf.TensorSpec([None, *self.image_shape], tf.float32)
    labels = tf.TensorSpec([None], tf.int32)
    path = tf.TensorSpec([len(supernet.decisions)], tf.int32)
    self.train = self._divide(self._train, [images, labels, path, tf.TensorSpec([], tf.float32)])
    self._gate_gradients = self._divide(self._differentiate, [images, labels, path, path])
    mixture = tf.TensorSpec([len(supernet.decisions), None], tf.float32)
    self._mixture_gradients = self._divide(self._differentiate_mixture, [images, labels, mixture])
    self._sampled_gradients = self._divide(self._differentiate_sampled, [images, labels, path])
    each = self.devices.local
    self._correct = tf.function(self._evaluate, input_signature=[[images] * each, [labels] * each, [path] * each], autograph=False)

  def _divide(self, function: Callable, signature: Sequence[tf.TensorSpec]) -> tf.types.experimental.GenericFunction:
    """A graph that runs a function of images, labels and more on each device, with its share of these; its results must be alike."""
    @functools.wraps(function)  # TensorFlow tells graphs apart by what is wrapped
    def run(images, labels, *rest):
      return self.devices.run(lambda: function(*self.devices.share(images, labels), *rest))[0]

    return tf.function(run, input_signature=signature, autograph=False)

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
    gradients = self._gradient(tape, loss, (weights, self._supernet.fixed_weights))
    correct = tf.cast(count_correct(labels, logits), tf.float32)
    loss, correct, *means = self.devices.mean([loss, correct, *tf.nest.flatten(gradients)])
    gate_gradients, fixed_gradients = tf.nest.pack_sequence_as(gradients, means)
    loss, when = self._judge(loss, gate_gradients, fixed_gradients, learning_rate)
    self._optimizer.apply(gates, gate_gradients, fixed_gradients, learning_rate, when)
    return loss, tf.cast(tf.round(correct * self.devices.replicas), tf.int32)

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
    return self.devices.mean([loss, tf.stack(self._gradient(tape, loss, values))])

  def _differentiate_mixture(self, images, labels, weights):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(weights)
      loss = cross_entropy(labels, self._supernet(images, self._supernet.mix(weights)))
    return self.devices.mean([loss, tf.convert_to_tensor(self._gradient(tape, loss, weights))])

  def _differentiate_sampled(self, images, labels, path):
    weights = tf.ones(tf.shape(path))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(weights)
      loss = cross_entropy(labels, self._supernet(images, self._supernet.sample_mixture(path, weights)))
    return self.devices.mean([loss, tf.convert_to_tensor(self._gradient(tape, loss, weights))])

  def _evaluate(self, images, labels, paths):
    """How many each device of this process has right, of a batch and by a network of its own: float32 scalars.

    It is NaN for a network with an output that is not finite, which would have a largest one too.
    """
    def evaluate():
      mine = distribution.replica(self.devices.local)
      logits = self._supernet(images[mine], self._supernet.sample(paths[mine]), path=paths[mine])
      correct = tf.cast(count_correct(labels[mine], logits), tf.float32)
      return tf.where(tf.reduce_all(tf.math.is_finite(logits)), correct, float('nan'))

    return self.devices.run(evaluate)

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
    """Accuracy on one batch, which all workers have, of each network of int32 [networks, decisions]: float32 [networks].

    Raises:
      SearchDivergedError: A network gives no finite output.
    """
    mine = range(self.devices.worker, len(paths), self.devices.workers)
    return self._count(paths, ((network, batch) for network in mine)).astype(np.float32) / int(batch[1].shape[0])

  @contextlib.contextmanager
  def kept_weights(self) -> Iterator[Callable[[], None]]:
    """Gives a function that undoes all weight steps since it was entered, as its end does; memory holds all weights twice meanwhile."""
    variables = self._optimizer.variables  # weights too
    values = [tf.identity(variable) for variable in variables]

    def undo() -> None:
      for variable, value in zip(variables, values):
        variable.assign(value)

    try:
      yield undo
    finally:
      undo()

  def accuracies_over(self, paths: np.ndarray, batches: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> np.ndarray:
    """Accuracy over many (images, labels) batches, each of which one worker has, of int32 [networks, decisions]: float64 [networks].

    Raises:
      SearchDivergedError: A network gives no finite output.
      ValueError: There is no image.
    """
    images = 0

    def work():
      nonlocal images
      for batch in batches:
        images += int(batch[1].shape[0])
        yield from ((network, batch) for network in range(len(paths)))

    correct = self._count(paths, work())
    total, = self.devices.add_up(np.array([images], np.float64))
    if not total:
      raise ValueError('there are no images to score networks on')
    return correct / total

  def _count(self, paths: np.ndarray, work: Iterable[tuple[int, Batch]]) -> np.ndarray:
    """How many each network has right: float64 [networks].

    Args:
      paths: int32 [networks, decisions].
      work: Which network this process runs on which batch.
    """
    correct, bad, remaining = np.zeros(len(paths)), None, iter(work)
    running = self._launch(paths, remaining)
    while running and bad is None:
      following = self._launch(paths, remaining)  # before the devices have come to the end of what is running
      for network, batch, value in running:
        correct[network] += value
        bad = batch if bad is None and not np.isfinite(correct[network]) else bad
      running = following
    correct = self.devices.add_up(correct)
    if not np.isfinite(correct).all():
      path = paths[np.argmin(np.isfinite(correct))]
      raise checks.bad_score('another worker' if bad is None else self.explain(path, bad[0]))
    return correct

  def _launch(self, paths: np.ndarray, work: Iterator[tuple[int, Batch]]) -> list[tuple[int, Batch, tf.Tensor]]:
    """Takes a network and a batch of the work for each device of this process; with how many are right, which may still be computed."""
    group = list(itertools.islice(work, self.devices.local))
    if not group:
      return []
    full = group + group[-1:] * (self.devices.local - len(group))  # a device without work does another's again
    images, labels = map(list, zip(*(batch for _, batch in full)))
    found = self._correct(images, labels, [tf.constant(paths[network], tf.int32) for network, _ in full])
    return [(*item, value) for item, value in zip(group, found)]

  def explain(self, path: np.ndarray, images: tf.Tensor) -> str:
    """Where a network stops giving finite numbers: the path of the decision with its choice, or of the block, and what is wrong there.

    Args:
      path: int32 [decisions].
      images: On which it does.
    """
    supernet = self._supernet
    chosen = tf.constant(path, tf.int32)
    check = lambda: list(map(tf.reduce_all, map(tf.math.is_finite, supernet.block_outputs(images, supernet.sample(chosen), chosen))))
    finite, *_ = tf.function(lambda: self.devices.run(check), autograph=False)()
    bad = [i for i, output in enumerate(finite) if not output]
    if not bad:
      return 'the cross-entropy of finite outputs'
    block, layer = supernet.space.blocks[bad[0]], supernet.block_layers[bad[0]]
    where = f'blocks/{block.name}'
    if layer in supernet.choices:
      layer = layer.candidate(path)
      where = f'{where}/op ({ops.short_name(layer.op)})'
    sound = all(np.isfinite(weight).all() for weight in layer.weights)
    return f'{where}, {f"which overflows in {supernet.precision}" if sound else "whose weights are not finite"}'
