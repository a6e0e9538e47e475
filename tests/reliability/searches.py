"""Searches in this process: the real parts as the main puts them together, without its output."""

from __future__ import annotations

import os

from tests.search import runs
from tf_proxyless.app import build_search
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import dataset
from tf_proxyless.app import flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.infra import distribution
from tf_proxyless.search import loop
from tf_proxyless.search import run_directory


def assemble(path: os.PathLike, *arguments: str, observer: loop.Observer | None = None,
             devices: distribution.Devices | None = None) -> build_search.SearchComponents:
  """A search of `runs.TINY` with more flags, prepared to run in a directory, on one device unless others are given."""
  config = flags.from_flagfile([*runs.TINY, f'--run_dir={path}', *arguments], config_lib.SearchConfig)
  config.check()
  if devices is not None:
    build_search.Methods.from_config(config).check_devices(config.data, devices)
  run = run_directory.RunDirectory(path)
  run.create()
  source = dataset.open_source(config.data.dataset, config.data)
  problem = problem_lib.SearchProblem.from_config(config, problem_lib.make_space(config.space, source.classes))
  build_search.write_inputs(config, problem, source, run)
  components = build_search.build_search(config, problem, source, run, observer or loop.Observer(), devices=devices)
  components.search.prepare()
  return components
