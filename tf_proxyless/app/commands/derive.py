r"""Derives an architecture from a finished search again: under another budget, or by another rule.

  tf-proxyless derive --run_dir=runs/quickstart --max_macs=500000
  tf-proxyless derive --run_dir=runs/mobile --max_latency_ms=70 --by=evidence --output=mobile_70ms.json
  tf-proxyless derive --run_dir=runs/mobile --max_latency_ms=50,60,70,80

Several budgets give a network each, in a folder with front.json, which lists their costs, estimates and standard errors; the report shows
them. --energy_table=energy.json --max_energy_mj=12 is a limit besides the budget. --by=validation, the default, fine-tunes a dozen networks
a budget for some steps, scores them on the validation images, and needs the dataset; probability and evidence need the run directory only.
A search with a designer is asked by its predictor instead, whatever --by says.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io


_BUDGETS = {'ms': 'max_latency_ms', 'mJ': 'max_energy_mj'}  # of a search by its unit


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  run_dir: str | None = options.option(None, 'Directory of a search.', required=True)
  max_latency_ms: tuple[float, ...] = options.option(
      (), "Budget, ms by the run's latency table, or several with commas between them. By default the search's target. After a search for "
      'energy, a limit besides the budget.')
  max_energy_mj: tuple[float, ...] = options.option(
      (), 'Budget, mJ by the energy table, or several, after a search for energy; after others a limit besides the budget.')
  energy_table: str | None = options.option(None, "File of the energy table; by default the run's.", resolve=files.resolve)
  max_macs: tuple[float, ...] = options.option((), "Budget in multiply-adds, or several. By default the search's target.")
  max_size: str | None = options.option(None, f"{config_lib.MAX_SIZE} By default the search's limit.")
  max_memory: str | None = options.option(None, f"{config_lib.MAX_MEMORY} By default the search's limit.")
  by: str = options.option(
      'validation', 'How the network is chosen: of a dozen, by accuracy on the validation images and multiply-adds; by estimates alone; or '
      'the most likely.', choices=('validation', 'evidence', 'probability'))
  output: str | None = options.option(
      None, 'Where to write the architecture, a JSON file; by default it is only shown. Of several budgets a folder, by default front in '
      'the run directory.')
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets now; by default where the search found them.')


def _read_problems(config: Config, run: run_directory.RunDirectory, search: config_lib.SearchConfig) -> tuple[
    problem_lib.SearchProblem, problem_lib.SearchProblem, tuple[float, ...]]:
  """The problem of the search, the one with the costs asked for, and the budgets."""
  searched = problem_lib.restore(run, search)
  name = 'max_macs' if config.max_macs else _BUDGETS.get(searched.cost_model.unit, 'max_macs')
  limits = getattr(config, name)
  searched = _with_limits(config, searched, search.target, [each for each in config_lib.LIMITS if config_lib.LIMITS[each] != name])
  if not limits:
    searched.check()
    return searched, searched, (searched.target,)
  cost_model = model_lib.from_macs(searched.space) if name == 'max_macs' else searched.cost_model
  problem = dataclasses.replace(searched, cost_model=cost_model, target=limits[0])
  if len(limits) > 1:
    problem.check_limits(limits, name)
    if config.output and pathlib.Path(config.output).is_file():
      raise ValueError(f'`output` must be a folder for {len(limits)} budgets, {config.output} is a file')
  problem.check(name)
  return searched, problem, limits


def _with_limits(config: Config, searched: problem_lib.SearchProblem, target: config_lib.TargetConfig,
                 names: Sequence[str]) -> problem_lib.SearchProblem:
  """A problem with the limits asked for in place of the search's; `names` are the tables that limits may be by."""
  changed: dict[str, Any] = {name: value for name in ('max_size', 'max_memory') if (value := getattr(config, name))}
  tables = dict(searched.tables)
  if config.energy_table:
    if 'energy_table' not in names or not config.max_energy_mj:
      raise ValueError('`energy_table` is for a limit of `max_energy_mj` besides another budget')
    tables['energy_table'] = table_lib.load(config.energy_table)
    tables['energy_table'].check_unit('mJ')
  for name in names:
    limit = config_lib.LIMITS[name]
    given = getattr(config, limit)
    if given and name not in tables:
      more = '' if name == 'latency_table' else ', or give an `energy_table`'
      raise ValueError(f'the search had no {name.replace("_", " ")}; use `max_macs`{more}')
    if len(given) > 1:
      raise ValueError(f'`{limit}={",".join(f"{each:g}" for each in given)}` is a limit besides the budget here: give one number')
    changed.update({limit: given[0]} if given else {})
  if not changed:
    return searched
  others = problem_lib.find_limits(dataclasses.replace(target, **changed), searched.space, tables)
  return dataclasses.replace(searched, others=others, tables=tables)


def _check(config: Config) -> tuple[run_directory.RunDirectory, config_lib.SearchConfig, problem_lib.SearchProblem,
                                    problem_lib.SearchProblem, tuple[float, ...]]:
  config.require()
  if config.max_macs and config.max_latency_ms:
    raise ValueError('give at most one of `max_latency_ms` and `max_macs`')
  run = run_directory.RunDirectory(config.run_dir)
  if not run.flags.exists():
    raise ValueError(f'{run.path} is not the directory of a search: there is no {run.flags.name}')
  search = problem_lib.read_config(run, config.data_dir)
  return run, search, *_read_problems(config, run, search)


def _derive(config: Config, run: run_directory.RunDirectory, search: config_lib.SearchConfig, searched: problem_lib.SearchProblem,
            problem: problem_lib.SearchProblem, limits: Sequence[float]) -> list[tuple[candidates_lib.Derivation, io.Architecture]]:
  """A network for each budget: by what a supernet learned, or by the predictor of a search without one."""
  if search.designer.designer is not None:
    from tf_proxyless.app import design_search

    return design_search.derive_from_run(run, problem, limits, search.seed)
  stderr_lib.load_tensorflow()
  from tf_proxyless.app import build_search

  architecture, validation = build_search.restore(search, searched, run, with_data=config.by == 'validation')
  return build_search.front_from_run(search, searched, problem, limits, run, architecture, config.by, validation)


def main(config: Config) -> None:
  with errors.user_errors():
    run, search, searched, problem, limits = _check(config)
  from tf_proxyless.derive import result as result_lib
  from tf_proxyless.report.document import writer

  with errors.user_errors():
    front = _derive(config, run, search, searched, problem, limits)
    derivation, found = front[0]
    if len(limits) > 1:
      paths = result_lib.save_front(front, problem.cost_model.unit, config.output or run.front)
      if not config.output:
        writer.write(run.path, run.report, (), options.headings(config_lib.SearchConfig))
    elif config.output:
      io.save_architecture(found, config.output)
  if len(limits) > 1:
    print(result_lib.describe_front([each for each, _ in front], paths, problem.format_cost))
    return
  print(result_lib.describe(derivation, problem.space, problem.format_cost))
  print(f'network                {found.cost.macs / 1e6:.2f} M MACs, {found.cost.parameters:,} parameters'
        + ''.join(f', {problem.format_cost(cost, unit)}'
                  for cost, unit in ((found.cost.predicted_ms, 'ms'), (found.cost.predicted_mj, 'mJ')) if cost is not None))
  if config.output:
    print(f'architecture           {config.output}')
