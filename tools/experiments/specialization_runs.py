"""Makes a specialisation matrix, each of its parts a file that is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import dataclasses
import hashlib
import json
import pathlib
import sys
import time

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory as run_directory_lib
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema
from tools.experiments import specialization

RUNTIMES = {'float_xnnpack': ('float32', 'xnnpack'), 'int8_builtin': ('int8', 'builtin'), 'int8_xnnpack': ('int8', 'xnnpack')}
SMALLEST, LARGEST = 'smallest', 'largest'

_KIND = 'specialization_matrix'
_CALIBRATION_NETWORKS, _VALIDATION_NETWORKS = 10, 10
_BATCH_SIZE = 64  # of trainings; the searches have their own
_TEST_BATCH_SIZE = 500

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Settings:
  """What is made and how.

  Attributes:
    work: Folder for everything.
    config: Of the searches, but for the table and the directory of each.
    table_rounds: Separate measurements of each operation, and of each network that proves a table.
    min_secs: Least time of a measurement, s.
    rounds: Separate measurements of each network found.
    seeds: Trainings of each.
    epochs: Of a training.
    learning_rate: At its start.
    weight_decay: Decoupled.
  """

  work: pathlib.Path
  config: config_lib.SearchConfig
  table_rounds: int
  min_secs: float
  rounds: int
  seeds: int
  epochs: int
  learning_rate: float
  weight_decay: float

  def identity(self) -> dict[str, object]:
    """All that results depend on, as JSON values by name."""
    own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in ('work', 'config')}
    return {**options.identity(self.config), **own}


@dataclasses.dataclass(frozen=True)
class Found:
  """The matrix, and the accuracy of the space's smallest and largest network after the same training, percent."""

  matrix: specialization.Matrix
  smallest: float
  largest: float


def search_config(settings: Settings, runtime: str) -> config_lib.SearchConfig:
  """The configuration of one search.

  Raises:
    ValueError: Options do not fit each other.
  """
  precision, kernels = RUNTIMES[runtime]
  own = {'latency_table': str(settings.work / 'tables' / f'{runtime}.json'), 'run_dir': str(settings.work / 'searches' / runtime),
         'expected_precision': precision, 'expected_kernels': kernels}
  config = options.replace(settings.config, **own)
  config.check()
  return config


def claim(settings: Settings) -> None:
  """Makes the folder that of these settings.

  Raises:
    ValueError: It holds results of others.
    OSError: It cannot be written to.
  """
  for runtime in RUNTIMES:
    search_config(settings, runtime)
  settings.work.mkdir(parents=True, exist_ok=True)
  path = settings.work / 'settings.json'
  if path.exists():
    check_same(path, settings.identity())
  files.write_json(path, f'{_KIND}_settings', {'settings': settings.identity()})


def check_same(path: pathlib.Path, given: Mapping[str, object]) -> None:
  """Checks that a folder's settings are those given.

  Raises:
    ValueError: They are not, or the file does not say what they are.
  """
  known = files.read_json(path, f'{_KIND}_settings').get('settings')
  if not isinstance(known, dict):
    raise ValueError(f'{path}: no object "settings"')
  differing = run_directory_lib.differences(known, given)
  if differing:
    raise ValueError(f'{path.parent} holds results of other settings: {differing}; choose another `work_dir`')


