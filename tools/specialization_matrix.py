r"""Shows whether searching for a runtime pays: networks searched for three runtimes of this machine, each measured on all three.

  python tools/specialization_matrix.py --flagfile=specialization.flags --work_dir=runs/specialization

Measures a latency table of the search space on each runtime (float32 with XNNPACK, int8 with TensorFlow Lite's builtin kernels, int8
with XNNPACK), searches with each at the same fraction of its own range, trains the networks found from scratch with some seeds,
measures each of them on each runtime, and prints the matrix with a verdict for each column: within its budget, the network searched
for it is the most accurate, or the fastest of those equally good; or not. Every result is a file in --work_dir; the same command
continues after an interruption.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import time

from tf_proxyless.app import command_line
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.infra import errors
from tf_proxyless.infra import stderr as stderr_lib
from tools.experiments import specialization
from tools.experiments import specialization_runs


@dataclasses.dataclass(frozen=True)
class Config(config_lib.SearchConfig):
  """Options of the searches, and of what is made of them."""

  work_dir: str | None = options.option(None, 'Folder for all that is made.', required=True)
  table_rounds: int = options.option(3, 'Separate measurements of each operation.', low=1)
  min_secs: float = options.option(0.1, 'Least time of a measurement, seconds.', low=0.0)
  rounds: int = options.option(9, 'Separate measurements of each network found, interleaved.', low=1)
  training_seeds: int = options.option(3, 'Trainings of each network found.', low=1)
  training_epochs: int = options.option(6, 'Epochs of each training.', low=1)
  training_learning_rate: float = options.option(0.1, 'Learning rate of SGD at the start of a training; a cosine to 0.', low=0.0)
  training_weight_decay: float = options.option(
      0.001, 'Weight decay of a training, decoupled from the gradient; a factor.', low=0.0, high=1.0)
  points: float = options.option(1.0, 'Accuracies that differ by no more are equal, percentage points.', low=0.0)
  time_percent: float = options.option(3.0, 'Latencies that differ by no more are equal, percent.', low=0.0)
  budget_percent: float = options.option(5.0, 'How far above its budget a network may be measured, percent.', low=0.0)
  json: bool = options.option(False, 'Whether to print JSON.')


def _settings(config: Config) -> specialization_runs.Settings:
  config.require('work_dir')
  search = config_lib.SearchConfig(**{field.name: getattr(config, field.name) for field in dataclasses.fields(config_lib.SearchConfig)})
  if config.target.target_latency_fraction is None:
    raise ValueError('`target_latency_fraction` is required: the share of its own range that each runtime is given; '
                     'is --flagfile=specialization.flags missing?')
  return specialization_runs.Settings(
      pathlib.Path(config.work_dir), search, config.table_rounds, config.min_secs, config.rounds, config.training_seeds,
      config.training_epochs, config.training_learning_rate, config.training_weight_decay)


def _report(text: str) -> None:
  print(f'{time.strftime("%H:%M:%S")} {text}', file=sys.stderr, flush=True)


def main(config: Config) -> None:
  with errors.user_errors():
    settings = _settings(config)
    specialization_runs.claim(settings)
  stderr_lib.load_tensorflow()
  with errors.user_errors():
    found = specialization_runs.run(settings, _report)
    rules = specialization.Rules(config.points, config.time_percent, config.budget_percent)
    record = {**specialization.to_json(found.matrix, rules), 'smallest_percent': found.smallest, 'largest_percent': found.largest}
    specialization_runs.save(settings, record)
  if config.json:
    print(json.dumps(record, indent=2))
    return
  print(f'{specialization.describe(found.matrix, rules)}\n\n'
        f'the largest network of the space has {found.largest:.2f} % by itself, the smallest {found.smallest:.2f} %: '
        f'{found.largest - found.smallest:+.2f} points for architecture to play with')


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
