"""Architecture parameters: a softmax over the choices of each decision, and networks sampled from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_proxyless.cost import model as model_lib

# Of the projection: how close it comes, as a share of the target and of the range; the most rounds; by how much the first may move a
# logit, and the least that is worth another; how far below the most likely choice it pushes one.
_CLOSE, _ROUNDS, _STRIDE, _LEAST, _DEPTH = 1e-4, 100, 2.0, 1e-3, 15.0

_STRATA = 64  # draws of a decision among which choices come in proportion


class Policy(tf.Module):
  """Independent categorical distributions, one a decision.

  A decision inside another's choice is drawn only where that choice is: its entry in other paths is 0, as in `schema.canonical`.

  Sampling is a pure function of (seed, stream, counter), so that a resumed search draws what an uninterrupted one would have.

  Attributes:
    alpha: float32 [decisions, most choices], the logits; entries beyond a decision's choices mean nothing.
    mask: bool, same shape: which entries are choices.
  """

  def __init__(self, choice_counts: Sequence[int], *, exploration: float = 0.0, stddev: float = 1e-3, seed: int = 0,
               parents: Sequence[Sequence[tuple[int, int]]] = (), even: Sequence[int] = ()):
    """Makes nearly uniform parameters.

    Args:
      choice_counts: Choices of each decision.
      exploration: Share of every decision's sampling probability that is spread evenly: the policy is
        (1 - exploration) * softmax(alpha) + exploration / choices.
      stddev: Standard deviation of the initial alpha (official 1e-3).
      seed: Seed of the initial alpha and of all samples.
      parents: (decision, choice) pairs inside which each decision stands, see `schema.parent_indices`; () if there are none.
      even: Decisions whose choices are equally probable in weight steps, whatever was learned.
    """
    super().__init__(name='architecture_parameters')
    if not choice_counts or min(choice_counts) < 2:
      raise ValueError(f'every decision needs at least 2 choices, got {list(choice_counts)}')
    if not 0.0 <= exploration < 1.0:
      raise ValueError(f'exploration must be in [0, 1), got {exploration}')
    counts = np.asarray(choice_counts)
    self._counts = tuple(map(int, choice_counts))
    self.mask = tf.constant(np.arange(counts.max()) < counts[:, None])
    self.alpha = tf.Variable(tf.random.stateless_normal(self.mask.shape, [seed, 0], stddev=stddev), name='alpha')
    self._uniform = tf.constant(np.where(np.arange(counts.max()) < counts[:, None], 1.0 / counts[:, None], 0.0), tf.float32)
    self._exploration = exploration
    self._even = np.isin(np.arange(len(counts)), even)[:, None]
    self._seed = seed
    self._parents = tuple(map(tuple, parents)) if any(parents) else ()

  def active(self, paths: tf.Tensor) -> tf.Tensor:
    """Which decisions count in networks of int32 [networks, decisions]: bool, same shape."""
    if not self._parents:
      return tf.ones_like(paths, tf.bool)
    yes = tf.ones_like(paths[:, 0], tf.bool)
    return tf.stack([tf.reduce_all([yes, *(paths[:, parent] == choice for parent, choice in above)], axis=0)
                     for above in self._parents], axis=1)

  def log_probability(self, paths: tf.Tensor) -> tf.Tensor:
    """Log-probability of networks under what is sampled from, of the decisions that count in each.

    Args:
      paths: int32 [networks, decisions].

    Returns:
      float32 [networks], differentiable in alpha.
    """
    log_policy = tf.math.log(tf.where(self.mask, self.sampling_probabilities(), 1.0))
    chosen = tf.one_hot(paths, self.mask.shape[1])
    if self._parents:
      chosen *= tf.cast(self.active(paths), tf.float32)[..., None]
    return tf.einsum('ndc,dc->n', chosen, log_policy)

  def log_probabilities(self) -> tf.Tensor:
    """log softmax(alpha): float32 [decisions, most choices], very negative where there is no choice."""
    return tf.nn.log_softmax(tf.where(self.mask, self.alpha, -1e9))

  def probabilities(self) -> tf.Tensor:
    """softmax(alpha): float32 [decisions, most choices], exactly 0 where there is no choice."""
    return tf.where(self.mask, tf.exp(self.log_probabilities()), 0.0)

  def sampling_probabilities(self) -> tf.Tensor:
    """What is sampled from: the probabilities with the exploration floor, float32 [decisions, most choices]."""
    return (1.0 - self._exploration) * self.probabilities() + self._exploration * self._uniform

  def weight_step_probabilities(self) -> tf.Tensor:
    """What weight steps draw from: as scored networks, but for the decisions that are to be even; same shape."""
    return tf.where(self._even, self._uniform, self.sampling_probabilities())

  def project(self, cost_model: model_lib.CostModel, expected_cost: tf.Tensor | float) -> None:
    """Moves to the nearest probabilities with an expected cost, or as near to it as a hundred rounds come.

    Nearest by Kullback-Leibler divergence: each probability is multiplied by exp(-mu * cost) and normalised (Csiszar 1975), with the mu
    that Newton's method finds in bounded steps. Where terms couple decisions, each step goes by the marginal costs of the probabilities
    so far. A choice is never pushed below 3e-7 of the most likely one's probability, from where its samples could not bring it back.

    Args:
      cost_model: Costs of choices.
      expected_cost: In their unit, between the cheapest network's and the dearest's.
    """
    wanted = tf.cast(expected_cost, tf.float64)
    close = _CLOSE * tf.minimum(wanted, cost_model.largest - cost_model.smallest)

    def probabilities(alpha: tf.Tensor) -> tf.Tensor:
      return tf.where(self.mask, tf.nn.softmax(tf.where(self.mask, alpha, -1e9)), 0.0)

    def top(alpha: tf.Tensor) -> tf.Tensor:
      return tf.reduce_max(tf.where(self.mask, alpha, -np.inf), axis=1, keepdims=True)

    def excess(alpha: tf.Tensor) -> tf.Tensor:
      return cost_model.expected(probabilities(alpha)) - wanted

    def nearer(alpha: tf.Tensor, above: tf.Tensor, stride: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
      p = probabilities(alpha)
      costs = cost_model.marginal(p)
      costs = tf.where(self.mask, costs - tf.reduce_sum(p * costs, axis=1, keepdims=True), 0.0)
      greatest = tf.reduce_max(tf.abs(costs))
      most = tf.math.divide_no_nan(stride, greatest)
      mu = tf.clip_by_value(tf.math.divide_no_nan(above, tf.reduce_sum(p * costs**2)), -most, most)
      moved = alpha - mu * costs
      moved = tf.maximum(moved, top(moved) - tf.maximum(top(alpha) - alpha, _DEPTH))
      left = excess(moved)
      better = tf.abs(left) < tf.abs(above)
      return (tf.where(better, moved, alpha), tf.where(better, left, above),
              tf.where(better, 2.0 * stride, 0.25 * tf.abs(mu) * greatest))

    alpha = tf.cast(self.alpha, tf.float64)
    alpha, *_ = tf.while_loop(lambda alpha, above, stride: (tf.abs(above) > close) & (stride > _LEAST), nearer,
                              (alpha, excess(alpha), tf.constant(_STRIDE, tf.float64)), maximum_iterations=_ROUNDS)
    self.alpha.assign(tf.cast(alpha, tf.float32))

  def entropy(self) -> tf.Tensor:
    """Mean over decisions of -sum p log p in nats (official logging): ln(choices) for a uniform decision."""
    return -tf.reduce_mean(tf.reduce_sum(self.probabilities() * self.log_probabilities(), axis=1))

  def mode(self) -> tf.Tensor:
    """The most probable choice of each decision: int32 [decisions]."""
    return self._canonical(tf.argmax(tf.where(self.mask, self.alpha, -1e9), axis=1, output_type=tf.int32)[None])[0]

  def seed(self, stream: int, counter: tf.Tensor) -> tf.Tensor:
    """Seed of a stateless random operation, int64 [2]: `stream` tells purposes apart, `counter` their uses."""
    return tf.stack([tf.constant(self._seed * 16 + stream, tf.int64), tf.cast(counter, tf.int64)])

  def sample(self, stream: int, counter: tf.Tensor, networks: int = 1, probabilities: tf.Tensor | None = None) -> tf.Tensor:
    """Networks drawn from the policy, or from given probabilities: int32 [networks, decisions]."""
    logits = tf.math.log(self.sampling_probabilities() if probabilities is None else probabilities)
    return self._canonical(tf.transpose(tf.random.stateless_categorical(logits, networks, self.seed(stream, counter), dtype=tf.int32)))

  def sample_in_proportion(self, stream: int, counter: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """A network whose choices come in 64 counts as often as they are probable, up to one.

    Independent draws would leave the number of steps that a choice's weights get to chance; FairNAS (Chu et al. 2021, arXiv 1907.01845)
    shows what that costs. Here each decision's draws are a stratified sample, in an order of its own.

    Args:
      stream, counter: See `seed`.
      probabilities: float32 [decisions, most choices].

    Returns:
      int32 [decisions].
    """
    within = tf.random.stateless_uniform([2, len(self._counts), _STRATA], self.seed(stream, counter // _STRATA))
    place = tf.cast(counter % _STRATA, tf.int32)
    stratum = tf.cast(tf.argsort(within[0], axis=1)[:, place], tf.float32)
    reached = tf.cumsum(probabilities, axis=1) <= ((stratum + within[1, :, place]) / _STRATA)[:, None]
    drawn = tf.minimum(tf.reduce_sum(tf.cast(reached, tf.int32), axis=1), tf.constant(self._counts) - 1)
    return self._canonical(drawn[None])[0]

  def _canonical(self, paths: tf.Tensor) -> tf.Tensor:
    return tf.where(self.active(paths), paths, 0) if self._parents else paths
