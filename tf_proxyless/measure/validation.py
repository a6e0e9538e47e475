"""Proves a table of latency or energy: predicts whole networks from it, measures them, and says how far off it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import pathlib
from typing import Any

import numpy as np

from tf_proxyless.cost import calibration
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import serialization
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published
from tf_proxyless.space import sampling
from tf_proxyless.space import schema

KIND = 'latency_table_proof'
_SHORTEST_MS, _LONGEST_MS = 1e-9, 1e9
_DRAWN = 200  # networks, among which those of a proof are chosen
_BLOCK_MODELS = 6  # networks take longer than operations, so that a busy moment disturbs few of them


@dataclasses.dataclass(frozen=True)
class Row:
  """A network of the proof.

  Attributes:
    name: 'random_12' or that of a published network.
    purpose: 'calibration', 'validation', or 'published' (of the latter, too).
    sum_ms: Sum of the table's entries, in its unit like the others.
    predicted_ms: Calibrated.
    measured_ms: See `measurements.cost`.
  """

  name: str
  purpose: str
  sum_ms: float
  predicted_ms: float
  measured_ms: float

  def __post_init__(self) -> None:
    if not _SHORTEST_MS < self.measured_ms < _LONGEST_MS or not -_LONGEST_MS < self.predicted_ms < _LONGEST_MS:
      raise ValueError(f'Row: costs must lie between {_SHORTEST_MS:g} and {_LONGEST_MS:g}, got {self.measured_ms!r} measured, '
                       f'{self.predicted_ms!r} predicted')

  @property
  def error_percent(self) -> float:
    """Of the prediction, relative to the measurement."""
    return 100 * (self.predicted_ms / self.measured_ms - 1)


@dataclasses.dataclass(frozen=True)
class Proof:
  """What was found.

  Attributes:
    table: With calibration and validation.
    rows: All networks, those for calibration first.
    measurements: Measurements of the networks.
  """

  table: table_lib.LatencyTable
  rows: tuple[Row, ...]
  measurements: Mapping[str, Any]


def choose_networks(space: network_lib.Network, table: table_lib.LatencyTable, for_calibration: int, for_validation: int,
                    seed: int) -> dict[str, tuple[str, network_lib.Network]]:
  """Networks by name, each with its purpose: random ones whose sums are spread over the range, and published ones that the table covers.

  A line through networks of the middle of the range would be a guess at its ends, where targets are too. A space that has not enough
  networks gives those it has, half of them for each purpose at most.

  Raises:
    ValueError: The space has too few networks to fit and to validate anything.
  """
  available = schema.cardinality(space)
  if available < 2 * calibration.MIN_NETWORKS:
    raise ValueError(f'{space.name!r} has {available} networks; a proof needs {2 * calibration.MIN_NETWORKS} at least')
  for_calibration = min(for_calibration, available // 2)
  for_validation = min(for_validation, available - for_calibration)
  drawn = sampling.spread(space, max(for_calibration + for_validation, min(_DRAWN, available // 4)), seed)
  sums = model_lib.from_latency_table(space, table).costs(np.array([schema.path_of(space, genotype) for genotype in drawn]))
  fitted = _spread(sums, for_calibration, range(len(drawn)))
  held_out = _spread(sums, for_validation, [i for i in range(len(drawn)) if i not in fitted])
  chosen = {}
  for i, index in enumerate((*fitted, *held_out)):
    purpose = 'calibration' if i < for_calibration else 'validation'
    chosen[f'random_{i:02d}'] = (purpose, schema.resolve(space, drawn[index]))
  resolution = space.input_shape[0]
  if isinstance(resolution, int) and resolution % 32 == 0:  # published networks take no other
    for name in published.IMAGENET_NAMES:
      network = published.network(name, resolution=resolution, classes=space.classes, padding=space.padding)
      if not table.missing(network_lib.op_signatures(network)):
        chosen[name] = ('published', network)
  return chosen


def _spread(sums: np.ndarray, count: int, left: Iterable[int]) -> list[int]:
  """Indices of networks with sums near to equal steps from the smallest to the largest, of those that are left."""
  found, left = [], list(left)
  for level in np.linspace(sums[left].min(), sums[left].max(), count):
    found.append(min(left, key=lambda i: abs(sums[i] - level)))
    left.remove(found[-1])
  return found


def validate(space: network_lib.Network, table: table_lib.LatencyTable, setup: table_builder.Setup, work: pathlib.Path,
          for_calibration: int, for_validation: int, seed: int) -> Proof:
  """Measures whole networks, fits scale and offset on some, and validates on the others.

  Args:
    space: What the table is for.
    table: Not calibrated.
    setup: That of the table.
    work: Folder for models and measurements.
    for_calibration, for_validation: Numbers of networks.
    seed: Seed of the choice of networks.

  Raises:
    ValueError: Too few networks were measured, or they do not fit the table at all. They are measured anew the next time.
    UserError: The device was lost.
  """
  chosen = choose_networks(space, table, for_calibration, for_validation, seed)
  setup = dataclasses.replace(setup, options=(*setup.options, f'--block_models={_BLOCK_MODELS}'))
  measurements = table_builder.measure({name: network for name, (_, network) in chosen.items()}, setup, work / 'networks', io='uint8')
  try:
    return _fit(table, chosen, measurements)
  except ValueError as error:
    table_builder.discard_cache(work / 'networks')
    raise ValueError(f'no proof of the table: {error}; where other work disturbed the measurement (reference drift '
                     f'{measurements["reference"]["drift_percent"]:.1f} %), the same command measures these networks anew') from error


def _fit(table: table_lib.LatencyTable, chosen: Mapping[str, tuple[str, network_lib.Network]],
         measurements: Mapping[str, Any]) -> Proof:
  """The proof by networks that were measured."""
  measured = {name: measurements_lib.cost(figures, table.unit) for name, figures in measurements['models'].items()}
  sums = {name: model_lib.entry_sum(table, chosen[name][1]) for name in measured}

  def select(*purposes: str) -> list[str]:
    return [name for name in measured if chosen[name][0] in purposes]

  fitted, held_out = select('calibration'), select('validation', 'published')
  line = calibration.fit([sums[name] for name in fitted], [measured[name] for name in fitted], fitted, table.unit)
  predicted = {name: line.offset_ms + line.scale * sums[name] for name in measured}
  validation = calibration.validate([predicted[name] for name in held_out], [measured[name] for name in held_out], held_out, table.unit)
  rows = tuple(Row(name, chosen[name][0], sums[name], predicted[name], measured[name]) for name in (*fitted, *held_out))
  return Proof(dataclasses.replace(table, calibration=line, validation=validation), rows, measurements)


def measure(space: network_lib.Network, setup: table_builder.Setup, work: pathlib.Path, for_calibration: int, for_validation: int,
            path: pathlib.Path) -> table_lib.LatencyTable:
  """Measures a whole table and proves it; writes both.

  Args:
    space: What the table is for.
    setup: How.
    work: Folder for models and measurements.
    for_calibration, for_validation: Numbers of networks.
    path: Path of the table, which is there only once it is validated.

  Raises:
    ValueError: An operation of the space could not be measured, and all are measured anew the next time; see also `prove`.
    UserError: The device cannot be used, or was lost.
  """
  table, _ = table_builder.build(space, setup, work)
  try:
    table.check_covers(space)
  except ValueError:
    table_builder.discard_cache(work / 'operations')
    raise
  proof = validate(space, table, setup, work, for_calibration, for_validation, seed=0)
  save(proof, path_for(path))
  table_lib.save(proof.table, path)
  return proof.table


def path_for(table: pathlib.Path) -> pathlib.Path:
  """Where the proof of a table lies: TABLE_proof.json beside it."""
  return table.with_name(f'{table.stem}_proof.json')


def save(proof: Proof, path: files.PathLike) -> None:
  """Writes the networks of a proof with predictions and measurements."""
  ending = f'_{proof.table.unit.lower()}'
  rows = [{**{name.replace('_ms', ending): value for name, value in dataclasses.asdict(row).items()}, 'error_percent': row.error_percent}
          for row in proof.rows]
  files.write_json(path, KIND, {'table': proof.table.name, 'latency_table_sha256': proof.table.sha256, 'networks': rows})


def load_rows(path: files.PathLike) -> tuple[Row, ...]:
  """The networks of a proof that was saved.

  Raises:
    ValueError: The file is not a proof; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  rows = files.read_json(path, KIND).get('networks')
  if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
    raise ValueError(f'{path}: no list "networks" of objects')
  fields = [field.name for field in dataclasses.fields(Row)]
  try:
    rows = [{name.replace('_mj', '_ms'): value for name, value in row.items()} for row in rows]
    return serialization.decode(tuple[Row, ...], [{name: row[name] for name in fields if name in row} for row in rows], where='networks')
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def describe(proof: Proof) -> str:
  """What a user should know of it, some lines."""
  line, found, unit = proof.table.calibration, proof.table.validation, proof.table.unit
  reference = proof.measurements['reference']
  worst = max((row for row in proof.rows if row.purpose != 'calibration'), key=lambda row: abs(row.error_percent))
  return '\n'.join([
      f'calibration            {unit} = {line.offset_ms:.3g} + {line.scale:.3f} * sum, from {line.networks} networks',
      f'validation             {found.networks} other networks: RMSE {found.rmse_ms:.3g} {unit}, mean error {found.mape_percent:.1f} %, '
      f'Spearman {found.spearman:.3f}',
      f'                       {found.within_5_percent:.0f} % within 5 %, {found.within_10_percent:.0f} % within 10 %',
      f'worst                  {worst.name}: predicted {worst.predicted_ms:.4g} {unit}, measured {worst.measured_ms:.4g} {unit} '
      f'({worst.error_percent:+.1f} %)',
      f'reference drift        {reference["drift_percent"]:.1f} %'])
