r"""Derives an architecture from a finished search again: under another budget, or by another rule.

  tf-proxyless derive --run_dir=runs/quickstart --max_macs=500000
  tf-proxyless derive --run_dir=runs/mobile --max_latency_ms=70 --by=evidence --output=mobile_70ms.json

Nothing is trained. --by=validation, the default, scores some thirty networks on the validation images and needs the dataset;
probability and evidence need the run directory only.
"""

from __future__ import annotations

import dataclasses

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import model as model_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  run_dir: str | None = options.option(None, 'Directory of a search.', required=True)
  max_latency_ms: float | None = options.option(None, "Budget, ms by the run's latency table. By default the search's target.")
  max_macs: float | None = options.option(None, "Budget, multiply-adds. By default the search's target.")
  by: str = options.option(
      'validation', 'How the network is chosen: the best of thirty on the validation images, the best by estimated effects, or the most '
      'likely.', choices=('validation', 'evidence', 'probability'))
  output: str | None = options.option(None, 'Where to write the architecture, a JSON file; by default it is only shown.')
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets now; by default where the search found them.')


def _read_problems(config: Config, run: run_directory.RunDirectory, search: config_lib.SearchConfig) -> tuple[
    problem_lib.SearchProblem, problem_lib.SearchProblem]:
  """The problem of the search, and the one with the budget asked for."""
  searched = problem_lib.restore(run, search)
  space, table = searched.space, searched.table
  if config.max_macs is None and config.max_latency_ms is None:
    return searched, searched
  if config.max_macs is not None:
    cost_model, budget = model_lib.from_macs(space), config.max_macs
  elif table is None:
    raise ValueError('the search had no latency table; use `max_macs`')
  else:
    cost_model, budget = searched.cost_model, config.max_latency_ms
  if budget <= 0:
    raise ValueError(f'the budget must be positive, got {budget}')
  return searched, problem_lib.SearchProblem(space, cost_model, budget, table)


def _check(config: Config) -> tuple[run_directory.RunDirectory, config_lib.SearchConfig, problem_lib.SearchProblem,
                                    problem_lib.SearchProblem]:
  config.require()
  if config.max_macs is not None and config.max_latency_ms is not None:
    raise ValueError('give at most one of `max_latency_ms` and `max_macs`')
  run = run_directory.RunDirectory(config.run_dir)
  if not run.flags.exists():
    raise ValueError(f'{run.path} is not the directory of a search: there is no {run.flags.name}')
  search = flags.read(run.flags, config_lib.SearchConfig)
  search = options.replace(search, run_dir=config.run_dir, data_dir=config.data_dir or search.data.data_dir)
  return run, search, *_read_problems(config, run, search)


def main(config: Config) -> None:
  with errors.user_errors():
    run, search, searched, problem = _check(config)
  stderr_lib.load_tensorflow()
  from tf_proxyless.app import build_search
  from tf_proxyless.derive import result as result_lib

  with errors.user_errors():
    architecture, score = build_search.restore(search, searched, run, with_data=config.by == 'validation')
    derivation, found = build_search.derive_from_run(search, searched, problem, run, architecture, config.by, score)
    if config.output:
      io.save_architecture(found, config.output)
  print(result_lib.describe(derivation, problem.space, problem.format_cost))
  print(f'network                {found.cost.macs / 1e6:.2f} M MACs, {found.cost.parameters:,} parameters'
        + ('' if found.cost.predicted_ms is None else f', {problem.format_cost(found.cost.predicted_ms, "ms")}'))
  if config.output:
    print(f'architecture           {config.output}')
