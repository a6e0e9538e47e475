r"""Shows whether searching for a runtime pays: networks searched for three runtimes of this machine, each measured on all three.

  python tools/specialization_matrix.py --flagfile=specialization.flags --work_dir=runs/specialization

Measures a latency table of the search space on each runtime (float32 with XNNPACK, int8 with TensorFlow Lite's builtin kernels, int8
with XNNPACK), searches with each at the same fraction of its own range, trains the networks found from scratch with some seeds,
measures each of them on each runtime, and says for each column whether, within its budget, the network searched for it is the most
accurate. Every result is a file in --work_dir; the same command continues after an interruption.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import statistics
import sys
from typing import Any

import tf_proxyless as nas
from tf_proxyless.app import command_line
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import files

RUNTIMES = {'float_xnnpack': ('float32', 'xnnpack'), 'int8_builtin': ('int8', 'builtin'), 'int8_xnnpack': ('int8', 'xnnpack')}
_NETWORKS = 10  # that calibrate a table, and that validate it
_BATCH_SIZE = 64  # of trainings; the searches have their own


@dataclasses.dataclass(frozen=True)
class Config(config_lib.SearchConfig):
  """Options of the searches, and of what is made of them."""

  work_dir: str | None = options.option(None, 'Folder for all that is made.', required=True)
  table_rounds: int = options.option(3, 'Separate measurements of each operation.', low=1)
  min_secs: float = options.option(0.1, 'Least time of a measurement, seconds.', low=0.0)
  rounds: int = options.option(9, 'Separate measurements of each network found, interleaved.', low=1)
  training_seeds: int = options.option(3, 'Trainings of each network found.', low=1)
  training_epochs: int = options.option(6, 'Epochs of each training.', low=1)
  training_learning_rate: float = options.option(0.1, 'Learning rate of SGD at the start of a training; a cosine to 0.', low=0.0)
  training_weight_decay: float = options.option(
      0.001, 'Weight decay of a training, decoupled from the gradient; a factor.', low=0.0, high=1.0)
  budget_percent: float = options.option(5.0, 'How far above its budget a network may be measured, percent.', low=0.0)
  json: bool = options.option(False, 'Whether to print JSON.')


def judge(runtime: str, accuracies: dict[str, list[float]], measured_ms: dict[str, float], budget_ms: float) -> dict[str, Any]:
  """Whether the network searched for a runtime is the most accurate within its budget there.

  Args:
    runtime: The column.
    accuracies: For each network (by the runtime it was searched for), one for each seed of its training.
    measured_ms: Latency of each network on this runtime.
    budget_ms: With its tolerance.

  Returns:
    `outcome` ('holds', 'tie' within two standard errors, or 'fails'), `within` (networks within the budget), and over the best other one
    of these `points` and `standard_error` (percentage points; None where there is none).
  """
  within = [name for name, ms in measured_ms.items() if ms <= budget_ms]
  others = [name for name in within if name != runtime]
  found: dict[str, Any] = {'runtime': runtime, 'within': within, 'points': None, 'standard_error': None}
  if runtime not in within:
    return {**found, 'outcome': 'fails'}
  if not others:
    return {**found, 'outcome': 'holds'}
  best = max(others, key=lambda name: statistics.fmean(accuracies[name]))
  points = 100 * (statistics.fmean(accuracies[runtime]) - statistics.fmean(accuracies[best]))
  error = math.hypot(_standard_error(accuracies[runtime]), _standard_error(accuracies[best]))
  outcome = 'tie' if abs(points) <= 2 * error else 'holds' if points > 0 else 'fails'
  return {**found, 'outcome': outcome, 'points': points, 'standard_error': error}


def _standard_error(accuracies: list[float]) -> float:
  """In percentage points; 0 for one seed."""
  return 100 * statistics.stdev(accuracies) / math.sqrt(len(accuracies)) if len(accuracies) > 1 else 0.0


def _search_all(config: Config, space: nas.Network, work: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
  """Tables and results of the searches, by runtime."""
  from tf_proxyless.app import build_search  # TensorFlow

  settings = options.flat(config)
  said = {'dataset', 'run_dir', 'objective', *options.options(config_lib.SpaceConfig), *options.options(config_lib.TargetConfig),
          *options.options(config_lib.DesignerConfig)}
  settings = {name: settings[name] for name in options.options(config_lib.SearchConfig) if name not in said}
  tables, results = {}, {}
  for runtime, (precision, kernels) in RUNTIMES.items():
    tables[runtime] = nas.measure.table(
        space, work / 'tables' / f'{runtime}.json', precision=precision, calibration_networks=_NETWORKS, validation_networks=_NETWORKS,
        kernels=kernels, rounds=config.table_rounds, min_secs=config.min_secs)
    share = f'{100 * config.target.target_latency_fraction}%'
    results[runtime] = nas.search(space, config.data.dataset, cost=tables[runtime], target=share, run_dir=work / 'searches' / runtime,
                                  objective=build_search.objective_config(config.objective), **settings)
  return tables, results


def _accuracies(config: Config, result: nas.SearchResult, folder: pathlib.Path) -> list[float]:
  """Test accuracies of a network trained from scratch with some seeds."""
  return [nas.train(result, config.data.dataset, run_dir=f'{folder}_{seed}', seed=seed, batch_size=_BATCH_SIZE,
                    epochs=config.training_epochs, learning_rate=config.training_learning_rate, decoupled_weight_decay=True,
                    weight_decay=config.training_weight_decay, augmentation=config.data.augmentation, data_dir=config.data.data_dir,
                    evaluate_every_epochs=0).accuracy for seed in range(config.training_seeds)]


def main(config: Config) -> None:
  with errors.user_errors():
    config.require('work_dir', 'dataset')
    if config.designer.designer is not None:
      raise ValueError(f'`designer={config.designer.designer}`: what is compared are searches with a supernet')
    if config.target.target_latency_fraction is None:
      raise ValueError('`target_latency_fraction` is required: the share of its own range that each runtime is given; '
                       'is --flagfile=specialization.flags missing?')
    work = pathlib.Path(config.work_dir)
    (work / 'tables').mkdir(parents=True, exist_ok=True)
    from tf_proxyless.data import sources  # TensorFlow

    source = sources.open_dataset(config.data.dataset, config.data.data_dir, config.data.download)
    tables, results = _search_all(config, problem_lib.make_space(config.space, source.classes, source.channels), work)
    networks = {runtime: result.architecture.network for runtime, result in results.items()}
    measured = {runtime: nas.measure.networks(networks, work / 'measured' / runtime, precision=precision, kernels=kernels,
                                              rounds=config.rounds, min_secs=config.min_secs)
                for runtime, (precision, kernels) in RUNTIMES.items()}
    accuracies = {runtime: _accuracies(config, result, work / 'trained' / runtime) for runtime, result in results.items()}
  budgets = {runtime: result.problem.target for runtime, result in results.items()}
  record = {
      'budgets_ms': budgets, 'accuracies': accuracies, 'measured_ms': measured,
      'predicted_ms': {runtime: {name: nas.costs.model(network, tables[runtime]).fixed for name, network in networks.items()}
                       for runtime in RUNTIMES},
      'verdicts': [judge(runtime, accuracies, measured[runtime], budgets[runtime] * (1 + config.budget_percent / 100))
                   for runtime in RUNTIMES]}
  files.write_json(work / 'matrix.json', 'specialization_matrix', record)
  print(json.dumps(record, indent=2) if config.json else describe(record))


def describe(record: dict[str, Any]) -> str:
  """The matrix and its verdicts as text."""
  head = f'{"measured ms (predicted ms)":28s}{"accuracy, %":>14s}' + ''.join(f'{runtime:>24s}' for runtime in RUNTIMES)
  lines = [head, f'{"budget":28s}{"":14s}' + ''.join(f'{record["budgets_ms"][runtime]:>24.4f}' for runtime in RUNTIMES)]
  for name, values in record['accuracies'].items():
    cells = ''.join(f'{record["measured_ms"][column][name]:>14.4f} ({record["predicted_ms"][column][name]:.4f})' for column in RUNTIMES)
    lines.append(f'searched for {name:15s}{100 * statistics.fmean(values):>14.2f}{cells}')
  for verdict in record['verdicts']:
    margin = ''
    if verdict['points'] is not None:
      margin = f', {verdict["points"]:+.2f} +- {verdict["standard_error"]:.2f} points over the best other'
    lines.append(f'{verdict["runtime"]}: {verdict["outcome"]} ({len(verdict["within"])} of {len(RUNTIMES)} within the budget{margin})')
  return '\n'.join(lines)


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
