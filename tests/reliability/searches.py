"""Searches in this process: the real parts as the main puts them together, without its output."""

from __future__ import annotations

import os

from absl import flags

from tests.search import runs
from tf_proxyless.mains import assembly
from tf_proxyless.mains import plan as plan_lib
from tf_proxyless.mains import search_flags
from tf_proxyless.search import loop
from tf_proxyless.search import run_directory


def assemble(path: os.PathLike, *arguments: str, observer: loop.Observer | None = None) -> assembly.Assembled:
  """A search of `runs.TINY` with more flags, prepared to run in a directory."""
  values = flags.FlagValues()
  search_flags.RUN.define(values)
  values(['search', *runs.TINY, f'--run_dir={path}', *arguments])
  plan_lib.check_flags(values)
  run = run_directory.RunDirectory(path)
  run.create()
  source = assembly.open_source(values)
  plan = plan_lib.make(values, source.classes)
  assembly.write_inputs(values, plan, run)
  assembled = assembly.assemble(values, plan, source, run, observer or loop.Observer())
  assembled.search.prepare()
  return assembled
