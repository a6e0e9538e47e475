"""What --help says: a main's docstring, and its flags under headings, each with the values that it takes and its default."""

from __future__ import annotations

from collections.abc import Iterable
import textwrap
from typing import Any

from absl import flags

from tf_proxyless.app import flag_headings

_OWN = 'Flags'  # heading of those that the main itself defines
_SHARED = {  # of every command
    'flagfile': ('--flagfile=FILE', 'File with a flag in each line; looked for beside the file that includes it, in the current directory, '
                 'and among those shipped. Flags on the command line win. (may be given several times)'),
    'verbosity': ('--verbosity=LEVEL', 'What is logged: -2 errors, -1 warnings too, 0 also what is being done, 1 everything, and where in '
                  'the code a mistake was noticed. (an integer; default -1)'),
    'help': ('--help', 'Shows this.'),
    'helpfull': ('--helpfull', 'Shows the flags of absl too, the library for flags.'),
}
_WIDTH = 100


def render(values: flags.FlagValues, doc: str, full: bool = False) -> str:
  """The text of --help.

  Args:
    values: All flags.
    doc: What the main does and how it is started.
    full: Whether absl's flags are listed too, for --helpfull.
  """
  sections = {heading: [_describe(values[name]) for name in names] for heading, names in _groups(values).items()}
  sections['Every command'] = list(_SHARED.values())
  if full:
    sections['Of absl'] = [_describe(flag) for flag in _absl_flags(values)]
  return '\n\n'.join([doc.strip('\n'), *(_section(heading, entries) for heading, entries in sections.items() if entries)])


def accepted(flag: flags.Flag) -> str:
  """What a flag's value must be, for instance 'an integer, at least 1'; '' if any text will do."""
  parser = flag.parser
  if isinstance(parser, flags.EnumParser):
    return f'one of {", ".join(parser.enum_values)}'
  if flag.boolean:
    return 'true or false'
  if isinstance(parser, (flags.IntegerParser, flags.FloatParser)):
    kind = 'an integer' if isinstance(parser, flags.IntegerParser) else 'a number'
    low, high = parser.lower_bound, parser.upper_bound
    if low is not None and high is not None:
      return f'{kind} from {low:g} to {_bound(high)}'
    return kind + (f', at least {low:g}' if low is not None else '') + (f', at most {_bound(high)}' if high is not None else '')
  return parser.syntactic_help


def _bound(value: float) -> str:
  return f'{value:,}' if isinstance(value, int) else f'{value:g}'


def _absl_flags(values: flags.FlagValues) -> list[flags.Flag]:
  found = [flag for module, flags_of_module in values.flags_by_module_dict().items() if module.startswith('absl')
           for flag in flags_of_module]
  return [flag for flag in found if flag.name not in _SHARED]


def _groups(values: flags.FlagValues) -> dict[str, list[str]]:
  """Names of our flags by heading, those of the main itself first."""
  headed = flag_headings.headings(values)
  others = {*_SHARED, 'helpshort', *(flag.name for flag in _absl_flags(values)), *(name for names in headed.values() for name in names)}
  return {_OWN: [name for name in values if name == values[name].name and name not in others], **headed}


def _section(heading: str, entries: Iterable[tuple[str, str]]) -> str:
  lines = [f'{heading}:']
  for usage, text in entries:
    lines += [f'  {usage}', *textwrap.wrap(text, _WIDTH, initial_indent=' ' * 6, subsequent_indent=' ' * 6, break_on_hyphens=False)]
  return '\n'.join(lines)


def _describe(flag: flags.Flag) -> tuple[str, str]:
  """How a flag is written, and what it means."""
  text = ' '.join((flag.help or '').split())
  if isinstance(flag.parser, flags.EnumParser):
    text = text.removeprefix(f'<{"|".join(flag.parser.enum_values)}>: ')  # absl's
  text = text.removesuffix('; repeat this option to specify a list of values')  # absl's, too
  note = _note(flag)
  return _usage(flag), f'{text} ({note})' if note else text


def _usage(flag: flags.Flag) -> str:
  """The flag as it is written on a command line."""
  if flag.boolean:
    return f'--[no]{flag.name}'
  return f'--{flag.name}={flag.name.rpartition("_")[2].upper()}'


def _note(flag: flags.Flag) -> str:
  """Accepted values and default, as far as the help itself does not say them."""
  text = flag.help or ''
  parts = [] if flag.boolean else [accepted(flag)]
  if isinstance(flag, flags.MultiFlag):
    parts.append('may be given several times')
  if flag.default == []:
    parts.append('none by default')
  elif flag.default is not None:
    parts.append(f'default {_default(flag.default)}')
  elif not any(word in text for word in ('default', 'required', 'Required', 'instead', 'One of')):
    parts.append('not set by default')
  return '; '.join(part for part in parts if part)


def _default(value: Any) -> str:
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  if isinstance(value, (list, tuple)):
    return ','.join(map(str, value))
  return f'{value:g}' if isinstance(value, float) else str(value) or "''"
