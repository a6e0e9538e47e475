r"""Searches for an architecture.

  python -m tf_proxyless.search --flagfile=quickstart.flags
  python -m tf_proxyless.search --flagfile=mobile.flags --data_dir=DIR --run_dir=DIR

Started again with the same --run_dir, it continues where it stopped.
"""

from __future__ import annotations

import math
import sys

from absl import flags
from absl import logging

from tf_proxyless.app import command_line
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import progress as progress_lib
from tf_proxyless.app import search_flags
from tf_proxyless.app import tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import locking
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.report.document import writer
from tf_proxyless.search import run_directory
from tf_proxyless.space import network as network_lib

search_flags.RUN.define(flags.FLAGS)


def _check(values: flags.FlagValues) -> run_directory.RunDirectory:
  """Everything that can be refused before TensorFlow is loaded."""
  problem_lib.check_flags(values)
  classes = dataset_names.classes(values.dataset)
  space = None if classes is None else problem_lib.make_space(values, classes)
  run = run_directory.RunDirectory(values.run_dir)
  if tables.is_ready(values, space):
    table = tables.load(values, space)
    if classes is not None:
      problem_lib.make(values, classes, table)
    run.check(problem_lib.identity(values, table))
  run.create()
  return run


def _find_table(values: flags.FlagValues, space: network_lib.Network) -> table_lib.LatencyTable | None:
  """The latency table of the search; that of this machine is measured if it has to be."""
  if tables.is_ready(values, space):
    return tables.load(values, space)
  print(f'measuring the operations of the search space on this machine, once; kept in {tables.cache_directory(values)}', file=sys.stderr)
  return tables.measure_host(values, space)


def _finish(assembled, build_search, result_lib) -> None:
  """Derives, writes and prints the result."""
  plan, run = assembled.plan, assembled.run
  format_cost = plan.format_cost
  derivation, architecture = build_search.derive_architecture(assembled)
  result_lib.save(architecture, derivation, run.architecture, run.derivation)
  last = run.read_history()[-1]
  print(f'target                 {format_cost(plan.target)}, expected cost while sampling {format_cost(last["expected_cost"])} '
        f'({100 * (last["expected_cost"] / plan.target - 1):+.1f} %)')
  print(f'most likely network    {format_cost(last["most_likely_cost"])}, validation {100 * last["most_likely_accuracy"]:.2f} %')
  print(result_lib.describe(derivation, plan.space, format_cost))
  if plan.table is not None:
    print(f'latency table          {problem_lib.describe_table(plan.table)}')
  print(f'architecture           {run.architecture}')


def main(argv: list[str]) -> int:
  del argv
  values = flags.FLAGS
  with command_line.user_errors():
    run = _check(values)
    lock = locking.take(run.path)
  report = writer.RunReport(run)
  stop = shutdown.StopRequest(report.on_deadline)
  with lock, shutdown.status_kept(report.write_status, stop):
    return _search(values, run, report, stop)
  return stop.exit_code


def _search(values: flags.FlagValues, run: run_directory.RunDirectory, report: writer.RunReport, stop: shutdown.StopRequest) -> int:
  stderr_lib.load_tensorflow()
  from tf_proxyless.app import build_search
  from tf_proxyless.derive import result as result_lib
  from tf_proxyless.search import checks
  from tf_proxyless.search import loop
  from tf_proxyless.search import scoring

  with command_line.user_errors():
    source = build_search.open_source(values)
    table = _find_table(values, problem_lib.make_space(values, source.classes))
    plan = problem_lib.make(values, source.classes, table)
    if not plan.constrained:
      logging.warning('the target %s is not below the largest network, %s: accuracy alone is searched for',
                      plan.format_cost(plan.target), plan.format_cost(plan.cost_model.largest))
    build_search.write_inputs(values, plan, run)
    progress = progress_lib.SearchProgress(run.logs, plan.format_cost)

    def on_epoch(entry: dict) -> None:
      progress.on_epoch(entry)
      report.refresh()

    observer = loop.Observer(progress.on_step, on_epoch, progress.on_scored, stop, logging.warning)
    assembled = build_search.assemble(values, plan, source, run, observer)
    assembled.search.prepare()
  report.write_status('running')
  done = int(assembled.progress.epoch) * assembled.schedule.steps_per_epoch + int(assembled.progress.step)
  progress.start('search', assembled.schedule.epochs * assembled.schedule.steps_per_epoch, done)
  try:
    finished = assembled.search.run()
    if finished and assembled.scores_afterwards:
      progress.start('scoring', math.ceil(assembled.scores_afterwards / scoring.NETWORKS_PER_BATCH), 0)
      finished = build_search.score_afterwards(assembled)
    progress.close()
    if finished:
      _finish(assembled, build_search, result_lib)
  except checks.UnhealthyError as error:
    report.write_status('failed', reason=str(error), repeats=True)
    raise command_line.UserError(str(error)) from error
  finally:
    progress.close()
  if not finished:
    report.write_status('interrupted', epoch=int(assembled.progress.epoch), step=int(assembled.progress.step))
    print(f'stopped and saved; the same command continues in {run.path}', file=sys.stderr)
    return stop.exit_code
  report.write_status('finished')
  print(f'report                 {run.report}')
  return 0


if __name__ == '__main__':
  command_line.run(main)
