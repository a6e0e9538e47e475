"""Flagfiles: a file with a flag in each line stands for those flags.

Differences from absl, each because a search started with the wrong setting costs hours:
  * A flag on the command line wins over a flagfile's wherever it stands, and a flagfile's own lines over those it includes.
  * A flagfile is looked for beside the file that includes it, in the current directory, and among the shipped configs.
  * ' # a comment' at the end of a line is a comment, not part of the value.
"""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
import re

from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import resources

_FLAG = re.compile(r'--?[A-Za-z][\w-]{0,49}(?![\w-])', re.ASCII)  # what absl makes of long names takes long
_LONGEST_NAME = 4096  # of a file
_MAX_BYTES = 2**20
_MAX_INCLUSIONS = 16  # one below the other
_MAX_ARGUMENTS = 10_000  # files that include files twice each would be as many as one likes


def expand(arguments: Sequence[str]) -> list[str]:
  """Arguments with those of flagfiles in place of --flagfile; later ones win, so files stand before the others.

  Raises:
    UserError: A flagfile is not as it should be.
  """
  return _expand(arguments, pathlib.Path(), ())


def _expand(arguments: Sequence[str], beside: pathlib.Path, including: tuple[pathlib.Path, ...]) -> list[str]:
  """Arguments without --flagfile: first those of the files, then the others, which so win."""
  included, own = [], []
  remaining = iter(arguments)
  for argument in remaining:
    if argument == '--':
      own += [argument, *remaining]
    elif re.fullmatch('--?flagfile', argument):
      included += _read(next(remaining, ''), beside, including)
    elif match := re.match('--?flagfile=', argument):
      included += _read(argument[match.end():], beside, including)
    else:
      own.append(argument)
    if len(included) + len(own) > _MAX_ARGUMENTS:
      raise errors.UserError(f'more than {_MAX_ARGUMENTS} flags, in flagfiles that include others')
  return included + own


def _read(name: str, beside: pathlib.Path, including: tuple[pathlib.Path, ...]) -> list[str]:
  """Arguments of one flagfile and of those that it includes."""
  with errors.user_errors():
    if len(including) >= _MAX_INCLUSIONS or len(name) > _LONGEST_NAME:
      raise ValueError(f'a flagfile has a name that is too long, or stands {_MAX_INCLUSIONS} files deep: {files.shorten(name)}')
    path = (beside / name if (beside / name).is_file() else resources.flagfile(name)).resolve()
    if path in including:
      raise ValueError(f'flagfile {path} includes itself')
    lines = files.read_text(path, _MAX_BYTES).splitlines()
  arguments = []
  for number, line in enumerate(lines, 1):
    text = re.sub(r'(^|\s)#.*|^\s*//.*', '', line).strip()
    if text and not _FLAG.match(text):
      raise errors.UserError(f'{path}:{number}: not a flag: {files.shorten(text)}; flags begin with --')
    arguments += [text] if text else []
  return _expand(arguments, path.parent, (*including, path))