def run(settings: Settings, report: Report) -> Found:
  """Makes whatever is missing, and the matrix.

  Args:
    settings: Claimed.
    report: Takes lines on what is done.

  Raises:
    UserError: A measurement or a search was broken off.
    ValueError: What was measured does not fit together, or the dataset is not there.
  """
  from tf_proxyless.app import build_search  # TensorFlow

  source = build_search.open_source(settings.config.data)
  space = problem_lib.make_space(settings.config.space, source.classes)
  tables = {runtime: _find_table(space, runtime, settings, report) for runtime in RUNTIMES}
  problems = {runtime: problem_lib.SearchProblem.from_config(search_config(settings, runtime), space, table)
              for runtime, table in tables.items()}
  found = {runtime: _search(runtime, settings, report) for runtime in RUNTIMES}
  networks = {runtime: architecture.network for runtime, architecture in found.items()}
  measured = {runtime: _measure(networks, runtime, settings, report) for runtime in RUNTIMES}
  trainer = _Trainer(settings, source, report)
  rows = []
  for runtime, network in networks.items():
    cells = {column: specialization.Cell(measured[column][runtime], problem.cost_model.cost(found[runtime].genotype))
             for column, problem in problems.items()}
    accuracies = tuple(trainer.accuracy(network, seed) for seed in range(settings.seeds))
    rows.append(specialization.Row(runtime, _digest(network), accuracies, cells))
  extremes = _extremes(space)
  return Found(specialization.Matrix(tuple(rows), {runtime: problem.target for runtime, problem in problems.items()}),
               *(100 * trainer.accuracy(extremes[name], seed=0) for name in (SMALLEST, LARGEST)))


def save(settings: Settings, record: Mapping[str, object]) -> None:
  """Writes the matrix with its verdicts."""
  files.write_json(settings.work / 'matrix.json', _KIND, record)


def _setup(runtime: str, settings: Settings, rounds: int) -> table_builder.Setup:
  return table_builder.Setup('host', *RUNTIMES[runtime], rounds=rounds, options=(f'--min_secs={settings.min_secs}',))


def _find_table(space: network_lib.Network, runtime: str, settings: Settings, report: Report) -> table_lib.LatencyTable:
  """The table of a runtime, calibrated and validated."""
  path = settings.work / 'tables' / f'{runtime}.json'
  if not path.exists():
    started = time.monotonic()
    report(f'measuring {len(network_lib.op_signatures(space))} operations and some networks on {runtime}')
    work = settings.work / 'tables' / runtime
    work.mkdir(parents=True, exist_ok=True)
    validation_lib.measure(space, _setup(runtime, settings, settings.table_rounds), work, _CALIBRATION_NETWORKS, _VALIDATION_NETWORKS, path)
    report(f'table of {runtime} after {time.monotonic() - started:.0f} s')
  table = table_lib.load(path)
  report(problem_lib.describe_table(table))
  return table


def _search(runtime: str, settings: Settings, report: Report) -> io.Architecture:
  """The architecture found for a runtime, by a process as a user starts it."""
  config = search_config(settings, runtime)
  result = run_directory.RunDirectory(config.run_dir)
  if not result.is_finished():
    started = time.monotonic()
    report(f'searching for {runtime}')
    result.path.parent.mkdir(parents=True, exist_ok=True)
    flagfile = result.path.with_suffix('.flags')
    files.write_atomically(flagfile, flags.to_flagfile(config))
    exit_code = child_processes.run(['-m', 'tf_proxyless.search', f'--flagfile={flagfile}'], stdout=sys.stderr)
    if exit_code or not result.is_finished():
      raise errors.UserError(f'the search for {runtime} did not finish, see above; the same command continues it')
    report(f'search for {runtime} after {time.monotonic() - started:.0f} s')
  return io.load_architecture(result.architecture)


def _measure(networks: Mapping[str, network_lib.Network], runtime: str, settings: Settings, report: Report) -> dict[str, float]:
  """Median ms of all networks on a runtime, from one interleaved session."""
  path = settings.work / 'measured' / f'{runtime}.json'
  if not path.exists():
    report(f'measuring the networks found on {runtime}')
    work = settings.work / 'measured' / runtime
    work.mkdir(parents=True, exist_ok=True)
    measurements = table_builder.measure(networks, _setup(runtime, settings, settings.rounds), work, io='uint8')
    if measurements['failed']:
      raise ValueError(f'networks failed on {runtime}: {measurements["failed"]}')
    files.write_json(path, f'{_KIND}_measurements', {'measurements': measurements})
  found, drift_percent = read_measured(path, networks)
  report(f'measured on {runtime}, reference drift {drift_percent:.1f} %')
  return found


