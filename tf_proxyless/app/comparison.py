"""A comparison of searches with random networks: what there is to run, and what came out. All of it is read from the folder."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
import statistics
from typing import Any

from tf_proxyless.app import architectures
from tf_proxyless.app import comparison_statistics
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import jobs
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import score_networks
from tf_proxyless.cost import counting
from tf_proxyless.cost import equal_cost
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import regression
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

TOLERANCE = 0.01  # of a random network's cost
_WIDTHS = tuple(width / 100 for width in range(5, 141, 5))  # of MobileNetV2, up to the largest published
_TIMES = 'comparison_times'


@dataclasses.dataclass(frozen=True)
class Design:
  """How much is compared.

  Attributes:
    targets: As they were given, see `problem.parse_target`.
    optimizers: Names of architecture optimizers.
    seeds: Searches for each target and optimizer.
    random_networks: For each target.
    training_seeds: Trainings of each network.
  """

  targets: tuple[str, ...]
  optimizers: tuple[str, ...]
  seeds: int
  random_networks: int
  training_seeds: int


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A network to train.

  Attributes:
    name: Of its files: a hash of what it computes.
    architecture: The network.
    cost: In the unit of the costs.
    text: For people; '' for networks of the space.
  """

  name: str
  architecture: io.Architecture
  cost: float
  text: str = ''


@dataclasses.dataclass(frozen=True)
class Target:
  """What networks may cost.

  Attributes:
    text: As it was given.
    cost: In the unit of the costs.
    drawn: Random networks of about this cost in the order drawn, some more than are needed if there are more: those that a search finds
      are left out.
    standard: The standard network; None if its narrowest costs more.
  """

  text: str
  cost: float
  drawn: tuple[Candidate, ...]
  standard: Candidate | None

  @property
  def name(self) -> str:
    """For names of files."""
    return self.text.replace('%', '_percent')


@dataclasses.dataclass(frozen=True)
class Search:
  """One of the searches."""

  target: Target
  optimizer: str
  number: int

  @property
  def kind(self) -> str:
    return f'searches by {self.optimizer}'

  @property
  def name(self) -> str:
    return f'{self.target.name}_{self.optimizer}_{self.number}'

  @property
  def text(self) -> str:
    return f'{self.optimizer} {self.number} for {self.target.text}'


TRAININGS, SCORINGS = 'trainings', 'scorings'  # kinds of runs, and names of their folders


