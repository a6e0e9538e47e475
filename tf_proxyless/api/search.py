"""Searching, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import html
import json
import os
import pathlib
from typing import Any

from tf_proxyless.api import costs
from tf_proxyless.api import data as data_lib
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.infra import files
from tf_proxyless.infra import shutdown
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.document import writer
from tf_proxyless.report.figures import figures as figures_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib


@shutdown.signals_given_back()
def search(
    space: network_lib.Network,
    train_data: Any,
    validation_data: Any = None,
    *,
    cost: costs.Cost = 'macs',
    target: float | str,
    run_dir: files.PathLike,
    optimizer: Any = None,
    objective: Any = None,
    class_names: Sequence[str] | None = None,
    unit: str = 'ms',
    **settings: Any,
) -> SearchResult:
  """Searches a space for the most accurate network within a cost, and shows its progress.

  Called again with the same arguments it continues where it was stopped, and ends as if it had not been; with others it refuses, and says
  which differ. Ctrl-C (in a notebook: interrupt the kernel) saves and stops.

  Args:
    space: A search space, for instance `spaces.proxyless(...)`.
    train_data: (images, labels) with uint8 images [n, height, width, channels] or floats in [0, 1]; a tf.data.Dataset of (image, label);
      or the name of a dataset: 'digits', 'fashion_mnist', 'folder:PATH', a name of tensorflow-datasets.
    validation_data: Images to learn the architecture from, likewise; by default a class-balanced tenth of the training images.
    cost: What networks cost: a `LatencyTable`, 'macs', 'bytes', a `CostModel`, or a function from an operation's signature to a number.
    target: What the network may cost, in the unit of `cost`; '25%' is a quarter of the way from the cheapest network to the dearest.
    run_dir: Directory of the search: history, checkpoints, architecture.json, report.html.
    optimizer: Settings of an architecture optimizer: `optimizers.Reinforce(...)`, `optimizers.TwoPath(...)`, or an own `OptimizerConfig`;
      None is REINFORCE by `settings`.
    objective: Settings of an objective, for instance `objectives.ConstrainedConfig(...)`, or an own one; None is the constrained one.
    class_names: Names by label, for arrays and datasets.
    unit: Unit of the costs, where `cost` is a function.
    **settings: Fields of `app.config.SearchConfig` by name: `warmup_epochs`, `search_epochs`, `batch_size`, `validation_batch_size`,
      `validation_images`, `augmentation`, `max_memory`, `precision`, `max_energy_mj` (by the file `energy_table`), `seed`, ...

  Returns:
    The result.

  Raises:
    ValueError: An argument does not fit; in one line, which and what to do.
    TypeError: An argument is of a kind that is not accepted.
    SearchDivergedError: The search went wrong; the message says what to change.
    KeyboardInterrupt: It was stopped, and is saved.
  """
  _check_settings(settings)
  cost_model = costs.model(space, cost, unit)
  tables = {name: cost for name, unit in config_lib.TABLES.items() if isinstance(cost, table_lib.LatencyTable) and cost.unit == unit}
  problem = problem_lib.SearchProblem(space, cost_model, problem_lib.parse_target(target, cost_model), tables)
  problem.check()
  config = options.make(config_lib.SearchConfig, {
      **_target_settings(problem), 'run_dir': os.fspath(run_dir), 'resolution': space.resolution, **settings, 'dataset': 'arrays:'})
  config.target.check_limits()
  for name, limit in config_lib.LIMITS.items():
    if getattr(config.target, limit) is not None and name not in tables:
      tables[name] = table_lib.load(getattr(config.target, name))
      tables[name].check_unit(config_lib.TABLES[name])
  problem = dataclasses.replace(problem, others=problem_lib.find_limits(config.target, space, tables))
  problem.check()
  from tf_proxyless.app import build_search
  from tf_proxyless.app.commands import search as search_command

  methods = build_search.Methods.from_config(config, optimizer, objective)
  dataset, held_out = data_lib.open_source(train_data, validation_data, class_names=class_names)
  config = options.replace(config, dataset=dataset)
  search_command.main(config, problem_lib.Given(problem, methods, held_out))
  result = SearchResult(pathlib.Path(run_dir), methods)
  if result.state != 'finished':
    raise KeyboardInterrupt(f'stopped and saved; the same call continues in {run_dir}')
  return result


def _check_settings(settings: Mapping[str, Any]) -> None:
  """Refuses settings that arguments of `search` say."""
  by_group = {'space': 'space', 'target': 'cost` and `target'}
  for name, each in options.options(config_lib.SearchConfig).items():
    if name in settings and each.group == 'designer':
      raise TypeError(f'{name!r} is no setting here: this searches a supernet; `nas.ask_tell` takes a designer')
    argument = 'train_data' if name == 'dataset' else by_group.get(each.group)
    if name in settings and argument and name not in ('max_size', 'max_memory', *config_lib.LIMITS, *config_lib.LIMITS.values()):
      raise TypeError(f'{name!r} is no setting here: `{argument}` says it')


def _target_settings(problem: problem_lib.SearchProblem) -> dict[str, Any]:
  """The target as options, for files that people read."""
  by_table = ({name: table.name, config_lib.TARGET_OF[name]: problem.target, 'allow_estimates': True}
              for name, table in problem.tables.items())
  return next(by_table, {'target_macs': problem.target} if problem.cost_model.unit == 'macs' else {})


def load(run_dir: files.PathLike, optimizer: Any = None, objective: Any = None) -> SearchResult:
  """The result of a search that is over, or as far as it has come.

  Args:
    run_dir: Its directory.
    optimizer: The settings of its optimizer, where these were own ones.
    objective: Likewise.

  Raises:
    ValueError: It is not the directory of a search.
  """
  return SearchResult(pathlib.Path(run_dir), _methods(run_dir, optimizer, objective) if optimizer or objective else None)


def _methods(run_dir: files.PathLike, optimizer: Any, objective: Any) -> Any:
  from tf_proxyless.app import build_search

  config = flags.read(run_directory.RunDirectory(run_dir).flags, config_lib.SearchConfig)
  return build_search.Methods.from_config(config, optimizer, objective)


@dataclasses.dataclass(frozen=True)
class ParetoPoint:
  """The best network within one limit, by what the search learned.

  Attributes:
    limit: Greatest cost.
    architecture: The network.
    cost: What it costs.
    estimate: Accuracy in [0, 1] by estimated effects; None without evaluations.
    standard_error: Standard error of the estimate.
    validation_accuracy: On the whole validation split; None if it was not scored.
  """

  limit: float
  architecture: io.Architecture
  cost: float
  estimate: float | None
  standard_error: float | None
  validation_accuracy: float | None = None


class Report:
  """report.html of a run; a notebook shows it.

  Attributes:
    path: The file.
  """

  def __init__(self, path: pathlib.Path):
    self.path = path

  def __repr__(self) -> str:
    return f'Report({str(self.path)!r})'

  def _repr_html_(self) -> str:
    page = html.escape(self.path.read_text(encoding='utf-8'), quote=True)
    return f'<iframe srcdoc="{page}" width="100%" height="700" style="border:1px solid #ccc"></iframe>'


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture; a notebook shows it.

  Attributes:
    svg: The picture as a file.
  """

  svg: str = dataclasses.field(repr=False)

  def _repr_svg_(self) -> str:
    return self.svg

  def save(self, path: files.PathLike) -> None:
    """Writes an .svg file.

    Raises:
      OSError: It cannot be written.
    """
    files.write_atomically(path, self.svg)


