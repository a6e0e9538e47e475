r"""Searches for an architecture.

  tf-proxyless search --flagfile=quickstart.flags
  tf-proxyless search --flagfile=mobile.flags --data_dir=DIR --run_dir=DIR

Started again with the same --run_dir, it continues where it stopped, on as many devices as there are then. Several GPUs are used if they
are there, and several workers if TF_CONFIG names them.

With --designer there is no supernet: networks are trained one by one, or scored by another search, and a predictor learns from them:

  tf-proxyless search --flagfile=chamnet_fashion_mnist.flags --run_dir=runs/chamnet
  tf-proxyless search --designer=genetic --evaluator=runs/chamnet --latency_table=phone.json --targets=5,10,20 ...

Networks are trained on several machines by the same command as keras-tuner's chief and workers, as `tune --help` says.
"""

from __future__ import annotations

import contextlib
import math
import sys

from absl import logging

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import progress as progress_lib
from tf_proxyless.app import tables
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import cluster as cluster_lib
from tf_proxyless.infra import distribution
from tf_proxyless.infra import errors
from tf_proxyless.infra import locking
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.report.document import writer
from tf_proxyless.search import run_directory

Config = config_lib.SearchConfig


def _check(config: Config, given: problem_lib.Given, writes: bool) -> run_directory.RunDirectory:
  """Everything that can be refused before TensorFlow is loaded."""
  if given.problem is not None:
    run = run_directory.RunDirectory(config.run_dir, writes)
    run.check(problem_lib.identity(config, given.problem.tables, given))
    run.create()
    return run
  config.check()
  run = run_directory.RunDirectory(config.run_dir, writes)
  classes, channels = dataset_names.classes(config.data.dataset), dataset_names.channels(config.data.dataset)
  space = None
  if classes is not None or config.space.in_file:
    space = problem_lib.make_space(config.space, classes, problem_lib.channels(run, channels or 3))
  if tables.is_ready(config, space):
    loaded = tables.load(config, space)
    if space is not None:
      problem_lib.SearchProblem.from_config(config, space, loaded)
    run.check(problem_lib.identity(config, loaded, given))
  run.create()
  return run


_CLOSE = 0.05  # to the target, for a cost that asks for no explanation


def _off_target(likely: float, expected: float, target: float) -> str:
  """How far the most likely network is off the target, and why, if the expected cost meets it; '' if it is close."""
  off = likely / target - 1
  if abs(off) <= _CLOSE:
    return ''
  why = ': choices are still spread, the target holds on average' if abs(expected / target - 1) <= _CLOSE else ''
  return f' ({100 * off:+.0f} %{why})'


def _finish(components, build_search, result_lib) -> None:
  """Derives, writes and prints the result."""
  problem, run = components.problem, components.run
  format_cost = problem.format_cost
  components.steps.devices.meet()  # the chief has written what all read now
  derivation, architecture = build_search.derive_architecture(components)
  if not run.writes:
    return
  result_lib.save(architecture, derivation, run.architecture, run.derivation)
  last = run.read_history()[-1]
  print(f'target                 {format_cost(problem.target)}, expected cost while sampling {format_cost(last["expected_cost"])} '
        f'({100 * (last["expected_cost"] / problem.target - 1):+.1f} %)')
  off = _off_target(last['most_likely_cost'], last['expected_cost'], problem.target) if problem.constrained else ''
  print(f'most likely network    {format_cost(last["most_likely_cost"])}{off}')
  print(result_lib.describe(derivation, problem.space, format_cost))
  for each in problem.others:
    if each.cost.unit in config_lib.TABLES.values():
      cost = each.cost.cost(architecture.genotype)
      print(f'within the limit       {format_cost(cost, each.cost.unit)} of {format_cost(each.limit, each.cost.unit)}')
  print(problem_lib.describe_tables(problem.tables), end='')
  print(f'architecture           {run.architecture}')


