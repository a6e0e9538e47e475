r"""Says whether a search pays: found networks against random ones of the same cost, trained by the same recipe.

  tf-proxyless compare
  tf-proxyless compare --flagfile_search=mine.flags --flagfile_train=mine_train.flags --targets=25%,50% \
      --optimizers=reinforce,gradient --seeds=5 --random_networks=20 --processes=2 --work_dir=runs/mine

For each target and optimizer the search runs with several seeds. What it finds is trained from scratch, and so are random networks of the
space whose predicted cost is within 1 % of the target (drawn with equal probability for each of them, once for a target, never a found
one), and the widest MobileNetV2 within the target. The table has the found networks' accuracy on the test images against the random ones'
and against random search: the best by validation of as many random networks as could be trained while the search ran.

Every search and training is a run in --work_dir: stopped at any moment, the same command continues, and so it does with more targets,
optimizers, seeds, or networks. compare.json and compare.html have the results so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import functools
import pathlib
import statistics
import sys
from typing import Any, TextIO

from tf_proxyless.app import comparison as comparison_lib
from tf_proxyless.app import comparison_statistics
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import evaluators
from tf_proxyless.app import flags
from tf_proxyless.app import jobs
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import shutdown
from tf_proxyless.report.page import comparison as page_lib
from tf_proxyless.space import io

_SETTINGS = 'comparison_settings'


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  work_dir: str = options.option('runs/compare', 'Folder of all runs and results.')
  flagfile_search: str = options.option('quickstart.flags', 'Flagfile of the search.')
  flagfile_train: str = options.option('train/cluttered_digits.flags', 'Flagfile of training, on the same dataset.')
  targets: tuple[str, ...] = options.option(
      (), "What networks may cost, with commas between them: numbers in ms or multiply-adds, as the search has them, or shares of the "
      "space's range such as 25%. By default the target of the search.")
  optimizers: tuple[str, ...] = options.option((), 'Architecture optimizers, with commas between them. By default that of the search.',
                                               choices=config_lib.OPTIMIZERS)
  seeds: int = options.option(5, 'Searches for each target and optimizer.', low=1)
  random_networks: int = options.option(10, 'Random networks for each target.', low=2)
  training_seeds: int = options.option(1, 'Trainings of each network.', low=1)
  processes: int = options.option(1, 'Runs at the same time, which share the cores.', low=1)
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.')
  cache_dir: str | None = options.option(None, "Where this machine's latency table is kept; by default ~/.cache/tf_proxyless.")
  dry_run: bool = options.option(False, 'Whether only to say what there is to do, and the results so far.')


def _read_configs(config: Config) -> tuple[config_lib.SearchConfig, config_lib.TrainConfig]:
  """The configurations of all searches and trainings, but for what differs among them.

  Raises:
    ValueError: The flagfiles do not fit each other.
  """
  search = flags.read_named(config.flagfile_search, config_lib.SearchConfig)
  if not search.data.dataset:
    raise ValueError(f'{config.flagfile_search} names no `dataset`')
  if search.designer.designer is not None:
    raise ValueError(f'{config.flagfile_search} has a `designer`; what is compared are searches with a supernet')
  data_dir = config.data_dir or search.data.data_dir
  dataset_names.check(search.data.dataset, data_dir)
  if not config.targets:
    search.target.check()
  search = options.replace(search, data_dir=data_dir, cache_dir=config.cache_dir or search.target.cache_dir)
  return search, evaluators.train_config(config.flagfile_train, search)


def _own_target(target: config_lib.TargetConfig) -> str:
  """The target of a search as text."""
  value = getattr(target, target.given)
  return f'{100 * value:.10g}%' if target.given == 'target_latency_fraction' else repr(value)


def _design(config: Config, search: config_lib.SearchConfig) -> comparison_lib.Design:
  targets, optimizers = config.targets or (_own_target(search.target),), config.optimizers or (search.optimizer.architecture_optimizer,)
  for name, given in (('targets', targets), ('optimizers', optimizers)):
    if len(set(given)) < len(given):
      raise ValueError(f'`{name}={",".join(given)}`: the same stands there twice')
  return comparison_lib.Design(targets, optimizers, config.seeds, config.random_networks, config.training_seeds)


@contextlib.contextmanager
def _naming_flags() -> Iterator[None]:
  """Names flags of the flagfiles as such in what is refused."""
  try:
    yield
  except ValueError as error:
    known = {name for each in (Config, config_lib.SearchConfig, config_lib.TrainConfig) for name in options.options(each)}
    raise errors.UserError(flags.names_as_flags(errors.one_line(error), known)) from error


def prepare(config: Config) -> comparison_lib.Comparison:
  """Checks everything, and has the search space and the latency table in the folder; TensorFlow is loaded only if it has to be.

  Raises:
    ValueError: Something does not fit; in one line.
  """
  search, train = _read_configs(config)
  design, work = _design(config, search), pathlib.Path(config.work_dir)
  settings, space_file, table_file = work / 'settings.json', comparison_lib.space_file(work), comparison_lib.table_file(work)
  given = {'search': {name: value for name, value in problem_lib.identity_of_options(search).items() if name not in _VARIED},
           'train': options.identity(train)}
  if settings.exists():
    known = files.read_json(settings, _SETTINGS)
    for name in given:
      differing = run_directory.differences(dict(known.get(name) or {}), given[name])
      if differing:
        raise ValueError(f'{work} holds a comparison with other settings of the {name}: {differing}; restore them to continue it, or '
                         'choose another `work_dir`')
    table = table_lib.load(table_file) if table_file.exists() else None
    return comparison_lib.Comparison(work, design, search, train, io.load_search_space(space_file), table)
  space = problem_lib.find_space(search)
  table = tables.find(search, space).get(search.target.table or '')
  comparison = comparison_lib.Comparison(work, design, search, train, space, table)
  comparison.create()
  io.save_search_space(space, space_file)
  if table is not None:
    table_lib.save(table, table_file)
  files.write_json(settings, _SETTINGS, given)
  return comparison


_VARIED = ('architecture_optimizer', *config_lib.TARGETS)  # among the searches of a comparison


class _Session:
  """Runs what there is to run, and says so."""

  def __init__(self, comparison: comparison_lib.Comparison, processes: int, stop: shutdown.StopRequest):
    self._comparison, self._processes, self._stop = comparison, processes, stop
    self._failures: dict[pathlib.Path, str] = {}  # by folder

  def run(self, lock: TextIO) -> None:
    """Runs all that there is.

    Raises:
      UserError: A run failed. If it was the first of its kind, the others may fail alike, and stop; otherwise they have ended.
    """
    jobs.run(self._next_jobs, self._on_start, self._on_end, lambda: self._stop.signal, self._processes, lock)
    if self._failures:
      print(to_text(_write(self._comparison)))
      raise errors.UserError('; '.join(self._failures.values()))

  def _next_jobs(self) -> list[jobs.Job]:
    return [job for job in self._comparison.next_jobs() if job.folder not in self._failures]

  def _on_start(self, job: jobs.Job) -> None:
    print(f'{job.name}: output in {job.output}', flush=True)

  def _on_end(self, job: jobs.Job, seconds: float, code: int) -> None:
    if self._stop():
      self._comparison.add_time(job, seconds)
      return
    if code:
      reason = jobs.explain(job, code)
      if not self._is_left(job):
        print(f'{job.name}: failed, and is left out: {reason}', flush=True)
        return
      if not self._comparison.seconds_taken(job.kind):
        raise errors.UserError(reason)
      self._failures[job.folder] = reason
      print(f'{job.name}: failed', flush=True)
      return
    self._comparison.add_time(job, seconds)
    if self._is_left(job):  # somebody asked it alone to end, and it saved
      raise errors.UserError(f'{job.name} was stopped; the same command continues')
    print(f'{job.name}: {seconds:.0f} s{_time_left(self._comparison, self._processes)}', flush=True)
    _write(self._comparison)

  def _is_left(self, job: jobs.Job) -> bool:
    return any(job.folder == other.folder for other in self._comparison.next_jobs())


def main(config: Config) -> int:
  with errors.user_errors(), _naming_flags():
    comparison = prepare(config)
    if config.dry_run:
      print(f'{_plan(comparison, config.processes)}\n{to_text(comparison.results())}')
      return 0
    lock = locking.take(comparison.work)
  stop = shutdown.StopRequest()
  with lock, errors.user_errors():
    print(_plan(comparison, config.processes), flush=True)
    known = comparison.results()
    if comparison.next_jobs() and any(target['random'] for target in known['targets']):
      print(to_text(known), flush=True)
    _Session(comparison, config.processes, stop).run(lock)
    results = _write(comparison)
  print(f'{to_text(results)}\nreport                 {_page(comparison)}')
  if stop():
    print(f'stopped and saved; the same command continues in {comparison.work}', file=sys.stderr)
  return stop.exit_code


def _plan(comparison: comparison_lib.Comparison, processes: int) -> str:
  """What there is to run, in a line."""
  parts = [f'{total} {kind}' + (f' ({left} left)' if left < total else '') for kind, (total, left) in comparison.counts().items() if total]
  return f'runs: {", ".join(parts)}{_time_left(comparison, processes)}'


def _time_left(comparison: comparison_lib.Comparison, processes: int) -> str:
  left = comparison.seconds_left()
  return '' if not left else f'; about {left / 60 / processes:.0f} min left'


def _page(comparison: comparison_lib.Comparison) -> pathlib.Path:
  return comparison.work / 'compare.html'


def _write(comparison: comparison_lib.Comparison) -> dict[str, Any]:
  results = comparison.results()
  files.write_json(comparison.work / 'compare.json', 'comparison', results)
  files.write_atomically(_page(comparison), page_lib.render(results))
  return results


def to_text(results: Mapping[str, Any]) -> str:
  """The results as a table for people, and what they say."""
  lines, verdicts, images = [], [], None
  for target in results['targets']:
    text, random = functools.partial(problem_lib.format_cost, unit=results['unit']), target['random']
    head = f'target {target["target"]}: {text(target["cost"])}'
    lines.append(f'{head:32}{"cost":>14}{"accuracy, %":>18}{"over random":>27}{"beats":>8}{"tau":>14}')
    for row in target['optimizers']:
      lines += _searches_text(row, text)
      verdicts.append(f'{target["target"]}, {row["optimizer"]}: {row["verdict"]}')
    if random:
      images = random[0]['test_images']
      tests = [each['test'] for each in random]
      lines.append(_line(f'{len(random)} random', text(statistics.fmean(each['cost'] for each in random)),
                         _percent(statistics.fmean(tests), None if len(tests) < 2 else statistics.stdev(tests) / len(tests)**0.5),
                         tau=_tau(target['between_trainings'])))
    if target['standard']:
      lines.append(_line(target['standard']['name'], text(target['standard']['cost']), _percent(target['standard']['test'])))
    elif target['standard_failed']:
      lines.append(f'  no result of {target["standard_failed"]}')
  if images is not None:
    lines += [f'accuracies on {images:,} test images; +- standard errors; [95 % confidence over seeds, against these very random networks]',
              'tau: rank correlation of what the search says of random networks and of their trainings, six at least (of random: of two '
              'trainings)']
  return '\n'.join([*lines, *verdicts])


def _line(name: str, cost: str = '', accuracy: str = '', over: str = '', beats: str = '', tau: str = '') -> str:
  return f'  {name:30}{cost:>14}{accuracy:>18}{over:>27}{beats:>8}{tau:>14}'.rstrip()


def _searches_text(row: Mapping[str, Any], text: Callable[[float], str]) -> list[str]:
  searches = row['searches']
  mean = lambda name: statistics.fmean(each[name] for each in searches)
  over, beats = comparison_statistics.points(row['over_these']), f'{100 * row["beaten"]:.0f} %'
  return [_line(f'found by {row["optimizer"]}, {len(searches)} seed{"s" * (len(searches) > 1)}', text(mean('cost')),
                _percent(row['mean'], row['standard_error']), over, beats, _tau(row['tau'])),
          _line(f'  random search, {mean("trainings"):.3g} networks', accuracy=_percent(mean('random_search')))]


def _percent(value: float, error: float | None = None) -> str:
  return f'{100 * value:.2f}' + (' ' * 8 if error is None else f' +- {100 * error:.2f}')


def _tau(found: Mapping[str, float | None] | None) -> str:
  return '' if found is None else f'{found["tau"]:.2f}' + (' ' * 8 if (error := found['standard_error']) is None else f' +- {error:.2f}')
