r"""From a dataset and this machine to an int8 model that is as fast as promised: search, train, compare, quantize, export, measure.

  tf-proxyless quickstart
  tf-proxyless quickstart --work_dir=runs/second --flagfile_search=quickstart_gradient.flags

Measures the operations of a small space on this machine, searches it, trains what it found and a few random networks of the same predicted
latency from scratch (`tf-proxyless compare` with one seed), and makes an int8 model of the found one, which is measured. Prints each
command. A stage that is finished is not run again: the same command continues where it stopped. `--work_dir` holds everything,
results.json the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
import shlex
import statistics
import time
from typing import Any

from tf_proxyless.app import comparison as comparison_lib
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import jobs
from tf_proxyless.app import options
from tf_proxyless.app.commands import compare
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.measure import model_card
from tf_proxyless.report.document import writer


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  work_dir: str = options.option('runs/quickstart', 'Folder for all stages.')
  flagfile_search: str = options.option('quickstart.flags', 'Flagfile of the search.')
  flagfile_train: str = options.option('train/cluttered_digits.flags', 'Flagfile of training.')
  flagfile_quantize: str = options.option('quantize/cluttered_digits.flags', 'Flagfile of quantization-aware fine-tuning.')
  random_networks: int = options.option(4, 'Random networks that the found one is compared with.', low=2)
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.')
  cache_dir: str | None = options.option(None, "Where this machine's latency table is kept; by default ~/.cache/tf_proxyless.")


FOUND = 'found'
_COMMAND = ('-m', 'tf_proxyless')


@dataclasses.dataclass(frozen=True)
class Stage:
  """A command of the pipeline.

  Attributes:
    name: For people.
    command: Arguments after the interpreter.
    run: Its run directory, whose status says whether it is finished; None if it has none, and its exit code says it.
  """

  name: str
  command: tuple[str, ...]
  run: run_directory.RunDirectory | None = None


def deployment_stages(config: Config, folder: pathlib.Path, trained: pathlib.Path, table: pathlib.Path) -> list[Stage]:
  """Quantization-aware fine-tuning, export and measurement of a network.

  Args:
    config: Configuration of the pipeline.
    folder: Folder of the network.
    trained: The run directory of its training.
    table: The latency table of its space.
  """
  model, data = folder / 'model.tflite', [f'--data_dir={config.data_dir}'] if config.data_dir else []
  return [
      Stage('quantize', (*_COMMAND, 'quantize', f'--flagfile={config.flagfile_quantize}', f'--model={trained}',
                         f'--run_dir={folder / "int8"}', *data), run_directory.RunDirectory(folder / 'int8')),
      Stage('export', (*_COMMAND, 'export', f'--model={folder / "int8"}', '--quantization=int8', f'--output={model}',
                       f'--latency_table={table}', *data)),
      Stage('measure', (*_COMMAND, 'measure', f'--model={model}', '--device=host', *data)),
  ]


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

  def run(self, stage: Stage) -> None:
    """Runs a stage, unless the same command is finished already.

    Raises:
      UserError: It failed; it has said why.
    """
    if self._is_finished(stage):
      return
    print(f'\n== {stage.name}\n$ python {shlex.join(stage.command)}', flush=True)
    start = time.monotonic()
    exit_code = child_processes.run(stage.command)
    if exit_code:
      raise errors.UserError(f'{stage.name} ended with exit code {exit_code}, see above; the same command continues')
    if stage.run is not None and not stage.run.is_finished():  # somebody asked it alone to end, and it saved
      raise errors.UserError(f'{stage.name} was stopped; the same command continues')
    self._finished[stage.name] = list(stage.command)
    files.write_json(self._record, 'stages', {'finished': self._finished})
    print(f'-- {time.monotonic() - start:.0f} s', flush=True)

  def _is_finished(self, stage: Stage) -> bool:
    return self._finished.get(stage.name) == list(stage.command)


def read_results(card: model_card.ModelCard, random: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """A row for each network: the found one with what its card says, the random ones as they were trained."""
  found = {'network': FOUND, 'float_accuracy': card.accuracies['float'], 'int8_accuracy': card.accuracies['tflite'],
           'predicted_ms': card.predicted and card.predicted.latency_ms, 'measured_ms': card.measured[-1].latency_ms,
           'size_bytes': card.size_bytes, 'macs': card.macs, 'test_images': card.test_images}
  return [found, *({'network': f'random {i}', 'float_accuracy': each['test'], 'predicted_ms': each['cost'], 'macs': each['macs']}
                   for i, each in enumerate(random, 1))]


def to_text(rows: Sequence[Mapping[str, Any]]) -> str:
  """The results as a table for people, and what was gained."""
  lines = [f'{"network":12}{"float":>9}{"int8":>9}{"predicted":>12}{"measured":>11}{"size":>9}{"M MACs":>9}']
  for row in rows:
    deployed = f'{100 * row["int8_accuracy"]:7.2f} %' if 'int8_accuracy' in row else f'{"-":>9}'
    measured = f'{row["measured_ms"]:8.3f} ms{row["size_bytes"] / 1e3:6.0f} kB' if 'measured_ms' in row else f'{"-":>11}{"-":>9}'
    lines.append(f'{row["network"]:12}{100 * row["float_accuracy"]:7.2f} %{deployed}{row["predicted_ms"]:9.3f} ms{measured}'
                 f'{row["macs"] / 1e6:9.2f}')
  found, *random = rows
  gain = found['float_accuracy'] - statistics.fmean(row['float_accuracy'] for row in random)
  beaten = sum(row['float_accuracy'] < found['float_accuracy'] for row in random)
  return '\n'.join([
      *lines,
      f'accuracies on {found["test_images"]:,} test images, all trained alike; int8 by TensorFlow Lite; latencies of this machine, one '
      'thread', f'{FOUND}: {100 * gain:+.2f} points over the mean of {len(random)} random networks of the same predicted latency, better '
      f'than {beaten} of them; measured {100 * (found["measured_ms"] / found["predicted_ms"] - 1):+.1f} % from the prediction'])


def main(config: Config) -> int:
  work = pathlib.Path(config.work_dir)
  with errors.user_errors():
    work.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(work)
    lock = locking.take(work)
  with lock:
    return _run(config, work, pipeline)


def _run(config: Config, work: pathlib.Path, pipeline: Pipeline) -> int:
  start = time.monotonic()
  comparing = compare.Config(
      work_dir=str(work / 'compare'), flagfile_search=config.flagfile_search, flagfile_train=config.flagfile_train, seeds=1,
      random_networks=config.random_networks, processes=min(jobs.cores(), 2), data_dir=config.data_dir, cache_dir=config.cache_dir)
  exit_code = compare.main(comparing)
  if exit_code:
    return exit_code
  with errors.user_errors():
    comparison = compare.prepare(comparing)
    search, folder = comparison.searches[0], work / FOUND
    found = comparison.found(search)
    if found is None:
      raise errors.UserError(f'the search in {comparison.search_folder(search)} was stopped; the same command continues')
    folder.mkdir(exist_ok=True)
  for stage in deployment_stages(config, folder, comparison.training_folder(found, 0), comparison_lib.table_file(comparison.work)):
    pipeline.run(stage)
  with errors.user_errors():
    card, run = folder / 'model_card.json', comparison.search_folder(search)
    rows = read_results(model_card.load(card), comparison.results()['targets'][0]['random'])
    files.write_json(work / 'results.json', 'quickstart_results', {'networks': rows})
    writer.write(run, run / 'report.html', cards=[card], headings=options.headings(config_lib.SearchConfig))
  print(f'\n{to_text(rows)}\nmodel          {folder / "model.tflite"}\nreport         {run / "report.html"}\n'
        f'took           {(time.monotonic() - start) / 60:.1f} min')
  return 0
