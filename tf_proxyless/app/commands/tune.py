r"""Tunes hyper-parameters of a training, a quantization or a search, by accuracy on images held out of the training set.

  tf-proxyless tune --job=train --run_dir=runs/tuning --trials=20 -- \
      --architecture=runs/quickstart/architecture.json --flagfile=train/cluttered_digits.flags
  tf-proxyless tune --job=quantize --run_dir=runs/tuning_int8 --trials=20 -- --model=runs/train/model.keras --dataset=digits
  tf-proxyless tune --job=search --train_flagfile=train/cluttered_digits.flags --run_dir=runs/tuning_search -- --flagfile=quickstart.flags

What stands after -- goes to every trial, a run of its own in RUN_DIR/trial_NN. The first trial adds nothing to it, so that it is known
what tuning gains. The others get values from an oracle of keras-tuner, whose store RUN_DIR is; --hyperparameter says what is varied. A
tuning that was interrupted continues, and so does the trial that it was at. RUN_DIR/best.flags holds the best values:

  tf-proxyless train --architecture=... --flagfile=train/cluttered_digits.flags --flagfile=runs/tuning/best.flags --run_dir=...

Tune a quantization with a model that was trained with the same --validation_images (and --seed): one that has seen the held-out images is
too sure of them to tell values apart.

A search is as good as the network that it finds, trained: accuracies by shared weights rise with the training of these, whatever is found.
So a trial is a search and a training by --train_flagfile, in RUN_DIR/trial_NN/search and train, judged on images that neither has seen.

Several processes or machines tune together as keras-tuner has it, in a RUN_DIR that all can reach: one as chief, who runs no trial, the
others as workers, each by the same command:

  export KERASTUNER_ORACLE_IP=10.0.0.1 KERASTUNER_ORACLE_PORT=8000
  KERASTUNER_TUNER_ID=chief tf-proxyless tune ...
  KERASTUNER_TUNER_ID=worker1 tf-proxyless tune ...

The trial of a worker that died is continued by another (on a file system that has locks); a chief that died is waited for. Values that
are drawn evenly are those of a tuning alone; the others depend on the order in which trials end. keras-tuner asks nobody who he is: open
the port to your machines only.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
import pathlib
import sys
from typing import Any, TextIO

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import evaluators
from tf_proxyless.app import flags
from tf_proxyless.app import jobs
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app import tuning
from tf_proxyless.app import workers as workers_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import suggest

_CONFIGS: dict[str, type[options.Config]] = {
    'train': config_lib.TrainConfig, 'quantize': config_lib.QuantizeConfig, 'search': config_lib.SearchConfig}
_DEFAULTS = {
    'train': ('learning_rate=0.002:0.5:log', 'weight_decay=1e-6:1e-3:log', 'label_smoothing=0:0.2', 'dropout_rate=0:0.5'),
    'quantize': ('learning_rate=1e-4:0.05:log', 'batch_norm_share=0:1', 'range_momentum=0.9:0.999'),
    'search': ('warmup_learning_rate=0.005:0.5:log', 'search_learning_rate=0.0025:0.25:log', 'architecture_learning_rate=3e-4:0.1:log',
               'weight_steps_per_update=1:10:integer'),
}
_ORACLES = ('bayesian', 'random', 'grid', 'hyperband')
_RESERVED = ('run_dir', 'validation_images', 'held_out_images', 'seed')  # another seed holds out other images
_BEST = 'best.flags'


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  job: str = options.option('train', 'What is tuned: training, quantization-aware training, or a search.', choices=tuple(_CONFIGS))
  run_dir: str | None = options.option(None, 'Directory of the tuning; one that was interrupted there continues.', required=True)
  trials: int = options.option(20, 'Trials in all, the first included, which changes nothing. May be raised later.', low=2)
  hyperparameter: tuple[str, ...] = options.option(
      (), 'A flag of the job and its range: NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:integer or NAME=A|B|C. By default '
      f'{", ".join(_DEFAULTS["train"])}; for quantize {", ".join(_DEFAULTS["quantize"])}; for search {", ".join(_DEFAULTS["search"])}.',
      repeated=True)
  oracle: str = options.option('bayesian', 'The oracle of keras-tuner that suggests values. hyperband varies the epochs too, up to those '
                               'of the job, and trains from the start each time; grid tries ten values of a range.', choices=_ORACLES)
  train_flagfile: str | None = options.option(None, 'How the network that a search found is trained. Required for `job=search`.')
  validation_images: float = options.option(
      0.2, 'Images held out of the training set to choose by: a count above 1, or a fraction below 1.', low=0.0)
  random_trials: int | None = options.option(
      None, 'Finished trials with values drawn evenly before bayesian models them; by default 2 for each hyper-parameter.', low=1)
  seed: int = options.option(0, 'Seed of the values. Trials have the seed that their own flags say.', low=0, high=2 ** 31 - 1)
  arguments: tuple[str, ...] = options.option((), 'Flags of the job.', rest=True)


class TuningDirectory(run_directory.RunDirectory):
  """The files of a tuning: keras-tuner's store, whose folders of trials are their run directories, and the best values."""

  def __init__(self, path: files.PathLike):
    super().__init__(path)
    self.store, self.best = self.path / 'oracle.json', self.path / _BEST

  @property
  def begun(self) -> bool:
    """Whether a tuning is here with a trial that has something to lose."""
    runs = [run_directory.RunDirectory(folder) for pattern in ('trial_*', 'trial_*/*') for folder in self.path.glob(pattern)]
    return self.identity.exists() and any(run.begun for run in runs)

  def trial(self, trial: Any) -> pathlib.Path:
    """The folder of a trial."""
    return self.path / f'trial_{trial.trial_id}'


