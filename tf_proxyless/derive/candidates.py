"""From a finished search to one architecture, exact under the budget.

By probability: the most likely network under the budget, as published (by a knapsack, where others take the argmax and hope).
By evidence: the network under the budget whose estimated accuracy is greatest (`evidence`). By validation: a dozen networks from
both are fine-tuned and scored on the whole validation split; accuracy and multiply-adds decide (`merits`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import solver

BY = ('probability', 'evidence', 'validation')
PREDICTED = 'predictor'  # `by` and source of what was found without a supernet
CANDIDATES = 12
_NORMAL = 1.4826  # standard deviation over median absolute deviation, of a normal distribution
_LEAST_SPREAD = 0.1  # of the logarithms of multiply-adds, for them to count as much as accuracy
REDRAWS = 20  # of the coefficients, for the expected loss

Choices = tuple[int, ...]
Score = Callable[[np.ndarray], np.ndarray]  # paths int32 [networks, decisions] -> accuracy on the validation split [networks]


@dataclasses.dataclass(frozen=True, eq=False)
class Budget:
  """What networks cost, and how much they may.

  Attributes:
    limit: Greatest cost; infinity for none.
    cost_model: Costs of the space, in the unit of the limit.
    others: Further constraints, for instance on the bytes of the weights.
  """

  limit: float
  cost_model: model_lib.CostModel
  others: tuple[solver.Constraint, ...] = ()

  def best(self, values: Sequence[np.ndarray]) -> Choices:
    """The network of greatest total value within the limit; values are by decision and choice."""
    return tuple(solver.solve(values, [solver.Constraint(self.cost_model, self.limit), *self.others]).tolist())

  def cost(self, choices: Sequence[int]) -> float:
    return self.cost_model.cost(choices)

  def admits(self, choices: Sequence[int]) -> bool:
    """Whether a network is within all limits."""
    return all(each.admits(choices) for each in (solver.Constraint(self.cost_model, self.limit), *self.others))


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A network that was derived.

  Attributes:
    choices: Choice of each decision.
    source: 'probability' or 'evidence': which of them proposed it.
    cost: In the unit of the budget.
    log_probability: Sum of log p of its choices.
    estimate, standard_error: Accuracy on a validation batch as evidence has it; None without evidence.
    validation_accuracy: On the whole validation split, with weights fine-tuned for it; None if it was not scored.
    macs: Multiply-adds; None if they did not count.
  """

  choices: Choices
  source: str
  cost: float
  log_probability: float
  estimate: float | None = None
  standard_error: float | None = None
  validation_accuracy: float | None = None
  macs: float | None = None


@dataclasses.dataclass(frozen=True)
class Margin:
  """How much a decision's choice is worth over the next that fits the budget with everything else unchanged.

  Attributes:
    decision, choice, alternative: Indices.
    difference, standard_error: Difference and standard error of accuracy.
  """

  decision: int
  choice: int
  alternative: int
  difference: float
  standard_error: float


@dataclasses.dataclass(frozen=True)
class Derivation:
  """What was derived, and what else it could have been.

  Attributes:
    by: 'probability', 'evidence' or 'validation'.
    budget: Greatest cost allowed.
    chosen: The network.
    probability: The most likely network under the budget.
    evidence: The network of greatest estimated accuracy under the budget; None without evidence.
    differing: Decisions (indices) in which these two differ.
    advantage, advantage_error: Estimated accuracy of `evidence` less that of `probability`, and its standard error; optimistic,
      since the first was chosen by the same estimates.
    expected_loss: Accuracy that `evidence` is expected to miss because effects are estimates; knows noise, not the
      supernet's systematic error.
    margins: Margins of the choices of `evidence`, where an alternative fits the budget.
    candidates: Every network that was considered, that of most merit first if they were scored.
    warnings: Lines for the user, see `diagnosis`.
  """

  by: str
  budget: float
  chosen: Candidate
  probability: Candidate
  evidence: Candidate | None
  differing: tuple[int, ...]
  advantage: float | None
  advantage_error: float | None
  expected_loss: float | None
  margins: tuple[Margin, ...]
  candidates: tuple[Candidate, ...]
  warnings: tuple[str, ...] = ()

  def to_json(self) -> dict[str, Any]:
    """JSON values for architecture.json; no budget is null."""
    record = dataclasses.asdict(self)
    chosen = record.pop('chosen')
    record['budget'] = self.budget if np.isfinite(self.budget) else None
    return {'by': record.pop('by'), 'budget': record.pop('budget'), 'estimate': chosen['estimate'],
            'standard_error': chosen['standard_error'], 'validation_accuracy': chosen['validation_accuracy'], **record}


