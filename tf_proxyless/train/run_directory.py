"""The files of a training."""

from __future__ import annotations

from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory


class RunDirectory(run_directory.RunDirectory):
  """Paths of a training's files, and its history."""

  def __init__(self, path: files.PathLike, writes: bool = True):
    super().__init__(path, writes)
    self.model = self.path / 'model.keras'
    self.results = self.path / 'results.json'