class SearchResult:
  """What a search found; everything is read from its directory.

  Attributes:
    run: The directory with the paths of its files.
    config: The settings of the search.
  """

  def __init__(self, run_dir: pathlib.Path, methods: Any = None):
    self.run = run_directory.RunDirectory(run_dir)
    self._methods = methods
    if not self.run.flags.exists():
      raise ValueError(f'{run_dir} is not the directory of a search: there is no {self.run.flags.name}')
    self.config = problem_lib.read_config(self.run)

  @functools.cached_property
  def problem(self) -> problem_lib.SearchProblem:
    """Space, costs and target."""
    return problem_lib.restore(self.run, self.config)

  @property
  def space(self) -> network_lib.Network:
    """The search space."""
    return self.problem.space

  @property
  def state(self) -> str:
    """'finished', 'interrupted', 'running' or 'failed'."""
    status = self.run.read_status()
    return status['state'] if status else 'interrupted'

  @property
  def architecture(self) -> io.Architecture:
    """The network that was derived, with its choices, cost and provenance."""
    return io.load_architecture(self.run.architecture)

  @property
  def derivation(self) -> dict[str, Any]:
    """Every network that was considered, with estimates, standard errors, and warnings."""
    return json.loads(self.run.derivation.read_text(encoding='utf-8'))

  @property
  def history(self) -> list[dict[str, Any]]:
    """An entry an epoch: loss, accuracy, expected cost, probabilities of all choices, ..."""
    return self.run.read_history()

  @property
  def evaluations(self) -> evaluations_lib.Evaluations:
    """The networks that were scored with the shared weights: paths, accuracies, costs."""
    return evaluations_lib.load(self.run.samples)[1]

  def derive(self, limit: float | None = None, by: str = 'validation', train_data: Any = None,
             others: Sequence[solver.Constraint] = ()) -> io.Architecture:
    """Derives a network again, under another limit.

    Args:
      limit: Greatest cost; by default the target of the search.
      by: 'validation' (of a dozen, by accuracy on the validation images and multiply-adds), 'evidence' (by estimates) or 'probability'.
      train_data: For 'validation' of a search on arrays in an earlier process, the same arrays.
      others: Further constraints, for instance `costs.limits(space, max_memory=320_000)`.

    Raises:
      ValueError: The limit cannot be reached, or the images are not there.
    """
    from tf_proxyless.app import build_search

    problem = self.problem if limit is None else dataclasses.replace(self.problem, target=limit)
    problem.check('limit')
    learned, validation = self._restore(by, train_data)
    return build_search.derive_from_run(self.config, self.problem, problem, self.run, learned, by, validation, tuple(others))[1]

  def pareto(self, limits: Sequence[float], by: str | None = None, train_data: Any = None) -> list[ParetoPoint]:
    """The best network within each limit by what the search learned, without training anything.

    Args:
      limits: Greatest costs, in the unit of the search.
      by: As in `derive`; None is 'evidence', or 'probability' where no networks were scored. 'validation' fine-tunes and scores networks
        for all limits once, and gives no larger limit a worse one.
      train_data: As in `derive`.

    Returns:
      A point a limit, in their order.

    Raises:
      ValueError: A limit is not between the cheapest network and the dearest, or is there twice.
    """
    from tf_proxyless.app import build_search

    limits = [float(limit) for limit in limits]
    self.problem.check_limits(limits)
    by = by or ('evidence' if len(self.evaluations) else 'probability')
    learned, validation = self._restore(by, train_data)
    front = build_search.front_from_run(
        self.config, self.problem, self.problem, limits, self.run, learned, by, validation) if limits else []
    return [ParetoPoint(found.budget, architecture, found.chosen.cost, found.chosen.estimate, found.chosen.standard_error,
                        found.chosen.validation_accuracy) for found, architecture in front]

  def _restore(self, by: str, train_data: Any) -> Any:
    """What was learned, and what scores networks if they are chosen by validation."""
    from tf_proxyless.app import build_search

    if self.config.designer.designer is not None:
      raise ValueError(f'{self.run.path} is a search with a designer: it has no supernet; `tf-proxyless derive` asks its predictor')
    if train_data is not None:
      data_lib.open_source(train_data)
    return build_search.restore(self.config, self.problem, self.run, by == 'validation', self._methods)

  def keras_model(self, weights: str = 'inherit', train_data: Any = None) -> Any:
    """The derived network as a plain tf_keras model.

    Args:
      weights: 'inherit' copies those of the supernet, and estimates the statistics of batch normalisation on training images;
        'random' starts anew.
      train_data: For 'inherit' after a search on arrays in an earlier process, the same arrays.

    Returns:
      A Functional model from images [batch, height, width, channels] in [0, 1] to logits.

    Raises:
      ValueError: `weights` is neither, or the images are not there.
    """
    from tf_proxyless.api import weights as weights_lib

    return weights_lib.build(self, weights, train_data)

  def figure(self, name: str = 'network') -> Figure:
    """A picture of the report; a notebook shows it.

    Args:
      name: 'network', 'blocks', 'curves', 'probabilities', 'pareto' or 'table'.

    Raises:
      ValueError: There is no such picture of this search.
    """
    document = document_lib.document(self.run.path, headings=options.headings(config_lib.SearchConfig))
    found = figures_lib.pictures(document)
    if name not in found:
      raise ValueError(f'there is no figure {name!r} of this search; there are {", ".join(found)}')
    return Figure(figures_lib.standalone(found[name]))

  def report(self) -> Report:
    """Writes report.html anew; a notebook shows it."""
    return report(self.run.path)

  def __repr__(self) -> str:
    return f'SearchResult({str(self.run.path)!r}, {self.state})'

  def _repr_html_(self) -> str:
    rows = [('state', self.state), ('target', self.problem.format_cost(self.problem.target))]
    if self.run.architecture.exists():
      cost = self.architecture.cost
      rows += [('network', ' '.join(block.op.short_name for block in self.architecture.network.blocks)),
               ('MACs', f'{cost.macs:,}'), ('parameters', f'{cost.parameters:,}')]
      rows += [('predicted', f'{value:.3f} {unit}') for value, unit in ((cost.predicted_ms, 'ms'), (cost.predicted_mj, 'mJ'))
               if value is not None]
    cells = ''.join(f'<tr><th style="text-align:left">{name}</th><td style="text-align:left">{html.escape(str(value))}</td></tr>'
                    for name, value in rows)
    return f'<table>{cells}</table>'


def derive(run_dir: files.PathLike, limit: float | None = None, by: str = 'validation', **arguments: Any) -> io.Architecture:
  """Derives a network from a finished search; see `SearchResult.derive`."""
  return load(run_dir).derive(limit, by, **arguments)


def report(run_dir: files.PathLike) -> Report:
  """Writes the report of a search as one self-contained page.

  Raises:
    OSError: It cannot be written.
  """
  run = run_directory.RunDirectory(run_dir)
  writer.write(run.path, run.report, (), options.headings(config_lib.SearchConfig))
  return Report(run.report)