@dataclasses.dataclass(frozen=True)
class Stage:
  """A run of a trial.

  Attributes:
    command: Command of tf-proxyless, for instance 'train'.
    config: Its options.
    folder: Its run directory.
  """

  command: str
  config: options.Config
  folder: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Tuning:
  """What is tuned, and how."""

  config: Config
  hyperparameters: tuple[tuning.Hyperparameter, ...]

  @property
  def written(self) -> tuple[str, ...]:
    """Hyper-parameters as they were written."""
    return self.config.hyperparameter or _DEFAULTS[self.config.job]

  def job(self, values: Mapping[str, str]) -> options.Config:
    """The options of the job with values.

    Raises:
      ValueError: They are none; in one line.
    """
    given = (*self.config.arguments, *(f'--{name}={text}' for name, text in values.items()))
    return flags.from_arguments(given, _CONFIGS[self.config.job])

  def stages(self, values: Mapping[str, str], folder: pathlib.Path) -> list[Stage]:
    """The runs of a trial in turn; the last says the accuracy."""
    job, held_out = self.job(values), self.config.validation_images
    if not isinstance(job, config_lib.SearchConfig):
      return [Stage(self.config.job, options.replace(job, run_dir=str(folder), validation_images=held_out), folder)]
    search, train = folder / 'search', folder / 'train'
    found = options.replace(job, run_dir=str(search), held_out_images=held_out)
    training = options.replace(evaluators.train_config(self.config.train_flagfile or '', job), seed=job.seed, run_dir=str(train),
                               validation_images=held_out, architecture=str(search / 'architecture.json'))
    return [Stage('search', found, search), Stage('train', training, train)]

  def identity(self) -> dict[str, object]:
    """What makes a tuning this tuning, as JSON values."""
    own = {name: getattr(self.config, name) for name in ('job', 'oracle', 'seed', 'random_trials')}
    runs = {stage.command: {**options.identity(stage.config), **{name: value for name, value in options.flat(stage.config).items()
                                                                 if name == 'model'}} for stage in self.stages({}, pathlib.Path())}
    return {**own, 'hyperparameters': list(self.written), **runs}


def _read(config: Config) -> Tuning:
  """What a command line says to tune.

  Raises:
    ValueError: It cannot be; in one line.
  """
  config.require()
  if not config.arguments:
    raise ValueError(f'the flags of {config.job} are missing; they stand at the end, after --')
  config_lib.check_validation_images(config.validation_images)
  if (config.job == 'search') != bool(config.train_flagfile):
    raise ValueError('`job=search` and `train_flagfile` go together')
  found = Tuning(config, tuple(tuning.parse(text) for text in config.hyperparameter or _DEFAULTS[config.job]))
  names, known = [each.name for each in found.hyperparameters], options.options(_CONFIGS[config.job])
  reserved = sorted({name for name in names if names.count(name) > 1 or name in _RESERVED})
  if reserved:
    raise ValueError(f'`hyperparameter`: {reserved[0]} cannot be varied, or stands there twice')
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(f'`hyperparameter`: {unknown[0]!r} is no flag of {config.job}{suggest.hint(unknown[0], known)}')
  base = found.job({})
  if isinstance(base, config_lib.SearchConfig) and base.designer.designer is not None:
    raise ValueError('`job=search` tunes a search with a supernet, not one with `designer`')
  if config.oracle == 'hyperband' and ('epochs' not in known or 'epochs' in names):
    raise ValueError('`oracle=hyperband` varies epochs by itself, of `job=train` or `job=quantize`')
  for each in found.hyperparameters:
    for value in each.ends:
      found.job({each.name: each.text(value)})
  shortest = {'epochs': '1'} if config.oracle == 'hyperband' else {}
  for stage in (*found.stages({}, pathlib.Path()), *found.stages(shortest, pathlib.Path())):
    stage.config.check()
  return found


