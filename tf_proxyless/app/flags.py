"""Flags that are made of a configuration's options; the only module that knows absl's flags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
import re
import sys
import textwrap
import types
from typing import Any, TypeVar

from absl import flags
from absl import logging

from tf_proxyless.app import flagfiles
from tf_proxyless.app import options
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import suggest

_Config = TypeVar('_Config', bound=options.Config)
_MAX_BYTES = 2**20
_FLAG = re.compile(r'--?[A-Za-z]\w{0,49}(=|$)', re.ASCII)  # what absl makes of long names takes long
_WIDTH = 100
_SHARED = {  # of every command
    'flagfile': ('--flagfile=FILE', 'File with a flag in each line; looked for beside the file that includes it, in the current directory, '
                 'and among those shipped. Flags on the command line win. (may be given several times)'),
    'verbosity': ('--verbosity=LEVEL', 'What is logged: -2 errors, -1 warnings too, 0 also what is being done, 1 everything, and where in '
                  'the code a mistake was noticed. (an integer; default -1)'),
    'help': ('--help', 'Shows this.'),
    'helpfull': ('--helpfull', 'Shows the flags of absl too, the library for flags.'),
}


def parse(config_class: type[_Config], argv: Sequence[str], doc: str = '') -> _Config:
  """The configuration that a command line says.

  Args:
    config_class: What the command takes.
    argv: The program's name and its arguments.
    doc: What the command does and how it is started, for --help.

  Raises:
    UserError: A flag or flagfile is not as it should be.
    SystemExit: With 0, after --help.
  """
  values, known = flags.FLAGS, options.options(config_class)
  _define(values, config_class)
  for name, text in (('help', '?'), ('helpshort', None), ('helpfull', None)):
    flags.DEFINE_flag(_HelpFlag(name, config_class, doc, text))
  rest = next((each.name for each in known.values() if each.rest), None)
  end = argv.index('--') if rest and '--' in argv else len(argv)
  try:
    _, *arguments = values([argv[0], *flagfiles.expand(argv[1:end])])
  except flags.Error as error:
    raise errors.UserError(errors.one_line(_explain(error, values))) from error
  except SystemExit:
    sys.exit(0)  # absl's --helpxml exits with 1
  if values['verbosity'].using_default_value:
    values.verbosity = logging.WARNING  # the default that --help states; absl would make it INFO
  for name in [each.name for each in known.values() if each.unnamed and values[each.name].using_default_value][:len(arguments)]:
    values[name].parse(arguments.pop(0))
  positional = [each.name for each in known.values() if each.positional]
  _check_positional(arguments, positional, known)
  given: dict[str, Any] = dict(zip(positional, arguments))
  if rest:
    given[rest] = tuple(argv[end + 1:])
  with errors.user_errors():
    return _to_config(values, config_class, given)


def names_as_flags(message: str, names: Collection[str]) -> str:
  """A message that has options in backquotes, `name` or `name=value`, with flags instead."""
  return re.sub(r'`(\w+)(=[^`]*)?`', lambda match: f'--{match[1]}{match[2] or ""}' if match[1] in names else match[0], message)


def read(path: files.PathLike, config_class: type[_Config]) -> _Config:
  """The configuration in a run's flags.txt.

  Raises:
    ValueError: A line is not a flag of such a run, or the file is none.
    OSError: The file cannot be read.
  """
  try:
    earlier = {name: each.earlier for name, each in options.options(config_class).items() if each.earlier is not None}
    return from_flagfile(files.read_text(path, _MAX_BYTES).splitlines(), config_class, earlier)
  except (ValueError, TypeError) as error:
    raise ValueError(files.one_line(str(error))) from error


def read_named(name: str, config_class: type[_Config]) -> _Config:
  """The configuration that a flagfile says by itself, with those that it includes; one beside us, or shipped.

  Raises:
    ValueError: In one line, which file and what is wrong.
  """
  try:
    return from_flagfile(flagfiles.expand([f'--flagfile={name}']), config_class)
  except errors.UserError:
    raise
  except ValueError as error:
    raise ValueError(f'{name}: {str(error).removeprefix("flags.txt: ")}') from error


def from_arguments(arguments: Sequence[str], config_class: type[_Config]) -> _Config:
  """The configuration that arguments would say on a command line of their own.

  Raises:
    ValueError: A flag or flagfile is not as it should be; in one line.
  """
  values = flags.FlagValues()
  _define(values, config_class)
  try:
    _, *others = values(['', *flagfiles.expand(arguments)])
  except flags.Error as error:
    raise ValueError(errors.one_line(_explain(error, values))) from error
  _check_positional(others, [], options.options(config_class))
  return _to_config(values, config_class, {})


def from_flagfile(lines: Iterable[str], config_class: type[_Config], defaults: Mapping[str, Any] = types.MappingProxyType({})) -> _Config:
  """The configuration in the lines of a flagfile.

  Args:
    lines: Lines of the file.
    config_class: What it configures.
    defaults: By option, where they are others than those of the options.

  Raises:
    ValueError: A line is not a flag of such a run.
  """
  values = flags.FlagValues()
  _define(values, config_class)
  for name, value in defaults.items():
    values.set_default(name, value)
  given = [line.strip() for line in lines if line.strip()]
  wrong = [line for line in given if not _FLAG.match(line)]
  if wrong:
    raise ValueError(f'flags.txt: not a flag: {files.shorten(wrong[0])}')
  try:
    _, *others = values(['flags.txt', *given])
  except flags.Error as error:
    raise ValueError(f'flags.txt: {error}') from error
  if others:
    raise ValueError(f'flags.txt: not a flag: {others[0]!r}')
  return _to_config(values, config_class, {})


def to_flagfile(config: options.Config, without: Collection[str] = ()) -> str:
  """The options that are set, but for those that say nothing here, as the text of a flagfile that repeats the run."""
  return ''.join(_to_flag(name, value) + '\n' for name, value in sorted(options.flat(config).items())
                 if value not in (None, ()) and name not in without)


def _to_flag(name: str, value: Any) -> str:
  if isinstance(value, bool):
    return f'--{name}' if value else f'--no{name}'
  return f'--{name}={",".join(map(str, value)) if isinstance(value, tuple) else value}'


def _to_config(values: flags.FlagValues, config_class: type[_Config], given: dict[str, Any]) -> _Config:
  for name, each in options.options(config_class).items():
    if each.is_flag:
      value = values[name].value
      given[name] = tuple(value) if isinstance(value, list) else value
  return options.make(config_class, given)


class _Parser(flags.ArgumentParser):
  """Text to the value of an option."""

  def __init__(self, option: options.Option):
    self._option = option

  def parse(self, argument: Any) -> Any:
    if not isinstance(argument, str):  # a default
      return argument
    option = self._option
    try:
      if option.several and not option.repeated:
        value = tuple(option.kind(item.strip()) for item in argument.split(',')) if argument else ()
      else:
        value = option.kind(argument)
    except (ValueError, OverflowError):
      raise ValueError(f'must be {option.accepted()}') from None
    try:
      option.check((value,) if option.repeated else value)
    except ValueError as error:
      finite = 'finite' in str(error)
      raise ValueError('must be a finite number' if finite else
                       f'must be {option.accepted()}{suggest.hint(argument, map(str, option.choices))}') from None
    return value


def _define(values: flags.FlagValues, config_class: type[options.Config]) -> None:
  known = options.options(config_class)
  for name, option in known.items():
    text = names_as_flags(option.help, known)
    if not option.is_flag:
      continue
    if option.kind is bool:
      flags.DEFINE_boolean(name, option.default, text, flag_values=values)
    elif option.repeated:
      flags.DEFINE_multi(_Parser(option), flags.ArgumentSerializer(), name, list(option.default), text, flag_values=values)
    else:
      flags.DEFINE(_Parser(option), name, option.default, text, flag_values=values, serializer=flags.ArgumentSerializer())


def _check_positional(arguments: Sequence[str], positional: Sequence[str], known: Collection[str]) -> None:
  if len(arguments) > len(positional):
    stray = arguments[len(positional)]
    meant = [f'--{name}' for name in suggest.closest(stray.partition('=')[0], known)] if '=' in stray else []
    raise errors.UserError(f'unexpected argument {stray!r}; flags begin with --'
                           + (f'; did you mean {suggest.either(meant)}?' if meant else ''))
  if len(arguments) < len(positional):
    raise errors.UserError(f'expected {" ".join(positional).upper()}, got {" ".join(arguments) or "nothing"}')


def _explain(error: flags.Error, values: flags.FlagValues) -> str:
  """What is wrong with a command line, and what may have been meant."""
  if isinstance(error, flags.UnrecognizedFlagError):
    switches = {f'no{name}' for name in values if values[name].boolean}
    near = suggest.closest(error.flagname, sorted(switches if error.flagname.startswith('no') else set(values)))
    meant = f'did you mean {suggest.either([f"--{name}" for name in near])}?' if near else '--help lists those that there are'
    return f'unknown flag --{error.flagname}; {meant}'
  found = re.match(r'flag --(\w+)=', str(error))
  if isinstance(error, flags.IllegalFlagValueError) and found and values[found[1]].boolean:
    return f'{str(error).removesuffix(f": {error.__context__}")}: must be true or false'
  return str(error)


class _HelpFlag(flags.BooleanFlag):
  """Shows help and exits; in place of absl's flags of the same names."""

  def __init__(self, name: str, config_class: type[options.Config], doc: str, short_name: str | None):
    super().__init__(name, False, 'Shows what the command does, and its flags.', short_name, allow_override=True)
    self._config_class, self._doc = config_class, doc

  def parse(self, argument: Any) -> None:
    if self._parse(argument):
      print(render(self._config_class, self._doc, full=self.name == 'helpfull'), flush=True)
      sys.exit(0)


