r"""Derives an architecture from a finished search again: under another budget, or by another rule.

  python tools/derive.py --run_dir=runs/quickstart --max_macs=500000
  python tools/derive.py --run_dir=runs/mobile --max_latency_ms=70 --by=evidence --output=mobile_70ms.json

Nothing is trained. --by=validation, the default, scores some thirty networks on the validation images and needs the dataset;
probability and evidence need the run directory only.
"""

from __future__ import annotations

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import search_flags
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io

_RUN_DIR = flags.DEFINE_string('run_dir', None, 'Directory of a search. Required.')
_MAX_LATENCY_MS = flags.DEFINE_float('max_latency_ms', None, "Budget, ms by the run's latency table. By default the search's target.")
_MAX_MACS = flags.DEFINE_float('max_macs', None, "Budget, multiply-adds. By default the search's target.")
_BY = flags.DEFINE_enum('by', 'validation', ['validation', 'evidence', 'probability'], 'How the network is chosen: the best of thirty on '
                        'the validation images, the best by estimated effects, or the most likely.')
_OUTPUT = flags.DEFINE_string('output', None, 'Where to write the architecture, a JSON file; by default it is only shown.')
_DATA_DIR = flags.DEFINE_string('data_dir', None, 'Where tensorflow-datasets keeps datasets now; by default where the search found them.')


def _read_plans(run: run_directory.RunDirectory, values: flags.FlagValues) -> tuple[problem_lib.Plan, problem_lib.Plan]:
  """The plan of the search, and the one with the budget asked for."""
  space = io.load_search_space(run.search_space)
  table = table_lib.load(run.latency_table) if run.latency_table.exists() else None
  search_plan = problem_lib.make(values, space.classes, table)
  if _MAX_MACS.value is None and _MAX_LATENCY_MS.value is None:
    return search_plan, search_plan
  if _MAX_MACS.value is not None:
    cost_model, budget = model_lib.from_macs(space), _MAX_MACS.value
  elif table is None:
    raise ValueError('the search had no latency table; use --max_macs')
  else:
    cost_model, budget = search_plan.cost_model, _MAX_LATENCY_MS.value
  if budget <= 0:
    raise ValueError(f'the budget must be positive, got {budget}')
  return search_plan, problem_lib.Plan(space, table, cost_model, budget, budget < cost_model.largest)


def _check() -> tuple[run_directory.RunDirectory, flags.FlagValues, problem_lib.Plan, problem_lib.Plan]:
  command_line.require(flags.FLAGS, 'run_dir')
  if _MAX_MACS.value is not None and _MAX_LATENCY_MS.value is not None:
    raise ValueError('give at most one of --max_latency_ms and --max_macs')
  run = run_directory.RunDirectory(_RUN_DIR.value)
  if not run.flags.exists():
    raise ValueError(f'{run.path} is not the directory of a search: there is no {run.flags.name}')
  values = search_flags.RUN.read(run.flags)
  values.run_dir = _RUN_DIR.value
  values.data_dir = _DATA_DIR.value or values.data_dir
  return run, values, *_read_plans(run, values)


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    run, values, search_plan, plan = _check()
  stderr_lib.load_tensorflow()
  from tf_proxyless.app import build_search
  from tf_proxyless.derive import result as result_lib

  with command_line.user_errors():
    architecture, score = build_search.restore(values, search_plan, run, with_data=_BY.value == 'validation')
    derivation, found = build_search.derive_from_run(values, search_plan, plan, run, architecture, _BY.value, score)
    if _OUTPUT.value:
      io.save_architecture(found, _OUTPUT.value)
  print(result_lib.describe(derivation, plan.space, plan.format_cost))
  print(f'network                {found.cost.macs / 1e6:.2f} M MACs, {found.cost.parameters:,} parameters'
        + ('' if found.cost.predicted_ms is None else f', {plan.format_cost(found.cost.predicted_ms, "ms")}'))
  if _OUTPUT.value:
    print(f'architecture           {_OUTPUT.value}')


if __name__ == '__main__':
  command_line.run(main)
