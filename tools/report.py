r"""Writes the report of a search, one page for any browser; on request figures for papers, and the search as an animation.

  python tools/report.py --run_dir=runs/mobile
  python tools/report.py --run_dir=runs/mobile --compare=runs/mobile_gradient --model_cards=mobile/model_card.json --output=mobile.html
  python tools/report.py --run_dir=runs/mobile --figures=figures --animation=history.gif

A search writes and refreshes RUN_DIR/report.html itself. The search may also be running, interrupted, or have just begun. Of files that
are damaged the report says so.
"""

from __future__ import annotations

import os
import pathlib
import sys

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import progress
from tf_proxyless.infra import files
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.figures import animation
from tf_proxyless.report.figures import figures as figures_lib
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.search import run_directory

_RUN_DIR = flags.DEFINE_string('run_dir', None, 'Directory of a search. Required.')
_COMPARE = flags.DEFINE_list('compare', [], 'Directories of other searches to show beside it, with commas between them.')
_MODEL_CARDS = flags.DEFINE_list('model_cards', [], 'Cards of files that were made of its networks (MODEL_card.json, beside MODEL.tflite), '
                                 'with commas between them; those in the directory itself need not be named.')
_OUTPUT = flags.DEFINE_string('output', None, 'The page; by default RUN_DIR/report.html.')
_FIGURES = flags.DEFINE_string('figures', None, 'Folder for figures, each as PNG and as SVG.')
_ANIMATION = flags.DEFINE_string('animation', None, 'The network and its probabilities, epoch by epoch: a .gif file, or with ffmpeg .mp4.')


def _check() -> tuple[run_directory.RunDirectory, pathlib.Path]:
  """The run and the page to write."""
  if not _RUN_DIR.value:
    raise ValueError('--run_dir is required')
  for name in (_RUN_DIR.value, *_COMPARE.value):
    _check_run(run_directory.RunDirectory(name))
  for name in _MODEL_CARDS.value:
    if not os.path.isfile(name):
      raise ValueError(f'--model_cards: there is no file {name!r}')
  run = run_directory.RunDirectory(_RUN_DIR.value)
  output = pathlib.Path(_OUTPUT.value) if _OUTPUT.value else run.report
  for flag, path in (('output', output), ('animation', pathlib.Path(_ANIMATION.value or output))):
    if not path.absolute().parent.is_dir():
      raise ValueError(f'--{flag}: there is no folder {str(path.parent)!r}')
  if _ANIMATION.value:
    animation.check(_ANIMATION.value)
  return run, output


def _check_run(run: run_directory.RunDirectory) -> None:
  if not run.path.is_dir():
    raise ValueError(f'there is no folder {str(run.path)!r}')
  if not any(os.path.lexists(file) for file in (run.flags, run.identity, run.status, run.history, run.search_space, run.checkpoints)):
    raise ValueError(f'{run.path} is not the directory of a search')


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    run, output = _check()
    document = document_lib.document(run.path, _COMPARE.value, _MODEL_CARDS.value)
    files.write_atomically(output, page_lib.render(document))
    for found in document['runs']:
      for problem in found['problems']:
        print(f'warning: {found["name"]}: {problem}', file=sys.stderr)
    print(f'report                 {output}')
    if _FIGURES.value:
      for path in figures_lib.save_all(document, _FIGURES.value, progress.counter('figures')):
        print(f'figure                 {path}')
    if _ANIMATION.value:
      animation.save(document, _ANIMATION.value, progress.counter('animation'))
      print(f'animation              {_ANIMATION.value}')


if __name__ == '__main__':
  command_line.run(main)
