r"""Tunes hyper-parameters of a training or of a quantization, by accuracy on images held out of the training set.

  tf-proxyless tune --job=train --run_dir=runs/tuning --trials=20 -- \
      --architecture=runs/quickstart/architecture.json --flagfile=train/cluttered_digits.flags
  tf-proxyless tune --job=quantize --run_dir=runs/tuning_int8 --trials=20 -- --model=runs/train/model.keras --dataset=digits

What stands after -- goes to every trial, a run of its own in RUN_DIR/trials. The first trial adds nothing to it, so that it is known what
tuning gains. The others get values from the Bayesian oracle of keras-tuner; --hyperparameter says what is varied. A tuning that was
interrupted continues, and so does the trial that it was at. RUN_DIR/best.flags holds the best values:

  tf-proxyless train --architecture=... --flagfile=train/cluttered_digits.flags --flagfile=runs/tuning/best.flags --run_dir=...

Tune a quantization with a model that was trained with the same --validation_images (and --seed): one that has seen the held-out images is
too sure of them to tell values apart.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
import signal
import subprocess
import sys
import time
from typing import TextIO

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app import tuning
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.infra import suggest

_CONFIGS = {'train': config_lib.TrainConfig, 'quantize': config_lib.QuantizeConfig}
_DEFAULTS = {
    'train': ('learning_rate=0.002:0.5:log', 'weight_decay=1e-6:1e-3:log', 'label_smoothing=0:0.2', 'dropout_rate=0:0.5'),
    'quantize': ('learning_rate=1e-4:0.05:log', 'batch_norm_share=0:1', 'range_momentum=0.9:0.999'),
}
_MOST_FAILURES = 3  # in a row
_STUDY, _BEST = 'tuning.json', 'best.flags'


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  job: str = options.option('train', 'What is tuned: training, or quantization-aware training.', choices=tuple(_CONFIGS))
  run_dir: str | None = options.option(None, 'Directory of the tuning; one that was interrupted there continues.', required=True)
  trials: int = options.option(20, 'Trials in all, the first included, which changes nothing. May be raised later.', low=2)
  hyperparameter: tuple[str, ...] = options.option(
      (), 'A flag of the job and its range: NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:integer or NAME=A|B|C. By default '
      f'{", ".join(_DEFAULTS["train"])}; for quantize {", ".join(_DEFAULTS["quantize"])}.', repeated=True)
  validation_images: float = options.option(
      0.2, 'Images held out of the training set to choose by: a count above 1, or a fraction below 1.', low=0.0)
  random_trials: int | None = options.option(
      None, 'Finished trials with values drawn evenly before the oracle models them; by default 2 for each hyper-parameter.', low=1)
  seed: int = options.option(0, 'Seed of the values. Trials have the seed that their own flags say.', low=0, high=2 ** 31 - 1)
  arguments: tuple[str, ...] = options.option((), 'Flags of the job.', rest=True)


def _check(config: Config) -> tuple[tuning.Study, list[tuning.Hyperparameter]]:
  """Checks flags; the study that they say, with the trials that the run directory knows."""
  config.require()
  if not config.arguments:
    raise ValueError(f'the flags of {config.job} are missing; they stand at the end, after --')
  config_lib.check_validation_images(config.validation_images)
  written = config.hyperparameter or _DEFAULTS[config.job]
  hyperparameters = [tuning.parse(text) for text in written]
  names = [hyperparameter.name for hyperparameter in hyperparameters]
  reserved = sorted({name for name in names if names.count(name) > 1 or name in ('run_dir', 'validation_images')})
  if reserved:
    raise ValueError(f'`hyperparameter`: {reserved[0]} cannot be varied, or stands there twice')
  known = options.options(_CONFIGS[config.job])
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(f'`hyperparameter`: {unknown[0]!r} is no flag of {config.job}{suggest.hint(unknown[0], known)}')
  arguments = (*(_resolve(argument, known) for argument in config.arguments), f'--validation_images={config.validation_images:g}')
  study, folder = tuning.Study(config.job, tuple(written), arguments, config.seed), pathlib.Path(config.run_dir)
  if (folder / _STUDY).exists():
    known = tuning.load(folder / _STUDY)
    differing = run_directory.differences(known.settings(), study.settings())
    if differing and known.trials:
      raise ValueError(f'{folder} holds a tuning with other settings: {differing}; restore them to continue it, or choose another '
                       '`run_dir`')
    study = study if differing else known
  folder.mkdir(parents=True, exist_ok=True)
  return study, hyperparameters


def _resolve(argument: str, known: Mapping[str, options.Option]) -> str:
  """A flag with its path, if its value is one, as a run keeps it."""
  name, _, value = argument.partition('=')
  option = known.get(name.lstrip('-'))
  return f'{name}={option.resolve(value)}' if option is not None and option.resolve and value else argument


def _run_trial(study: tuning.Study, trial: tuning.Trial, directory: pathlib.Path, lock: TextIO, stop: shutdown.StopRequest) -> int:
  """Runs the job to its end, or until it has saved because it should stop; returns its exit code."""
  directory.mkdir(parents=True, exist_ok=True)
  values = [f'--{name}={text}' for name, text in trial.values.items()]
  command = ['-m', 'tf_proxyless', study.job, *study.arguments, *values, f'--run_dir={directory}']
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
  if code == errors.MISTAKE:
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


def _next_trial(config: Config, study: tuning.Study, hyperparameters: list[tuning.Hyperparameter]) -> tuning.Trial:
  """The trial that was interrupted, or a new one."""
  for trial in study.trials:
    if trial.state == 'running':
      return trial
  if not study.trials:
    return tuning.Trial(0, {})
  stderr_lib.load_tensorflow()  # keras-tuner would load it with its chatter
  random_trials = config.random_trials or 2 * len(hyperparameters)
  values = tuning.suggest(hyperparameters, study.trials[1:], study.seed, random_trials)
  return tuning.Trial(len(study.trials), values)


def _check_failures(study: tuning.Study) -> None:
  last = study.trials[-_MOST_FAILURES:]
  if len(last) == _MOST_FAILURES and all(trial.state == 'failed' for trial in last):
    raise ValueError(f'{_MOST_FAILURES} trials in a row failed, the last: {last[-1].reason}')


def _values_line(trial: tuning.Trial) -> str:
  return ', '.join(f'{name} {text}' for name, text in trial.values.items()) or 'flags as they are'


def _save_best(study: tuning.Study, folder: pathlib.Path) -> None:
  best = study.best
  if best is not None:
    lines = [f'# The best of {len(study.trials)} trials of tf-proxyless tune --job={study.job}: trial {best.number}, '
             f'{100 * best.accuracy:.2f} % of the validation images.',
             f'# Beside these flags it had: {" ".join(study.arguments)}',
             *(f'--{name}={text}' for name, text in best.values.items())]
    files.write_atomically(folder / _BEST, '\n'.join(lines) + '\n')


def _report(config: Config, study: tuning.Study, trial: tuning.Trial) -> None:
  if trial.state == 'failed':
    figure = f'failed: {trial.reason}'
  else:
    figure = f'{100 * trial.accuracy:.2f} %' + (' (the best so far)' if trial.number == study.best.number else '')
  print(f'trial {trial.number + 1:3} of {config.trials:3}       {figure}: {_values_line(trial)}', flush=True)


def _conclude(study: tuning.Study, folder: pathlib.Path) -> None:
  first, best = study.trials[0], study.best
  print(f'validation             {100 * best.accuracy:.2f} %, {100 * first.accuracy:.2f} % with the flags as they are')
  if best.test_accuracy is not None and first.test_accuracy is not None:
    print(f'test                   {100 * best.test_accuracy:.2f} %, {100 * first.test_accuracy:.2f} % with the flags as they are')
  print(f'best values            {_values_line(best)}\nflagfile               {folder / _BEST}')


def main(config: Config) -> int:
  with errors.user_errors():
    study, hyperparameters = _check(config)
    folder = pathlib.Path(config.run_dir)
    lock = locking.take(folder)  # a trial's process has it too, so that none is started beside one that outlived its tuning
  stop = shutdown.StopRequest()
  with lock:
    while len(study.trials) < config.trials or study.trials[-1].state == 'running':
      with errors.user_errors():
        trial = _next_trial(config, study, hyperparameters)
        directory = folder / 'trials' / f'{trial.number:03}'
        tuning.save(study.with_trial(trial), folder / _STUDY)
        code = _run_trial(study, trial, directory, lock, stop)
        code = 0 if stop() else code  # however it ended when it was asked to; its status says how far it came
        try:
          trial = _outcome(trial, directory, code)
          if trial.number == 0 and trial.state == 'failed':
            raise ValueError(f'the flags as they are fail: {trial.reason}')
        except ValueError:
          tuning.save(study, folder / _STUDY)  # a mistake is no trial
          raise
        if trial.state == 'running':
          print(f'stopped and saved; the same command continues in {folder}', file=sys.stderr)
          return stop.exit_code
        study = study.with_trial(trial)
        tuning.save(study, folder / _STUDY)
        _save_best(study, folder)
        _report(config, study, trial)
        _check_failures(study)
  _conclude(study, folder)
  return 0

