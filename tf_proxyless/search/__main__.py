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

from tf_proxyless import command_line
from tf_proxyless import dataset_names
from tf_proxyless import quiet
from tf_proxyless.cost import latency_table
from tf_proxyless.mains import locking
from tf_proxyless.mains import plan as plan_lib
from tf_proxyless.mains import progress as progress_lib
from tf_proxyless.mains import report_writer
from tf_proxyless.mains import search_flags
from tf_proxyless.mains import stopping
from tf_proxyless.mains import tables
from tf_proxyless.search import run_directory
from tf_proxyless.space import network as network_lib

search_flags.RUN.define(flags.FLAGS)


def _check(values: flags.FlagValues) -> run_directory.RunDirectory:
  """Everything that can be refused before TensorFlow is loaded."""
  plan_lib.check_flags(values)
  classes = dataset_names.classes(values.dataset)
  space = None if classes is None else plan_lib.make_space(values, classes)
  run = run_directory.RunDirectory(values.run_dir)
  if tables.is_ready(values, space):
    table = tables.load(values, space)
    if classes is not None:
      plan_lib.make(values, classes, table)
    run.check(plan_lib.identity(values, table))
  run.create()
  return run


def _find_table(values: flags.FlagValues, space: network_lib.Network) -> latency_table.LatencyTable | None:
  """The latency table of the search; that of this machine is measured if it has to be."""
  if tables.is_ready(values, space):
    return tables.load(values, space)
  print(f'measuring the operations of the search space on this machine, once; kept in {tables.cache_directory(values)}', file=sys.stderr)
  return tables.measure_host(values, space)


def _finish(assembled, assembly, conclude) -> None:
  """Derives, writes and prints the result."""
  plan, run = assembled.plan, assembled.run
  format_cost = plan.format_cost
  derivation, architecture = assembly.derive_architecture(assembled)
  conclude.save(architecture, derivation, run.architecture, run.derivation)
  last = run.read_history()[-1]
  print(f'target                 {format_cost(plan.target)}, expected cost while sampling {format_cost(last["expected_cost"])} '
        f'({100 * (last["expected_cost"] / plan.target - 1):+.1f} %)')
  print(f'most likely network    {format_cost(last["most_likely_cost"])}, validation {100 * last["most_likely_accuracy"]:.2f} %')
  print(conclude.describe(derivation, plan.space, format_cost))
  if plan.table is not None:
    print(f'latency table          {plan_lib.describe_table(plan.table)}')
  print(f'architecture           {run.architecture}')


def main(argv: list[str]) -> int:
  del argv
  values = flags.FLAGS
  with command_line.user_errors():
    run = _check(values)
    lock = locking.take(run.path)
  report = report_writer.RunReport(run)
  stop = stopping.StopRequest(report.tell_late)
  with lock, stopping.status_kept(report.tell, stop):
    return _search(values, run, report, stop)
  return stop.exit_code


def _search(values: flags.FlagValues, run: run_directory.RunDirectory, report: report_writer.RunReport, stop: stopping.StopRequest) -> int:
  quiet.load_tensorflow()
  from tf_proxyless.mains import assembly
  from tf_proxyless.search import conclude
  from tf_proxyless.search import health
  from tf_proxyless.search import loop
  from tf_proxyless.search import scoring

  with command_line.user_errors():
    source = assembly.open_source(values)
    table = _find_table(values, plan_lib.make_space(values, source.classes))
    plan = plan_lib.make(values, source.classes, table)
    if not plan.constrained:
      logging.warning('the target %s is not below the largest network, %s: accuracy alone is searched for',
                      plan.format_cost(plan.target), plan.format_cost(plan.cost_model.largest))
    assembly.write_inputs(values, plan, run)
    progress = progress_lib.SearchProgress(run.logs, plan.format_cost)

    def on_epoch(entry: dict) -> None:
      progress.on_epoch(entry)
      report.refresh()

    observer = loop.Observer(progress.on_step, on_epoch, progress.on_scored, stop, logging.warning)
    assembled = assembly.assemble(values, plan, source, run, observer)
    assembled.search.prepare()
  report.tell('running')
  done = int(assembled.progress.epoch) * assembled.schedule.steps_per_epoch + int(assembled.progress.step)
  progress.start('search', assembled.schedule.epochs * assembled.schedule.steps_per_epoch, done)
  try:
    finished = assembled.search.run()
    if finished and assembled.scores_afterwards:
      progress.start('scoring', math.ceil(assembled.scores_afterwards / scoring.NETWORKS_PER_BATCH), 0)
      finished = assembly.score_afterwards(assembled)
    progress.close()
    if finished:
      _finish(assembled, assembly, conclude)
  except health.UnhealthyError as error:
    report.tell('failed', reason=str(error), repeats=True)
    raise command_line.UserError(str(error)) from error
  finally:
    progress.close()
  if not finished:
    report.tell('interrupted', epoch=int(assembled.progress.epoch), step=int(assembled.progress.step))
    print(f'stopped and saved; the same command continues in {run.path}', file=sys.stderr)
    return stop.exit_code
  report.tell('finished')
  print(f'report                 {run.report}')
  return 0


if __name__ == '__main__':
  command_line.run(main)
