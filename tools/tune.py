r"""Tunes hyper-parameters of a training or of a quantization, by accuracy on images held out of the training set.

  python tools/tune.py --job=train --run_dir=runs/tuning --trials=20 -- \
      --architecture=runs/quickstart/architecture.json --flagfile=train/digits.flags
  python tools/tune.py --job=quantize --run_dir=runs/tuning_int8 --trials=20 -- --model=runs/train/model.keras --dataset=digits

What stands after -- goes to every trial, a run of its own in RUN_DIR/trials. The first trial adds nothing to it, so that it is known what
tuning gains. The others get values from the Bayesian oracle of keras-tuner; --hyperparameter says what is varied. A tuning that was
interrupted continues, and so does the trial that it was at. RUN_DIR/best.flags holds the best values:

  python -m tf_proxyless.train --architecture=... --flagfile=train/digits.flags --flagfile=runs/tuning/best.flags --run_dir=...

Tune a quantization with a model that was trained with the same --validation_images (and --seed): one that has seen the held-out images is
too sure of them to tell values apart.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import signal
import subprocess
import sys
import time
from typing import TextIO

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import models
from tf_proxyless.app import quantize_flags
from tf_proxyless.app import run_flags
from tf_proxyless.app import train_flags
from tf_proxyless.app import tuning
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.infra import suggest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_COMMANDS = {'train': ('-m', 'tf_proxyless.train'), 'quantize': (str(_ROOT / 'tools' / 'quantize.py'),)}
_FLAGS = {'train': train_flags.RUN, 'quantize': quantize_flags.RUN}
_DEFAULTS = {
    'train': ('learning_rate=0.002:0.5:log', 'weight_decay=1e-6:1e-3:log', 'label_smoothing=0:0.2', 'dropout_rate=0:0.5'),
    'quantize': ('learning_rate=1e-4:0.05:log', 'batch_norm_share=0:1', 'range_momentum=0.9:0.999'),
}
_MOST_FAILURES = 3  # in a row

_JOB = flags.DEFINE_enum('job', 'train', list(_COMMANDS), 'What is tuned: training, or quantization-aware training.')
_RUN_DIR = flags.DEFINE_string('run_dir', None, 'Directory of the tuning; one that was interrupted there continues. Required.')
_TRIALS = flags.DEFINE_integer('trials', 20, 'Trials in all, the first included, which changes nothing. May be raised later.',
                               lower_bound=2)
_HYPERPARAMETER = flags.DEFINE_multi_string(
    'hyperparameter', None, 'A flag of the job and its range: NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:integer or NAME=A|B|C. May '
    f'be repeated. By default {", ".join(_DEFAULTS["train"])}; for quantize {", ".join(_DEFAULTS["quantize"])}.')
_VALIDATION_IMAGES = flags.DEFINE_float('validation_images', 0.2, 'Images held out of the training set to choose by: a count above 1, or a '
                                        'fraction below 1.', lower_bound=0.0)
_RANDOM_TRIALS = flags.DEFINE_integer('random_trials', None, 'Finished trials with values drawn evenly before the oracle models them; by '
                                      'default 2 for each hyper-parameter.', lower_bound=1)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the values. Trials have the seed that their own flags say.', lower_bound=0,
                             upper_bound=2**31 - 1)


class _RunDirectory:
  """Where the files of a tuning lie."""

  def __init__(self, path: str):
    self.path = pathlib.Path(path)
    self.study = self.path / 'tuning.json'
    self.best = self.path / 'best.flags'

  def trial(self, number: int) -> pathlib.Path:
    return self.path / 'trials' / f'{number:03}'


def _check(arguments: list[str]) -> tuple[_RunDirectory, tuning.Study, list[tuning.Hyperparameter]]:
  """Checks flags, and finds the study that is to continue."""
  command_line.require(flags.FLAGS, 'run_dir')
  if not arguments:
    raise ValueError(f'the flags of {_JOB.value} are missing; they stand at the end, after --')
  images = _VALIDATION_IMAGES.value
  run_flags.check_validation_images(images)
  written = _HYPERPARAMETER.value or _DEFAULTS[_JOB.value]
  hyperparameters = [tuning.parse(text) for text in written]
  names = [hyperparameter.name for hyperparameter in hyperparameters]
  reserved = sorted({name for name in names if names.count(name) > 1 or name in ('run_dir', 'validation_images')})
  if reserved:
    raise ValueError(f'--hyperparameter: {reserved[0]} cannot be varied, or stands there twice')
  known = _FLAGS[_JOB.value].names(_FLAGS[_JOB.value].from_flagfile([]))
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(f'--hyperparameter: {unknown[0]!r} is no flag of {_JOB.value}{suggest.hint(unknown[0], known)}')
  study = tuning.Study(_JOB.value, tuple(written), (*arguments, f'--validation_images={images:g}'), _SEED.value)
  run = _RunDirectory(_RUN_DIR.value)
  if run.study.exists():
    study = _continued(tuning.load(run.study), study, run)
  run.path.mkdir(parents=True, exist_ok=True)
  return run, study, hyperparameters


def _continued(known: tuning.Study, given: tuning.Study, run: _RunDirectory) -> tuning.Study:
  differing = tuning.differences(known, given)
  if not differing:
    return known
  if known.trials:
    raise ValueError(f'{run.path} holds a tuning with other settings: {"; ".join(differing)}; restore them to continue it, or choose '
                     'another --run_dir')
  return given


def _run_trial(study: tuning.Study, trial: tuning.Trial, directory: pathlib.Path, lock: TextIO, stop: shutdown.StopRequest) -> int:
  """Runs the job to its end, or until it has saved because it should stop; returns its exit code."""
  directory.mkdir(parents=True, exist_ok=True)
  values = [f'--{name}={text}' for name, text in trial.values.items()]
  command = [*_COMMANDS[study.job], *study.arguments, *values, f'--run_dir={directory}']
  with open(directory / 'output.txt', 'w', encoding='utf-8') as output:
    process = child_processes.start(command, stdout=output, stderr=subprocess.STDOUT, pass_fds=(lock.fileno(),))
  asked = False
  try:
    while process.poll() is None:
      if stop() and not asked:
        process.send_signal(signal.SIGTERM)
        asked = True
      time.sleep(0.1)
  finally:
    if process.poll() is None:  # a second Ctrl-C
      process.kill()
      process.wait()
  return process.returncode


def _outcome(trial: tuning.Trial, directory: pathlib.Path, code: int) -> tuning.Trial:
  """What became of a trial; one that was stopped is still running.

  Raises:
    ValueError: The job refused its flags, or does not tell its accuracy.
  """
  results_file = directory / 'results.json'
  status = run_directory.RunDirectory(directory).read_status() or {}
  if status.get('state') == 'failed':
    return dataclasses.replace(trial, state='failed', reason=status['reason'])
  if code == command_line.MISTAKE:
    lines = (directory / 'output.txt').read_text(encoding='utf-8', errors='replace').strip().splitlines()
    raise ValueError(f'trial {trial.number}: {lines[-1].removeprefix("error: ") if lines else "no message"}')
  if code != 0:
    how = f'signal {-code}' if code < 0 else f'exit code {code}'
    return dataclasses.replace(trial, state='failed', reason=f'{how}, see {directory / "output.txt"}')
  if status.get('state') != 'finished':
    return trial
  results = models.read_results(results_file)
  if not isinstance(results.get('validation_top1'), float):
    raise ValueError(f'{results_file} has no validation_top1')
  return dataclasses.replace(trial, state='finished', accuracy=results['validation_top1'], test_accuracy=results.get('test_top1'))


def _next_trial(study: tuning.Study, hyperparameters: list[tuning.Hyperparameter]) -> tuning.Trial:
  """The trial that was interrupted, or a new one."""
  for trial in study.trials:
    if trial.state == 'running':
      return trial
  if not study.trials:
    return tuning.Trial(0, {})
  stderr_lib.load_tensorflow()  # keras-tuner would load it with its chatter
  random_trials = _RANDOM_TRIALS.value or 2 * len(hyperparameters)
  values = tuning.suggest(hyperparameters, study.trials[1:], study.seed, random_trials)
  return tuning.Trial(len(study.trials), values)


def _check_failures(study: tuning.Study) -> None:
  last = study.trials[-_MOST_FAILURES:]
  if len(last) == _MOST_FAILURES and all(trial.state == 'failed' for trial in last):
    raise ValueError(f'{_MOST_FAILURES} trials in a row failed, the last: {last[-1].reason}')


def _values_line(trial: tuning.Trial) -> str:
  return ', '.join(f'{name} {text}' for name, text in trial.values.items()) or 'flags as they are'


def _save_best(study: tuning.Study, run: _RunDirectory) -> None:
  best = study.best
  if best is not None:
    lines = [f'# The best of {len(study.trials)} trials of tools/tune.py --job={study.job}: trial {best.number}, '
             f'{100 * best.accuracy:.2f} % of the validation images.',
             f'# Beside these flags it had: {" ".join(study.arguments)}',
             *(f'--{name}={text}' for name, text in best.values.items())]
    files.write_atomically(run.best, '\n'.join(lines) + '\n')


def _report(study: tuning.Study, trial: tuning.Trial) -> None:
  if trial.state == 'failed':
    figure = f'failed: {trial.reason}'
  else:
    figure = f'{100 * trial.accuracy:.2f} %' + (' (the best so far)' if trial.number == study.best.number else '')
  print(f'trial {trial.number + 1:3} of {_TRIALS.value:3}       {figure}: {_values_line(trial)}', flush=True)


def _conclude(study: tuning.Study, run: _RunDirectory) -> None:
  first, best = study.trials[0], study.best
  print(f'validation             {100 * best.accuracy:.2f} %, {100 * first.accuracy:.2f} % with the flags as they are')
  if best.test_accuracy is not None and first.test_accuracy is not None:
    print(f'test                   {100 * best.test_accuracy:.2f} %, {100 * first.test_accuracy:.2f} % with the flags as they are')
  print(f'best values            {_values_line(best)}\nflagfile               {run.best}')


def main(argv: list[str], arguments: list[str]) -> int:
  """Tunes; `arguments` are those after --, for the job."""
  del argv
  with command_line.user_errors():
    run, study, hyperparameters = _check(arguments)
    lock = locking.take(run.path)  # a trial's process has it too, so that none is started beside one that outlived its tuning
  stop = shutdown.StopRequest()
  with lock:
    while len(study.trials) < _TRIALS.value or study.trials[-1].state == 'running':
      with command_line.user_errors():
        trial = _next_trial(study, hyperparameters)
        tuning.save(study.with_trial(trial), run.study)
        code = _run_trial(study, trial, run.trial(trial.number), lock, stop)
        code = 0 if stop() else code  # however it ended when it was asked to; its status says how far it came
        try:
          trial = _outcome(trial, run.trial(trial.number), code)
          if trial.number == 0 and trial.state == 'failed':
            raise ValueError(f'the flags as they are fail: {trial.reason}')
        except ValueError:
          tuning.save(study, run.study)  # a mistake is no trial
          raise
        if trial.state == 'running':
          print(f'stopped and saved; the same command continues in {run.path}', file=sys.stderr)
          return stop.exit_code
        study = study.with_trial(trial)
        tuning.save(study, run.study)
        _save_best(study, run)
        _report(study, trial)
        _check_failures(study)
  _conclude(study, run)
  return 0


if __name__ == '__main__':
  end = sys.argv.index('--') if '--' in sys.argv else len(sys.argv)
  for_job, sys.argv = sys.argv[end + 1:], sys.argv[:end]
  command_line.run(functools.partial(main, arguments=for_job))
