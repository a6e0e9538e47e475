"""What a report shows: run directories as one JSON document, which `report` makes pages and figures of. For mains only.

Loads no TensorFlow. Runs that have just begun, that were interrupted, or whose files are damaged have a document too: what cannot be read
is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import datetime
import pathlib
from typing import Any

from absl import flags

from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import search_flags
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.report.document import cards as cards_lib
from tf_proxyless.report.document import history as history_lib
from tf_proxyless.report.document import networks as networks_lib
from tf_proxyless.report.document import run_files as report_files
from tf_proxyless.report.document import samples as report_samples
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib

EMPTY, RUNNING, INTERRUPTED = 'empty', 'running', 'interrupted'

_PLACES = ('run_dir', 'data_dir', 'cache_dir')  # of one machine; no settings of the search


def document(run_dir: files.PathLike, compare: Sequence[files.PathLike] = (), cards: Sequence[files.PathLike] = (),
             versions: Mapping[str, str] | None = None) -> dict[str, Any]:
  """Everything that a report shows.

  Args:
    run_dir: Of the search.
    compare: Directories of other searches.
    cards: Model cards of files that were made of networks of the first; those in its directory are added.
    versions: Version by package, for a search that runs here and has no architecture yet that names them.

  Returns:
    JSON values: 'schema', 'version', 'generated' (time) and 'runs', the first of which is that of `run_dir`. No path of the machine.
  """
  paths = [pathlib.Path(path) for path in (run_dir, *compare)]
  runs = [_run(path, name, [pathlib.Path(card) for card in cards] if i == 0 else [], versions or {})
          for i, (path, name) in enumerate(zip(paths, _names(paths)))]
  generated = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  return {'schema': page_lib.SCHEMA, 'version': page_lib.VERSION, 'generated': generated,
          'runs': [report_files.to_json(run) for run in runs]}


@dataclasses.dataclass(frozen=True)
class _Inputs:
  """What a search was started with; each part is None if it is not there or cannot be read."""

  values: flags.FlagValues | None
  space: network_lib.Network | None
  table: table_lib.LatencyTable | None
  cost_model: model_lib.CostModel | None

  @property
  def prices(self) -> networks_lib.Prices:
    in_macs = self.table is None if self.values is None else self.values.target_macs is not None
    return networks_lib.Prices(networks_lib.MACS if in_macs else networks_lib.MS, self.table)

  @property
  def target(self) -> float | None:
    return None if self.values is None or self.cost_model is None else problem_lib.find_target(self.values, self.cost_model)[1]

  @property
  def epochs(self) -> int | None:
    return None if self.values is None else self.values.warmup_epochs + self.values.search_epochs


def _run(path: pathlib.Path, name: str, cards: Sequence[pathlib.Path], versions: Mapping[str, str]) -> dict[str, Any]:
  run, reader = run_directory.RunDirectory(path), report_files.Reader(path)
  inputs = _read_inputs(run, reader)
  state, reason = _state(run, reader)
  prices, space = inputs.prices, inputs.space
  decisions = [] if space is None else networks_lib.decisions(space, prices)
  choices = [(decision['path'], len(decision['choices'])) for decision in decisions]
  epochs = history_lib.read(run.history, choices, reader, growing=state == RUNNING)
  architecture = reader.read(run.architecture, io.load_architecture)
  derived = reader.read(run.derivation, report_samples.load_derivation)
  found = reader.read(run.samples, lambda file: evaluations_lib.load(file)[1])
  frozen = found is not None and len(found) > 0 and bool(epochs) and found.batch[0] >= epochs[-1].scalars.get('updates', 0)
  proof = inputs.table and reader.read(run.latency_table_proof, lambda file: cards_lib.load_proof(file, inputs.table))
  cards = list(dict.fromkeys(card.resolve() for card in (*sorted(path.glob(f'*{cards_lib.CARD_SUFFIX}')), *cards)))
  return {
      'name': name,
      'state': EMPTY if state is None and not epochs else state or INTERRUPTED,
      'reason': reason,
      'refreshing': state == RUNNING,
      'settings': [] if inputs.values is None else _settings(inputs.values),
      'versions': dict(architecture.versions or {}) if architecture else dict(versions),
      'seconds': history_lib.seconds(epochs, inputs.epochs if state in (RUNNING, INTERRUPTED) else None),
      'cost': _cost(inputs),
      'decisions': decisions,
      'history': history_lib.to_json(epochs),
      'network': architecture and networks_lib.network(architecture.network, space, prices),
      'most_likely': {'choices': history_lib.most_likely(epochs)},
      'fixed_blocks': space and networks_lib.fixed_blocks(space, prices),
      'samples': None if found is None else report_samples.samples(found, frozen, inputs.cost_model if derived else None),
      'candidates': report_samples.candidates(derived) if derived else [],
      'published': networks_lib.published(space, prices) if space else [],
      'derivation': derived and reader.attempt(lambda: report_samples.derivation(derived, decisions)),
      'table': inputs.table and cards_lib.table(inputs.table, proof),
      'deployments': cards_lib.deployments(cards, architecture, reader),
      'problems': reader.told(),
  }


def _read_inputs(run: run_directory.RunDirectory, reader: report_files.Reader) -> _Inputs:
  values = reader.read(run.flags, search_flags.RUN.read)
  space = reader.read(run.search_space, lambda path: _check_decisions(io.load_search_space(path)))
  inputs = _Inputs(values, space, reader.read(run.latency_table, table_lib.load), None)
  if space is None:
    return inputs
  if inputs.prices.unit == networks_lib.MACS:
    return dataclasses.replace(inputs, cost_model=model_lib.from_macs(space))
  if inputs.table is None:
    reader.add(f'{run.latency_table.name}: needed for latencies; there is none that can be read')
    return inputs
  return dataclasses.replace(inputs, cost_model=reader.attempt(lambda: model_lib.from_latency_table(space, inputs.table)))


def _check_decisions(space: network_lib.Network) -> network_lib.Network:
  model_lib.from_macs(space)  # refuses decisions that are not one in a block
  return space


def _state(run: run_directory.RunDirectory, reader: report_files.Reader) -> tuple[str | None, str | None]:
  """State and reason; None if there is no status, or it cannot be read."""
  status = reader.read(run.status, lambda _: run.read_status())
  if status is None:
    return None, None
  if status['state'] == RUNNING and locking.is_free(run.path):
    return INTERRUPTED, 'its process has ended without saying so; the same command continues from the last checkpoint'
  reason = status.get('reason')
  return status['state'], reason if isinstance(reason, str) else None


def _settings(values: flags.FlagValues) -> list[list[str]]:
  """Flags that are set: topic, name and value."""
  rows = []
  for heading, names in search_flags.RUN.by_heading().items():
    for name in names:
      value = values[name].value
      if value is not None and name not in _PLACES:
        text = ', '.join(map(str, value)) if isinstance(value, (list, tuple)) else f'{value:g}' if isinstance(value, float) else str(value)
        rows.append([heading, name, text])
  return rows


def _cost(inputs: _Inputs) -> dict[str, Any]:
  """What is searched for, and between which bounds."""
  model, values, table, prices = inputs.cost_model, inputs.values, inputs.table, inputs.prices
  of = 'multiply-adds'
  if prices.unit == networks_lib.MS:
    of = 'unknown' if table is None else f'{table.runtime.device}, {table.runtime.precision}, {table.runtime.kernels} kernels'
  return {
      'unit': prices.unit,
      'target': inputs.target,
      'smallest': model and model.smallest,
      'largest': model and model.largest,
      'objective': 'unknown' if values is None else values.objective,
      'optimizer': 'unknown' if values is None else values.architecture_optimizer,
      'provenance': table and table.provenance,
      'of': of,
  }


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
  """A different name for each run: its folder's, with that above it if needed."""
  parts = [path.resolve().parts for path in paths]
  for depth in (1, 2):
    names = ['/'.join(part[-depth:]) for part in parts]
    if len(set(names)) == len(names):
      return names
  return [f'{part[-1]} ({i})' for i, part in enumerate(parts, 1)]
