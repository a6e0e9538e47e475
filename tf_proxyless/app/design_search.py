"""Search without a supernet: a designer suggests networks, an evaluator says how accurate they are, and a predictor learns from both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import hashlib
import sys
import time
from typing import Any, TextIO

import numpy as np

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import evaluators
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.app import tuning
from tf_proxyless.app import workers as workers_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import result as result_lib
from tf_proxyless.derive import solver
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import progress as progress_lib
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.infra import versions
from tf_proxyless.report import units
from tf_proxyless.report.document import writer
from tf_proxyless.search import ask_tell
from tf_proxyless.search import run_directory
from tf_proxyless.search.designers import base as designers_lib
from tf_proxyless.search.designers import bayesian
from tf_proxyless.search.designers import evolution
from tf_proxyless.search.designers import genetic
from tf_proxyless.search.designers import local_search
from tf_proxyless.search.designers import random
from tf_proxyless.search.predictors import base as predictors_lib
from tf_proxyless.search.predictors import file as predictor_file
from tf_proxyless.search.predictors import gaussian_process
from tf_proxyless.search.predictors import mlps
from tf_proxyless.space import io

_DESIGNERS: dict[str, Callable[..., designers_lib.Designer]] = {
    'bayesian': bayesian.Bayesian, 'genetic': genetic.Genetic, 'evolution': evolution.Evolution, 'local_search': local_search.LocalSearch,
    'random': random.Random}
_PREDICTIONS = 2000  # networks of which the best is taken, for each target
_POPULATION = 0.1  # of the networks that were evaluated, the best: their choices are shown as probabilities


@dataclasses.dataclass(frozen=True)
class Inputs:
  """What a search has before it begins.

  Attributes:
    problem: Space, costs and the first target.
    targets: What networks may cost.
    train: How each network is trained; None if none is.
    asked: The search that is asked; None if networks are trained.
    predictor: Its predictor; None if it has a supernet.
  """

  problem: problem_lib.SearchProblem
  targets: tuple[float, ...]
  train: config_lib.TrainConfig | None = None
  asked: run_directory.RunDirectory | None = None
  predictor: predictors_lib.Predictor | None = None

  @property
  def limits(self) -> list[solver.Constraint]:
    """The targets as constraints."""
    return [solver.Constraint(self.problem.cost_model, target) for target in self.targets]

  def identity(self, config: config_lib.SearchConfig) -> dict[str, object]:
    """What makes the run this run."""
    found = problem_lib.identity(config, self.problem.tables)
    found['train_flagfile'] = self.train and options.identity(self.train)  # what is in it, wherever it lies
    if self.asked is not None:
      file = self.asked.predictor if self.predictor is not None else self.asked.identity
      found['evaluator'] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def main(config: config_lib.SearchConfig) -> int:
  """Searches, or continues to; the command `search` with a designer."""
  with errors.user_errors():
    inputs, role = _read_inputs(config), tuning.role()
    run = run_directory.RunDirectory(config.run_dir)
    run.check(inputs.identity(config))
    run.create()
    if inputs.train is not None and role.is_worker:
      return _work(config, inputs, run, role)
    lock = locking.take(run.path)
  report = writer.RunReport(run, headings=options.headings(config_lib.SearchConfig))
  stop = shutdown.StopRequest(report.on_deadline)
  with lock, errors.user_errors(), shutdown.status_kept(run, report.write_status, stop):
    _write_inputs(config, inputs, run)
    report.write_status('running')
    try:
      _search(config, inputs, run, report, stop, lock)
    except evaluators.StoppedError:
      report.write_status('interrupted')
      print(f'stopped and saved; the same command continues in {run.path}', file=sys.stderr)
      return stop.exit_code
    report.write_status('finished')
    print(f'report                 {run.report}')
  return stop.exit_code


def _work(config: config_lib.SearchConfig, inputs: Inputs, run: run_directory.RunDirectory, role: tuning.Role) -> int:
  """Trains networks for a chief."""
  assert inputs.train is not None
  stop = shutdown.StopRequest()
  with workers_lib.Workers(run.path).join(role.tuner_id) as lock, errors.user_errors():
    chief = workers_lib.load_chief()
    trainings = evaluators.Trainings(inputs.problem.space, inputs.train, run.trainings, 1, lambda: stop.signal, lock, lambda accuracy: None)
    chief.assist(role, run, inputs.identity(config), lambda trial: trainings.train(trial.trial_id), stop)
  return stop.exit_code


@contextlib.contextmanager
def _dealing(role: tuning.Role, run: run_directory.RunDirectory, stop: shutdown.StopRequest) -> Iterator[Any]:
  """A chief's dealer, whom workers ask meanwhile; None if there is no chief."""
  if not role.is_chief:
    yield None
    return
  chief, workers = workers_lib.load_chief(), workers_lib.Workers(run.path)
  dealer = chief.Dealer(workers.path, workers.is_alive)
  with chief.served(dealer, role):
    print(f'chief at {role.address}; workers train the networks', flush=True)
    yield dealer
    dealer.is_over = True
    chief.wait(dealer, stop, workers.is_alive)


