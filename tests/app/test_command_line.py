"""What every main shares, run as a user runs it: a process, its output and its exit code."""

import pytest

from tests import forks

MAIN = '''
"""A main."""
import dataclasses
import sys
from tf_proxyless.app import command_line
from tf_proxyless.app import options
from tf_proxyless.infra import errors

@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  rate: float = options.option(0.1, 'A rate.', low=0)
  rates: tuple[float, ...] = options.option((), 'Rates.', repeated=True)
  steps: int = options.option(1, 'Steps.')
  color: str = options.option('red', 'A colour.', choices=('red', 'green', 'grey'))
  name: str = options.option('x', 'A name.')
  fast: bool = options.option(False, 'A switch.')
  throw: str = options.option('', 'What to raise.')
  throw_in_setup: str = options.option('', 'What to raise while setting up.')

def main(config):
  with errors.user_errors():
    if config.throw_in_setup == 'open':
      open('missing.txt')
    if config.throw_in_setup:
      raise eval(config.throw_in_setup)
  if config.throw:
    raise eval(config.throw)
  print(config.rate, config.steps, config.name, config.fast)
  return 3 if config.name == 'three' else None

if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
'''


@pytest.fixture
def main(tmp_path):
  (tmp_path / 'main.py').write_text(MAIN)

  def run(*arguments, cwd=tmp_path):
    return forks.run(tmp_path / 'main.py', *arguments, cwd=cwd, kind='light')

  return run


def check_mistake(result, message):
  """One line on stderr, nothing on stdout, exit code 2."""
  assert result.stderr.startswith('error: ') and result.stderr.count('\n') == 1, result.stderr
  assert message in result.stderr
  assert (result.stdout, result.returncode) == ('', 2)


def test_flags_and_exit_codes(main):
  result = main('--rate=0.5', '--fast', '--steps', '7')
  assert (result.stdout, result.stderr, result.returncode) == ('0.5 7 x True\n', '', 0)
  assert main('--name=three').returncode == 3


def test_command_line_wins_over_flagfile_wherever_it_stands(main, tmp_path):
  (tmp_path / 'a.flags').write_text('--rate=0.5\n--steps=7\n--fast\n')
  assert main('--flagfile=a.flags').stdout == '0.5 7 x True\n'
  assert main('--steps=9', '--nofast', '--flagfile=a.flags').stdout == '0.5 9 x False\n'
  assert main('--flagfile', 'a.flags', '--steps=9').stdout == '0.5 9 x True\n'
  (tmp_path / 'b.flags').write_text('--steps=8\n')
  assert main('--flagfile=a.flags', '--flagfile=b.flags').stdout == '0.5 8 x True\n'  # of two, the later wins


def test_a_flagfile_wins_over_those_it_includes_and_finds_them_beside_itself(main, tmp_path):
  folder = tmp_path / 'folder'
  folder.mkdir()
  (folder / 'outer.flags').write_text('--steps=8\n--flagfile=inner.flags\n')
  (folder / 'inner.flags').write_text('--steps=7\n--rate=0.5\n')
  assert main('--flagfile=folder/outer.flags').stdout == '0.5 8 x False\n'
  assert main(f'--flagfile={folder / "outer.flags"}', cwd='/').stdout == '0.5 8 x False\n'


def test_comments_and_blank_lines(main, tmp_path):
  (tmp_path / 'a.flags').write_text('# header\n// header\n\n  --rate=0.5  # a half\n--name=a#b//c\t# tab\n   # end\n')
  assert main('--flagfile=a.flags').stdout == '0.5 1 a#b//c False\n'


@pytest.mark.parametrize('content, message', [
    ('--steps=7\nsteps=8\n', "a.flags:2: not a flag: 'steps=8'"),
    ('--\n', "a.flags:1: not a flag: '--'"),
    ('--flagfile=a.flags\n', 'a.flags includes itself'),
    ('--flagfile=b.flags\n', "flagfile 'b.flags' is neither a file nor one of those shipped"),
    ('--stepz=8\n', 'unknown flag --stepz; did you mean --steps?'),
    (b'\xff', 'not UTF-8 text'),
])
def test_flagfiles_that_are_refused(main, tmp_path, content, message):
  (tmp_path / 'a.flags').write_bytes(content if isinstance(content, bytes) else content.encode())
  check_mistake(main('--flagfile=a.flags'), message)


