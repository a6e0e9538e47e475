"""Simulated searches: landscapes of accuracy over the default space with the Pixel 1 latencies, NumPy only.

A landscape knows every network's true accuracy, so that a derived network can be compared with the optimum under the budget; the
figures to reach are stated against exactly these definitions. Accuracy is 0.55 + the sum of gains. Choices are in the order
k3e3 k5e3 k7e3 k3e6 k5e6 k7e6, then Zero where it is allowed, with cost and gain 0.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import knapsack

BASE_ACCURACY = 0.55
TARGET_MS = 80.0
FIXED_MS = 11.365  # stem 4.084, mix 3.089, logits 0.310, block 0 3.882

# Pixel 1, milliseconds (han-cai/files, proxylessnas/mobile_trim.yaml), with how often the shape occurs and whether Zero is allowed.
_SHAPES = (
    ((6.241, 7.519, 9.144, 16.766, 18.941, 22.105), 1, False),
    ((6.273, 7.902, 10.215, 11.095, 14.131, 18.541), 3, True),
    ((3.941, 4.383, 5.026, 7.139, 7.881, 9.191), 1, False),
    ((2.857, 3.484, 4.367, 5.363, 6.622, 8.377), 3, True),
    ((1.810, 1.985, 2.229, 3.454, 3.798, 4.252), 1, False),
    ((1.841, 2.127, 2.500, 3.469, 4.080, 4.880), 3, True),
    ((1.961, 2.253, 2.630, 3.672, 4.289, 5.090), 1, False),
    ((2.455, 2.792, 3.235, 4.923, 5.645, 6.647), 3, True),
    ((1.648, 1.755, 1.902, 3.243, 3.491, 3.788), 1, False),
    ((2.054, 2.241, 2.457, 3.800, 4.164, 4.693), 3, True),
    ((2.644, 2.829, 3.050, 4.877, 5.265, 5.828), 1, False),
)
CHOICE_COSTS = tuple(costs + (0.0,) * zero for costs, count, zero in _SHAPES for _ in range(count))
CHOICE_COUNTS = tuple(map(len, CHOICE_COSTS))
DECISIONS = tuple(f'blocks/block_{i + 1}/op' for i in range(len(CHOICE_COSTS)))
COST_MODEL = model_lib.additive('ms', DECISIONS, FIXED_MS, CHOICE_COSTS)
CHOICES = 7
ZERO = 6
MASK = np.arange(CHOICES) < np.array(CHOICE_COUNTS)[:, None]
COSTS = np.array([[*costs, 0.0][:CHOICES] for costs in CHOICE_COSTS])  # [decisions, choices], 0 where there is none
JOINT_STEPS = 50_000  # weight steps of the joint phase
WARMUP_STEPS = {0.06: 3_000, 0.25: 16_667, 0.5: 50_000}  # by share of all weight steps


@dataclasses.dataclass(frozen=True)
class LearningCurves:
  """A choice trained n times has gain g (1 - e) - pull * e with e = exp(-n / (steps * (0.6 + 0.16 k))); Zero needs no training."""

  pull: float = 0.0
  warmup_steps: int = WARMUP_STEPS[0.25]
  steps: float = 1_900.0


def costs_of(paths: np.ndarray) -> np.ndarray:
  """Milliseconds of networks: int [networks, decisions] to [networks]."""
  return FIXED_MS + COSTS[np.arange(len(COSTS)), paths].sum(axis=1)


def tilted(target_ms: float = TARGET_MS) -> np.ndarray:
  """Uniform probabilities tilted by exp(-mu cost) so that E[cost] is the target: [decisions, choices]."""
  low, high = -5.0, 5.0
  for _ in range(100):
    middle = (low + high) / 2
    weights = np.where(MASK, np.exp(-middle * COSTS), 0.0)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    low, high = (middle, high) if FIXED_MS + (probabilities * COSTS).sum() > target_ms else (low, middle)
  return probabilities


def sample(probabilities: np.ndarray, networks: int, rng: np.random.Generator) -> np.ndarray:
  """Networks with independent decisions: int32 [networks, decisions]."""
  cumulated = probabilities.cumsum(axis=1)
  return (rng.uniform(size=(networks, len(COSTS), 1)) > cumulated[:, :-1]).sum(axis=2).astype(np.int32)


class Landscape:
  """What a search can ask of a supernet, and the truth behind it.

  Attributes:
    gains: float64 [decisions, choices], true additive gains; 0 where there is no choice.
    pairs: float64 [decisions, choices, decisions, choices], symmetric interactions, or None.
  """

  def __init__(self, seed: int, *, interactions: str = 'none', noise: float = 0.01, rank: float = 1.0, gain_scale: float = 1.0,
               curves: LearningCurves | None = None, gate_noise: float = 0.03):
    """Draws a landscape.

    Args:
      seed: Seed of the landscape and its noise.
      interactions: 'none', 'neighbours' or 'all'.
      noise: Total standard deviation of a score; half of its variance is common to a batch.
      rank: Correlation of the supernet's additive gains with the true ones within a decision.
      gain_scale: Multiplies every gain.
      curves: How choices learn; None if they are trained.
      gate_noise: Standard deviation of a gate's gradient around its gain.
    """
    rng = np.random.default_rng([seed, 0])
    self._rng = np.random.default_rng([seed, 1])
    self._noise, self._gate_noise, self._curves = noise, gate_noise, curves
    self.gains = gain_scale * _additive_gains(rng)
    self.pairs = None if interactions == 'none' else _interactions(rng, self.gains, neighbours=interactions == 'neighbours')
    self._neighbours = interactions == 'neighbours'
    trainable = MASK & (np.arange(CHOICES) != ZERO)
    within = np.sqrt(np.mean([np.var(row[mask]) for row, mask in zip(self.gains, MASK)]))
    self.supernet_gains = self.gains + trainable * rng.normal(0, within * np.sqrt(1 / rank**2 - 1), self.gains.shape)
    self._trained = np.zeros(self.gains.shape)
    if curves is not None:
      self._trained += curves.warmup_steps / MASK.sum(axis=1, keepdims=True)

  @property
  def learns(self) -> bool:
    """Whether training matters."""
    return self._curves is not None

  def train(self, probabilities: np.ndarray, weight_steps: float) -> None:
    """Weight steps with networks sampled from probabilities [decisions, choices]."""
    self._trained += weight_steps * probabilities

  def _effective_gains(self) -> np.ndarray:
    if self._curves is None:
      return self.supernet_gains
    error = np.exp(-self._trained / (self._curves.steps * (0.6 + 0.16 * np.arange(CHOICES))))
    learned = self.supernet_gains * (1 - error) - self._curves.pull * error
    return np.where(MASK & (np.arange(CHOICES) != ZERO), learned, self.supernet_gains)

  def _accuracy(self, gains: np.ndarray, paths: np.ndarray) -> np.ndarray:
    chosen = np.eye(CHOICES)[paths].reshape(len(paths), -1)
    accuracy = BASE_ACCURACY + chosen @ gains.ravel()
    if self.pairs is not None:
      accuracy += 0.5 * np.sum(chosen @ self.pairs.reshape(gains.size, -1) * chosen, axis=1)
    return accuracy

  def true_gain(self, paths: np.ndarray) -> np.ndarray:
    """Gain of networks int [networks, decisions] trained from scratch: [networks]."""
    return self._accuracy(self.gains, np.asarray(paths)) - BASE_ACCURACY

  def score(self, paths: np.ndarray, batch: object = None) -> np.ndarray:
    """Accuracies of networks int [networks, decisions] on one validation batch, with the supernet's weights as they are."""
    del batch
    sd = self._noise * 0.7
    accuracy = self._accuracy(self._effective_gains(), np.asarray(paths))
    return accuracy + self._rng.normal(0, sd) + self._rng.normal(0, sd, len(paths))

  def validate(self, paths: np.ndarray) -> np.ndarray:
    """Accuracies on the whole validation split: without noise, still of the supernet."""
    return self._accuracy(self._effective_gains(), np.asarray(paths))

  def gate_gradients(self, active: np.ndarray, inactive: np.ndarray, batch: object = None) -> tuple[float, np.ndarray]:
    """The two-path rule's view: a loss, and its gradient for the gates of the pair, [decisions, 2].

    Args:
      active: int [decisions], the path that is evaluated.
      inactive: int [decisions], the other choices.
      batch: Ignored.

    Returns:
      1 - accuracy, and minus the gains of the two choices beside the active path's others, with noise.
    """
    gains = self._effective_gains()
    if self.pairs is not None:
      gains = gains + np.einsum('dcek,ek->dc', self.pairs, np.eye(CHOICES)[active])
    pair = np.stack([active, inactive], axis=1)
    noisy = np.take_along_axis(gains, pair, axis=1) + self._rng.normal(0, self._gate_noise, pair.shape)
    return 1.0 - float(self.score(active[None])[0]), -noisy

  def mixture_gradients(self, weights: np.ndarray, batch: object = None) -> tuple[float, np.ndarray]:
    """The view of a mixture of all choices: a loss, and its gradient for their weights, float [decisions, choices], with noise."""
    gains = self._effective_gains()
    if self.pairs is not None:
      gains = gains + np.einsum('dcek,ek->dc', self.pairs, weights)
    loss = 1.0 - float(self.score(weights.argmax(axis=1)[None])[0])
    return loss, -(gains + self._rng.normal(0, self._gate_noise, gains.shape))

  def sampled_gradients(self, weights: np.ndarray, batch: object = None) -> tuple[float, np.ndarray]:
    """The same of the choices of the largest weights as if these were 1; 0 by the others."""
    sampled = np.eye(CHOICES)[weights.argmax(axis=1)]
    loss, gradients = self.mixture_gradients(sampled)
    return loss, sampled * gradients

  @functools.cached_property
  def optimum(self) -> np.ndarray:
    """The network of greatest true gain under the budget: exact, or the best of 30 local searches if all decisions interact."""
    return self._best(self.gains)

  @functools.cached_property
  def supernet_optimum(self) -> np.ndarray:
    """The same for the supernet's gains when trained to the end."""
    return self._best(self.supernet_gains)

  def _best(self, gains: np.ndarray, limit: float = TARGET_MS) -> np.ndarray:
    if self.pairs is None:
      return knapsack.solve([row[mask] for row, mask in zip(gains, MASK)], CHOICE_COSTS, limit, FIXED_MS)
    if self._neighbours:
      return _chain_knapsack(gains, self.pairs, limit)
    if limit != TARGET_MS:
      raise ValueError('where all decisions interact the optimum is looked for under the usual budget only')
    rng = np.random.default_rng(0)
    found = [local_search(gains, self.pairs, rng) for _ in range(30)]
    return max(found, key=lambda path: self._accuracy(gains, path[None])[0])

  def gain_ratio(self, choices: np.ndarray, limit: float = TARGET_MS) -> float:
    """True gain of a network over that of the optimum under the budget."""
    gain, best = self.true_gain(np.stack([choices, self.optimum if limit == TARGET_MS else self._best(self.gains, limit)]))
    return float(gain / best)

  def score_batches(self, probabilities: np.ndarray, networks: int, rng: np.random.Generator, per_batch: int = 10):
    """Scored samples of networks drawn from fixed probabilities, ten a batch."""
    paths = sample(probabilities, networks, rng)
    accuracy = np.concatenate([self.score(paths[i:i + per_batch]) for i in range(0, networks, per_batch)])
    return evaluations_lib.Evaluations(CHOICE_COUNTS, paths, accuracy, costs_of(paths), np.arange(networks) // per_batch)

  def random_search(self, networks: int, rng: np.random.Generator) -> np.ndarray:
    """The best of some networks under the budget by one score each, drawn uniformly and tilted to the budget."""
    best, best_score, scored = None, -np.inf, 0
    while scored < networks:
      paths = sample(tilted(), 1000, rng)
      paths = paths[costs_of(paths) <= TARGET_MS][:networks - scored]
      scores = np.concatenate([self.score(paths[i:i + 10]) for i in range(0, len(paths), 10)])
      scored += len(paths)
      if scores.max() > best_score:
        best, best_score = paths[scores.argmax()], scores.max()
    return best


class OtherSpace:
  """Additive gains like a `Landscape`'s, over any additive space: decisions of seven choices can skip, others have six at most.

  Attributes:
    cost_model: Costs.
  """

  def __init__(self, cost_model: model_lib.CostModel, seed: int):
    """Draws gains."""
    self.cost_model = cost_model
    self._gains = _additive_gains(np.random.default_rng([seed, 0]), cost_model.choice_counts)
    self._rng = np.random.default_rng([seed, 1])

  def accuracies(self, paths: np.ndarray, batch: object = None) -> np.ndarray:
    """Accuracies of networks int [networks, decisions], with noise of 1 %."""
    del batch
    gains = self._gains[np.arange(len(self._gains)), paths].sum(axis=1)
    return BASE_ACCURACY + gains + self._rng.normal(0, 0.007) + self._rng.normal(0, 0.007, len(paths))

  def gate_gradients(self, active: np.ndarray, inactive: np.ndarray, batch: object = None) -> tuple[float, np.ndarray]:
    """As `Landscape.gate_gradients`."""
    pair = np.stack([active, inactive], axis=1)
    noisy = np.take_along_axis(self._gains, pair, axis=1) + self._rng.normal(0, 0.03, pair.shape)
    return 1.0 - float(self.accuracies(active[None])[0]), -noisy


def _additive_gains(rng: np.random.Generator, choice_counts: tuple[int, ...] = CHOICE_COUNTS) -> np.ndarray:
  gains = np.zeros((len(choice_counts), CHOICES))
  for d, count in enumerate(choice_counts):
    gains[d, :6] = np.sort(rng.uniform(0, 0.012, 6)) + rng.normal(0, 0.002, 6) + 0.004 * (count == 7)
  return gains


def _interactions(rng: np.random.Generator, gains: np.ndarray, neighbours: bool) -> np.ndarray:
  """Doubly centred tables with half the variance of the additive part under uniform sampling."""
  decisions = len(gains)
  pairs = np.zeros((decisions, CHOICES, decisions, CHOICES))
  variance = 0.0
  for a in range(decisions):
    for b in range(a + 1, min(a + 2, decisions) if neighbours else decisions):
      table = rng.normal(size=(CHOICE_COUNTS[a], CHOICE_COUNTS[b]))
      table += table.mean() - table.mean(axis=0) - table.mean(axis=1, keepdims=True)
      variance += table.var()
      pairs[a, :CHOICE_COUNTS[a], b, :CHOICE_COUNTS[b]] = table
      pairs[b, :CHOICE_COUNTS[b], a, :CHOICE_COUNTS[a]] = table.T
  additive = sum(np.var(row[mask]) for row, mask in zip(gains, MASK))
  return pairs * np.sqrt(additive / 2 / variance)


def _chain_knapsack(gains: np.ndarray, pairs: np.ndarray, limit: float, grid_ms: float = 0.01) -> np.ndarray:
  """The optimum with interactions of neighbours, by dynamic programming over cost (rounded up to the grid) and last choice."""
  size = int((limit - FIXED_MS) / grid_ms) + 1
  steps = np.ceil(COSTS / grid_ms - 1e-9).astype(int)
  best, parents = None, []
  for d in range(len(gains)):
    value, parent = np.full((size, CHOICES), -np.inf), np.zeros((size, CHOICES), int)
    for c in range(CHOICE_COUNTS[d]):
      if best is None:
        value[steps[d, c]:, c] = gains[d, c]
        continue
      previous = best + pairs[d - 1, :, d, c]
      came = previous.argmax(axis=1)
      cells = slice(steps[d, c], None)
      value[cells, c] = (gains[d, c] + previous.max(axis=1))[:size - steps[d, c]]
      parent[cells, c] = came[:size - steps[d, c]]
    best = value
    parents.append(parent)
  cell, path = size - 1, [int(best[-1].argmax())]
  for d in range(len(gains) - 1, 0, -1):
    came = parents[d][cell, path[-1]]
    cell -= steps[d, path[-1]]
    path.append(int(came))
  return np.array(path[::-1], np.int32)


def local_search(gains: np.ndarray, pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Steepest ascent over all changes of one or two decisions within the budget, from a random network under it."""
  decisions = np.arange(len(gains))
  while True:
    path = sample(tilted(), 1, rng)[0]
    if costs_of(path[None])[0] <= TARGET_MS:
      break
  flat_pairs = pairs.reshape(gains.size, gains.size)
  own = np.repeat(decisions, CHOICES)
  while True:
    at = decisions * CHOICES + path
    field = (gains.ravel() + flat_pairs[:, at].sum(axis=1))
    single = np.where(MASK.ravel(), field - field[at][own], -np.inf)
    cost = COSTS.ravel() - COSTS.ravel()[at][own]
    cross = flat_pairs - flat_pairs[:, at][:, own] - flat_pairs[at][own] + flat_pairs[np.ix_(at, at)][np.ix_(own, own)]
    change = single[:, None] + single + np.where(own[:, None] == own, -np.inf, cross)
    change = np.where(cost[:, None] + cost <= TARGET_MS - costs_of(path[None])[0] - 1e-9, change, -np.inf)
    first, second = np.unravel_index(np.argmax(change), change.shape)  # a change of one decision leaves the other as it is
    if change[first, second] <= 1e-12:
      return path
    path = path.copy()
    path[[own[first], own[second]]] = first % CHOICES, second % CHOICES
