"""Opens the dataset of a command: says what was understood of it, and finds what is wrong with it before anything else is done."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.data import verification
from tf_proxyless.infra import distribution
from tf_proxyless.infra import files
from tf_proxyless.infra import progress
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import versions


class Options(Protocol):
  """What a command says of its dataset; see `config.DataConfig`."""

  @property
  def data_dir(self) -> str | None: ...

  @property
  def download(self) -> bool: ...

  @property
  def verify_images(self) -> bool: ...

  @property
  def skip_unreadable(self) -> bool: ...


def open_source(name: str | None, options: Options, run: run_directory.RunDirectory | None = None) -> sources.Source:
  """The dataset, whose images can be read; a table of what was understood goes to stderr.

  Args:
    name: See `sources.open_dataset`.
    options: How it is opened.
    run: Whose directory shall keep which images were skipped.

  Raises:
    ValueError: It cannot be opened, or images cannot be read.
  """
  with progress.working(f'opening {name}'):
    source = sources.open_dataset(name or '', options.data_dir, options.download)
  for heading, text in source.rows:
    print(f'{heading:<22} {text}', file=sys.stderr)
  if not options.verify_images:
    return source
  found = verification.verify(source, options.skip_unreadable)
  if found.skipped:
    print(f'{"skipped":<22} {_count(len(found.skipped))} that cannot be read', file=sys.stderr)
    if run is not None and run.writes:
      files.write_json(run.skipped_images, 'skipped_images', {'images': [files.one_line(os.fsdecode(image)) for image in found.skipped]})
  if found.duplicates:
    print(f'warning: {_count(found.duplicates)} to validate or test on equal training images, for instance {found.example}',
          file=sys.stderr)
  return found.source


def check_workers(devices: distribution.Devices, run: run_directory.RunDirectory, split: splits.Split, settings: object) -> None:
  """Refuses workers that are not about to continue the same run on the same images.

  Args:
    devices: The devices that share the steps.
    run: The directory, which all read.
    split: The images.
    settings: Options of the run, as JSON values.

  Raises:
    ValueError: In one line, who differs in what.
  """
  devices.check_equal(settings=settings, images=(split.dataset, len(split.training), split.validation.tolist()),
                      versions=versions.installed(), checkpoint=run.newest_checkpoint())


def _count(images: int) -> str:
  return f'{images:,} image{"s" * (images != 1)}'
