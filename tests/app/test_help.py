"""--help of every main, as a user sees it: complete, under headings, with units, defaults and accepted values."""

import ast
import functools
import pathlib
import re
import subprocess
import sys

from absl import flags
import pytest

from tf_proxyless.app import device_flags
from tf_proxyless.app import help_text
from tf_proxyless.app import quantize_flags
from tf_proxyless.app import search_flags
from tf_proxyless.app import train_flags

ROOT = pathlib.Path(__file__).parents[2]
MODULES = {'tf_proxyless/search/__main__.py': 'tf_proxyless.search', 'tf_proxyless/train/__main__.py': 'tf_proxyless.train'}
MAINS = [*MODULES, *(f'tools/{path.name}' for path in sorted((ROOT / 'tools').glob('*.py')))]
STANDARD = {'android_benchmark': 'android_benchmark', 'litert_benchmark': 'tf_proxyless.deploy.litert_benchmark'}  # argparse's mains
SHARED = {  # statements by which mains define flags of other modules
    'search_flags.RUN.define(flags.FLAGS)': search_flags.RUN.define,
    'search_flags.define_space(flags.FLAGS)': search_flags.define_space,
    'train_flags.RUN.define(flags.FLAGS)': train_flags.RUN.define,
    'quantize_flags.RUN.define(flags.FLAGS)': quantize_flags.RUN.define,
    'device_flags.define(flags.FLAGS': device_flags.define,
}
# What numbers are of, besides counts of things that the help names.
UNITS = re.compile(
    r'\b(ms|seconds|percent|percentage points|degrees Celsius|pixels|MACs|multiply-adds|share|fraction|factor|exponent|weight|seed|'
    r'constant|learning rate|times|epochs?|passes|steps|images|batches|networks|channels|blocks|outputs|threads|trials|trainings|'
    r'interpreters|measurements|candidates|updates)\b', re.IGNORECASE)


@functools.cache
def shown(main, flag='--help'):
  """What a main prints."""
  command = ['-m', MODULES[main]] if main in MODULES else [main]
  result = subprocess.run([sys.executable, *command, flag], cwd=ROOT, capture_output=True, text=True, timeout=60)
  assert (result.stderr, result.returncode) == ('', 0)
  return result.stdout


def entries(text):
  """How each flag is written, and what is said of it."""
  found = re.findall(r'^  (--\S+)\n((?:      .*\n)+)', text, re.MULTILINE)
  return {usage: ' '.join(lines.split()) for usage, lines in found}


def names(text):
  return {re.sub(r'^--(\[no\])?', '', usage).partition('=')[0] for usage in entries(text)}


def defined(main):
  """Names of all flags of a main, from its source."""
  source = (ROOT / main).read_text(encoding='utf-8')
  calls = [node for node in ast.walk(ast.parse(source))
           if isinstance(node, ast.Call) and ast.unparse(node.func).startswith('flags.DEFINE_')]
  values = flags.FlagValues()
  for statement, define in SHARED.items():
    if statement in source:
      define(values)
  return {call.args[0].value for call in calls} | set(values)


@pytest.mark.parametrize('main', MAINS)
def test_every_flag_is_listed(main):
  own = defined(main)
  assert own, 'a main without flags is not what this test thinks'
  assert names(shown(main)) == own | {'flagfile', 'verbosity', 'help', 'helpfull'}


@pytest.mark.parametrize('main', MAINS)
def test_what_it_does_comes_first_and_what_every_command_has_last(main):
  text = shown(main)
  doc = ast.get_docstring(ast.parse((ROOT / main).read_text(encoding='utf-8')), clean=False)
  assert text.startswith(doc.strip('\n'))
  headings = re.findall(r'^\S.*:$', text.removeprefix(doc.strip('\n')), re.MULTILINE)
  assert headings[-1] == 'Every command:' and len(set(headings)) == len(headings) > 1


@pytest.mark.parametrize('main', MAINS)
def test_every_flag_is_explained(main):
  for usage, text in entries(shown(main)).items():
    sentence = re.sub(r' \([^()]*\)$', '', text)
    assert re.match(r"[A-Z'.]|search_space\.json", sentence), usage
    assert not sentence.startswith('Of '), f'{usage}: of what?'
    assert sentence.endswith('.') and '..' not in sentence, usage
    assert '<' not in text, f"{usage}: absl's way to list values"


@pytest.mark.parametrize('main', MAINS)
def test_every_flag_has_its_default_or_says_that_there_is_none(main):
  for usage, text in entries(shown(main)).items():
    if usage not in ('--help', '--helpfull'):
      assert re.search(r'default|[Rr]equired|instead|One of|Another of|several times', text), usage


@pytest.mark.parametrize('main', MAINS)
def test_every_number_has_a_unit(main):
  for usage, text in entries(shown(main)).items():
    if re.search(r'\((an integer|a number|integers)', text) and not usage.startswith('--verbosity'):
      assert UNITS.search(text), f'{usage}: {text}'


def test_lines_fit_a_terminal():
  for main in MAINS:
    docstring, _, rest = shown(main).partition('\nEvery command:')
    assert max(map(len, rest.splitlines())) <= 100


def test_helpfull_adds_the_flags_of_absl():
  plain, full = names(shown('tools/describe.py')), names(shown('tools/describe.py', '--helpfull'))
  assert plain < full and {'log_dir', 'pdb'} <= full - plain


@pytest.mark.parametrize('module', STANDARD.values(), ids=STANDARD)
def test_mains_without_absl(module):
  result = subprocess.run([sys.executable, '-m', module, '--help'], cwd=ROOT, capture_output=True, text=True, timeout=60)
  assert (result.stderr, result.returncode) == ('', 0)
  lines = [line for line in result.stdout.splitlines() if line.startswith('  --')]
  assert len(lines) >= 9
  for option, text in re.findall(r'^  (--\S+).*?(?:\s{2,}|\n\s+)(.*)', result.stdout, re.MULTILINE):
    assert text.strip(), option


@pytest.mark.parametrize('define, accepted, note', [
    (lambda values: flags.DEFINE_integer('x', 3, 'Steps.', lower_bound=1, flag_values=values), 'an integer, at least 1', 'default 3'),
    (lambda values: flags.DEFINE_float('x', None, 'Share.', lower_bound=0.0, upper_bound=1.0, flag_values=values), 'a number from 0 to 1',
     'not set by default'),
    (lambda values: flags.DEFINE_float('x', 4e-5, 'Factor.', upper_bound=2.5, flag_values=values), 'a number, at most 2.5',
     'default 4e-05'),
    (lambda values: flags.DEFINE_enum('x', 'a', ['a', 'b'], 'Which.', flag_values=values), 'one of a, b', 'default a'),
    (lambda values: flags.DEFINE_multi_string('x', [], 'Names.', flag_values=values), '', 'may be given several times; none by default'),
    (lambda values: flags.DEFINE_list('x', ['a', 'b'], 'Names.', flag_values=values), 'a comma separated list', 'default a,b'),
])
def test_accepted_values_and_defaults(define, accepted, note):
  values = flags.FlagValues()
  define(values)
  assert help_text.accepted(values['x']) == accepted
  expected = '; '.join(part for part in (accepted, note) if part)
  assert f'({expected})' in ' '.join(help_text.render(values, 'A main.').split())


def test_a_switch_says_how_it_is_turned_off():
  values = flags.FlagValues()
  flags.DEFINE_bool('fast', True, 'Whether to hurry.', flag_values=values)
  assert '  --[no]fast\n      Whether to hurry. (default yes)\n' in help_text.render(values, 'A main.')
