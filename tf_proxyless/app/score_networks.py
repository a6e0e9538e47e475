"""Scores given networks with the weights of a finished search, as a derivation by validation scores its candidates.

  python -m tf_proxyless.app.score_networks --run_dir=DIR --networks=a.json,b.json --output=scores.json
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from tf_proxyless.app import command_line
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import schema

_SCORES = 'network_scores'


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  run_dir: str | None = options.option(None, 'Directory of a finished search.', required=True)
  networks: tuple[str, ...] = options.option((), 'Architectures of its space, with commas between them.', required=True)
  output: str | None = options.option(None, 'Where to write the accuracies, a JSON file.', required=True)
  data_dir: str | None = options.option(None, 'Where tensorflow-datasets keeps datasets now; by default where the search found them.')


def read(path: files.PathLike) -> dict[str, float]:
  """Accuracies by the file of the network.

  Raises:
    ValueError: The file does not say so.
    OSError: It cannot be read.
  """
  return files.read_numbers(path, _SCORES, 'accuracies')


def main(config: Config) -> None:
  with errors.user_errors():
    config.require()
    run = run_directory.RunDirectory(config.run_dir)
    space = io.load_search_space(run.search_space)
    paths = np.array([schema.path_of(space, io.load_architecture(name).genotype) for name in config.networks], np.int32)
  stderr_lib.load_tensorflow()
  from tf_proxyless.app import build_search

  with errors.user_errors():
    search = problem_lib.read_config(run, config.data_dir)
    components = build_search.restore_components(search, problem_lib.restore(run, search), run)
    accuracies = dict(zip(config.networks, components.score_fine_tuned(paths).tolist(), strict=True))
    files.write_json(config.output, _SCORES, {'accuracies': accuracies})


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
