"""From a search's flags to its space, costs and target; all that can be checked before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import math

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import run_flags
from tf_proxyless.app import search_flags
from tf_proxyless.app import tables
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import suggest
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is searched, and for what.

  Attributes:
    space: The search space.
    table: The latency table; None if the target is in MACs.
    cost_model: In the unit of the target.
    target: Budget of the derived network.
    constrained: Whether the target lies below the largest network, so that it constrains anything.
  """

  space: network_lib.Network
  table: table_lib.LatencyTable | None
  cost_model: model_lib.CostModel
  target: float
  constrained: bool

  def format_cost(self, cost: float, unit: str | None = None) -> str:
    """A cost for people, by default in the target's unit; one that rests on estimates says so."""
    unit = unit or self.cost_model.unit
    estimated = unit == 'ms' and self.table is not None and 'estimated' in self.table.provenance
    return f'{format_cost(cost, unit)} (estimated)' if estimated else format_cost(cost, unit)


def format_cost(cost: float, unit: str) -> str:
  """A cost for people: '80.12 ms', '0.412 ms' or '12.34 M MACs'."""
  if unit == 'ms':
    return f'{cost:.2f} ms' if abs(cost) >= 10 else f'{cost:.3f} ms'
  return f'{cost / 1e6:.2f} M MACs'


def describe_table(table: table_lib.LatencyTable) -> str:
  """Whose milliseconds these are, and how far to believe them; one line."""
  runtime = table.runtime
  parts = [f'{runtime.device}, {runtime.precision}, kernels {runtime.kernels}', table.provenance]
  if table.validation is not None:
    found = table.validation
    parts.append(f'mean error {found.mape_percent:.1f} % on {found.networks} networks, Spearman {found.spearman:.2f}')
  if table.estimate_error_percent is not None:
    parts.append(f'an estimated entry may be {table.estimate_error_percent:.0f} % off')
  return '; '.join(parts)


def check_flags(values: flags.FlagValues) -> None:
  """Refuses flags that do not fit each other.

  Raises:
    ValueError: In one line, which and what to do.
  """
  command_line.require(values, 'run_dir', 'dataset')
  dataset_names.check(values.dataset, values.data_dir)
  targets = [name for name in search_flags.TARGETS if values[name].value is not None]
  if len(targets) != 1:
    raise ValueError(f'give exactly one of {", ".join(f"--{name}" for name in search_flags.TARGETS)}, got {len(targets)}')
  if values.target_macs is None and not values.latency_table:
    raise ValueError(f'--{targets[0]} needs a --latency_table')
  if values.target_macs is not None and values.latency_table:
    raise ValueError('--latency_table is for a latency, not for --target_macs')
  fraction = values.target_latency_fraction
  if fraction is not None and not 0 < fraction <= 1:
    raise ValueError(f'--target_latency_fraction must be above 0 and at most 1, got {fraction:g}')
  serves = search_flags.OBJECTIVES[values.objective]
  if values.architecture_optimizer not in serves:
    others = [name for name, optimizers in search_flags.OBJECTIVES.items() if values.architecture_optimizer in optimizers]
    raise ValueError(f'--objective={values.objective} serves --architecture_optimizer={" or ".join(serves)}, '
                     f'not {values.architecture_optimizer}, which goes with {suggest.either(others)}')
  run_flags.check_validation_images(values.validation_images)
  run_flags.check_below_one(values, 'momentum', 'label_smoothing', 'baseline_momentum', 'exploration')


def identity(values: flags.FlagValues, table: table_lib.LatencyTable | None) -> dict[str, object]:
  """What makes a run this run: its flags, and what is in the table wherever it lies."""
  return {**search_flags.RUN.identity(values), 'latency_table': None if table is None else table.sha256}


def _proxyless(values: flags.FlagValues, classes: int) -> network_lib.Network:
  return proxyless.proxyless(
      stage_filters=values.stage_filters, stage_blocks=values.stage_blocks, stage_strides=values.stage_strides,
      stem_filters=values.stem_filters, stem_strides=values.stem_strides, first_block_filters=values.first_block_filters,
      head_filters=values.head_filters, width_multiplier=values.width_multiplier, resolution=values.resolution, classes=classes)


_SPACES: dict[str, Callable[[flags.FlagValues, int], network_lib.Network]] = {'proxyless': _proxyless}


def add_search_space(name: str, make_space: Callable[[flags.FlagValues, int], network_lib.Network]) -> None:
  """Makes --search_space accept a name; to be called before the module of a main is imported, which defines the flags.

  Args:
    name: Not taken yet.
    make_space: (flags, classes) -> the space.
  """
  if name in _SPACES:
    raise ValueError(f'there is a search space {name!r} already')
  search_flags.SEARCH_SPACES.append(name)
  _SPACES[name] = make_space


def make_space(values: flags.FlagValues, classes: int) -> network_lib.Network:
  """The search space that the flags name.

  Raises:
    ValueError: In one line, what does not fit.
  """
  return _SPACES[values.search_space](values, classes)


def make(values: flags.FlagValues, classes: int, table: table_lib.LatencyTable | None = None) -> Plan:
  """Builds the space, loads the table, and checks that the target can be reached.

  Args:
    values: Flags of `search_flags`.
    classes: Of the dataset.
    table: The latency table, if it is not to be loaded from where the flags say.

  Raises:
    ValueError: In one line, what does not fit.
    OSError: The table cannot be read.
  """
  space = make_space(values, classes)
  table = None if values.target_macs is not None else table or tables.load(values, space)
  cost_model = model_lib.from_macs(space) if table is None else model_lib.from_latency_table(space, table)
  flag, target = find_target(values, cost_model)
  if not (math.isfinite(target) and target > 0):
    raise ValueError(f'{flag} must be a positive number, got {target}')
  if target < cost_model.smallest:
    raise ValueError(f'{flag}={target:g} is below the smallest network of the space, '
                     f'{format_cost(cost_model.smallest, cost_model.unit)} ({cost_model.smallest:g})')
  return Plan(space, table, cost_model, target, target < cost_model.largest)


def find_target(values: flags.FlagValues, cost_model: model_lib.CostModel) -> tuple[str, float]:
  """Which flag sets the target, and the target in the cost model's unit; not checked."""
  if values.target_latency_fraction is not None:
    smallest, largest = cost_model.smallest, cost_model.largest
    return '--target_latency_fraction', smallest + values.target_latency_fraction * (largest - smallest)
  if values.target_latency_ms is not None:
    return '--target_latency_ms', values.target_latency_ms
  return '--target_macs', values.target_macs