def _read_inputs(config: config_lib.SearchConfig) -> Inputs:
  """Everything that can be refused before networks are evaluated.

  Raises:
    ValueError: Something does not fit; in one line.
  """
  config.check()
  space = problem_lib.find_space(config)
  problem = problem_lib.SearchProblem.from_config(config, space, tables.find(config, space))
  targets = tuple(problem_lib.find_targets(config, problem.cost_model)[1])
  if config.designer.evaluator == config_lib.TRAIN:
    return Inputs(problem, targets, evaluators.train_config(config.designer.train_flagfile or '', config))
  asked = run_directory.RunDirectory(config.designer.evaluator or '')
  evaluators.check_search(asked, space, config.data.dataset)
  if not asked.predictor.exists():
    return Inputs(problem, targets, None, asked)
  if config.designer.designer == 'bayesian':
    raise ValueError(f'`designer=bayesian` has a predictor of its own, and is for networks that take long to evaluate; {asked.path} has a '
                     'predictor already: `designer=genetic` searches it')
  return Inputs(problem, targets, None, asked, predictor_file.load(asked.predictor, space)[0])


def _write_inputs(config: config_lib.SearchConfig, inputs: Inputs, run: run_directory.RunDirectory) -> None:
  identity = inputs.identity(config)
  if not run.check(identity):
    run.samples.unlink(missing_ok=True)  # of a run that came to nothing
    files.write_atomically(run.flags, flags.to_flagfile(config, problem_lib.silent(config)))
    io.save_search_space(inputs.problem.space, run.search_space)
    files.write_json(run.problem, 'search_problem', inputs.problem.to_json())
    for name, table in inputs.problem.tables.items():
      table_lib.save(table, run.tables[name])
    if inputs.asked is not None and inputs.predictor is not None:
      files.write_atomically(run.predictor, inputs.asked.predictor.read_bytes())
    run.claim(identity)


def _search(config: config_lib.SearchConfig, inputs: Inputs, run: run_directory.RunDirectory, report: writer.RunReport,
            stop: shutdown.StopRequest, lock: TextIO) -> None:
  """Evaluates networks, fits the predictor, and searches it for each target."""
  problem, seed = inputs.problem, config.seed
  predictor = inputs.predictor
  if predictor is None:
    found = _evaluate(config, inputs, run, report, stop, lock)
    predictor = _fit(found, problem, seed, run)
  designer = 'genetic' if inputs.predictor is None else config.designer.designer or ''
  front = derive(predictor, problem, inputs.targets, seed, designer)
  paths = result_lib.save_front(front, problem.cost_model.unit, run.front)
  io.save_architecture(front[0][1], run.architecture)
  print(result_lib.describe_front([derivation for derivation, _ in front], paths, problem.format_cost))
  print(problem_lib.describe_tables(problem.tables), end='')