def render(config_class: type[options.Config], doc: str, full: bool = False) -> str:
  """The text of --help.

  Args:
    config_class: What the command takes.
    doc: What it does and how it is started.
    full: Whether absl's own flags are listed too.
  """
  known = options.options(config_class)
  sections: dict[str, list[tuple[str, str]]] = {}
  for option in known.values():
    if option.is_flag:
      text, note = names_as_flags(option.help, known), _note(option)
      sections.setdefault(option.heading, []).append((_usage(option), f'{text} ({note})' if note else text))
  sections['Every command'] = list(_SHARED.values())
  if full:
    absl = [flag for module, found in flags.FLAGS.flags_by_module_dict().items() if module.startswith('absl') for flag in found]
    sections['Of absl'] = [(f'--{"[no]" * flag.boolean}{flag.name}', ' '.join((flag.help or '').split()))
                           for flag in absl if flag.name not in _SHARED]
  return '\n\n'.join([doc.strip('\n'), *(_section(heading, entries) for heading, entries in sections.items())])


def _section(heading: str, entries: Iterable[tuple[str, str]]) -> str:
  lines = [f'{heading}:']
  for usage, text in entries:
    lines += [f'  {usage}', *textwrap.wrap(text, _WIDTH, initial_indent=' ' * 6, subsequent_indent=' ' * 6, break_on_hyphens=False)]
  return '\n'.join(lines)


def _usage(option: options.Option) -> str:
  """The flag as it is written on a command line."""
  if option.kind is bool:
    return f'--[no]{option.name}'
  value = option.name.rpartition('_')[2].upper()
  return f'[--{option.name}=]{value}' if option.unnamed else f'--{option.name}={value}'


def _note(option: options.Option) -> str:
  """Accepted values, unit and default, or that it is required."""
  parts = [] if option.kind is bool else [option.accepted()]
  parts += [f'in {option.unit}'] if option.unit else []
  parts += ['may be given several times'] if option.repeated else []
  if option.required:
    parts.append('required')
  elif option.default == ():
    parts.append('none by default')
  elif option.default is not None:
    parts.append(f'default {_default(option.default)}')
  elif not any(word in option.help for word in ('default', 'equired', 'One of', 'Another of', 'instead')):
    parts.append('not set by default')
  return '; '.join(part for part in parts if part)


def _default(value: Any) -> str:
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  if isinstance(value, tuple):
    return ','.join(map(str, value))
  return f'{value:g}' if isinstance(value, float) else str(value) or "''"