@pytest.mark.parametrize('arguments, message', [
    (['--flagfile=no.flags'], "flagfile 'no.flags' is neither a file nor one of those shipped"),
    (['--flagfile'], "flagfile ''"),
    (['--flagfile=.'], "flagfile '.'"),
    (['--rate=nan'], 'flag --rate=nan: must be a finite number'),
    (['--rate=1e999'], 'flag --rate=1e999: must be a finite number'),
    (['--rates=1', '--rates=-inf'], 'flag --rates=-inf: must be a finite number'),
    (['--rate=-1'], 'flag --rate=-1: must be a number, at least 0'),
    (['--rate=x'], 'flag --rate=x: must be a number, at least 0'),
    (['--steps=1.5'], 'flag --steps=1.5: must be an integer'),
    (['--color=gren'], "flag --color=gren: must be one of red, green, grey; did you mean 'green' or 'grey'?"),
    (['--color=ultramarine'], 'flag --color=ultramarine: must be one of red, green, grey\n'),
    (['--fast=maybe'], 'flag --fast=maybe: must be true or false'),
    (['--nofas'], 'unknown flag --nofas; did you mean --nofast?'),
    (['--ultramarine'], 'unknown flag --ultramarine; --help lists those that there are'),
    (['step=2'], "unexpected argument 'step=2'; flags begin with --; did you mean --steps?"),
    (['--steps'], 'Missing value for flag --steps'),
    (['stray'], "unexpected argument 'stray'"),
    (['--steps=2', 'stray', '--rate=1'], "unexpected argument 'stray'"),
    (['--', '--steps=2'], "unexpected argument '--steps=2'"),
    (['--fast', 'true'], "unexpected argument 'true'"),
])
def test_command_lines_that_are_refused(main, arguments, message):
  check_mistake(main(*arguments), message)


@pytest.mark.parametrize('error, message', [
    ('open', 'error: missing.txt: No such file or directory\n'),
    ('ValueError("two\\nlines \\x1b[31m")', 'error: two lines ?[31m\n'),
    ('KeyError("no choice for \'x\'")', "error: no choice for 'x'\n"),
    ('TypeError("wrong")', 'error: wrong\n'),
    ('OSError("disk")', 'error: disk\n'),
    ('OSError(36, "File name too long", "/a" * 2500 + "/b")', f'error: {"/a" * 50}...{"/a" * 99}/b: File name too long\n'),
    ('errors.UserError("mine")', 'error: mine\n'),
    ('ValueError("`steps=3` and `other`")', 'error: --steps=3 and `other`\n'),
])
def test_mistakes_while_setting_up_are_one_line(main, error, message):
  result = main(f'--throw_in_setup={error}')
  assert (result.stderr, result.stdout, result.returncode) == (message, '', 2)


def test_verbosity_shows_the_traceback_of_a_mistake(main):
  result = main('--throw_in_setup=ValueError("mine")', '--verbosity=1')
  assert 'Traceback' in result.stderr and result.stderr.endswith('error: mine\n') and result.returncode == 2


@pytest.mark.parametrize('error, message, code', [
    ('errors.UserError("changed flags")', 'error: changed flags\n', 2), ('KeyboardInterrupt()', '', 130), ('BrokenPipeError()', '', 141)])
def test_what_ends_a_main_later_is_no_defect(main, error, message, code):
  result = main(f'--throw={error}')
  assert (result.stderr, result.stdout, result.returncode) == (message, '', code)


def test_defects_keep_their_traceback(main):
  result = main('--throw=ValueError("a defect")')
  assert 'Traceback' in result.stderr and 'ValueError: a defect' in result.stderr and result.returncode == 1
  result = main('--throw_in_setup=ZeroDivisionError("a defect")')
  assert 'Traceback' in result.stderr and result.returncode == 1


@pytest.mark.parametrize('flag', ['--help', '--helpfull', '--helpshort'])
def test_help_exits_with_0(main, flag):
  result = main(flag)
  assert 'A main.' in result.stdout and '--steps' in result.stdout
  assert (result.stderr, result.returncode) == ('', 0)
