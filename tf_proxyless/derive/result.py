"""The end of a search: what was learned becomes an architecture, with all that there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import numpy as np

from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import diagnostics
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.infra import files
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema


def derive_network(
    log_p: list[np.ndarray],
    samples: evaluations_lib.Evaluations | None,
    frozen_samples: bool,
    cost_model: model_lib.CostModel,
    limit: float,
    end: diagnostics.SearchEnd,
    by: str,
    score: Callable[[np.ndarray], np.ndarray] | None,
    seed: int,
    others: tuple[solver.Constraint, ...] = (),
) -> candidates_lib.Derivation:
  """Derives a network under a budget and adds the warnings.

  Args:
    log_p: By decision, log p of each choice.
    samples: Scored networks, or None.
    frozen_samples: Whether the weights stood still while they were scored.
    cost_model: In the unit of the limit.
    limit: Greatest cost.
    end: Where the search stood at its end.
    by: 'probability', 'evidence' or 'validation'.
    score: paths -> accuracies on the whole validation split, for 'validation'.
    seed: Seed of draws.
    others: Further constraints.

  Returns:
    The derivation.

  Raises:
    ValueError: The budget cannot be reached, or `by` needs what is not there.
  """
  effects: effects_lib.Effects | None = None
  reasons: tuple[str, ...] = ()
  if samples is not None and len(samples):
    try:
      effects = effects_lib.fit(samples, recency=False if frozen_samples else None)
    except ValueError as error:
      if by == 'evidence':
        raise
      reasons = (f'there is no evidence: {error}',)
  budget = candidates_lib.Budget(limit, cost_model, others)
  derivation = candidates_lib.derive(log_p, effects, budget, by=by, score=score, seed=seed)
  reasons += diagnostics.warnings(derivation, cost_model.paths, end, effects, samples)
  return dataclasses.replace(derivation, warnings=reasons)


def make_architecture(space: network_lib.Network, derivation: candidates_lib.Derivation,
                      table: table_lib.LatencyTable | None, versions: Mapping[str, str], seed: int) -> io.Architecture:
  """The chosen network as the contents of architecture.json.

  Args:
    space: What was searched.
    derivation: What was derived from it.
    table: For the predicted latency, or None.
    versions: Version by package name.
    seed: Seed of the search.
  """
  genotype = schema.genotype(space, derivation.chosen.choices)
  network = schema.resolve(space, genotype)
  count = counting.count_network(network)
  predicted_ms = None if table is None else model_lib.from_latency_table(network, table).fixed
  summary = io.Derivation(derivation.by, derivation.budget, derivation.chosen.estimate, derivation.chosen.standard_error)
  return io.Architecture(
      network, genotype,
      cost=io.Cost(count.macs, count.parameters, predicted_ms),
      latency_table=None if table is None else io.TableReference(table.sha256, table.provenance),
      derivation=summary, versions=versions, seed=seed)


def save(architecture: io.Architecture, derivation: candidates_lib.Derivation, path: files.PathLike,
         derivation_path: files.PathLike) -> None:
  """Writes architecture.json and, with all candidates and warnings, derivation.json."""
  files.write_json(derivation_path, 'derivation', derivation.to_json())
  io.save_architecture(architecture, path)


def describe(derivation: candidates_lib.Derivation, space: network_lib.Network, format_cost: Callable[[float], str]) -> str:
  """Both winners, where they differ, estimates with standard errors, and the warnings: lines for a terminal."""
  lines = []
  for label, candidate in (('by probability', derivation.probability), ('by evidence', derivation.evidence),
                           (f'chosen by {derivation.by}', derivation.chosen)):
    if candidate is not None:
      line = f'{label:22s} {format_cost(candidate.cost)}'
      if candidate.validation_accuracy is not None:
        line += f', validation {100 * candidate.validation_accuracy:.2f} %'
      if candidate.estimate is not None and candidate.standard_error is not None:
        line += f', estimated {100 * candidate.estimate:.2f} +- {100 * candidate.standard_error:.2f} %'
      lines.append(line)
  if derivation.evidence is not None:
    lines.append(_describe_difference(derivation, derivation.evidence, space))
  return '\n'.join([*lines, *(f'warning: {warning}' for warning in derivation.warnings)])


def _describe_difference(derivation: candidates_lib.Derivation, by_evidence: candidates_lib.Candidate, space: network_lib.Network) -> str:
  decisions = schema.decisions(space)
  changes = [f'{decision.path.removeprefix("blocks/").removesuffix("/op")} {_name(decision.choices[likely])} -> '
             f'{_name(decision.choices[best])}'
             for decision, likely, best in zip(decisions, derivation.probability.choices, by_evidence.choices) if likely != best]
  line = f'evidence differs from probability in {len(changes)} of {len(decisions)} decisions'
  if not changes or derivation.advantage is None or derivation.advantage_error is None:
    return line
  gain = f'{100 * derivation.advantage:+.2f} +- {100 * derivation.advantage_error:.2f} points by the estimate'
  return f'{line}: {", ".join(changes)}; {gain}'


def _name(choice: Any) -> str:
  return choice.short_name if isinstance(choice, ops.Op) else str(choice)
