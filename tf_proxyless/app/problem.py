"""From a search's configuration to its space, costs and target; all that can be checked before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import inspect
import json
import math
import re
from typing import Any

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import tables
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.derive import limits as limits_lib
from tf_proxyless.derive import solver
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import resources
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published
from tf_proxyless.space import schema


_BYTES = {'B': 1, 'kB': 1000, 'MB': 1000**2, 'KiB': 1024, 'MiB': 1024**2}


@dataclasses.dataclass(frozen=True)
class SearchProblem:
  """What is searched, and for what.

  Attributes:
    space: The search space.
    cost_model: In the unit of the target.
    target: Budget of the derived network.
    tables: Tables of latency and energy, by the option that names each.
    others: Further limits of the derived network.
  """

  space: network_lib.Network
  cost_model: model_lib.CostModel
  target: float
  tables: Mapping[str, table_lib.LatencyTable] = dataclasses.field(default_factory=dict)
  others: tuple[solver.Constraint, ...] = ()

  @classmethod
  def from_config(cls, config: config_lib.SearchConfig, space: network_lib.Network,
                  loaded: Mapping[str, table_lib.LatencyTable] | None = None) -> SearchProblem:
    """Loads the tables, and checks that the target can be reached.

    Args:
      config: Checked.
      space: The search space, see `make_space`.
      loaded: The tables, if they are not to be loaded from where the configuration says.

    Raises:
      ValueError: In one line, what does not fit.
      OSError: A table cannot be read.
    """
    loaded = loaded or tables.load(config, space)
    table = config.target.table
    cost_model = model_lib.from_macs(space) if table is None else model_lib.from_latency_table(space, loaded[table])
    name, targets = find_targets(config, cost_model)
    problem = cls(space, cost_model, targets[0], loaded, find_limits(config.target, space, loaded))
    for target in targets:
      dataclasses.replace(problem, target=target).check(name)
    return problem

  @property
  def table(self) -> table_lib.LatencyTable | None:
    """The table of the target's unit; None if that is of no table."""
    return self.table_of(self.cost_model.unit)

  def table_of(self, unit: str) -> table_lib.LatencyTable | None:
    """The table of a unit, if there is one."""
    return next((table for table in self.tables.values() if table.unit == unit), None)

  def to_json(self) -> dict[str, Any]:
    """Costs and target as JSON values; the space has a file of its own."""
    return {'target': self.target, **self.cost_model.to_json()}

  def check(self, name: str = 'target') -> None:
    """Checks that the target can be reached.

    Raises:
      ValueError: It cannot, or is no positive number.
    """
    if not (math.isfinite(self.target) and self.target > 0):
      raise ValueError(f'`{name}` must be a positive number, got {self.target}')
    smallest = self.cost_model.smallest
    if self.target < smallest:
      raise ValueError(f'`{name}={self.target:g}` is below the smallest network of the space, '
                       f'{format_cost(smallest, self.cost_model.unit)} ({smallest:g})')
    if self.others:
      limits_lib.check((solver.Constraint(self.cost_model, self.target), *self.others))

  def check_limits(self, limits: Sequence[float], name: str = 'limits') -> None:
    """Checks limits of several networks: each between the cheapest and the dearest, none twice.

    Raises:
      ValueError: In one line, which is not.
    """
    for limit in limits:
      dataclasses.replace(self, target=limit).check(name)
      if limit > self.cost_model.largest:
        raise ValueError(f'`{name}={limit:g}` is above the dearest network of the space, {self.format_cost(self.cost_model.largest)} '
                         f'({self.cost_model.largest:g}), and limits nothing')
      if list(limits).count(limit) > 1:
        raise ValueError(f'`{name}` has {limit:g} twice')

  @property
  def constrained(self) -> bool:
    """Whether the target lies below the largest network, so that it constrains anything."""
    return self.target < self.cost_model.largest

  def format_cost(self, cost: float, unit: str | None = None) -> str:
    """A cost for people, by default in the target's unit; one that rests on estimates says so."""
    unit = unit or self.cost_model.unit
    table = self.table_of(unit)
    estimated = table is not None and 'estimated' in table.provenance
    return f'{format_cost(cost, unit)} (estimated)' if estimated else format_cost(cost, unit)


def format_cost(cost: float, unit: str) -> str:
  """A cost for people: '80.12 ms', '0.412 ms' or '12.34 M MACs'."""
  if unit == 'macs':
    return f'{cost / 1e6:.2f} M MACs'
  return f'{cost:.2f} {unit}' if abs(cost) >= 10 else f'{cost:.3f} {unit}'


