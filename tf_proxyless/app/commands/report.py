r"""Writes the report of a search, one page for any browser; on request figures for papers, and the search as an animation.

  tf-proxyless report --run_dir=runs/mobile
  tf-proxyless report --run_dir=runs/mobile --compare=runs/mobile_gradient --model_cards=mobile/model_card.json --output=mobile.html
  tf-proxyless report --run_dir=runs/mobile --figures=figures --animation=history.gif

A search writes and refreshes RUN_DIR/report.html itself. The search may also be running, interrupted, or have just begun. Of files that
are damaged the report says so.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import progress
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.figures import animation
from tf_proxyless.report.figures import figures as figures_lib
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.search import run_directory


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  run_dir: str | None = options.option(None, 'Directory of a search.', required=True)
  compare: tuple[str, ...] = options.option((), 'Directories of other searches to show beside it, with commas between them.')
  model_cards: tuple[str, ...] = options.option(
      (), 'Cards of files that were made of its networks (MODEL_card.json, beside MODEL.tflite), with commas between them; those in the '
      'directory itself need not be named.')
  output: str | None = options.option(None, 'The page; by default RUN_DIR/report.html.')
  figures: str | None = options.option(None, 'Folder for figures, each as PNG and as SVG.')
  animation: str | None = options.option(None, 'The network and its probabilities, epoch by epoch: a .gif file, or with ffmpeg .mp4.')


def _check(config: Config) -> tuple[run_directory.RunDirectory, pathlib.Path]:
  """The run and the page to write."""
  config.require()
  for name in (config.run_dir, *config.compare):
    _check_run(run_directory.RunDirectory(name))
  for name in config.model_cards:
    if not os.path.isfile(name):
      raise ValueError(f'`model_cards`: there is no file {name!r}')
  run = run_directory.RunDirectory(config.run_dir)
  output = pathlib.Path(config.output) if config.output else run.report
  for name, path in (('output', output), ('animation', pathlib.Path(config.animation or output))):
    if not path.absolute().parent.is_dir():
      raise ValueError(f'`{name}`: there is no folder {str(path.parent)!r}')
  if config.animation:
    animation.check(config.animation)
  return run, output


def _check_run(run: run_directory.RunDirectory) -> None:
  if not run.path.is_dir():
    raise ValueError(f'there is no folder {str(run.path)!r}')
  if not any(os.path.lexists(file) for file in (run.flags, run.identity, run.status, run.history, run.search_space, run.checkpoints)):
    raise ValueError(f'{run.path} is not the directory of a search')


def main(config: Config) -> None:
  with errors.user_errors():
    run, output = _check(config)
    document = document_lib.document(run.path, config.compare, config.model_cards, headings=options.headings(config_lib.SearchConfig))
    files.write_atomically(output, page_lib.render(document))
    for found in document['runs']:
      for problem in found['problems']:
        print(f'warning: {found["name"]}: {problem}', file=sys.stderr)
    print(f'report                 {output}')
    if config.figures:
      for path in figures_lib.save_all(document, config.figures, progress.counter('figures')):
        print(f'figure                 {path}')
    if config.animation:
      animation.save(document, config.animation, progress.counter('animation'))
      print(f'animation              {config.animation}')