def _claim(found: Tuning, run: TuningDirectory) -> None:
  """Makes the directory this tuning's.

  Raises:
    ValueError: It is another's; in one line.
  """
  if (run.path / 'tuning.json').exists():
    raise ValueError(f'{run.path} holds a tuning of an earlier edition, which cannot be continued; its best.flags and trials stay as they '
                     'are; choose another `run_dir`')
  identity = found.identity()
  if not run.check(identity):
    run.store.unlink(missing_ok=True)  # of a tuning that came to nothing
    run.claim(identity)


class _Trials:
  """Runs trials, one at a time."""

  def __init__(self, found: Tuning, run: TuningDirectory, stop: shutdown.StopRequest, lock: TextIO, aloud: bool = False):
    """Stores its settings.

    Args:
      found: What is tuned.
      run: Its directory.
      stop: Whether to stop.
      lock: An open lock, which the processes keep.
      aloud: Whether to print how trials end.
    """
    self._found, self._run, self._stop, self._lock, self._aloud = found, run, stop, lock, aloud
    self.reasons: dict[str, str] = {}  # why trials failed, by id

  def __call__(self, trial: Any) -> float | None:
    """`run`, and says how the trial ended."""
    accuracy = self.run(trial)
    if self._aloud and accuracy is not None:
      figure = f'failed: {self.reasons[trial.trial_id]}' if math.isnan(accuracy) else f'{100 * accuracy:.2f} %'
      print(f'trial {int(trial.trial_id) + 1:3} of {self._found.config.trials:3}       {figure}', flush=True)
    return accuracy

  def run(self, trial: Any) -> float | None:
    """Runs a trial to its end, or until it has saved because it should stop.

    Returns:
      The accuracy in [0, 1] on the images that were held out; NaN if the trial failed, None if it was stopped.

    Raises:
      ValueError: A run refused its flags, the first trial failed, or the accuracy is not told; in one line.
    """
    folder, values = self._run.trial(trial), trial.hyperparameters.values
    texts = {each.name: each.text(values[each.name]) for each in self._found.hyperparameters if each.name in values}
    epochs = {'epochs': str(values['tuner/epochs'])} if 'tuner/epochs' in values else {}
    for stage in self._found.stages({**texts, **epochs}, folder):
      run = run_directory.RunDirectory(stage.folder)
      if run.is_finished():
        continue
      code = self._start(stage)
      reason = _why_failed(run, trial.trial_id, 0 if self._stop() else code)  # however it ended when it was asked to
      if reason is not None and not texts:
        raise ValueError(f'the flags as they are fail: {reason}')
      if reason is not None:
        self.reasons[trial.trial_id] = reason
        return math.nan
      if not run.is_finished():
        return None
    return _result(stage.folder, 'validation_top1')

  def _start(self, stage: Stage) -> int:
    job = jobs.of_command(stage.command, stage.folder.name, stage.command, stage.config, stage.folder)
    codes: list[int] = []
    jobs.run(lambda: [] if codes else [job], lambda job: None, lambda job, seconds, code: codes.append(code), lambda: self._stop.signal, 1,
             self._lock)
    return codes[0] if codes else 0


def _why_failed(run: run_directory.RunDirectory, number: str, code: int) -> str | None:
  """Why a run of a trial failed; None if it did not.

  Raises:
    ValueError: It refused its flags.
  """
  status, output = run.read_status() or {}, run.path / 'output.txt'
  if status.get('state') == 'failed':
    return status['reason']
  if code == errors.MISTAKE:
    lines = output.read_text(encoding='utf-8', errors='replace').strip().splitlines()
    raise ValueError(f'trial {int(number)}: {lines[-1].removeprefix("error: ") if lines else "no message"}')
  if code == 0:
    return None
  return f'signal {-code}, see {output}' if code < 0 else f'exit code {code}, see {output}'


def _result(folder: pathlib.Path, name: str) -> float:
  """An accuracy of a finished run."""
  results = models.read_results(folder / 'results.json')
  if not isinstance(results.get(name), float):
    raise ValueError(f'{folder / "results.json"} has no {name}')
  return results[name]


def _values_line(texts: Mapping[str, str]) -> str:
  return ', '.join(f'{name} {text}' for name, text in texts.items()) or 'flags as they are'