def describe_table(table: table_lib.LatencyTable) -> str:
  """What a table was measured on, and how far to believe it; one line."""
  runtime = table.runtime
  parts = [f'{runtime.device}, {runtime.precision}, kernels {runtime.kernels}', table.provenance]
  if table.validation is not None:
    found = table.validation
    parts.append(f'mean error {found.mape_percent:.1f} % on {found.networks} networks, Spearman {found.spearman:.2f}')
  if table.estimate_error_percent is not None:
    parts.append(f'an estimated entry may be {table.estimate_error_percent:.0f} % off')
  return '; '.join(parts)


def describe_tables(loaded: Mapping[str, table_lib.LatencyTable]) -> str:
  """A line for each table of a search."""
  return ''.join(f'{name.replace("_", " "):22} {describe_table(table)}\n' for name, table in loaded.items())


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
  """What a Python caller gives as objects instead of options; None takes it from the configuration.

  Attributes:
    problem: Space, costs and target.
    methods: Optimizer and objective, see `build_search.Methods`.
    validation: Which training examples architectures are scored on, see `build_search.build_search`.
  """

  problem: SearchProblem | None = None
  methods: Any = None
  validation: Any = None


NOTHING_GIVEN = Given()


def identity(config: config_lib.SearchConfig, loaded: Mapping[str, table_lib.LatencyTable],
             given: Given = NOTHING_GIVEN) -> dict[str, object]:
  """What makes a run this run: its options, what is in the tables wherever they lie, and what was given as objects."""
  found = {**identity_of_options(config), **{name: loaded[name].sha256 if name in loaded else None for name in config_lib.TABLES}}
  if given.problem is not None:
    found['problem'] = _digest([io.network_to_json(given.problem.space), given.problem.to_json()])
  if given.methods is not None:
    found['methods'] = repr(given.methods)
  return found


def silent(config: config_lib.SearchConfig, given: Given = NOTHING_GIVEN) -> set[str]:
  """The options that say nothing in this search: those of a space that is given or in a file, and of parts that it does not have."""
  of_supernets = (config_lib.ObjectiveConfig, config_lib.OptimizerConfig, config_lib.WeightsConfig)
  groups = (config_lib.DesignerConfig,) if config.designer.designer is None else of_supernets
  found = {name for group in groups for name in options.options(group)}
  if given.problem:
    found |= options.options(config_lib.SpaceConfig).keys()
  elif config.space.search_space != config_lib.PROXYLESS:
    found |= options.options(config_lib.SpaceConfig).keys() - {'search_space', *config.space.given}
  return found


def identity_of_options(config: config_lib.SearchConfig) -> dict[str, object]:
  """The options that make a run this run; a search space in a file is known by what is in it."""
  found = options.identity(config)
  if config.space.in_file:
    space = make_space(config.space)
    found['search_space'] = f'{space.name} {io.digest(space)[:16]}'
  return found


def _digest(value: Any) -> str:
  """SHA-256 of JSON values."""
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode('utf-8')).hexdigest()


def read_config(run: run_directory.RunDirectory, data_dir: str | None = None) -> config_lib.SearchConfig:
  """The configuration of a search that was begun, wherever its directory lies now; a space in a file is the run's own copy.

  Args:
    run: The directory of the search.
    data_dir: Where datasets lie now; by default where the search found them.

  Raises:
    ValueError: flags.txt is not that of a search.
    OSError: A file cannot be read.
  """
  found = flags.read(run.flags, config_lib.SearchConfig)
  own = {'search_space': str(run.search_space)} if found.space.in_file else {}
  return options.replace(found, run_dir=str(run.path), data_dir=data_dir or found.data.data_dir, **own)


def restore(run: run_directory.RunDirectory, config: config_lib.SearchConfig) -> SearchProblem:
  """The problem of a run, from its files.

  Args:
    run: Holds the space, and the table or the costs.
    config: Configuration of the run.

  Raises:
    ValueError: A file is damaged.
    OSError: A file cannot be read.
  """
  space = io.load_search_space(run.search_space)
  loaded = {name: table_lib.load(path) for name, path in run.tables.items() if path.exists()}
  if not run.problem.exists():
    return SearchProblem.from_config(config, space, loaded)
  body = files.read_json(run.problem, 'search_problem')
  try:
    return SearchProblem(space, model_lib.CostModel.from_json(schema.decisions(space), body), float(body['target']), loaded,
                         find_limits(config.target, space, loaded))
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(f'{run.problem} is damaged: {errors.one_line(error)}') from error


