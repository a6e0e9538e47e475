"""Run directories as one JSON document, of which pages and figures are made.

Loads no TensorFlow. Runs that have just begun, that were interrupted, or whose files are damaged have a document too: what cannot be read
is left out and named.
"""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import result as result_lib
from tf_proxyless.infra import files
from tf_proxyless.report.document import cards as cards_lib
from tf_proxyless.report.document import history as history_lib
from tf_proxyless.report.document import networks as networks_lib
from tf_proxyless.report.document import run_files as report_files
from tf_proxyless.report.document import samples as report_samples
from tf_proxyless.report.document import settings as settings_lib
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

EMPTY, RUNNING, INTERRUPTED = 'empty', 'running', 'interrupted'


def document(run_dir: files.PathLike, compare: Sequence[files.PathLike] = (), cards: Sequence[files.PathLike] = (),
             versions: Mapping[str, str] | None = None, headings: Mapping[str, str] | None = None) -> dict[str, Any]:
  """Everything that a report shows.

  Args:
    run_dir: Directory of a search.
    compare: Directories of other searches.
    cards: Model cards of files that were made of networks of the first search; those in its directory are added.
    versions: Version by package, for a search that runs here and has no architecture yet that names them.
    headings: Heading by setting; settings are shown in the order of the headings.

  Returns:
    JSON values: 'schema', 'version', 'generated' (time) and 'runs', the first of which is that of `run_dir`. No path of the machine.
  """
  paths = [pathlib.Path(path) for path in (run_dir, *compare)]
  runs = [_run(path, name, [pathlib.Path(card) for card in cards] if i == 0 else [], versions or {}, headings or {})
          for i, (path, name) in enumerate(zip(paths, _names(paths)))]
  generated = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  return {'schema': page_lib.SCHEMA, 'version': page_lib.VERSION, 'generated': generated,
          'runs': [report_files.to_json(run) for run in runs]}


@dataclasses.dataclass(frozen=True)
class _Inputs:
  """Inputs of a search; each is None if it is missing or cannot be read."""

  settings: settings_lib.Settings | None
  space: network_lib.Network | None
  table: table_lib.LatencyTable | None
  cost_model: model_lib.CostModel | None = None
  own_target: float | None = None  # where costs were given as objects

  @property
  def prices(self) -> networks_lib.Prices:
    if self.own_target is not None and self.cost_model is not None and self.cost_model.unit != 'macs':
      unit = self.cost_model.unit
      return networks_lib.Prices(unit, self.table if self.table is not None and self.table.unit == unit else None)
    unit = (self.table and self.table.unit) if self.settings is None else self.settings.unit
    return networks_lib.Prices(unit or networks_lib.MACS, self.table)

  @property
  def target(self) -> float | None:
    model = self.cost_model
    if self.own_target is not None:
      return self.own_target
    return None if self.settings is None or model is None else self.settings.target(model.smallest, model.largest)


def _run(path: pathlib.Path, name: str, cards: Sequence[pathlib.Path], versions: Mapping[str, str],
         headings: Mapping[str, str]) -> dict[str, Any]:
  run, reader = run_directory.RunDirectory(path), report_files.Reader(path)
  inputs = _read_inputs(run, reader)
  state, reason = _state(run, reader)
  prices, space = inputs.prices, inputs.space
  decisions = [] if space is None else networks_lib.decisions(space, inputs.cost_model)
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
      'settings': [] if inputs.settings is None else inputs.settings.rows(headings),
      'versions': dict(architecture.versions or {}) if architecture else dict(versions),
      'seconds': history_lib.seconds(epochs, inputs.settings and inputs.settings.epochs if state in (RUNNING, INTERRUPTED) else None),
      'cost': _cost(inputs),
      'decisions': decisions,
      'history': history_lib.to_json(epochs),
      'network': architecture and _network(architecture, inputs),
      'most_likely': space and networks_lib.sequence(space, history_lib.most_likely(epochs), prices),
      'samples': None if found is None else report_samples.samples(found, frozen, inputs.cost_model if derived else None),
      'candidates': report_samples.candidates(derived) if derived else [],
      'predictor': reader.read(run.predictor, report_samples.load_predictions),
      'front': reader.read(run.front / result_lib.FRONT, report_samples.load_front),
      'published': networks_lib.published(space, prices) if space else [],
      'derivation': derived and reader.attempt(lambda: report_samples.derivation(derived, decisions)),
      'table': inputs.table and cards_lib.table(inputs.table, proof),
      'deployments': cards_lib.deployments(cards, architecture, reader),
      'problems': reader.problems(),
  }