class _Report:
  """Says how trials ended, and keeps the best values."""

  def __init__(self, found: Tuning, run: TuningDirectory, reasons: Mapping[str, str]):
    self._found, self._run, self._reasons = found, run, reasons
    self.oracle: Any = None

  def on_end(self, trial: Any) -> None:
    """Prints how a trial ended; writes the best values."""
    best = self.oracle.best
    if trial.status == 'FAILED':
      figure = f'failed: {self._reason(trial)}'
    else:
      figure = f'{100 * trial.score:.2f} %' + ' (the best so far)' * (trial is best)
    if best is not None:
      self._save(best)
    print(f'trial {int(trial.trial_id) + 1:3} of {self._found.config.trials:3}       {figure}: {_values_line(self.oracle.texts(trial))}',
          flush=True)

  def _reason(self, trial: Any) -> str:
    return self._reasons.get(trial.trial_id, f'see {self._run.trial(trial)}')

  def _save(self, best: Any) -> None:
    job = self._found.config.job
    lines = [f'# The best of {len(self.oracle.end_order)} trials of tf-proxyless tune --job={job}: trial {int(best.trial_id)}, '
             f'{100 * best.score:.2f} % of the validation images.',
             f'# Beside these flags it had: {" ".join(self._found.config.arguments)}',
             *(f'--{name}={text}' for name, text in self.oracle.texts(best).items())]
    files.write_atomically(self._run.best, '\n'.join(lines) + '\n')

  def conclude(self) -> None:
    """Prints what tuning gained.

    Raises:
      ValueError: It gained nothing, since trials failed one after the other; in one line.
    """
    if self.oracle.failures:
      raise ValueError(f'{len(self.oracle.failures)} trials in a row failed, the last: {self._reason(self.oracle.failures[-1])}')
    best, first = self.oracle.best, self.oracle.trials[self.oracle.start_order[0]]
    print(f'validation             {100 * best.score:.2f} %, {100 * first.score:.2f} % with the flags as they are')
    test = [_result(self._found.stages({}, self._run.trial(trial))[-1].folder, 'test_top1') for trial in (best, first)]
    print(f'test                   {100 * test[0]:.2f} %, {100 * test[1]:.2f} % with the flags as they are')
    print(f'best values            {_values_line(self.oracle.texts(best))}\nflagfile               {self._run.best}')


def main(config: Config) -> int:
  """Tunes, or continues to; as chief or worker where keras-tuner's variables say so."""
  with errors.user_errors():
    role, found, run = tuning.role(), _read(config), TuningDirectory(config.run_dir or '')
    run.path.mkdir(parents=True, exist_ok=True)
    workers = workers_lib.Workers(run.path)
    if not role.is_worker:
      lock = locking.take(run.path)  # a trial's process has it too, so that none is started beside one that outlived its tuning
      _claim(found, run)
    own_lock = workers.join(role.tuner_id)
  stop = shutdown.StopRequest()
  if role.is_worker:
    with own_lock, errors.user_errors():
      workers_lib.load_chief().assist(role, run, found.identity(), _Trials(found, run, stop, own_lock, aloud=True), stop)
    return stop.exit_code
  with lock, own_lock, errors.user_errors(), shutdown.status_kept(run, run.write_status, stop):
    run.write_status('running')
    chief, trials = workers_lib.load_chief(), _Trials(found, run, stop, lock)
    report = _Report(found, run, trials.reasons)
    report.oracle = oracle = _oracle(chief.oracles, found, run, workers, report)
    if role.is_chief:
      with chief.served(oracle, role):
        print(f'chief at {role.address}; workers run the trials', flush=True)
        chief.wait(oracle, stop, workers.is_alive)
    else:
      chief.work(oracle, role.tuner_id, trials, stop)
    if stop():
      run.write_status('interrupted')
      print(f'stopped and saved; the same command continues in {run.path}', file=sys.stderr)
      return stop.exit_code
    report.conclude()
    run.write_status('finished')
  return stop.exit_code


def _oracle(oracles: Any, found: Tuning, run: TuningDirectory, workers: workers_lib.Workers, report: _Report) -> Any:
  """The oracle with what its store knows."""
  config, more = found.config, {}
  if config.oracle == 'bayesian':
    more['random_trials'] = config.random_trials or 2 * len(found.hyperparameters)
  if config.oracle == 'hyperband':
    more['max_epochs'] = options.flat(found.job({}))['epochs']
  make = oracles.ORACLES[config.oracle]
  return make(run.path, found.hyperparameters, config.trials, config.seed, workers.is_alive, report.on_end, **more)