def make_space(space: config_lib.SpaceConfig, classes: int | None = None, channels: int = 3) -> network_lib.Network:
  """The search space of a configuration.

  Args:
    space: The configuration.
    classes: Outputs of its networks; by default as in the file, or the space's own.
    channels: Channels of their input, if neither a file nor the configuration says it.

  Raises:
    ValueError: In one line, what does not fit.
  """
  name, given = space.search_space, space.given
  if not space.in_file:
    make = published.SPACES[name]
    unknown = given.keys() - inspect.signature(make).parameters.keys()
    if unknown:
      raise ValueError(f'`{min(unknown)}` describes `search_space={config_lib.PROXYLESS}`, not {name}')
    return make(**{'channels': channels, **given, **({'classes': classes} if classes else {})})
  path = resources.search_space(name, published.SPACES)
  if given:
    raise ValueError(f'`{next(iter(given))}` describes `search_space={config_lib.PROXYLESS}`; the space in {path} has its own')
  found = io.load_search_space(path)
  if classes not in (None, found.classes):
    raise ValueError(f'`search_space={name}` is for {found.classes} classes, there are {classes}')
  return found


def find_space(config: config_lib.SearchConfig) -> network_lib.Network:
  """The search space with the classes and channels of the dataset, which is opened, with TensorFlow, only if its name does not say them."""
  dataset = config.data.dataset or ''
  classes, of_images = dataset_names.classes(dataset), dataset_names.channels(dataset)
  if classes is None:
    stderr_lib.load_tensorflow()
    from tf_proxyless.app import dataset as dataset_lib

    source = dataset_lib.open_source(dataset, config.data)
    classes, of_images = source.classes, source.channels
  return make_space(config.space, classes, of_images or 3)


def channels(run: run_directory.RunDirectory, of_images: int) -> int:
  """Channels of the networks that a run searches where no option says it: as it began, else those of the images.

  Raises:
    ValueError: The search space of the run is damaged.
  """
  return io.load_search_space(run.search_space).input_shape[2] if run.begun and run.search_space.exists() else of_images


def find_targets(config: config_lib.SearchConfig, cost_model: model_lib.CostModel) -> tuple[str, list[float]]:
  """The option that says what networks may cost, and this in the cost model's unit: one target, or several of a search with a designer.

  Raises:
    ValueError: A target is neither a number nor a share; whether it can be reached is not checked.
  """
  if config.designer.targets:
    return 'targets', [parse_target(text, cost_model) for text in config.designer.targets]
  target = config.target
  if target.target_latency_fraction is not None:
    return target.given, [cost_model.smallest + target.target_latency_fraction * (cost_model.largest - cost_model.smallest)]
  return target.given, [getattr(target, target.given)]


def find_limits(target: config_lib.TargetConfig, space: network_lib.Network,
                loaded: Mapping[str, table_lib.LatencyTable]) -> tuple[solver.Constraint, ...]:
  """The limits that options say.

  Args:
    target: Options of the target.
    space: The search space.
    loaded: The tables, by option.

  Raises:
    ValueError: One is no number of bytes, or the smallest network is over it.
  """
  sizes = {name: parse_bytes(name, text) for name in ('max_size', 'max_memory') if (text := getattr(target, name))}
  found = list(limits_lib.make(space, **sizes))
  for name, limit in config_lib.LIMITS.items():
    most = getattr(target, limit)
    if most is not None:
      cost_model = model_lib.from_latency_table(space, loaded[name])
      if not most >= cost_model.smallest:
        raise ValueError(f'`{limit}={most:g}`: the smallest network of the space takes {format_cost(cost_model.smallest, cost_model.unit)} '
                         f'({cost_model.smallest:g})')
      found.append(solver.Constraint(cost_model, most))
  return tuple(found)


def parse_bytes(name: str, text: str) -> int:
  """'320kB' or '1 MiB' as bytes; `name` is the option's.

  Raises:
    ValueError: It is no such number.
  """
  found = re.fullmatch(r'(\d+(?:\.\d+)?) ?(B|kB|MB|KiB|MiB)?', text.strip())
  size = round(float(found[1]) * _BYTES[found[2] or 'B']) if found else 0
  if not size:
    raise ValueError(f"`{name}={text}` must be a number of bytes, or one with kB, MB, KiB or MiB, such as '320kB'")
  return size


def parse_target(target: float | str, cost_model: model_lib.CostModel) -> float:
  """A target in the unit of the costs; '25%' is a quarter of the way from the cheapest network to the dearest.

  Raises:
    ValueError: It is neither a number nor such a share.
  """
  if not isinstance(target, str):
    return float(target)
  share = target.endswith('%')
  try:
    number = float(target.removesuffix('%'))
  except ValueError:
    number = math.nan
  if math.isnan(number) or share and not 0 < number <= 100:
    raise ValueError(f"target must be a number in {cost_model.unit}, or a share such as '25%', got {target!r}")
  return cost_model.smallest + number / 100 * (cost_model.largest - cost_model.smallest) if share else number
