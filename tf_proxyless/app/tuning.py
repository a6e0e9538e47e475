"""Tuning of hyper-parameters: what is varied, what was tried, and which values to try next, for which alone keras-tuner is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import math
import re
from typing import Any
import warnings

from tf_proxyless.infra import files
from tf_proxyless.infra import serialization

_FORM = "must be NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:integer or NAME=A|B|..., for instance 'learning_rate=0.01:0.4:log'"
_RECORD = 'tuning'
JOBS = ('train', 'quantize')
STATES = ('running', 'finished', 'failed')
# Of the upper confidence bound. keras-tuner's 2.6 is for many trials: of 20 on a simulated landscape with noise, its last six fell short
# of the top by 0.032 on average, with 0.5 by 0.006; the best of the 20 by 0.005 with either.
_BETA = 0.5


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
  """A flag that is varied.

  Attributes:
    name: Name of the flag.
    low, high: Bounds, both included; None if there are choices.
    scale: 'linear', 'log' or 'integer'.
    choices: Values instead of bounds.
  """

  name: str
  low: float | None = None
  high: float | None = None
  scale: str = 'linear'
  choices: tuple[str, ...] = ()

  def register(self, space: Any) -> None:
    """Adds it to keras-tuner's HyperParameters."""
    if self.low is None or self.high is None:
      space.Choice(self.name, list(self.choices))
    elif self.scale == 'integer':
      space.Int(self.name, int(self.low), int(self.high))
    else:
      space.Float(self.name, self.low, self.high, sampling=self.scale)

  def value(self, text: str) -> Any:
    """What keras-tuner calls the value that a flag's text says."""
    return text if self.choices else int(text) if self.scale == 'integer' else float(text)

  def text(self, value: Any) -> str:
    """The flag's text for a value of keras-tuner's; numbers to four digits."""
    return str(value) if self.choices or self.scale == 'integer' else f'{value:.4g}'


def parse(text: str) -> Hyperparameter:
  """A hyper-parameter from the command line, in one of the forms of the error.

  Raises:
    ValueError: It has another form, or bounds that are none.
  """
  shown = files.shorten(text, 200)
  wrong = ValueError(f'a hyper-parameter {_FORM}, got {shown}')
  match = re.fullmatch(r'([a-z]\w*)=(.+)', text, re.ASCII)
  if not match:
    raise wrong
  name, values = match.groups()
  if '|' in values:
    choices = tuple(values.split('|'))
    if not all(choices) or len(set(choices)) != len(choices):
      raise ValueError(f'choices must differ and not be empty, got {shown}')
    return Hyperparameter(name, choices=choices)
  match = re.fullmatch(r'([^:]+):([^:]+)(?::(linear|log|integer))?', values)
  if not match:
    raise wrong
  scale = match[3] or 'linear'
  try:
    low, high = (float(int(bound) if scale == 'integer' else bound) for bound in match.groups()[:2])
  except (ValueError, OverflowError) as error:
    raise wrong from error
  if not (math.isfinite(low) and math.isfinite(high) and low < high and (scale != 'log' or low > 0)):
    raise ValueError(f'bounds must be finite, the first below the second, and above 0 for log; got {shown}')
  return Hyperparameter(name, low, high, scale)


@dataclasses.dataclass(frozen=True)
class Trial:
  """Values that were tried.

  Attributes:
    number: From 0, where the flags stay as they are.
    values: Text by flag, as the run got it.
    state: 'running', 'finished' or 'failed'.
    accuracy: On validation images, in [0, 1]; None unless finished.
    test_accuracy: For people only: nothing is chosen by it.
    reason: Why it failed.
  """

  number: int
  values: Mapping[str, str]
  state: str = 'running'
  accuracy: float | None = None
  test_accuracy: float | None = None
  reason: str | None = None

  def __post_init__(self) -> None:
    if self.state not in STATES or self.number < 0:
      raise ValueError(f'a trial has a number from 0 and one of the states {", ".join(STATES)}, got {self.number} and {self.state!r}')
    wrong = [value for value in (self.accuracy, self.test_accuracy) if value is not None and not 0 <= value <= 1]
    if wrong or (self.state == 'finished') != (self.accuracy is not None):
      raise ValueError(f'accuracies are in [0, 1], and only a finished trial has one; got {self.accuracy!r} and {self.test_accuracy!r}')


