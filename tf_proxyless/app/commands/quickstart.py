r"""From a dataset and this machine to an int8 model that is as fast as promised: search, train, quantize, export, measure.

  tf-proxyless quickstart
  tf-proxyless quickstart --work_dir=runs/second --flagfile_search=quickstart_gradient.flags

Runs every stage on scikit-learn's digits as the commands that a user would type, prints each of them, and at the end compares the network
that was found with MobileNetV2 of the same input and with a random network of the same predicted latency, trained the same way. A stage
that is finished is not run again: the same command continues where it stopped. `--work_dir` holds everything, results.json the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
import shlex
import time
from typing import Any

from tf_proxyless.app import config as config_lib
from tf_proxyless.measure import model_card
from tf_proxyless.app import options
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.report.document import writer
from tf_proxyless.space import io
from tf_proxyless.space import sampling
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  work_dir: str = options.option('runs/quickstart', 'Folder for all stages.')
  flagfile_search: str = options.option('quickstart.flags', 'Flagfile of the search.')
  flagfile_train: str = options.option('train/digits.flags', 'Flagfile of training.')
  flagfile_quantize: str = options.option('quantize/digits.flags', 'Flagfile of quantization-aware fine-tuning.')
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.')
  cache_dir: str | None = options.option(None, "Where this machine's latency table is kept; by default ~/.cache/tf_proxyless.")
  seed: int = options.option(0, 'Seed of the random network.', low=0)


_COMMAND = ('-m', 'tf_proxyless')
_RANDOM_NETWORKS = 2000
FOUND, RANDOM, BASELINE = 'found', 'random', 'mobilenet_v2'
_BASELINE_FLAGS = ('--resolution=32', '--width_multiplier=0.35')  # its smallest published width; the input is that of the search


@dataclasses.dataclass(frozen=True)
class Stage:
  """A command of the pipeline.

  Attributes:
    name: For people.
    command: Arguments after the interpreter.
    seconds: What it takes on two cores, about; for the estimate of the time left.
    run: Its run directory, whose status says whether it is finished; None if it has none, and its exit code says it.
  """

  name: str
  command: tuple[str, ...]
  seconds: float
  run: run_directory.RunDirectory | None = None


def search_stage(config: Config, work: pathlib.Path) -> Stage:
  command = [*_COMMAND, 'search', f'--flagfile={config.flagfile_search}', f'--run_dir={work / "search"}', *_data_flags(config)]
  if config.cache_dir:
    command.append(f'--cache_dir={config.cache_dir}')
  return Stage('search', tuple(command), 240, run_directory.RunDirectory(work / 'search'))


def deployment_stages(config: Config, work: pathlib.Path, name: str, architecture: Sequence[str],
                      table: pathlib.Path | None) -> list[Stage]:
  """Training, quantization-aware fine-tuning, export and measurement of one network.

  Args:
    config: Configuration of the pipeline.
    work: Folder of the pipeline.
    name: Name of the network, and of its folder there.
    architecture: Flags that say which network.
    table: Has entries for it, or None.
  """
  folder = work / name
  model = folder / 'model.tflite'
  predicted = [] if table is None else [f'--latency_table={table}']
  return [
      Stage(f'train {name}', (*_COMMAND, 'train', f'--flagfile={config.flagfile_train}', *architecture, f'--run_dir={folder / "float"}',
                              *_data_flags(config)), 45, run_directory.RunDirectory(folder / 'float')),
      Stage(f'quantize {name}', (*_COMMAND, 'quantize', f'--flagfile={config.flagfile_quantize}', f'--model={folder / "float"}',
                                 f'--run_dir={folder / "int8"}', *_data_flags(config)), 45,
            run_directory.RunDirectory(folder / 'int8')),
      Stage(f'export {name}', (*_COMMAND, 'export', f'--model={folder / "int8"}', '--quantization=int8', f'--output={model}',
                               *predicted, *_data_flags(config)), 15),
      Stage(f'measure {name}', (*_COMMAND, 'measure', f'--model={model}', '--device=host', *_data_flags(config)), 10),
  ]


def _data_flags(config: Config) -> list[str]:
  return [f'--data_dir={config.data_dir}'] if config.data_dir else []


def random_network(run: pathlib.Path, seed: int) -> io.Architecture:
  """The network of a search's space whose predicted latency is nearest to the found one's, of two thousand random ones."""
  space = io.load_search_space(run / 'search_space.json')
  found = io.load_architecture(run / 'architecture.json')
  model = model_lib.from_latency_table(space, table_lib.load(run / 'latency_table.json'))
  others = sampling.spread(space, min(_RANDOM_NETWORKS, schema.cardinality(space) - 1), seed, frozenset([found.genotype]))
  genotype = min(others, key=lambda other: abs(model.cost(other) - found.cost.predicted_ms))
  network = schema.resolve(space, genotype)
  count = counting.count_network(network)
  return io.Architecture(network, genotype, cost=io.Cost(count.macs, count.parameters, model.cost(genotype)),
                         latency_table=found.latency_table, seed=seed)


def _read_finished(path: pathlib.Path) -> dict[str, list[str]]:
  """Commands of the stages that are finished, by name.

  Raises:
    ValueError: The file does not say so.
  """
  finished = files.read_json(path, 'stages').get('finished')
  if not isinstance(finished, dict) or not all(isinstance(command, list) for command in finished.values()):
    raise ValueError(f'{path}: finished must be an object of commands, got {files.shorten(finished)}')
  return finished


class Pipeline:
  """Runs stages one after the other, each once.

  Args:
    work: Folder; which stages are finished is kept there.
  """

  def __init__(self, work: pathlib.Path):
    self._record = work / 'stages.json'
    self._finished = _read_finished(self._record) if self._record.exists() else {}
    self._remaining_s = 0.0

  def plan(self, stages: Sequence[Stage]) -> None:
    """Adds stages to the estimate of the time left."""
    self._remaining_s += sum(stage.seconds for stage in stages if not self._is_finished(stage))

  def run(self, stage: Stage) -> None:
    """Runs a stage, unless the same command is finished already.

    Raises:
      UserError: It failed; it has said why.
    """
    if self._is_finished(stage):
      return
    print(f'\n== {stage.name} (about {self._remaining_s / 60:.0f} min left)\n$ python {shlex.join(stage.command)}', flush=True)
    start = time.monotonic()
    exit_code = child_processes.run(stage.command)
    if exit_code:
      raise errors.UserError(f'{stage.name} ended with exit code {exit_code}, see above; the same command continues')
    if stage.run is not None and not stage.run.is_finished():  # somebody asked it alone to end, and it saved
      raise errors.UserError(f'{stage.name} was stopped; the same command continues')
    self._remaining_s -= stage.seconds
    self._finished[stage.name] = list(stage.command)
    files.write_json(self._record, 'stages', {'finished': self._finished})
    print(f'-- {time.monotonic() - start:.0f} s', flush=True)

  def _is_finished(self, stage: Stage) -> bool:
    return self._finished.get(stage.name) == list(stage.command)


def read_results(work: pathlib.Path, names: Sequence[str]) -> list[dict[str, Any]]:
  """A row for each network, from the cards of their models."""
  rows = []
  for name in names:
    card = model_card.load(work / name / 'model_card.json')
    rows.append({
        'network': name, 'float_accuracy': card.accuracies['float'], 'int8_accuracy': card.accuracies['tflite'],
        'predicted_ms': None if card.predicted is None else card.predicted.latency_ms, 'measured_ms': card.measured[-1].latency_ms,
        'size_bytes': card.size_bytes, 'macs': card.macs, 'test_images': card.test_images})
  return rows


def to_text(rows: Sequence[Mapping[str, Any]]) -> str:
  """The results as a table for people."""
  lines = [f'{"network":14}{"float":>9}{"int8":>9}{"predicted":>12}{"measured":>11}{"size":>9}{"M MACs":>9}']
  for row in rows:
    predicted = '-' if row['predicted_ms'] is None else f'{row["predicted_ms"]:.3f} ms'
    lines.append(f'{row["network"]:14}{100 * row["float_accuracy"]:7.2f} %{100 * row["int8_accuracy"]:7.2f} %{predicted:>12}'
                 f'{row["measured_ms"]:8.3f} ms{row["size_bytes"] / 1e3:6.0f} kB{row["macs"] / 1e6:9.2f}')
  lines.append(f'accuracies on {rows[0]["test_images"]} test images; int8 by TensorFlow Lite; latencies of this machine, one thread')
  found = rows[0]
  if found['predicted_ms'] is not None:
    lines.append(f'{FOUND}: measured {100 * (found["measured_ms"] / found["predicted_ms"] - 1):+.1f} % from the prediction')
  return '\n'.join(lines)


def main(config: Config) -> None:
  work = pathlib.Path(config.work_dir)
  with errors.user_errors():
    work.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(work)
    lock = locking.take(work)
  with lock:
    return _run(config, work, pipeline)


def _run(config: Config, work: pathlib.Path, pipeline: Pipeline) -> None:
  start = time.monotonic()
  search = search_stage(config, work)
  run = work / 'search'
  architectures = {FOUND: [f'--architecture={run / "architecture.json"}'], RANDOM: [f'--architecture={work / "random.json"}'],
                   BASELINE: [f'--architecture={BASELINE}', *_BASELINE_FLAGS]}
  table = run / 'latency_table.json'  # of the space's operations, which are not all that MobileNetV2 has
  stages = [stage for name, architecture in architectures.items()
            for stage in deployment_stages(config, work, name, architecture, None if name == BASELINE else table)]
  pipeline.plan([search, *stages])
  pipeline.run(search)
  with errors.user_errors():
    io.save_architecture(random_network(run, config.seed), work / 'random.json')
  for stage in stages:
    pipeline.run(stage)
  with errors.user_errors():
    rows = read_results(work, list(architectures))
    files.write_json(work / 'results.json', 'quickstart_results', {'networks': rows})
    report = run / 'report.html'
    writer.write(run, report, cards=[work / name / 'model_card.json' for name in architectures],
                 headings=options.headings(config_lib.SearchConfig))
  print(f'\n{to_text(rows)}\nmodel          {work / FOUND / "model.tflite"}\nreport         {report}\n'
        f'took           {(time.monotonic() - start) / 60:.1f} min')
