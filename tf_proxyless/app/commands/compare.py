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

from collections.abc import Sequence
import dataclasses
import functools
import pathlib
import statistics
import sys
from typing import Any

from tf_proxyless.app import architectures
from tf_proxyless.app import comparison
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flagfiles
from tf_proxyless.app import flags
from tf_proxyless.app import jobs
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import score_networks
from tf_proxyless.app import tables
from tf_proxyless.cost import counting
from tf_proxyless.cost import equal_cost
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import regression
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

OPTIMIZERS = ('reinforce', 'gradient')
TOLERANCE = 0.01  # of a random network's cost
_WIDTHS = [width / 100 for width in range(5, 301, 5)]  # of MobileNetV2
_SETTINGS = 'comparison_settings'


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  work_dir: str = options.option('runs/compare', 'Folder for all runs and results.')
  flagfile_search: str = options.option('quickstart.flags', 'Flagfile of the search.')
  flagfile_train: str = options.option('train/digits.flags', 'Flagfile of training, on the same dataset.')
  targets: tuple[str, ...] = options.option(
      (), "What networks may cost, with commas between them: numbers in ms or multiply-adds, as the search has them, or shares of the "
      "space's range such as 25%. By default the target of the search.")
  optimizers: tuple[str, ...] = options.option((), 'Architecture optimizers, with commas between them. By default that of the search.',
                                               choices=OPTIMIZERS)
  seeds: int = options.option(5, 'Searches for each target and optimizer.', low=1)
  random_networks: int = options.option(10, 'Random networks for each target.', low=2)
  training_seeds: int = options.option(1, 'Trainings of each network.', low=1)
  processes: int = options.option(1, 'Runs at the same time; the cores are shared among them.', low=1)
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.')
  dry_run: bool = options.option(False, 'Whether only to say what there is to do, and the results so far.')


@dataclasses.dataclass(frozen=True)
class Target:
  """A target of the comparison.

  Attributes:
    text: As it was given.
    cost: In the unit of the costs.
  """

  text: str
  cost: float

  @property
  def name(self) -> str:
    """For names of folders."""
    return self.text.replace('%', '_percent')


def _read_flagfile(name: str, config_class: type) -> Any:
  """The configuration that a flagfile says.

  Raises:
    ValueError: It does not.
  """
  try:
    return flags.from_flagfile(flagfiles.expand([f'--flagfile={name}']), config_class)
  except ValueError as error:
    raise ValueError(f'{name}: {str(error).removeprefix("flags.txt: ")}') from error


@dataclasses.dataclass(frozen=True)
class Runs:
  """Where the parts of a comparison lie."""

  work: pathlib.Path

  @property
  def settings(self) -> pathlib.Path:
    return self.work / 'settings.json'

  @property
  def space(self) -> pathlib.Path:
    return self.work / 'search_space.json'

  @property
  def table(self) -> pathlib.Path:
    return self.work / 'latency_table.json'

  @property
  def times(self) -> pathlib.Path:
    return self.work / 'times.json'

  def search(self, target: Target, optimizer: str, seed: int) -> pathlib.Path:
    return self.work / 'searches' / f'{target.name}_{optimizer}_{seed}'

  def scores(self, target: Target, optimizer: str, seed: int) -> pathlib.Path:
    return self.work / 'scores' / f'{target.name}_{optimizer}_{seed}'

  def network(self, name: str) -> pathlib.Path:
    return self.work / 'networks' / f'{name}.json'

  def training(self, name: str, seed: int) -> pathlib.Path:
    return self.work / 'trainings' / f'{name}_{seed}'