def by_probability(log_probabilities: Sequence[np.ndarray], budget: Budget) -> Choices:
  """The most likely network under the budget; log p is by decision and choice, from a log-softmax and not clipped."""
  return budget.best(log_probabilities)


def by_evidence(effects: effects_lib.Effects, budget: Budget) -> Choices:
  """The network under the budget whose main effects add up to most."""
  return budget.best(effects.values)


def redraw(effects: effects_lib.Effects, budget: Budget, rng: np.random.Generator, count: int = REDRAWS) -> tuple[
    list[Choices], float]:
  """Derives again from coefficients as they might be.

  Args:
    effects: Main effects.
    budget: Budget of the networks.
    rng: For the draws of coefficients.
    count: Draws.

  Returns:
    The network of each draw, and the mean over draws of how much better it is, in its draw, than the network by evidence.
  """
  derived = by_evidence(effects, budget)
  networks, losses = [], []
  for coefficients in effects_lib.draw(effects, count, rng):
    values = effects.by_decision(coefficients)
    networks.append(budget.best(values))
    losses.append(sum(v[i] - v[j] for v, i, j in zip(values, networks[-1], derived)))
  return networks, float(np.mean(losses))


def margins(effects: effects_lib.Effects, choices: Choices, budget: Budget) -> tuple[Margin, ...]:
  """Compares each choice of a network with the best other one that fits the budget, everything else unchanged."""
  found = []
  for d, (values, choice) in enumerate(zip(effects.values, choices)):
    changed = {i: (*choices[:d], i, *choices[d + 1:]) for i in range(len(values)) if i != choice}
    fitting = [i for i, network in changed.items() if budget.admits(network)]
    if fitting:
      alternative = max(fitting, key=lambda i: values[i])
      found.append(Margin(d, choice, alternative, *effects_lib.difference(effects, choices, changed[alternative])))
  return tuple(found)


