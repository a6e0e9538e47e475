"""Searches in this process: the real parts as the main puts them together, without its output."""

from __future__ import annotations

import os

from absl import flags

from tests.search import runs
from tf_proxyless.app import build_search
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import search_flags
from tf_proxyless.search import loop
from tf_proxyless.search import run_directory


def assemble(path: os.PathLike, *arguments: str, observer: loop.Observer | None = None) -> build_search.Assembled:
  """A search of `runs.TINY` with more flags, prepared to run in a directory."""
  values = flags.FlagValues()
  search_flags.RUN.define(values)
  values(['search', *runs.TINY, f'--run_dir={path}', *arguments])
  problem_lib.check_flags(values)
  run = run_directory.RunDirectory(path)
  run.create()
  source = build_search.open_source(values)
  plan = problem_lib.make(values, source.classes)
  build_search.write_inputs(values, plan, run)
  assembled = build_search.assemble(values, plan, source, run, observer or loop.Observer())
  assembled.search.prepare()
  return assembled