def _read_configs(config: Config) -> tuple[config_lib.SearchConfig, config_lib.TrainConfig]:
  """The configurations of all searches and trainings, but for what differs among them.

  Raises:
    ValueError: The flagfiles do not fit each other.
  """
  search = _read_flagfile(config.flagfile_search, config_lib.SearchConfig)
  train = _read_flagfile(config.flagfile_train, config_lib.TrainConfig)
  if train.data.dataset is not None and train.data.dataset != search.data.dataset:
    raise ValueError(f'`flagfile_train` is for {train.data.dataset}, `flagfile_search` for {search.data.dataset}; they must be of one '
                     'dataset')
  network = train.network
  if network.init or network.resolution is not None or network.width_multiplier != 1:
    raise ValueError(f'{config.flagfile_train}: networks are trained from scratch and as they were searched, without `init`, `resolution` '
                     'and `width_multiplier`')
  data_dir = config.data_dir or search.data.data_dir
  train = options.replace(train, dataset=search.data.dataset, data_dir=data_dir, architecture=None,
                          validation_images=train.data.validation_images or search.data.validation_images)
  return options.replace(search, data_dir=data_dir), train


class Comparison:
  """What there is to run, and what came out; everything is read from the disk.

  Args:
    config: Configuration of the comparison.
    search, train: See `_read_configs`.
    space: The search space.
    table: The latency table; None if costs are multiply-adds.
  """

  def __init__(self, config: Config, search: config_lib.SearchConfig, train: config_lib.TrainConfig, space: network_lib.Network,
               table: table_lib.LatencyTable | None):
    self.config, self.search, self.train, self.space, self.table = config, search, train, space, table
    self.runs = Runs(pathlib.Path(config.work_dir))
    self.cost_model = model_lib.from_macs(space) if table is None else model_lib.from_latency_table(space, table)
    self.optimizers = config.optimizers or (search.optimizer.architecture_optimizer,)
    self.targets = tuple(self._target(text) for text in config.targets or (self._own_target(),))
    self._times = files.read_json(self.runs.times, 'times')['seconds'] if self.runs.times.exists() else {}
    for target in self.targets:
      for optimizer in self.optimizers:
        self.search_config(target, optimizer, 0).check()
      self.random_networks(target)

  def _own_target(self) -> str:
    target = self.search.target
    if target.target_latency_fraction is not None:
      return f'{100 * target.target_latency_fraction:g}%'
    return f'{problem_lib.find_target(target, self.cost_model):g}'

  def _target(self, text: str) -> Target:
    cost = problem_lib.parse_target(text, self.cost_model)
    problem_lib.SearchProblem(self.space, self.cost_model, cost, self.table).check('targets')
    return Target(text, cost)

  def format_cost(self, cost: float) -> str:
    return problem_lib.format_cost(cost, self.cost_model.unit)

  # What is run.

  def search_config(self, target: Target, optimizer: str, number: int) -> config_lib.SearchConfig:
    limit = {'target_macs': target.cost} if self.table is None else {
        'target_latency_ms': target.cost, 'latency_table': str(self.runs.table)}
    return options.replace(
        self.search, **{**dict.fromkeys(config_lib.TARGETS), **limit}, architecture_optimizer=optimizer, seed=self.search.seed + number,
        run_dir=str(self.runs.search(target, optimizer, number)))

  @functools.cache
  def random_networks(self, target: Target) -> tuple[tuple[int, ...], ...]:
    """Paths in the order drawn, more than are needed if there are more, in case that some of them are found.

    Raises:
      ValueError: There are not enough.
    """
    most = self.config.random_networks + self.config.seeds * len(self.optimizers)
    found = equal_cost.draw(self.cost_model, (1 - TOLERANCE) * target.cost, (1 + TOLERANCE) * target.cost, most, self.search.seed)
    self._check_enough(target, len(found))
    return found

  def _check_enough(self, target: Target, count: int) -> None:
    if count < self.config.random_networks:
      raise ValueError(f'`random_networks={self.config.random_networks}`: only {count} networks were found that cost within '
                       f'{100 * TOLERANCE:g} % of the target {target.text} ({self.format_cost(target.cost)}); ask for fewer, or take another '
                       'target')

  def found(self, target: Target, optimizer: str, number: int) -> io.Architecture | None:
    """What a search found; None if it is not finished."""
    run = run_directory.RunDirectory(self.runs.search(target, optimizer, number))
    return io.load_architecture(run.architecture) if run.is_finished() else None

  def chosen_at_random(self, target: Target) -> list[io.Architecture]:
    """The random networks: the first ones that no search has found."""
    found = {architecture.genotype for optimizer in self.optimizers for number in range(self.config.seeds)
             if (architecture := self.found(target, optimizer, number)) is not None}
    genotypes = [schema.genotype(self.space, path) for path in self.random_networks(target)]
    others = [genotype for genotype in genotypes if genotype not in found][:self.config.random_networks]
    self._check_enough(target, len(others))
    return [self._architecture(schema.resolve(self.space, genotype), genotype) for genotype in others]

  def _architecture(self, network: network_lib.Network, genotype: Any) -> io.Architecture:
    count = counting.count_network(network)
    return io.Architecture(network, genotype, cost=io.Cost(count.macs, count.parameters))

  @functools.cache
  def standard_network(self, target: Target) -> tuple[float, float, io.Architecture] | None:
    """The widest MobileNetV2 within a target, with its width and its cost; None if the narrowest is not.

    What the latency table lacks is estimated from what it has.
    """
    size = self.space.input_shape[0]
    widths = {width: architectures.find(architectures.MOBILENET_V2, self.space.classes, size, width) for width in _WIDTHS}
    if self.table is None:
      costs = {width: float(found.cost.macs) for width, found in widths.items()}
    else:
      signatures = [signature for found in widths.values() for signature in network_lib.op_signatures(found.network)]
      table = regression.fill(self.table, signatures).table
      costs = {width: model_lib.from_latency_table(found.network, table).fixed for width, found in widths.items()}
    within = [width for width, cost in costs.items() if cost <= target.cost]
    return (max(within), costs[max(within)], widths[max(within)]) if within else None

  def _save(self, architecture: io.Architecture) -> str:
    """Keeps a network as a file; returns its name."""
    name = architectures.digest(architecture)[:12]
    if not self.runs.network(name).exists():
      io.save_architecture(architecture, self.runs.network(name))
    return name

  def _job(self, kind: str, name: str, command: Sequence[str], folder: pathlib.Path) -> jobs.Job:
    return jobs.Job(name, kind, ('-m', *command), folder)

  def search_job(self, target: Target, optimizer: str, number: int) -> jobs.Job | None:
    folder = self.runs.search(target, optimizer, number)
    if run_directory.RunDirectory(folder).is_finished():
      return None
    flagfile = folder.with_suffix('.flags')
    files.write_atomically(flagfile, flags.to_flagfile(self.search_config(target, optimizer, number)))
    return self._job(f'searches by {optimizer}', f'search for {target.text} by {optimizer}, seed {number}',
                     ('tf_proxyless', 'search', f'--flagfile={flagfile}'), folder)

  def training_jobs(self, name: str, architecture: io.Architecture) -> list[jobs.Job]:
    found = []
    for number in range(self.config.training_seeds):
      key = self._save(architecture)
      folder = self.runs.training(key, number)
      if not run_directory.RunDirectory(folder).is_finished():
        flagfile = folder.with_suffix('.flags')
        files.write_atomically(flagfile, flags.to_flagfile(options.replace(
            self.train, architecture=str(self.runs.network(key)), seed=self.train.seed + number, run_dir=str(folder))))
        found.append(self._job('trainings', f'train {name}, seed {number}', ('tf_proxyless', 'train', f'--flagfile={flagfile}'), folder))
    return found

  def scoring_job(self, target: Target, optimizer: str, number: int) -> jobs.Job | None:
    if self.estimates(target, optimizer, number) is not None:
      return None
    folder = self.runs.scores(target, optimizer, number)
    networks = ','.join(str(self.runs.network(self._save(architecture))) for architecture in self.chosen_at_random(target))
    data_dir = [f'--data_dir={self.search.data.data_dir}'] if self.search.data.data_dir else []
    return self._job('scorings', f'score random networks for {target.text} by {optimizer}, seed {number}', (
        'tf_proxyless.app.score_networks', f'--run_dir={self.runs.search(target, optimizer, number)}', f'--networks={networks}',
        f'--output={folder / "scores.json"}', *data_dir), folder)

  def estimates(self, target: Target, optimizer: str, number: int) -> dict[str, float] | None:
    """Accuracy of each random network, by name, with the shared weights of a search; None if they were not all scored."""
    path = self.runs.scores(target, optimizer, number) / 'scores.json'
    if not path.exists():
      return None
    accuracies = {pathlib.Path(name).stem: accuracy for name, accuracy in files.read_json(path, score_networks.SCORES)['accuracies'].items()}
    return accuracies if all(self._save(each) in accuracies for each in self.chosen_at_random(target)) else None

  def next_jobs(self) -> list[jobs.Job]:
    """What can run now, in an order in which results so far say most."""
    found: list[tuple[int, jobs.Job | None]] = []
    for target in self.targets:
      for number in range(self.config.seeds):
        for optimizer in self.optimizers:
          job, architecture = self.search_job(target, optimizer, number), self.found(target, optimizer, number)
          found.append((number, job))
          if architecture is not None:
            name = f'the network for {target.text} by {optimizer}, seed {number}'
            found += [(number, each) for each in self.training_jobs(name, architecture)]
            found.append((number, self.scoring_job(target, optimizer, number)))
      for index, architecture in enumerate(self.chosen_at_random(target)):
        turn = index * self.config.seeds // self.config.random_networks
        found += [(turn, each) for each in self.training_jobs(f'random network {index} for {target.text}', architecture)]
      if (standard := self.standard_network(target)) is not None:
        found += [(0, each) for each in self.training_jobs(f'MobileNetV2 x {standard[0]:g} for {target.text}', standard[2])]
    return [job for _, job in sorted(((turn, job) for turn, job in found if job is not None), key=lambda item: item[0])]

  def counts(self) -> dict[str, tuple[int, int]]:
    """How many runs of each kind there are, and how many are left."""
    searches = len(self.targets) * self.config.seeds
    standards = sum(self.standard_network(target) is not None for target in self.targets)
    networks = len(self.targets) * self.config.random_networks + standards + searches * len(self.optimizers)
    totals = {**{f'searches by {optimizer}': searches for optimizer in self.optimizers},
              'trainings': networks * self.config.training_seeds, 'scorings': searches * len(self.optimizers)}
    ready = self.next_jobs()
    left = {kind: sum(job.kind == kind for job in ready) for kind in totals}
    waiting = sum(left[f'searches by {optimizer}'] for optimizer in self.optimizers)
    left['trainings'] += waiting * self.config.training_seeds
    left['scorings'] += waiting
    return {kind: (total, left[kind]) for kind, total in totals.items()}

  # Times.

  def add_time(self, job: jobs.Job, seconds: float) -> None:
    self._times[self._key(job.folder)] = self._times.get(self._key(job.folder), 0.0) + seconds
    files.write_json(self.runs.times, 'times', {'seconds': self._times})

  def _key(self, folder: pathlib.Path) -> str:
    return folder.relative_to(self.runs.work).as_posix()

  def seconds(self, folder: pathlib.Path) -> float:
    """What a run took; at least its epochs, where a part of it was not timed since this process was killed."""
    epochs = sum(entry['seconds'] for entry in run_directory.RunDirectory(folder).read_history())
    return max(self._times.get(self._key(folder), 0.0), epochs)

  def seconds_left(self) -> float | None:
    """With one process; None as long as a kind of run that is left has not ended once."""
    folders = {'trainings': 'trainings/*_*', 'scorings': 'scores/*', **{
        f'searches by {optimizer}': f'searches/*_{optimizer}_*' for optimizer in self.optimizers}}
    total = 0.0
    for kind, (_, left) in self.counts().items():
      ended = [seconds for name, seconds in self._times.items() if pathlib.PurePath(name).match(folders[kind])]
      if left and not ended:
        return None
      total += left * statistics.fmean(ended) if left else 0.0
    return total

  # Results.

  def trained(self, architecture: io.Architecture, cost: float) -> dict[str, Any] | None:
    """What the trainings of a network gave, on average; None if none is finished."""
    name = self._save(architecture)
    folders = [folder for number in range(self.config.training_seeds)
               if run_directory.RunDirectory(folder := self.runs.training(name, number)).is_finished()]
    if not folders:
      return None
    results = [models.read_results(folder / 'results.json') for folder in folders]
    return {'network': name, 'cost': cost, 'macs': architecture.cost.macs, 'parameters': architecture.cost.parameters,
            'validation': statistics.fmean(each['validation_top1'] for each in results),
            'test': statistics.fmean(each['test_top1'] for each in results), 'test_images': results[0]['test_images'],
            'trainings': len(results), 'seconds': statistics.fmean(self.seconds(folder) for folder in folders)}

  def results(self) -> dict[str, Any]:
    """All that is known so far, as JSON values."""
    return {'unit': self.cost_model.unit, 'dataset': self.search.data.dataset, 'targets': [self._result(target) for target in self.targets]}

  def _result(self, target: Target) -> dict[str, Any]:
    random = [found for architecture in self.chosen_at_random(target)
              if (found := self.trained(architecture, self.cost_model.cost(architecture.genotype))) is not None]
    standard = None
    if (widest := self.standard_network(target)) is not None:
      width, cost, architecture = widest
      standard = self.trained(architecture, cost)
      standard = standard and {**standard, 'name': f'mobilenet_v2 x {width:g}'}
    found = {'target': target.text, 'cost': target.cost, 'random': random, 'standard': standard, 'optimizers': []}
    for optimizer in self.optimizers:
      searches = [row for number in range(self.config.seeds) if (row := self._search_result(target, optimizer, number, random)) is not None]
      if searches and len(random) > 1:
        found['optimizers'].append({'optimizer': optimizer, **comparison.judge(searches, random, standard)})
    return found

  def _search_result(self, target: Target, optimizer: str, number: int, random: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    architecture = self.found(target, optimizer, number)
    trained = None if architecture is None else self.trained(architecture, self.cost_model.cost(architecture.genotype))
    if trained is None:
      return None
    scored = self.estimates(target, optimizer, number)
    return {**trained, 'seed': number, 'seconds': self.seconds(self.runs.search(target, optimizer, number)),
            'estimates': scored and [scored[each['network']] for each in random]}


def _prepare(config: Config) -> Comparison:
  """Checks everything, and has the search space and the latency table in the folder; TensorFlow is loaded only if it has to be."""
  search, train = _read_configs(config)
  runs = Runs(pathlib.Path(config.work_dir))
  if config.optimizers and len(set(config.optimizers)) < len(config.optimizers) or len(set(config.targets)) < len(config.targets):
    raise ValueError('`targets` and `optimizers` must each differ')
  options.replace(search, run_dir='x').check() if not config.targets else dataset_names.check(search.data.dataset or '', search.data.data_dir)
  given = _settings(search, train, bool(config.targets))
  if runs.settings.exists():
    known = files.read_json(runs.settings, _SETTINGS)
    differing = run_directory.differences(known, given)
    if differing:
      raise ValueError(f'{runs.work} holds a comparison with other settings: {differing}; restore them to continue it, or choose another '
                       '`work_dir`')
    space = io.load_search_space(runs.space)
    return Comparison(config, search, train, space, table_lib.load(runs.table) if runs.table.exists() else None)
  classes = dataset_names.classes(search.data.dataset or '')
  space = None if classes is None else problem_lib.make_space(search.space, classes)
  if space is None or not tables.is_ready(search, space):
    stderr_lib.load_tensorflow()
    from tf_proxyless.app import build_search

    space = problem_lib.make_space(search.space, build_search.open_source(search.data).classes)
    if not tables.is_ready(search, space):
      print('measuring the operations of the search space on this machine, once', file=sys.stderr)
      tables.measure_host(search, space)
  table = tables.load(search, space)
  found = Comparison(config, search, train, space, table)
  for folder in ('searches', 'scores', 'networks', 'trainings'):
    (runs.work / folder).mkdir(parents=True, exist_ok=True)
  io.save_search_space(space, runs.space)
  if table is not None:
    table_lib.save(table, runs.table)
  files.write_json(runs.settings, _SETTINGS, given)
  return found


def _settings(search: config_lib.SearchConfig, train: config_lib.TrainConfig, targets: bool) -> dict[str, Any]:
  """What makes a comparison this one, as JSON values."""
  varied = {'architecture_optimizer', *config_lib.TARGETS}
  return {'search': {name: value for name, value in options.identity(search).items() if name not in varied},
          'train': options.identity(train)}


def main(config: Config) -> int:
  with errors.user_errors():
    found = _prepare(config)
    lock = locking.take(found.runs.work)
  stop = shutdown.StopRequest()
  with lock:
    _plan(found)
    if not config.dry_run:
      jobs.run(found.next_jobs, functools.partial(_on_end, found, stop), stop, config.processes, lock)
    with errors.user_errors():
      results = found.results()
      files.write_json(found.runs.work / 'compare.json', 'comparison', results)
  print(to_text(results))
  if stop():
    print(f'stopped and saved; the same command continues in {config.work_dir}', file=sys.stderr)
  return stop.exit_code


def _plan(found: Comparison) -> None:
  print('; '.join(f'{total} {kind}' + (f', {left} of them left' if left != total else '') for kind, (total, left) in found.counts().items()),
        flush=True)


def _on_end(found: Comparison, stop: shutdown.StopRequest, job: jobs.Job, seconds: float, code: int) -> None:
  with errors.user_errors():
    found.add_time(job, seconds)
    if stop():
      return
    if code:
      raise errors.UserError(jobs.explain(job, code))
    left = found.seconds_left()
  about = '' if left is None else f'; about {left / 60 / found.config.processes:.0f} min left'
  print(f'{job.name}: {seconds:.0f} s{about}', flush=True)


def to_text(results: dict[str, Any]) -> str:
  """The results as a table for people."""
  lines = [f'{"network":27}{"cost":>15}{"accuracy, %":>16}{"over random":>25}{"beats":>7}{"tau":>14}']
  images = None
  for target in results['targets']:
    cost = lambda value: problem_lib.format_cost(value, results['unit'])
    lines.append(f'target {target["target"]}: {cost(target["cost"])}')
    random = target['random']
    if not random:
      lines.append('  nothing is trained yet')
      continue
    images = random[0]['test_images']
    test = [each['test'] for each in random]
    spread = f'{100 * statistics.fmean(test):.2f}' + (f' sd {100 * statistics.stdev(test):.2f}' if len(test) > 1 else '')
    lines.append(f'{f"  {len(random)} random":27}{cost(statistics.fmean(each["cost"] for each in random)):>15}{spread:>16}')
    if target['standard']:
      lines.append(f'{"  " + target["standard"]["name"]:27}{cost(target["standard"]["cost"]):>15}{100 * target["standard"]["test"]:>8.2f}')
    for row in target['optimizers']:
      lines += _row_text(row, cost)
  return '\n'.join(lines if images is None else [*lines, f'accuracies on {images:,} test images; +-: standard errors; []: 95 % confidence over seeds'])


def _row_text(row: dict[str, Any], cost: Any) -> list[str]:
  searches = row['searches']
  name = f'  {row["optimizer"]}, {len(searches)} seed{"s" * (len(searches) > 1)}'
  error = '' if row['standard_error'] is None else f' +- {100 * row["standard_error"]:.2f}'
  tau = '' if row['tau'] is None else f'{row["tau"][0]:.2f} +- {row["tau"][1]:.2f}'
  accuracy = f'{100 * row["mean"]:.2f}{error}'
  lines = [f'{name:27}{cost(statistics.fmean(each["cost"] for each in searches)):>15}{accuracy:>16}'
           f'{_difference_text(row["over_random"]):>25}{100 * row["beaten"]:>5.0f} %{tau:>14}']
  trainings = statistics.fmean(each['trainings'] for each in searches)
  best = f'    best of {trainings:.1f} random'
  lines.append(f'{best:27}{"":15}{100 * statistics.fmean(each["random_search"] for each in searches):>8.2f}')
  return lines


def _difference_text(paired: dict[str, Any]) -> str:
  between = '' if paired['interval'] is None else f' [{100 * paired["interval"][0]:+.2f}, {100 * paired["interval"][1]:+.2f}]'
  return f'{100 * paired["mean"]:+.2f}{between}'