def main(config: Config, given: problem_lib.Given = problem_lib.NOTHING_GIVEN) -> int:
  """Searches, or continues to."""
  if config.designer.designer is not None:
    from tf_proxyless.app import design_search  # predictors, and SciPy

    return design_search.main(config)
  with errors.user_errors():
    cluster = cluster_lib.find_workers(config.distribution)
    if len(cluster.tasks) > 1 and config.target.latency_table == tables.HOST:
      raise ValueError('`latency_table=host` would be measured by each worker; measure a table with tf-proxyless build-table, and name it')
    run = _check(config, given, writes=cluster.index == 0)
    lock: contextlib.AbstractContextManager = locking.take(run.path) if run.writes else contextlib.nullcontext()
  cluster_lib.announce(cluster)
  report = writer.RunReport(run, headings=options.headings(Config))
  stop = shutdown.StopRequest(report.on_deadline)
  with lock, shutdown.status_kept(run, report.write_status, stop), cluster_lib.losing_workers(cluster):
    return _search(config, given, run, report, stop)
  return stop.exit_code


def _search(config: Config, given: problem_lib.Given, run: run_directory.RunDirectory, report: writer.RunReport,
            stop: shutdown.StopRequest) -> int:
  with errors.user_errors():
    devices = distribution.Devices(stderr_lib.load_tensorflow(lambda: distribution.choose(config.distribution)))
  stop.listen()
  from tf_proxyless.app import augmentation
  from tf_proxyless.app import build_search
  from tf_proxyless.app import dataset
  from tf_proxyless.derive import result as result_lib
  from tf_proxyless.search import checks
  from tf_proxyless.search import loop
  from tf_proxyless.search import scoring

  with errors.user_errors():
    methods = given.methods or build_search.Methods.from_config(config)
    methods.check_devices(config.data, devices)
    source = dataset.open_source(config.data.dataset, config.data, run)
    space = given.problem.space if given.problem else problem_lib.make_space(
        config.space, source.classes, problem_lib.channels(run, source.channels))
    if source.classes != space.classes:
      raise ValueError(f'the space has {space.classes} classes, the images {source.classes}')
    methods.optimizer.check(space)
    if given.validation is None and not run.begun:
      build_search.check_images(config, methods, space, source)
    problem = given.problem or problem_lib.SearchProblem.from_config(config, space, tables.find(config, space))
    if not problem.constrained:
      logging.warning('the target %s is not below the largest network, %s: accuracy alone is searched for',
                      problem.format_cost(problem.target), problem.format_cost(problem.cost_model.largest))
    with devices.chief_first():
      build_search.write_inputs(config, problem, source, run, given)
    report.write_status('running')
    progress = progress_lib.SearchProgress(run.logs if run.writes else None, problem.format_cost)

    def on_epoch(entry: dict) -> None:
      progress.on_epoch(entry)
      report.refresh()

    observer = loop.Observer(progress.on_step, on_epoch, progress.on_scored, lambda: devices.any(stop()), logging.warning)
    components = build_search.build_search(config, problem, source, run, observer, methods, given.validation, devices)
    restored = components.search.prepare()
    if run.writes:
      print(f'space                  {problem.space}, {problem.format_cost(problem.cost_model.smallest)} to '
            f'{problem.format_cost(problem.cost_model.largest)}', flush=True)
      augmentation.show(config.data.augmentation, source, run, problem.space.input_shape[2])
  plan = () if restored else components.plan()
  if plan and run.writes:
    print(progress_lib.describe(plan, devices.describe()), flush=True)
    print(progress_lib.describe_reading(plan, components.images_per_second()), flush=True)
  done = int(components.progress.epoch) * components.schedule.steps_per_epoch + int(components.progress.step)
  progress.start('search', components.schedule.epochs * components.schedule.steps_per_epoch, done)
  try:
    finished = components.search.run()
    if finished and components.scores_afterwards:
      progress.start('scoring', math.ceil(components.scores_afterwards / scoring.NETWORKS_PER_BATCH), 0)
      finished = build_search.score_afterwards(components)
    progress.close()
    if finished:
      _finish(components, build_search, result_lib)
  except checks.SearchDivergedError as error:
    report.write_status('failed', reason=str(error), repeats=True)
    raise
  except scoring.StoppedError:
    finished = False
  finally:
    progress.close()
  if not finished:
    report.write_status('interrupted', epoch=int(components.progress.epoch), step=int(components.progress.step))
    print(f'stopped and saved; the same command continues in {run.path}', file=sys.stderr)
    return stop.exit_code
  report.write_status('finished')
  if run.writes:
    print(f'report                 {run.report}')
  return 0
