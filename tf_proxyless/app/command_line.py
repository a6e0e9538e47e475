"""What every main shares: flags, flagfiles, and a user's mistakes told in one line before TensorFlow is loaded.

Differences from absl, each because a search started with the wrong setting costs hours:
  * A flag on the command line wins over a flagfile's wherever it stands, and a flagfile's own lines over those it includes.
  * A flagfile is looked for beside the file that includes it, in the current directory, and among the shipped configs.
  * ' # a comment' at the end of a line is a comment, not part of the value.
  * NaN, infinities and stray arguments are refused.
  * --help lists flags under headings; --helpfull has absl's own as well.
  * A mistyped flag or value is told what it may have been meant for.
  * --help exits with 0, a mistake with 2, Ctrl-C with 130.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import math
import os
import pathlib
import re
import sys
import traceback
from typing import Any

from absl import app
from absl import flags
from absl import logging

from tf_proxyless.app import help_text
from tf_proxyless.infra import files
from tf_proxyless.infra import resources
from tf_proxyless.infra import suggest

_FLAG = re.compile(r'--?[A-Za-z][\w-]{0,49}(?![\w-])', re.ASCII)  # what absl makes of long names takes long
_LONGEST_NAME = 4096  # of a file
_MAX_FLAGFILE_BYTES = 2**20
_MAX_INCLUSIONS = 16  # one below the other
_MAX_ARGUMENTS = 10_000  # files that include files twice each would be as many as one likes

MISTAKE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141


class UserError(ValueError):
  """A user's mistake, which the message explains in one line."""


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
  """Turns errors of what a user chose into `UserError`; for the part of a main that checks, loads and builds."""
  try:
    yield
  except UserError:
    raise
  except (ValueError, KeyError, TypeError, OSError) as error:
    raise UserError(_describe(error)) from error


def run(main: Callable[[Sequence[str]], int | None], positional: Sequence[str] = ()) -> None:
  """Parses the command line, runs a main and exits.

  Args:
    main: Takes what absl's mains take; returns an exit code or None. It raises `UserError`, or uses `user_errors`, for
      mistakes; any other exception is a defect and keeps its traceback. With --verbosity=1 mistakes show theirs too.
    positional: Names of the arguments that it needs besides flags, which it gets after the program's name.

  Raises:
    SystemExit: Always, with the exit code.
  """
  try:
    app.run(main, flags_parser=lambda argv: parse_flags(argv, positional))
  except UserError as error:
    if flags.FLAGS.is_parsed() and flags.FLAGS.verbosity > 0:
      traceback.print_exc()
    print(f'error: {_one_line(error)}', file=sys.stderr)
    sys.exit(MISTAKE)
  except KeyboardInterrupt:
    sys.exit(INTERRUPTED)
  except BrokenPipeError:  # the reader of stdout, for instance head, has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(PIPE_CLOSED)


def parse_flags(argv: Sequence[str], positional: Sequence[str] = ()) -> list[str]:
  """Parses a command line into absl's FLAGS.

  Args:
    argv: The program's name and its arguments.
    positional: Names of the arguments besides flags; others are refused.

  Returns:
    The program's name and these arguments.

  Raises:
    UserError: A flag or flagfile is not as it should be.
    SystemExit: With 0, after --help.
  """
  _define_help()
  try:
    remaining = flags.FLAGS([argv[0], *expand(argv[1:])])
  except flags.Error as error:
    raise UserError(_one_line(_explain(error))) from error
  except SystemExit:
    sys.exit(0)  # absl's --helpxml exits with 1
  if flags.FLAGS['verbosity'].using_default_value:
    flags.FLAGS.verbosity = logging.WARNING  # the default that --help states; absl would make it INFO
  if len(remaining) > 1 + len(positional):
    stray = remaining[1 + len(positional)]
    meant = [f'--{name}' for name in suggest.closest(stray.partition('=')[0], flags.FLAGS)] if '=' in stray else []
    raise UserError(f'unexpected argument {stray!r}; flags begin with --' + (f'; did you mean {suggest.either(meant)}?' if meant else ''))
  if len(remaining) <= len(positional):
    raise UserError(f'expected {" ".join(positional)}, got {" ".join(remaining[1:]) or "nothing"}')
  for name in flags.FLAGS:
    value = flags.FLAGS[name].value
    for item in value if isinstance(value, (list, tuple)) else [value]:
      if isinstance(item, float) and not math.isfinite(item):
        raise UserError(f'flag --{name}={item}: must be a finite number')
  return remaining


