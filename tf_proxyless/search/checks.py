"""Searches that go wrong: what is looked for, and the rule for each, docs/file_formats.md.

A search stops where nothing that follows could be right: a loss, a score or an architecture parameter that is no number stays one,
and neither a decision that is out of reach of its samples nor rewards without differences teach anything. It goes on, with a warning,
after a collapse to skips for as long as the objective may still lead out of it. What is judged at the end of an epoch is judged from the
files of the run, so that a search that was interrupted is judged as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import math
from typing import Any

import numpy as np

from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import errors

# Of the logits of one decision; simulated searches of 300 to 10,000 updates stayed below 17 (docs/file_formats.md). Beyond it the
# unlikely choice has a probability under 1e-17, and no gradient.
_MOST_SPREAD = 40.0
_FLAT_UPDATES = 100  # in a row, in which all networks scored alike
_COLLAPSED = 0.95  # probability of skipping, in every decision that can
_BELOW_TARGET = 0.05
_COLLAPSED_EPOCHS = 10
_ELSEWHERE = 'start again in another `run_dir`'


class SearchDivergedError(errors.UserError):
  """A search that would lead nowhere. The message, one line, says what is wrong, where, and what to change."""


@contextlib.contextmanager
def located(epoch: int, step: int) -> Iterator[None]:
  """Says of what is found unhealthy while it lasts when it was found.

  Args:
    epoch: From 0.
    step: Step of the epoch, from 0.
  """
  try:
    yield
  except SearchDivergedError as error:
    raise SearchDivergedError(f'epoch {epoch}, step {step}: {error}') from error


def bad_loss(loss: float, where: str) -> SearchDivergedError:
  """A loss that is not finite.

  Args:
    loss: It.
    where: The place in the network, and what is wrong there.
  """
  return SearchDivergedError(
      f'the loss became {loss} at {where}; lower `warmup_learning_rate` and `search_learning_rate`, and {_ELSEWHERE}')


def bad_score(where: str) -> SearchDivergedError:
  """A network whose outputs are not finite, so that it has no accuracy."""
  return SearchDivergedError(
      f'a sampled network gives no finite output at {where}; lower `warmup_learning_rate` and `search_learning_rate`, '
                        f'and {_ELSEWHERE}')


def check_rewards(rewards: np.ndarray, paths: np.ndarray) -> None:
  """Rewards are numbers.

  Args:
    rewards: float [networks].
    paths: int [networks, decisions].

  Raises:
    SearchDivergedError: One is not.
  """
  if not np.isfinite(rewards).all():
    bad = int(np.argmin(np.isfinite(rewards)))
    raise SearchDivergedError(
        f'the score of the sampled network {paths[bad].tolist()} (its choice in each decision) is {rewards[bad]}; look '
                         'at what scores networks')


def check_gate_gradients(gradients: np.ndarray, pairs: np.ndarray, decisions: Sequence[str]) -> None:
  """Gradients that reach gates are numbers.

  Args:
    gradients: float [decisions, 2].
    pairs: int [decisions, 2], the two choices of each decision.
    decisions: Their paths.

  Raises:
    SearchDivergedError: One is not.
  """
  finite = np.isfinite(gradients).all(axis=1)
  if not finite.all():
    bad = int(np.argmin(finite))
    raise SearchDivergedError(
        f'the gate gradients of {decisions[bad]} are {gradients[bad].tolist()} for choices {pairs[bad].tolist()}; lower '
                         f'`warmup_learning_rate` and `search_learning_rate`, and {_ELSEWHERE}')


def check_architecture(alpha: np.ndarray, choice_counts: Sequence[int], decisions: Sequence[str], scalars: Mapping[str, float]) -> None:
  """Architecture parameters and what the objective holds are numbers, and every choice can still be learned about.

  Args:
    alpha: float [decisions, most choices], logits.
    choice_counts: Choices of each decision.
    decisions: Their paths.
    scalars: Scalars of the architecture optimizer, by name.

  Raises:
    SearchDivergedError: They are not.
  """
  change = f'lower `architecture_learning_rate`, and {_ELSEWHERE}'
  for path, count, row in zip(decisions, choice_counts, alpha):
    logits = row[:count]
    if not np.isfinite(logits).all():
      raise SearchDivergedError(f'the architecture parameters of {path} became {logits.tolist()}; {change}')
    spread = float(logits.max() - logits.min())
    if spread > _MOST_SPREAD:
      raise SearchDivergedError(f'the architecture parameters of {path} lie {spread:.0f} apart, more than {_MOST_SPREAD:.0f}: choice '
                           f'{int(logits.argmin())} is lost to the search; {change}')
  for name, value in scalars.items():
    if not math.isfinite(value):
      raise SearchDivergedError(f'{name} became {value}; lower `architecture_learning_rate` and `constraint_rate`, and {_ELSEWHERE}')


def check_samples(samples: evaluations_lib.Evaluations) -> None:
  """Rewards differ: not in each of the last updates alike for all networks, of which there was more than one.

  Args:
    samples: All that were scored so far.

  Raises:
    SearchDivergedError: There is nothing to learn from.
  """
  tail = samples[max(len(samples) - _FLAT_UPDATES * _networks_an_update(samples), 0):]
  batches, starts = np.unique(tail.batch, return_index=True)
  if len(batches) < _FLAT_UPDATES:
    return
  starts = starts[-_FLAT_UPDATES:]
  tail, starts = tail[int(starts[0]):], starts - starts[0]
  least, most = np.minimum.reduceat(tail.accuracy, starts), np.maximum.reduceat(tail.accuracy, starts)
  one_network = np.minimum.reduceat(tail.paths, starts, axis=0) == np.maximum.reduceat(tail.paths, starts, axis=0)
  if (least < most).any() or one_network.all(axis=1).any():
    return
  mean = float(tail.accuracy.mean())
  change = ('enlarge `validation_batch_size`, or take a harder task' if mean > 0.99 else
            'the weights learn nothing: look at the images, raise `warmup_epochs` or the learning rates')
  raise SearchDivergedError(
      f'in each of the last {_FLAT_UPDATES} updates all networks scored alike ({100 * mean:.1f} % on average), so that no '
                       f'decision learns anything but its cost; {change}, and {_ELSEWHERE}')


def _networks_an_update(samples: evaluations_lib.Evaluations) -> int:
  return int((samples.batch == samples.batch[-1]).sum()) if len(samples) else 1


def collapsed(entry: Mapping[str, Any], choice_costs: Sequence[Sequence[float]], target: float) -> list[str]:
  """Paths of the decisions that skip, if the search has collapsed to skips; else none.

  It has where every decision that can skip does so with a probability of 0.95, below 95 % of the target.

  Args:
    entry: Entry of the history.
    choice_costs: By decision, in the order of the entry's probabilities; a skip costs nothing.
    target: What the network is to cost; the largest network's cost without a constraint.
  """
  skips = {path: sum(p for p, cost in zip(row, costs) if not cost)
           for (path, row), costs in zip(entry['probabilities'].items(), choice_costs) if not all(costs)}
  if not skips or min(skips.values()) < _COLLAPSED or entry['expected_cost'] > (1.0 - _BELOW_TARGET) * target:
    return []
  return list(skips)


def check_collapse(history: Sequence[Mapping[str, Any]], choice_costs: Sequence[Sequence[float]], target: float) -> str | None:
  """What to warn of at the end of an epoch.

  Args:
    history: All epochs so far.
    choice_costs: See `collapsed`.
    target: See there.

  Raises:
    SearchDivergedError: The last ten epochs ended collapsed to skips, so that nothing leads out of it.
  """
  last = history[-1]
  skipping = collapsed(last, choice_costs, target)
  if not skipping:
    return None
  at = f'{len(skipping)} decisions ({", ".join(skipping[:3])}{", ..." if len(skipping) > 3 else ""})'
  text = (f'the search has collapsed to skips: {at} skip with a probability above {_COLLAPSED}, the expected cost is '
          f'{100 * last["expected_cost"] / target:.0f} % of the target')
  tail = history[-_COLLAPSED_EPOCHS:]
  if len(tail) == _COLLAPSED_EPOCHS and all(collapsed(entry, choice_costs, target) for entry in tail):
    raise SearchDivergedError(
        f'{text}, for {_COLLAPSED_EPOCHS} epochs; raise `warmup_epochs`, take `objective=constrained`, and {_ELSEWHERE}')
  return f'epoch {last["epoch"]}: {text}; the objective may still lead out of it'