def _read_inputs(run: run_directory.RunDirectory, reader: report_files.Reader) -> _Inputs:
  settings = reader.read(run.flags, settings_lib.load)
  augmentation = reader.read(run.identity, lambda path: run.chosen('augmentation'))
  if settings is not None and augmentation:
    settings.setdefault('augmentation', f'{augmentation} (by the images)')
  if settings is not None:
    settings.update(reader.read(run.identity, _methods) or {})
  space = reader.read(run.search_space, lambda path: _check_decisions(io.load_search_space(path)))
  of_energy = settings is not None and settings.unit == 'mJ'
  inputs = _Inputs(settings, space, reader.read(run.energy_table if of_energy else run.latency_table, table_lib.load))
  if space is None:
    return inputs
  if run.problem.exists():
    problem = reader.read(run.problem, lambda path: _load_problem(path, space))
    return inputs if problem is None else dataclasses.replace(inputs, cost_model=problem[0], own_target=problem[1])
  if inputs.prices.unit == networks_lib.MACS:
    return dataclasses.replace(inputs, cost_model=model_lib.from_macs(space))
  if inputs.table is None:
    name = run.energy_table.name if of_energy else run.latency_table.name
    reader.add(f'{name}: needed for {"energies" if of_energy else "latencies"}; there is none that can be read')
    return inputs
  return dataclasses.replace(inputs, cost_model=reader.attempt(lambda: model_lib.from_latency_table(space, inputs.table)))


_METHOD = re.compile(r'(optimizer|objective)=(\w+?)(?:Config)?\(')


def _methods(path: pathlib.Path) -> dict[str, str]:
  """The optimizer and the objective that were given as objects, if they were: of these flags.txt knows nothing."""
  identity = files.read_json(path, 'run_identity').get('identity')
  methods = identity.get('methods') if isinstance(identity, dict) else None
  found = dict(_METHOD.findall(methods)) if isinstance(methods, str) else {}
  return {{'optimizer': 'architecture_optimizer'}.get(name, name): value for name, value in found.items()}


def _load_problem(path: pathlib.Path, space: network_lib.Network) -> tuple[model_lib.CostModel, float]:
  """Costs and target that were given as objects."""
  body = files.read_json(path, 'search_problem')
  target = body.get('target')
  if not isinstance(target, float):
    raise ValueError(f'{path}: target must be a number, got {files.shorten(target)}')
  return model_lib.CostModel.from_json(schema.decisions(space), body), target


def _check_decisions(space: network_lib.Network) -> network_lib.Network:
  model_lib.from_macs(space)  # refuses blocks that depend on too many decisions
  return space


def _state(run: run_directory.RunDirectory, reader: report_files.Reader) -> tuple[str | None, str | None]:
  """State and reason; None if there is no status, or it cannot be read."""
  status = reader.read(run.status, lambda _: run.read_status())
  if status is None:
    return None, None
  reason = status.get('reason')
  return status['state'], reason if isinstance(reason, str) else None


def _network(architecture: io.Architecture, inputs: _Inputs) -> dict[str, Any]:
  """The derived network; its total cost is known by the choices where that of its operations is not."""
  found = networks_lib.network(architecture.network, inputs.prices)
  if found['cost'] is None and inputs.own_target is not None and inputs.cost_model is not None:
    found['cost'] = inputs.cost_model.cost(architecture.genotype)
  return found


def _cost(inputs: _Inputs) -> dict[str, Any]:
  """Unit, target and bounds of the cost."""
  model, table, prices = inputs.cost_model, inputs.table, inputs.prices
  settings = inputs.settings or {}
  of = 'multiply-adds' if prices.unit == networks_lib.MACS else 'own costs'
  if table is not None and prices.unit == table.unit:
    of = f'{table.runtime.device}, {table.runtime.precision}, {table.runtime.kernels} kernels'
  elif inputs.own_target is None and prices.unit != networks_lib.MACS:
    of = 'unknown'
  return {
      'unit': prices.unit,
      'target': inputs.target,
      'smallest': model and model.smallest,
      'largest': model and model.largest,
      'objective': settings.get('objective', 'unknown'),
      'optimizer': settings.get('architecture_optimizer', 'unknown'),
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
