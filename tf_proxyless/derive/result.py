"""The end of a search: what was learned becomes an architecture, with all that there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import pathlib
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

FRONT = 'front.json'


def derive_networks(
    log_p: list[np.ndarray],
    samples: evaluations_lib.Evaluations | None,
    frozen_samples: bool,
    cost_model: model_lib.CostModel,
    limits: Sequence[float],
    end: diagnostics.SearchEnd,
    by: str,
    validation: candidates_lib.Score | None,
    seed: int,
    others: tuple[solver.Constraint, ...] = (),
    macs: model_lib.CostModel | None = None,
) -> list[candidates_lib.Derivation]:
  """Derives a network under each budget and adds the warnings.

  Args:
    log_p: By decision, log p of each choice.
    samples: Scored networks, or None.
    frozen_samples: Whether the weights stood still while they were scored.
    cost_model: In the unit of the limits.
    limits: Greatest costs.
    end: Where the search stood at its end.
    by: 'probability', 'evidence' or 'validation'.
    validation: For 'validation'; else None, or scores the candidates nevertheless.
    seed: Seed of draws.
    others: Further constraints.
    macs: Multiply-adds of the space, for 'validation'.

  Returns:
    A derivation a limit.

  Raises:
    ValueError: A budget cannot be reached, or `by` needs what is not there.
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
  budgets = [candidates_lib.Budget(limit, cost_model, others) for limit in limits]
  return [dataclasses.replace(found, warnings=reasons + diagnostics.warnings(found, cost_model.paths, end, effects, samples))
          for found in candidates_lib.front(log_p, effects, budgets, by=by, validation=validation, macs=macs, seed=seed)]


def make_architecture(space: network_lib.Network, derivation: candidates_lib.Derivation,
                      tables: Mapping[str, table_lib.LatencyTable], versions: Mapping[str, str], seed: int) -> io.Architecture:
  """The chosen network as the contents of architecture.json.

  Args:
    space: What was searched.
    derivation: What was derived from it.
    tables: 'latency_table' for the predicted latency, 'energy_table' for the predicted energy, where there are any.
    versions: Version by package name.
    seed: Seed of the search.
  """
  genotype = schema.genotype(space, derivation.chosen.choices)
  network = schema.resolve(space, genotype)
  count = counting.count_network(network)
  references = {name: io.TableReference(table.sha256, table.provenance) for name, table in tables.items()}
  predicted = {name: model_lib.from_latency_table(network, table).fixed for name, table in tables.items()}
  summary = io.Derivation(derivation.by, derivation.budget, derivation.chosen.estimate, derivation.chosen.standard_error)
  return io.Architecture(
      network, genotype,
      cost=io.Cost(count.macs, count.parameters, predicted.get('latency_table'), predicted.get('energy_table')),
      latency_table=references.get('latency_table'), energy_table=references.get('energy_table'),
      derivation=summary, versions=versions, seed=seed)


def save(architecture: io.Architecture, derivation: candidates_lib.Derivation, path: files.PathLike,
         derivation_path: files.PathLike) -> None:
  """Writes architecture.json and, with all candidates and warnings, derivation.json."""
  files.write_json(derivation_path, 'derivation', derivation.to_json())
  io.save_architecture(architecture, path)


def save_front(front: Sequence[tuple[candidates_lib.Derivation, io.Architecture]], unit: str, folder: files.PathLike) -> list[pathlib.Path]:
  """Writes the networks of several limits, a file each, and front.json, which lists them.

  Args:
    front: Derivations of one search with their architectures.
    unit: Unit of limits and costs.
    folder: Where to; it is made if it is not there.

  Returns:
    The files of the networks.

  Raises:
    OSError: They cannot be written.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  points, paths = [], []
  for derivation, architecture in front:
    chosen = derivation.chosen
    paths.append(folder / f'{derivation.budget:.12g}_{unit}.json')
    io.save_architecture(architecture, paths[-1])
    points.append({'limit': derivation.budget, 'cost': chosen.cost, 'estimate': chosen.estimate, 'standard_error': chosen.standard_error,
                   'validation_accuracy': chosen.validation_accuracy, 'architecture': paths[-1].name})
  warnings = list(dict.fromkeys(line for derivation, _ in front for line in derivation.warnings))
  files.write_json(folder / FRONT, 'front', {'by': front[0][0].by, 'unit': unit, 'points': points, 'warnings': warnings})
  return paths


def describe_front(derivations: Sequence[candidates_lib.Derivation], paths: Sequence[files.PathLike],
                   format_cost: Callable[[float], str]) -> str:
  """A line a network, and the warnings: for a terminal.

  Args:
    derivations: One a limit.
    paths: The file of each network.
    format_cost: A cost in words.
  """
  rows = [('limit', 'cost', 'estimated', 'validation', 'network')]
  for derivation, path in zip(derivations, paths):
    chosen = derivation.chosen
    estimated = '-' if chosen.estimate is None else f'{100 * chosen.estimate:.2f} +- {100 * (chosen.standard_error or 0.0):.2f} %'
    validation = '-' if chosen.validation_accuracy is None else f'{100 * chosen.validation_accuracy:.2f} %'
    rows.append((format_cost(derivation.budget), format_cost(chosen.cost), estimated, validation, str(path)))
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = ['  '.join([*(f'{cell:>{width}}' for cell, width in zip(row[:-1], widths)), row[-1]]) for row in rows]
  warnings = dict.fromkeys(line for derivation in derivations for line in derivation.warnings)
  return '\n'.join([*lines, *(f'warning: {line}' for line in warnings)])


def describe(derivation: candidates_lib.Derivation, space: network_lib.Network, format_cost: Callable[[float], str]) -> str:
  """Both winners, where they differ, estimates with standard errors, and the warnings: lines for a terminal."""
  lines = []
  likely = None if derivation.by == candidates_lib.PREDICTED else derivation.probability
  for label, candidate in (('by probability', likely), ('by evidence', derivation.evidence),
                           (f'chosen by {derivation.by}', derivation.chosen)):
    if candidate is not None:
      line = f'{label:22s} {format_cost(candidate.cost)}'
      if candidate.macs not in (None, candidate.cost):
        line += f', {candidate.macs / 1e6:.3g} M MACs'
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