def require(values: flags.FlagValues, *names: str) -> None:
  """Refuses a command line that lacks one of these flags.

  Raises:
    ValueError: One is not given, or empty.
  """
  for name in names:
    if not values[name].value:
      raise ValueError(f'--{name} is required')


class _HelpFlag(flags.BooleanFlag):
  """Shows help and exits; in place of absl's flags of the same names."""

  def __init__(self, name: str, text: str, short_name: str | None = None):
    super().__init__(name, False, text, short_name, allow_override=True)

  def parse(self, argument: Any) -> None:
    if self._parse(argument):
      print(help_text.render(flags.FLAGS, sys.modules['__main__'].__doc__ or '', full=self.name == 'helpfull'), flush=True)
      sys.exit(0)


def _define_help() -> None:
  flags.DEFINE_flag(_HelpFlag('help', 'Shows what the command does, and its flags.', '?'))
  flags.DEFINE_flag(_HelpFlag('helpshort', 'The same as --help.'))
  flags.DEFINE_flag(_HelpFlag('helpfull', 'The same with the flags of absl, the library for flags.'))


def _explain(error: flags.Error) -> str:
  """What is wrong with a command line, and what may have been meant."""
  if isinstance(error, flags.UnrecognizedFlagError):
    switches = {f'no{name}' for name in flags.FLAGS if flags.FLAGS[name].boolean}
    known = switches if error.flagname.startswith('no') else set(flags.FLAGS)
    near = suggest.closest(error.flagname, sorted(known))
    meant = f'did you mean {suggest.either([f"--{name}" for name in near])}?' if near else '--help lists those that there are'
    return f'unknown flag --{error.flagname}; {meant}'
  found = re.match(r'flag --(\w+)=', str(error))
  if isinstance(error, flags.IllegalFlagValueError) and found and found[1] in flags.FLAGS:
    flag = flags.FLAGS[found[1]]
    value = str(error)[found.end():].removesuffix(f': {error.__context__}')
    choices = flag.parser.enum_values if isinstance(flag.parser, flags.EnumParser) else ()
    if help_text.accepted(flag):
      return f'flag --{flag.name}={value}: must be {help_text.accepted(flag)}{suggest.hint(value, choices)}'
  return str(error)


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
      raise UserError(f'more than {_MAX_ARGUMENTS} flags, in flagfiles that include others')
  return included + own


def _read(name: str, beside: pathlib.Path, including: tuple[pathlib.Path, ...]) -> list[str]:
  """Arguments of one flagfile and of those that it includes."""
  with user_errors():
    if len(including) >= _MAX_INCLUSIONS or len(name) > _LONGEST_NAME:
      raise ValueError(f'a flagfile has a name that is too long, or stands {_MAX_INCLUSIONS} files deep: {files.shorten(name)}')
    path = (beside / name if (beside / name).is_file() else resources.flagfile(name)).resolve()
    if path in including:
      raise ValueError(f'flagfile {path} includes itself')
    lines = files.read_text(path, _MAX_FLAGFILE_BYTES).splitlines()
  arguments = []
  for number, line in enumerate(lines, 1):
    text = re.sub(r'(^|\s)#.*|^\s*//.*', '', line).strip()
    if text and not _FLAG.match(text):
      raise UserError(f'{path}:{number}: not a flag: {files.shorten(text)}; flags begin with --')
    arguments += [text] if text else []
  return _expand(arguments, path.parent, (*including, path))


def _describe(error: Exception) -> str:
  if isinstance(error, OSError) and error.strerror:
    return f'{error.filename}: {error.strerror}' if error.filename else error.strerror
  if isinstance(error, KeyError) and error.args:
    return _one_line(error.args[0])  # str() of a KeyError is the repr of its message
  return _one_line(error)


def _one_line(message: Any) -> str:
  text = ' '.join(str(message).split())
  return ''.join(character if character.isprintable() else '?' for character in text)
