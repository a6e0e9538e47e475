"""The files of a search."""

from __future__ import annotations

import pathlib

from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory


class RunDirectory(run_directory.RunDirectory):
  """Paths of a search's files, and its history."""

  def __init__(self, path: files.PathLike, writes: bool = True):
    super().__init__(path, writes)
    self.search_space = self.path / 'search_space.json'
    self.latency_table = self.path / 'latency_table.json'
    self.energy_table = self.path / 'energy_table.json'
    self.problem = self.path / 'problem.json'  # of a search whose space or costs were given as objects, or that has a designer
    self.latency_table_proof = self.path / 'latency_table_proof.json'  # of the target's table
    self.samples = self.path / 'samples.bin'
    self.derivation = self.path / 'derivation.json'
    self.front = self.path / 'front'  # what was derived under several limits
    self.report = self.path / 'report.html'
    self.trainings = self.path / 'trainings'  # of networks that a designer suggested
    self.predictor = self.path / 'predictor.json'  # fitted to these

  @property
  def tables(self) -> dict[str, pathlib.Path]:
    """Where copies of tables are, by the option that names one."""
    return {'latency_table': self.latency_table, 'energy_table': self.energy_table}

  @property
  def class_names(self) -> tuple[str, ...] | None:
    """The classes of its images, in the order of their labels; None of runs of earlier editions."""
    found = self.chosen('class_names')
    return tuple(found.split('\n')) if found else None

  @property
  def begun(self) -> bool:
    """Whether a run is here that has something to lose: a checkpoint, or trainings."""
    return super().begun or self.identity.exists() and self.trainings.is_dir()