def _evaluate(config: config_lib.SearchConfig, inputs: Inputs, run: run_directory.RunDirectory, report: writer.RunReport,
              stop: shutdown.StopRequest, lock: TextIO) -> evaluations_lib.Evaluations:
  """The networks that the designer suggests, with their accuracies."""
  settings, cost_model = config.designer, inputs.problem.cost_model
  dearest = max(inputs.limits, key=lambda limit: limit.limit)
  more = {'targets': inputs.limits} if settings.designer == 'bayesian' else {}
  designer = _DESIGNERS[settings.designer or ''](cost_model.decisions, [dearest, *inputs.problem.others], config.seed, **more)
  known = evaluations_lib.load(run.samples)[1] if run.samples.exists() else None
  done = ask_tell.batches(known) if known is not None else []
  run.rewind_history(len(done))
  progress = _Progress(settings.evaluations, sum(map(len, done)), settings.processes, run, inputs.problem)
  def on_batch(found: evaluations_lib.Evaluations) -> None:
    progress.on_batch(found)
    report.refresh()
    if stop() and len(found) < settings.evaluations:
      raise evaluators.StoppedError

  print(f'{settings.evaluations} networks to evaluate' + (f', {len(known)} are known' if known is not None else ''), flush=True)
  try:
    with _evaluator(config, inputs, run, stop, lock, progress) as evaluator:
      return ask_tell.ask_tell(designer, evaluator, cost_model, settings.evaluations, path=run.samples, on_batch=on_batch)
  finally:
    progress.close()


@contextlib.contextmanager
def _evaluator(config: config_lib.SearchConfig, inputs: Inputs, run: run_directory.RunDirectory, stop: shutdown.StopRequest, lock: TextIO,
               progress: _Progress) -> Iterator[ask_tell.Evaluator]:
  """Who says how accurate networks are."""
  if inputs.train is None:
    assert inputs.asked is not None
    stderr_lib.load_tensorflow()
    yield evaluators.supernet(inputs.asked, config.data.data_dir)
    return
  with _dealing(tuning.role(), run, stop) as dealer:
    yield evaluators.Trainings(inputs.problem.space, inputs.train, run.trainings, config.designer.processes, lambda: stop.signal, lock,
                               progress.on_training, dealer)


class _Progress:
  """Says how far the evaluations are, and keeps the history."""

  def __init__(self, evaluations: int, done: int, processes: int, run: run_directory.RunDirectory, problem: problem_lib.SearchProblem):
    self._left, self._processes, self._run, self._problem = evaluations - done, processes, run, problem
    self._bar = progress_lib.bar('evaluating', evaluations, done, 'network')
    self._started = self._last = time.monotonic()
    self._trained = 0

  def on_training(self, accuracy: float | None) -> None:
    """A network was trained; the first one says what all of them will take."""
    self._trained += 1
    self._bar.update()
    if self._trained == self._processes:
      left = (time.monotonic() - self._started) / self._trained * (self._left - self._trained)
      print(f'about {units.duration(left)} for all, at the pace of the first', flush=True)

  def on_batch(self, found: evaluations_lib.Evaluations) -> None:
    """Adds an entry to the history."""
    now = time.monotonic()
    self._bar.update(len(found) - self._bar.n)
    last, number = found[len(found) - int(np.sum(found.batch == found.batch[-1])):], int(found.batch[-1])
    best = found.accuracy[found.cost <= self._problem.target]
    self._run.append_history({
        'epoch': number, 'phase': 'evaluations', 'seconds': now - self._last, 'networks': len(found),
        'accuracy': float(last.accuracy.mean()), **({'best_accuracy': float(best.max())} if len(best) else {}),
        'expected_cost': float(last.cost.mean()), 'probabilities': _shares(found, self._problem)})
    text = f'batch {number}: {len(found)} networks, mean accuracy {100 * last.accuracy.mean():.2f} %'
    print(text + (f', best within the target {100 * best.max():.2f} %' if len(best) else ''), flush=True)
    self._last = now

  def close(self) -> None:
    """Removes the bar."""
    self._bar.close()