@dataclasses.dataclass(frozen=True)
class Study:
  """Everything that a tuning is, and all that it has found.

  Attributes:
    job: 'train' or 'quantize'.
    hyperparameters: As they were written.
    arguments: Other arguments of the job.
    seed: Seed of the values.
    trials: In order.
  """

  job: str
  hyperparameters: tuple[str, ...]
  arguments: tuple[str, ...]
  seed: int
  trials: tuple[Trial, ...] = ()

  def __post_init__(self) -> None:
    if self.job not in JOBS:
      raise ValueError(f'job must be one of {", ".join(JOBS)}, got {self.job!r}')
    if len({trial.number for trial in self.trials}) != len(self.trials):
      raise ValueError('two trials have the same number')

  def with_trial(self, trial: Trial) -> Study:
    """The study with a trial added, or replaced by its number."""
    others = tuple(other for other in self.trials if other.number != trial.number)
    return dataclasses.replace(self, trials=(*others, trial))

  def settings(self) -> dict[str, Any]:
    """All but the trials, as JSON values."""
    return {name: value for name, value in serialization.encode(self).items() if name != 'trials'}

  @property
  def best(self) -> Trial | None:
    """The most accurate trial, the first of equals."""
    finished = [(trial.accuracy, trial) for trial in self.trials if trial.accuracy is not None]
    return max(finished, key=lambda pair: pair[0])[1] if finished else None


def load(path: files.PathLike) -> Study:
  """Reads a study.

  Raises:
    ValueError: The file is none; one line that names it and the place in it.
    OSError: The file cannot be read.
  """
  body = files.read_json(path, _RECORD)
  try:
    return serialization.decode(Study, body)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def save(study: Study, path: files.PathLike) -> None:
  """Writes a study atomically."""
  files.write_json(path, _RECORD, serialization.encode(study))


def suggest(hyperparameters: Sequence[Hyperparameter], trials: Sequence[Trial], seed: int, random_trials: int) -> dict[str, str]:
  """The values to try next, by the Bayesian oracle of keras-tuner: a Gaussian process, and the upper confidence bound.

  The oracle is made anew for each suggestion, which so is a pure function of its arguments. Its own files are not written atomically and
  lack the state of one of its generators.

  Args:
    hyperparameters: What is varied.
    trials: What was tried with values for all of these; one that failed counts as the worst that finished.
    seed: Seed of the values.
    random_trials: How many finished trials it takes before values are no longer drawn evenly.

  Returns:
    Text by flag.
  """
  import keras_tuner
  from sklearn import exceptions
  import threadpoolctl

  space = keras_tuner.HyperParameters()
  for hyperparameter in hyperparameters:
    hyperparameter.register(space)
  oracle = keras_tuner.oracles.BayesianOptimizationOracle(
      objective=keras_tuner.Objective('accuracy', 'max'), num_initial_points=random_trials, hyperparameters=space, beta=_BETA,
      seed=1 + (1_000_003 * seed + 1_009 * len(trials)) % (2**31 - 1))  # it takes 0 for no seed
  worst = min((trial.accuracy for trial in trials if trial.accuracy is not None), default=0.0)
  for trial in trials:
    tried = space.copy()
    tried.values = {each.name: each.value(trial.values[each.name]) for each in hyperparameters}
    known = keras_tuner.engine.trial.Trial(tried, trial_id=str(trial.number), status='COMPLETED')
    known.score = worst if trial.accuracy is None else trial.accuracy
    oracle.trials[known.trial_id] = known
  with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():  # its matrices are tiny: threads make it ten times slower
    warnings.simplefilter('ignore', exceptions.ConvergenceWarning)  # of kernel widths at their bounds, as few trials leave them
    values = oracle.populate_space(str(len(trials)))['values']
  suggestion = {each.name: each.text(values[each.name]) for each in hyperparameters}
  if random_trials <= len(trials) and suggestion in [trial.values for trial in trials]:  # nothing to learn there
    return suggest(hyperparameters, trials, seed, len(trials) + 1)
  return suggestion