def read_measured(path: pathlib.Path, names: Iterable[str]) -> tuple[dict[str, float], float]:
  """Median ms of each network in a file of measurements, and the drift of the reference, percent.

  Raises:
    ValueError: The file is damaged, or lacks a network.
  """
  body = files.read_json(path, f'{_KIND}_measurements').get('measurements')
  try:
    found = measurements_lib.check(body)
  except ValueError as error:
    raise ValueError(f'{path}: measurements: {error}') from error
  missing = [name for name in names if name not in found['models']]
  if missing:
    raise ValueError(f'{path}: no measurement of {", ".join(missing)}')
  return {name: found['models'][name]['median_ms'] for name in names}, found['reference']['drift_percent']


def read_training(path: pathlib.Path) -> float:
  """Test accuracy in a file of a training, in [0, 1].

  Raises:
    ValueError: The file does not say it.
  """
  accuracy = files.read_json(path, f'{_KIND}_training').get('test_accuracy')
  if type(accuracy) not in (int, float) or not 0 <= accuracy <= 1:
    raise ValueError(f'{path}: test_accuracy must be in [0, 1], got {files.shorten(accuracy)}')
  return accuracy


def _digest(network: network_lib.Network) -> str:
  """Of what a network is, whatever its name."""
  content = io.network_to_json(dataclasses.replace(network, name='network'))
  return hashlib.sha256(json.dumps(content, sort_keys=True).encode('utf-8')).hexdigest()[:12]


def _extremes(space: network_lib.Network) -> dict[str, network_lib.Network]:
  """The networks of the fewest and of the most multiply-adds."""
  model = model_lib.from_macs(space)
  choose = {SMALLEST: min, LARGEST: max}
  return {name: schema.resolve(space, {path: costs.index(select(costs)) for path, costs in zip(model.paths, model.choice_costs)})
          for name, select in choose.items()}


class _Trainer:
  """Trains networks on all training images and keeps their accuracies on the test set."""

  def __init__(self, settings: Settings, source, report: Report):
    from tf_proxyless.data import preprocessing  # TensorFlow
    from tf_proxyless.data import splits

    self._settings, self._source, self._report = settings, source, report
    self._transform = preprocessing.for_source(source, settings.config.space.resolution, settings.config.data.augmentation)
    self._split = splits.whole(source, settings.config.seed)

  def accuracy(self, network: network_lib.Network, seed: int) -> float:
    """Test accuracy in [0, 1] of a network trained from scratch."""
    path = self._settings.work / 'trained' / f'{_digest(network)}_{seed}.json'
    if not path.exists():
      started = time.monotonic()
      history, accuracy = self._train(network, seed)
      path.parent.mkdir(exist_ok=True)
      files.write_json(path, f'{_KIND}_training', {'network': io.network_to_json(network), 'seed': seed, 'test_accuracy': accuracy,
                                                   'history': history})
      self._report(f'{path.stem}: test accuracy {100 * accuracy:.2f} %, last epoch of training {100 * history[-1]["accuracy"]:.2f} %, '
                   f'{time.monotonic() - started:.0f} s')
    return read_training(path)

  def _train(self, network: network_lib.Network, seed: int):
    import tf_keras as keras

    from tf_proxyless.data import pipelines
    from tf_proxyless.nn import keras_network
    from tf_proxyless.train import training

    keras.backend.clear_session()
    model = keras_network.build(dataclasses.replace(network, name='network'), seed)
    recipe = training.Recipe(self._settings.epochs, pipelines.steps_per_epoch(self._split, _BATCH_SIZE), self._settings.learning_rate,
                             weight_decay=self._settings.weight_decay)
    batches = lambda epoch: pipelines.training_batches(self._split, self._transform, _BATCH_SIZE, seed, epoch)
    history = training.fit(model, batches, recipe, seed)
    test = pipelines.test_pass(self._source, self._transform, min(_TEST_BATCH_SIZE, self._source.num_test))
    return history, training.accuracy(model, test)