class Comparison:
  """What there is to run, and what came out.

  Args:
    work: Folder of all runs.
    design: How much is compared.
    search, train: Configurations of all searches and trainings, but for what differs among them.
    space: The search space.
    table: The latency table; None if costs are multiply-adds.

  Raises:
    ValueError: A target cannot be reached, or there are not enough networks of its cost; in one line.
  """

  def __init__(self, work: pathlib.Path, design: Design, search: config_lib.SearchConfig, train: config_lib.TrainConfig,
               space: network_lib.Network, table: table_lib.LatencyTable | None):
    self.work, self.design, self._search, self._train, self.space, self._table = work, design, search, train, space, table
    self.cost_model = model_lib.from_macs(space) if table is None else model_lib.from_latency_table(space, table)
    self._known: dict[schema.Genotype, Candidate] = {}
    self._found: dict[str, Candidate] = {}  # by search
    self._standards = self._make_standards()
    self.targets = tuple(map(self._make_target, design.targets))
    self.searches = tuple(Search(target, optimizer, number) for target in self.targets for number in range(design.seeds)
                          for optimizer in design.optimizers)
    for search_ in self.searches:
      self._search_config(search_).check()
    self._times_file = work / 'times.json'
    self._times = read_times(self._times_file) if self._times_file.exists() else {}

  def create(self) -> None:
    """Makes the folders.

    Raises:
      OSError: They cannot be made.
    """
    for name in ('searches', 'networks', TRAININGS, SCORINGS):
      (self.work / name).mkdir(parents=True, exist_ok=True)

  # Networks

  def _make_target(self, text: str) -> Target:
    cost = problem_lib.parse_target(text, self.cost_model)
    problem_lib.SearchProblem(self.space, self.cost_model, cost).check('targets')
    most = self.design.random_networks + self.design.seeds * len(self.design.optimizers)
    paths = equal_cost.draw(self.cost_model, (1 - TOLERANCE) * cost, (1 + TOLERANCE) * cost, most, self._search.seed)
    drawn = tuple(self._of_space(schema.genotype(self.space, path)) for path in paths)
    target = Target(text, cost, drawn, self._standard(cost))
    self._check_enough(target, len(paths))
    return target

  def _check_enough(self, target: Target, count: int) -> None:
    if count < self.design.random_networks:
      raise ValueError(f'`random_networks={self.design.random_networks}`: only {count} networks were found that cost within '
                       f'{100 * TOLERANCE:g} % of the target {target.text} ({self.format_cost(target.cost)}) and that no search found; ask '
                       'for fewer, or take another target')

  def _of_space(self, genotype: schema.Genotype) -> Candidate:
    if genotype not in self._known:
      self._known[genotype] = _candidate(architectures.of_space(self.space, genotype), self.cost_model.cost(genotype))
    return self._known[genotype]

  def _make_standards(self) -> list[tuple[float, float]]:
    """Cost and width of MobileNetV2s, the cheapest first; what the latency table lacks is estimated from what it has."""
    networks = {width: mobilenets.mobilenet_v2(width, self.space.resolution, self.space.classes) for width in _WIDTHS}
    if self._table is None:
      return sorted((float(counting.count_network(network).macs), width) for width, network in networks.items())
    signatures = [signature for network in networks.values() for signature in network_lib.op_signatures(network)]
    table = regression.fill(self._table, signatures).table
    return sorted((model_lib.from_latency_table(network, table).fixed, width) for width, network in networks.items())

  def _standard(self, limit: float) -> Candidate | None:
    """The widest MobileNetV2 within a limit."""
    within = [(cost, width) for cost, width in self._standards if cost <= limit]
    if not within:
      return None
    cost, width = within[-1]
    architecture = architectures.find(architectures.MOBILENET_V2, self.space.classes, self.space.resolution, width)
    estimated = '' if self._table is None else ', cost estimated'
    return _candidate(architecture, cost, f'{architectures.MOBILENET_V2} x {width:g}{estimated}')

  def format_cost(self, cost: float) -> str:
    return problem_lib.format_cost(cost, self.cost_model.unit)

  def found(self, search: Search) -> Candidate | None:
    """What a search found; None if it is not finished."""
    run = run_directory.RunDirectory(self.search_folder(search))
    if search.name not in self._found and run.is_finished():
      self._found[search.name] = self._of_space(schema.Genotype(io.load_architecture(run.architecture).genotype))
    return self._found.get(search.name)

  def random(self, target: Target) -> list[Candidate]:
    """The random networks of a target: the first ones drawn that no search has found.

    Raises:
      ValueError: There are not enough.
    """
    found = {candidate.name for search in self.searches if search.target == target and (candidate := self.found(search)) is not None}
    others = [candidate for candidate in target.drawn if candidate.name not in found][:self.design.random_networks]
    self._check_enough(target, len(others))
    return others

  def _network_file(self, candidate: Candidate) -> pathlib.Path:
    """The file of a network, which is written if it is not there."""
    path = self.work / 'networks' / f'{candidate.name}.json'
    if not path.exists():
      io.save_architecture(candidate.architecture, path)
    return path

  # Runs

  def search_folder(self, search: Search) -> pathlib.Path:
    """The run directory of a search."""
    return self.work / 'searches' / search.name

  def training_folder(self, candidate: Candidate, number: int) -> pathlib.Path:
    """The run directory of a training."""
    return self.work / TRAININGS / f'{candidate.name}_{number}'

  def _scores_file(self, search: Search) -> pathlib.Path:
    return self.work / SCORINGS / search.name / 'scores.json'

  def _search_config(self, search: Search) -> config_lib.SearchConfig:
    limit: dict[str, float | str] = {'target_macs': search.target.cost}
    if self._table is not None:
      name = next(name for name, unit in config_lib.TABLES.items() if unit == self._table.unit)
      limit = {config_lib.TARGET_OF[name]: search.target.cost, name: str(table_file(self.work))}
    if self._search.space.in_file:
      limit['search_space'] = str(space_file(self.work))
    return options.replace(self._search, **{**dict.fromkeys(config_lib.TARGETS), **limit}, architecture_optimizer=search.optimizer,
                           seed=self._search.seed + search.number, run_dir=str(self.search_folder(search)))

  def next_jobs(self) -> list[jobs.Job]:
    """What can run now and is not finished, in an order in which the results so far say most."""
    turns: list[tuple[int, list[jobs.Job]]] = []
    random = {target.text: self.random(target) for target in self.targets}
    for search in self.searches:
      turns.append((search.number, self._after_search(search, random[search.target.text])))
    for target in self.targets:
      for index, candidate in enumerate(random[target.text]):
        turn = index * self.design.seeds // self.design.random_networks
        turns.append((turn, self._training_jobs(f'random {index} for {target.text}', candidate)))
      if target.standard is not None:
        turns.append((0, self._training_jobs(f'{target.standard.text} for {target.text}', target.standard)))
    found = {job.folder: job for _, group in sorted(turns, key=lambda turn: turn[0]) for job in group}  # two searches may find the same
    return list(found.values())

  def _after_search(self, search: Search, random: Sequence[Candidate]) -> list[jobs.Job]:
    """A search, or what follows from it."""
    candidate = self.found(search)
    if candidate is None:
      return [jobs.of_command(search.kind, f'search {search.text}', 'search', self._search_config(search), self.search_folder(search))]
    found = self._training_jobs(f'found by {search.text}', candidate)
    if self._ranks and self._estimates(search, random) is None:
      output = self._scores_file(search)
      command = ['-m', 'tf_proxyless.app.score_networks', f'--run_dir={self.search_folder(search)}', f'--output={output}',
                 f'--networks={",".join(str(self._network_file(each)) for each in random)}']
      command += [f'--data_dir={self._search.data.data_dir}'] if self._search.data.data_dir else []
      found.append(jobs.Job(f'score by {search.text}', SCORINGS, tuple(command), output.parent))
    return found

  @property
  def _ranks(self) -> bool:
    """Whether there are random networks enough to compare their order by the search with that by training."""
    return self.design.random_networks >= comparison_statistics.LEAST_RANKED

  def _training_jobs(self, name: str, candidate: Candidate) -> list[jobs.Job]:
    found = []
    for number in range(self.design.training_seeds):
      folder = self.training_folder(candidate, number)
      run = run_directory.RunDirectory(folder)
      if not run.is_finished() and not (candidate.text and run.lasting_failure()):  # a standard network may not suit the recipe
        config = options.replace(self._train, architecture=str(self._network_file(candidate)), seed=self._train.seed + number,
                                 run_dir=str(folder))
        found.append(jobs.of_command(TRAININGS, f'train {name}, seed {number}', 'train', config, folder))
    return found

  def counts(self) -> dict[str, tuple[int, int]]:
    """How many runs of each kind there are, and how many of them are left."""
    searches = {kind: sum(search.kind == kind for search in self.searches) for kind in dict.fromkeys(each.kind for each in self.searches)}
    standards = sum(target.standard is not None for target in self.targets)
    networks = len(self.searches) + len(self.targets) * self.design.random_networks + standards
    totals = {**searches, TRAININGS: networks * self.design.training_seeds, SCORINGS: len(self.searches) * self._ranks}
    ready = [job.kind for job in self.next_jobs()]
    left = {kind: ready.count(kind) for kind in totals}
    waiting = sum(left[kind] for kind in searches)
    left[TRAININGS] += waiting * self.design.training_seeds
    left[SCORINGS] += waiting * self._ranks
    return {kind: (total, left[kind]) for kind, total in totals.items()}

  # Times

  def add_time(self, job: jobs.Job, seconds: float) -> None:
    """Keeps what a run, or a part of it, took."""
    key = self._key(job.folder)
    self._times[key] = self._times.get(key, 0.0) + seconds
    files.write_json(self._times_file, _TIMES, {'seconds': self._times})

  def _key(self, folder: pathlib.Path) -> str:
    return folder.relative_to(self.work).as_posix()

  def _seconds(self, folder: pathlib.Path) -> float:
    """What a run took; its epochs at least, where this process was killed and could not take the time."""
    epochs = sum(entry['seconds'] for entry in run_directory.RunDirectory(folder).read_history())
    return max(self._times.get(self._key(folder), 0.0), epochs)

  def seconds_taken(self, kind: str) -> list[float]:
    """What the finished runs of a kind took."""
    left = {self._key(job.folder) for job in self.next_jobs()}
    kinds = {self._key(self.search_folder(search)): search.kind for search in self.searches}
    return [seconds for key, seconds in self._times.items() if key not in left and kinds.get(key, key.partition('/')[0]) == kind]

  def seconds_left(self) -> float | None:
    """With one process; None as long as no run of a kind that is left has ended."""
    total = 0.0
    for kind, (_, left) in self.counts().items():
      taken = self.seconds_taken(kind) if left else [0.0]
      if not taken:
        return None
      total += left * statistics.fmean(taken)
    return total

  # Results

  def _estimates(self, search: Search, random: Sequence[Candidate]) -> list[float] | None:
    """Accuracies of networks with the weights of a search; None if not all of them were scored."""
    path = self._scores_file(search)
    known = score_networks.read(path) if path.exists() else {}
    accuracies = {pathlib.PurePath(name).stem: accuracy for name, accuracy in known.items()}
    return [accuracies[candidate.name] for candidate in random] if all(candidate.name in accuracies for candidate in random) else None

  def _trained(self, candidate: Candidate) -> dict[str, Any] | None:
    """What the trainings of a network gave; None if none is finished."""
    folders = [folder for number in range(self.design.training_seeds)
               if run_directory.RunDirectory(folder := self.training_folder(candidate, number)).is_finished()]
    if not folders:
      return None
    results = [models.read_results(folder / 'results.json') for folder in folders]
    tests = [float(each['test_top1']) for each in results]
    cost = candidate.architecture.cost or io.Cost()
    return {'network': candidate.name, 'cost': candidate.cost, 'macs': cost.macs, 'parameters': cost.parameters,
            'validation': statistics.fmean(each['validation_top1'] for each in results), 'test': statistics.fmean(tests), 'tests': tests,
            'test_images': results[0]['test_images'], 'seconds': statistics.fmean(map(self._seconds, folders))}

  def results(self) -> dict[str, Any]:
    """All that is known so far, as JSON values."""
    return {'dataset': self._search.data.dataset, 'unit': self.cost_model.unit, 'tolerance': TOLERANCE,
            'targets': [self._result(target) for target in self.targets]}

  def _result(self, target: Target) -> dict[str, Any]:
    drawn = self.random(target)
    trained = {candidate.name: found for candidate in drawn if (found := self._trained(candidate)) is not None}
    random = list(trained.values())
    standard = None if target.standard is None else self._trained(target.standard)
    failed = None
    if target.standard is not None and standard is not None:
      standard['name'] = target.standard.text
    elif target.standard is not None and (reason := run_directory.RunDirectory(self.training_folder(target.standard, 0)).lasting_failure()):
      failed = f'{target.standard.text}: {reason}'
    optimizers = []
    for optimizer in self.design.optimizers:
      rows = []
      for search in self.searches:
        candidate = self.found(search) if (search.target, search.optimizer) == (target, optimizer) else None
        found = None if candidate is None else self._trained(candidate)
        if found is not None:
          estimates = self._estimates(search, drawn)
          known = estimates and [estimate for estimate, each in zip(estimates, drawn) if each.name in trained]
          merits = candidates_lib.merits(known, [each['macs'] for each in random]).tolist() if known else None
          rows.append({**found, 'seed': search.number, 'seconds': self._seconds(self.search_folder(search)), 'estimates': merits})
      if rows and random:
        optimizers.append({'optimizer': optimizer, **comparison_statistics.judge(rows, random, standard)})
    between = comparison_statistics.between_trainings([each['tests'] for each in random]) if random else None
    return {'target': target.text, 'cost': target.cost, 'random': random, 'standard': standard,
            'standard_failed': failed, 'between_trainings': between, 'optimizers': optimizers}


def _candidate(architecture: io.Architecture, cost: float, text: str = '') -> Candidate:
  return Candidate(architectures.digest(architecture)[:12], architecture, cost, text)


def space_file(work: pathlib.Path) -> pathlib.Path:
  """Where a comparison has its copy of the search space."""
  return work / 'search_space.json'


def table_file(work: pathlib.Path) -> pathlib.Path:
  """Where a comparison has its copy of the latency table."""
  return work / 'latency_table.json'


def read_times(path: files.PathLike) -> dict[str, float]:
  """Seconds that runs took, by folder.

  Raises:
    ValueError: The file does not say so.
    OSError: It cannot be read.
  """
  return files.read_numbers(path, _TIMES, 'seconds')
