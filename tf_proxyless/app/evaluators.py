"""Who says how accurate networks are in a search with a designer: trainings, the shared weights of a supernet, or a predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import pathlib
import sys
from typing import Any, TextIO

import numpy as np

from tf_proxyless.app import architectures
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import jobs
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory as run_directory_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema


class StoppedError(Exception):
  """The trainings were asked to stop, and have saved."""


def train_config(name: str, search: config_lib.SearchConfig) -> config_lib.TrainConfig:
  """How each network of a search is trained.

  Args:
    name: The flagfile.
    search: The search; trainings are on its dataset, and hold out as many images where the flagfile does not say it.

  Raises:
    ValueError: The flagfile does not fit the search; in one line.
  """
  found, data = flags.read_named(name, config_lib.TrainConfig), search.data
  if found.data.dataset not in (None, data.dataset):
    raise ValueError(f'{name} is for {found.data.dataset}, the search for {data.dataset}; they must be for the same dataset')
  if found.network.init or found.network.resolution is not None or found.network.width_multiplier != 1:
    raise ValueError(f'{name}: networks are trained from scratch and as they are, without `init`, `resolution` and `width_multiplier`')
  return options.replace(found, dataset=data.dataset, data_dir=data.data_dir or found.data.data_dir, architecture=None, run_dir=None,
                         validation_images=found.data.validation_images or data.validation_images)


class Trainings:
  """Trains each network, some at a time; each is a run of its own, which continues where it was stopped.

  On one machine they are child processes; a chief of keras-tuner's deals them to workers, each of which is a process with TensorFlow
  besides, and may be on another machine.
  """

  def __init__(self, space: network_lib.Network, config: config_lib.TrainConfig, folder: pathlib.Path, processes: int,
               stop_signal: Callable[[], int | None], lock: TextIO, on_end: Callable[[float | None], None], dealer: Any = None):
    """Stores its settings.

    Args:
      space: The search space.
      config: How networks are trained.
      folder: Of all trainings.
      processes: Trainings at a time.
      stop_signal: The signal, if there was one, that asks to stop.
      lock: An open lock, which the trainings keep.
      on_end: Called with the accuracy of each network that was trained; None if that failed.
      dealer: A `chief.Dealer`, if others train.
    """
    self._dealer = dealer
    self._space, self._config, self._folder, self._processes = space, config, folder, processes
    self._stop_signal, self._lock, self._on_end = stop_signal, lock, on_end
    self._failed: dict[pathlib.Path, str] = {}
    folder.mkdir(parents=True, exist_ok=True)

  def __call__(self, paths: np.ndarray) -> np.ndarray:
    """Accuracies on the images that were held out; NaN for networks whose training failed.

    Raises:
      StoppedError: It was asked to stop.
      ValueError: All failed; in one line, why.
    """
    folders = [self._prepare(path) for path in paths.tolist()]
    if self._dealer is None:
      self._run(folders)
    else:
      self._dealer.run([folder.name for folder in self._open(folders)], self._end_dealt, lambda: self._stop_signal() is not None)
    if self._stop_signal() is not None:
      raise StoppedError
    if all(folder in self._failed for folder in folders):
      raise ValueError('; '.join(dict.fromkeys(self._failed[folder] for folder in folders[:2])))
    return np.array([self._accuracy(folder) if folder not in self._failed else np.nan for folder in folders], np.float32)

  def train(self, name: str) -> float | None:
    """Trains a network for a chief, which has written its file.

    Args:
      name: Name of its folder.

    Returns:
      The accuracy; NaN if the training failed, None if it was stopped.
    """
    folder = self._folder / name
    self._run([folder])
    if self._stop_signal() is not None:
      return None
    return math.nan if self._failed.pop(folder, None) else self._accuracy(folder)

  def _run(self, folders: Sequence[pathlib.Path]) -> None:
    jobs.run(lambda: list(map(self._job, self._open(folders))), lambda job: None, self._end, self._stop_signal, self._processes, self._lock)

  def _open(self, folders: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """The networks that are not trained yet, by their folders."""
    return [folder for folder in dict.fromkeys(folders) if self._accuracy(folder) is None and folder not in self._failed]

  def _prepare(self, path: list[int]) -> pathlib.Path:
    """The folder of a network, beside which its file is."""
    architecture = architectures.of_space(self._space, schema.genotype(self._space, path))
    folder = self._folder / architectures.digest(architecture)[:12]
    if not self._file(folder).exists():
      io.save_architecture(architecture, self._file(folder))
    return folder

  def _file(self, folder: pathlib.Path) -> pathlib.Path:
    return folder.with_name(f'{folder.name}.json')

  def _job(self, folder: pathlib.Path) -> jobs.Job:
    config = options.replace(self._config, architecture=str(self._file(folder)), run_dir=str(folder))
    return jobs.of_command('trainings', f'training of {folder.name}', 'train', config, folder)

  def _accuracy(self, folder: pathlib.Path) -> float | None:
    if not run_directory_lib.RunDirectory(folder).is_finished():
      return None
    return float(models.read_results(folder / 'results.json')['validation_top1'])

  def _end(self, job: jobs.Job, seconds: float, code: int) -> None:
    if self._stop_signal() is not None:
      return
    self._note(job.folder, jobs.explain(job, code) if code else None)

  def _end_dealt(self, name: str, finished: bool) -> None:
    self._note(self._folder / name, None if finished else f'training of {name} failed, see {self._folder / name / "output.txt"}')

  def _note(self, folder: pathlib.Path, reason: str | None) -> None:
    if reason is not None:
      self._failed[folder] = reason
      print(f'{reason}; the network is left out', file=sys.stderr, flush=True)
    self._on_end(self._accuracy(folder) if reason is None else None)


def supernet(run: run_directory.RunDirectory, data_dir: str | None) -> Callable[[np.ndarray], np.ndarray]:
  """Scores networks with the shared weights of a search, each on all of its validation images. Needs TensorFlow.

  Args:
    run: Directory of the search.
    data_dir: Where datasets lie now; by default where the search found them.

  Raises:
    ValueError: It has no checkpoint; in one line.
  """
  search = problem_lib.read_config(run, data_dir)
  from tf_proxyless.app import build_search

  return build_search.restore_components(search, problem_lib.restore(run, search), run).score


def check_search(run: run_directory.RunDirectory, space: network_lib.Network, dataset: str | None) -> None:
  """Refuses the directory of a search of another space, or on other images.

  Raises:
    ValueError: It is none, or of others; in one line.
  """
  if not run.flags.exists():
    raise ValueError(f'`evaluator={run.path}` is neither {config_lib.TRAIN!r} nor the directory of a search: there is no {run.flags.name}')
  searched = flags.read(run.flags, config_lib.SearchConfig).data.dataset
  if searched != dataset:
    raise ValueError(f'`evaluator={run.path}` is a search on {searched}, whose accuracies say nothing of `dataset={dataset}`')
  theirs = io.load_search_space(run.search_space)
  if io.digest(theirs) != io.digest(space):
    shapes = [f'{each.name} with input {files.shorten(each.input_shape)} and {each.classes} classes' for each in (theirs, space)]
    raise ValueError(f'`evaluator={run.path}` is a search of another space: {shapes[0]}, here {shapes[1]}'
                     + ', of the same names and other choices' * (shapes[0] == shapes[1]))