def _shares(found: evaluations_lib.Evaluations, problem: problem_lib.SearchProblem) -> dict[str, list[float]]:
  """How often each choice is made in the best of the networks so far, by decision."""
  best = found.paths[np.argsort(-found.accuracy)[:max(1, round(_POPULATION * len(found)))]]
  return {decision.path: (np.bincount(best[:, i], minlength=len(decision.choices)) / len(best)).tolist()
          for i, decision in enumerate(problem.cost_model.decisions)}


def _fit(found: evaluations_lib.Evaluations, problem: problem_lib.SearchProblem, seed: int,
         run: run_directory.RunDirectory) -> predictors_lib.Predictor:
  """The predictor of the networks that were evaluated, kept in a file with what it is worth."""
  kind = gaussian_process.GaussianProcess if len(found) <= gaussian_process.GaussianProcess.MOST else mlps.MLPs
  with progress_lib.working('fitting the predictor'):
    predictor = kind(problem.cost_model.decisions, found.paths, found.accuracy, seed)
    held_out = predictors_lib.cross_validate(predictor, seed)
  predictor_file.save(predictor, problem.space, held_out, run.predictor)
  print(f'predictor              {describe(held_out.scores)}; {run.predictor}')
  return predictor


def describe(scores: predictors_lib.Scores) -> str:
  """What a predictor is worth, in words."""
  return (f'rank correlation {scores.spearman:.2f} on networks held out of {scores.networks}, error {100 * scores.error:.2f} points '
          f'({100 * scores.spread:.2f} without it), {100 * scores.within:.0f} % within 95 % confidence')


def derive(predictor: predictors_lib.Predictor, problem: problem_lib.SearchProblem, limits: Sequence[float], seed: int,
           designer: str = 'genetic') -> list[tuple[candidates_lib.Derivation, io.Architecture]]:
  """The best network within each of some limits by a predictor, as a designer finds it; those that it was fitted to are considered too.

  Args:
    predictor: A predictor of accuracies in the problem's space.
    problem: Space and costs.
    limits: Greatest costs, in the unit of the problem.
    seed: Seed of the designer.
    designer: Its name.

  Returns:
    A derivation a limit, with its architecture.
  """
  cost_model, paths, found = problem.cost_model, predictor.paths, {}
  for limit in progress_lib.over(sorted(limits), 'searching', len(limits), 'target'):
    within = [solver.Constraint(cost_model, limit), *problem.others]
    searched = ask_tell.ask_tell(_DESIGNERS[designer](cost_model.decisions, within, seed), lambda paths: _accuracy(predictor, paths),
                                 cost_model, _PREDICTIONS)
    paths = np.unique(np.concatenate([paths, searched.paths]), axis=0)  # so that no larger limit has a worse network
    admitted = paths[np.all([constraint.admitted(paths) for constraint in within], axis=0)]
    path = admitted[_accuracy(predictor, admitted).argmax()]
    mean, deviation = predictor.predict(path[None])
    by, cost = candidates_lib.PREDICTED, cost_model.cost(path)
    chosen = candidates_lib.Candidate(tuple(path.tolist()), by, cost, 0.0, float(mean[0]), float(deviation[0]))
    derivation = candidates_lib.Derivation(by, limit, chosen, chosen, None, (), None, None, None, (), (chosen,))
    found[limit] = derivation, result_lib.make_architecture(problem.space, derivation, problem.tables, versions.installed(), seed)
  return [found[limit] for limit in limits]


def derive_from_run(run: run_directory.RunDirectory, problem: problem_lib.SearchProblem, limits: Sequence[float],
                    seed: int) -> list[tuple[candidates_lib.Derivation, io.Architecture]]:
  """`derive` by the predictor of a finished search.

  Raises:
    ValueError: The search is not finished; in one line.
    OSError: The predictor cannot be read.
  """
  if not run.is_finished():
    raise ValueError(f'{run.path} is not finished; the command that began it continues')
  return derive(predictor_file.load(run.predictor, problem.space)[0], problem, limits, seed)


def _accuracy(predictor: predictors_lib.Predictor, paths: np.ndarray) -> np.ndarray:
  return np.clip(predictor.predict(paths)[0], 0.0, 1.0)
