r"""Shows whether searching for a runtime pays: networks searched for three runtimes of this machine, each measured on all three.

  python tools/specialization_matrix.py --flagfile=specialization.flags --work_dir=runs/specialization

Measures a latency table of the search space on each runtime (float32 with XNNPACK, int8 with TensorFlow Lite's builtin kernels, int8
with XNNPACK), searches with each at the same fraction of its own range, trains the networks found from scratch with some seeds,
measures each of them on each runtime, and prints the matrix with a verdict for each column: within its budget, the network searched
for it is the most accurate, or the fastest of those equally good; or not. Every result is a file in --work_dir; the same command
continues after an interruption.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import search_flags
from tf_proxyless.infra import stderr as stderr_lib
from tools.experiments import specialization
from tools.experiments import specialization_runs

search_flags.RUN.define(flags.FLAGS)
_WORK_DIR = flags.DEFINE_string('work_dir', None, 'Folder for all that is made. Required.')
_TABLE_ROUNDS = flags.DEFINE_integer('table_rounds', 3, 'Separate measurements of each operation.', lower_bound=1)
_MIN_SECS = flags.DEFINE_float('min_secs', 0.1, 'Least time of a measurement, seconds.', lower_bound=0.0)
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Separate measurements of each network found, interleaved.', lower_bound=1)
_TRAINING_SEEDS = flags.DEFINE_integer('training_seeds', 3, 'Trainings of each network found.', lower_bound=1)
_TRAINING_EPOCHS = flags.DEFINE_integer('training_epochs', 6, 'Epochs of each training.', lower_bound=1)
_TRAINING_LEARNING_RATE = flags.DEFINE_float('training_learning_rate', 0.1, 'Learning rate of SGD at the start of a training; a cosine to '
                                             '0.', lower_bound=0.0)
_TRAINING_WEIGHT_DECAY = flags.DEFINE_float('training_weight_decay', 1e-3, 'Weight decay of a training, decoupled from the gradient; a '
                                            'factor.', lower_bound=0.0, upper_bound=1.0)
_POINTS = flags.DEFINE_float('points', 1.0, 'Accuracies that differ by no more are equal, percentage points.', lower_bound=0.0)
_TIME_PERCENT = flags.DEFINE_float('time_percent', 3.0, 'Latencies that differ by no more are equal, percent.', lower_bound=0.0)
_BUDGET_PERCENT = flags.DEFINE_float('budget_percent', 5.0, 'How far above its budget a network may be measured, percent.', lower_bound=0.0)
_JSON = flags.DEFINE_bool('json', False, 'Whether to print JSON.')


def _settings() -> specialization_runs.Settings:
  values = flags.FLAGS
  command_line.require(values, 'work_dir')
  if values.target_latency_fraction is None:
    raise ValueError('--target_latency_fraction is required: the share of its own range that each runtime is given; '
                     'is --flagfile=specialization.flags missing?')
  return specialization_runs.Settings(
      pathlib.Path(_WORK_DIR.value), values, _TABLE_ROUNDS.value, _MIN_SECS.value, _ROUNDS.value, _TRAINING_SEEDS.value,
      _TRAINING_EPOCHS.value, _TRAINING_LEARNING_RATE.value, _TRAINING_WEIGHT_DECAY.value)


def _report(text: str) -> None:
  print(f'{time.strftime("%H:%M:%S")} {text}', file=sys.stderr, flush=True)


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    settings = _settings()
    specialization_runs.claim(settings)
  stderr_lib.load_tensorflow()
  with command_line.user_errors():
    found = specialization_runs.run(settings, _report)
    rules = specialization.Rules(_POINTS.value, _TIME_PERCENT.value, _BUDGET_PERCENT.value)
    record = {**specialization.to_json(found.matrix, rules), 'smallest_percent': found.smallest, 'largest_percent': found.largest}
    specialization_runs.save(settings, record)
  if _JSON.value:
    print(json.dumps(record, indent=2))
    return
  print(f'{specialization.describe(found.matrix, rules)}\n\n'
        f'the largest network of the space has {found.largest:.2f} % by itself, the smallest {found.smallest:.2f} %: '
        f'{found.largest - found.smallest:+.2f} points for architecture to play with')


if __name__ == '__main__':
  command_line.run(main)
