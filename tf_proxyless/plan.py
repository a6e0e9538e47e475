"""From a search's flags to its space, costs and target; all that can be checked before TensorFlow is loaded."""

from __future__ import annotations

import dataclasses
import math

from absl import flags

from tf_proxyless import search_flags
from tf_proxyless import shipped
from tf_proxyless.cost import latency_model
from tf_proxyless.cost import latency_table
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless

# Lets mistakes in tables and targets come to light before a dataset is opened; the dataset has the last word.
_CLASSES = {'digits': 10, 'cifar10': 10, 'cifar100': 100, 'imagenet2012': 1000}


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
  table: latency_table.LatencyTable | None
  cost_model: latency_model.CostModel
  target: float
  constrained: bool


def format_cost(cost: float, unit: str) -> str:
  """A cost for people: '80.12 ms' or '12.34 M MACs'."""
  return f'{cost:.2f} ms' if unit == 'ms' else f'{cost / 1e6:.2f} M MACs'


def known_classes(dataset: str) -> int | None:
  """Classes of a dataset that need not be opened for it, else None."""
  return _CLASSES.get(dataset.split(':')[0])


def check_flags(values: flags.FlagValues) -> None:
  """Refuses flags that do not fit each other.

  Raises:
    ValueError: In one line, which and what to do.
  """
  for name in ('run_dir', 'dataset'):
    if not values[name].value:
      raise ValueError(f'--{name} is required')
  if (values.target_latency_ms is None) == (values.target_macs is None):
    raise ValueError('give exactly one of --target_latency_ms and --target_macs')
  if values.target_latency_ms is not None and not values.latency_table:
    raise ValueError('--target_latency_ms needs a --latency_table')
  if values.target_macs is not None and values.latency_table:
    raise ValueError('--latency_table is for --target_latency_ms, not for --target_macs')
  serves = search_flags.OBJECTIVES[values.objective]
  if values.architecture_optimizer not in serves:
    raise ValueError(f'--objective={values.objective} serves --architecture_optimizer={" or ".join(serves)}, '
                     f'not {values.architecture_optimizer}')
  images = values.validation_images
  if not (0 < images < 1 or (images > 1 and images == int(images))):
    raise ValueError(f'--validation_images must be a count above 1, or a fraction between 0 and 1, got {images:g}')
  for name in ('momentum', 'label_smoothing', 'baseline_momentum', 'exploration'):
    if values[name].value >= 1.0:
      raise ValueError(f'--{name} must be below 1, got {values[name].value}')


def load_table(values: flags.FlagValues) -> latency_table.LatencyTable | None:
  """The latency table that the flags name, None for a target in MACs.

  Raises:
    ValueError: There is no such table, or it is of another runtime than the flags expect.
  """
  if values.target_macs is not None:
    return None
  table = latency_table.load(shipped.latency_table(values.latency_table))
  expected = {'device': values.expected_device, 'precision': values.expected_precision, 'kernels': values.expected_kernels}
  table.check_runtime(**{field: value for field, value in expected.items() if value is not None})
  return table


def identity(values: flags.FlagValues, table: latency_table.LatencyTable | None) -> dict[str, object]:
  """What makes a run this run: its flags, and what is in the table wherever it lies."""
  return {**search_flags.identity(values), 'latency_table': None if table is None else table.sha256}


def make(values: flags.FlagValues, classes: int, table: latency_table.LatencyTable | None = None) -> Plan:
  """Builds the space, loads the table, and checks that the target can be reached.

  Args:
    values: Flags of `search_flags`.
    classes: Of the dataset.
    table: The latency table, if it is not to be loaded from where the flags say.

  Raises:
    ValueError: In one line, what does not fit.
    OSError: The table cannot be read.
  """
  space = proxyless.proxyless(
      stage_filters=values.stage_filters, stage_blocks=values.stage_blocks, stage_strides=values.stage_strides,
      stem_filters=values.stem_filters, stem_strides=values.stem_strides, first_block_filters=values.first_block_filters,
      head_filters=values.head_filters, width_multiplier=values.width_multiplier, resolution=values.resolution, classes=classes)
  if values.target_macs is None:
    flag, target = '--target_latency_ms', values.target_latency_ms
    table = table or load_table(values)
    cost_model = latency_model.from_latency_table(space, table)
  else:
    flag, target = '--target_macs', values.target_macs
    table, cost_model = None, latency_model.from_macs(space)
  if not (math.isfinite(target) and target > 0):
    raise ValueError(f'{flag} must be a positive number, got {target}')
  if target < cost_model.smallest:
    raise ValueError(f'{flag}={target:g} is below the smallest network of the space, '
                     f'{format_cost(cost_model.smallest, cost_model.unit)} ({cost_model.smallest:g})')
  return Plan(space, table, cost_model, target, target < cost_model.largest)