def propose(log_probabilities: Sequence[np.ndarray], effects: effects_lib.Effects | None, redrawn: Sequence[Choices],
            budget: Budget, rng: np.random.Generator, count: int = CANDIDATES) -> dict[Choices, str]:
  """Networks worth scoring: both winners, those of redrawn coefficients, and draws of the policy.

  A draw of the policy that fits the budget is the knapsack on log p + Gumbel noise; its argmax would be a draw without budget.

  Args:
    log_probabilities: By decision, log p of each choice.
    effects: Main effects, or None.
    redrawn: Networks of redrawn coefficients.
    budget: Budget of the networks.
    rng: For the draws of the policy.
    count: Most networks; fewer if the policy has no more to offer.

  Returns:
    Source ('probability' or 'evidence') by network, all different and within the budget, the winners first.
  """
  networks = {by_probability(log_probabilities, budget): 'probability'}
  if effects is not None:
    networks.setdefault(by_evidence(effects, budget), 'evidence')
  spare = [network for network in dict.fromkeys(redrawn) if network not in networks]
  for network in spare[:count // 2]:
    networks[network] = 'evidence'
  for _ in range(2 * count):
    if len(networks) >= count:
      break
    networks.setdefault(budget.best([log_p + rng.gumbel(size=len(log_p)) for log_p in log_probabilities]), 'probability')
  for network in spare[count // 2:][:max(count - len(networks), 0)]:
    networks.setdefault(network, 'evidence')
  return networks


def merits(accuracies: np.ndarray | Sequence[float], macs: np.ndarray | Sequence[float] | None) -> np.ndarray:
  """What fine-tuned networks are compared by: their standard scores of accuracy and of the logarithm of multiply-adds, added up.

  Of networks of equal latency those with more multiply-adds are more accurate after a training of their own; some steps do not show
  it all, and are noisy (docs/research.md). Multiply-adds that hardly differ count less. The deviation of accuracies is that from their
  median, so that a network that has collapsed does not lend weight to the others' multiply-adds.

  Args:
    accuracies: Of two networks or more.
    macs: Multiply-adds; None counts accuracy alone.

  Returns:
    float64 [networks], in the unit of accuracy.
  """
  scores = np.asarray(accuracies, np.float64)
  if macs is None:
    return scores
  sizes = np.log(np.maximum(macs, 1.0))
  deviation = _NORMAL * np.median(np.abs(scores - np.median(scores)))
  return scores + deviation * (sizes - sizes.mean()) / max(sizes.std(), _LEAST_SPREAD)


def derive(
    log_probabilities: Sequence[np.ndarray],
    effects: effects_lib.Effects | None,
    budget: Budget,
    *,
    by: str = 'validation',
    validation: Score | None = None,
    macs: model_lib.CostModel | None = None,
    seed: int = 0,
) -> Derivation:
  """Derives one network: `front` for one budget."""
  return front(log_probabilities, effects, [budget], by=by, validation=validation, macs=macs, seed=seed)[0]


def front(
    log_probabilities: Sequence[np.ndarray],
    effects: effects_lib.Effects | None,
    budgets: Sequence[Budget],
    *,
    by: str = 'validation',
    validation: Score | None = None,
    macs: model_lib.CostModel | None = None,
    seed: int = 0,
) -> list[Derivation]:
  """Derives a network for each budget, with all that there is to say about it but the warnings.

  Networks that are scored for one budget are considered for all that admit them, so that a larger one gives none of less merit.

  Args:
    log_probabilities: By decision, log p of each choice.
    effects: Main effects of the networks that were scored, or None.
    budgets: Budget of each network; hard.
    by: 'probability', 'evidence' (needs effects), or 'validation' (needs it).
    validation: Scores the candidates if given.
    macs: Multiply-adds of the space, which count besides, see `merits`.
    seed: Seed of redrawn coefficients and draws of the policy.

  Returns:
    A derivation a budget, without warnings.

  Raises:
    ValueError: `by` is unknown or lacks what it needs, or a budget cannot be reached (states the smallest cost).
  """
  if by not in BY or (by == 'evidence' and effects is None) or (by == 'validation' and validation is None):
    raise ValueError(f'by must be one of {BY}, with effects for evidence and images for validation, got {by!r}')
  drafts = [_draft(log_probabilities, effects, budget, validation is not None, seed) for budget in budgets]
  networks = list(dict.fromkeys(choices for draft in drafts for choices in draft.networks))
  estimates = {} if effects is None else {choices: effects_lib.predict(effects, choices) for choices in networks}
  sizes = {} if macs is None else {choices: macs.cost(choices) for choices in networks}
  scores: dict[Choices, tuple[float, float]] = {}  # accuracy and merit
  if validation is not None:
    accuracies = np.asarray(validation(np.array(networks, np.int32)), np.float64)
    scores = dict(zip(networks, zip(accuracies.tolist(), merits(accuracies, list(sizes.values()) or None).tolist()), strict=True))
    for draft in drafts:
      for choices, source in [item for other in drafts for item in other.networks.items()]:
        if draft.budget.admits(choices):
          draft.networks.setdefault(choices, source)
  return [_choose(log_probabilities, effects, draft, by, estimates, sizes, scores) for draft in drafts]


@dataclasses.dataclass(frozen=True)
class _Draft:
  """What is considered under a budget: see `Derivation`; `networks` has the source of each."""

  budget: Budget
  likely: Choices
  best: Choices | None
  expected_loss: float | None
  networks: dict[Choices, str]


def _draft(log_probabilities: Sequence[np.ndarray], effects: effects_lib.Effects | None, budget: Budget, scored: bool,
           seed: int) -> _Draft:
  rng = np.random.default_rng(seed)
  redrawn, loss = ([], None) if effects is None else redraw(effects, budget, rng)
  likely, best = by_probability(log_probabilities, budget), None if effects is None else by_evidence(effects, budget)
  networks = {likely: 'probability'}
  if best is not None:
    networks.setdefault(best, 'evidence')
  if scored:
    networks = propose(log_probabilities, effects, redrawn, budget, rng)
  return _Draft(budget, likely, best, loss, networks)


def _choose(log_probabilities: Sequence[np.ndarray], effects: effects_lib.Effects | None, draft: _Draft, by: str,
            estimates: Mapping[Choices, tuple[float, float]], sizes: Mapping[Choices, float],
            scores: Mapping[Choices, tuple[float, float]]) -> Derivation:
  """One network for one budget."""
  budget, likely, best = draft.budget, draft.likely, draft.best

  def candidate(choices: Choices) -> Candidate:
    log_p = float(sum(values[i] for values, i in zip(log_probabilities, choices)))
    estimate, standard_error = estimates.get(choices, (None, None))
    accuracy, _ = scores.get(choices, (None, None))
    return Candidate(choices, draft.networks[choices], budget.cost(choices), log_p, estimate, standard_error, accuracy, sizes.get(choices))

  candidates = [candidate(choices) for choices in draft.networks]
  if scores:
    candidates.sort(key=lambda c: (-scores[c.choices][1], -c.cost, c.choices))
  chosen = {'probability': likely, 'evidence': best}.get(by) or candidates[0].choices
  derivation = Derivation(by, budget.limit, candidate(chosen), candidate(likely), None, (), None, None, draft.expected_loss, (),
                          tuple(candidates))
  if effects is None or best is None:
    return derivation
  advantage, advantage_error = effects_lib.difference(effects, best, likely)
  return dataclasses.replace(
      derivation, evidence=candidate(best), differing=tuple(np.flatnonzero(np.not_equal(best, likely)).tolist()),
      advantage=advantage, advantage_error=advantage_error, margins=margins(effects, best, budget))
