"""Flags made of configurations: names, flags.txt, identity, help. Files of the first edition still mean the same."""

import ast
import dataclasses
import json
import pathlib

import pytest

from tests import forks
from tf_proxyless.app import commands
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem
from tf_proxyless.infra import run_directory

ROOT = pathlib.Path(__file__).parents[2]
FIRST_EDITION = ROOT / 'tests' / 'golden' / 'run_v1'
RUNS = [config_lib.SearchConfig, config_lib.TrainConfig, config_lib.QuantizeConfig]


@dataclasses.dataclass(frozen=True)
class Inner(options.Config):
  steps: int = options.option(3, 'How many.', low=1)
  rates: tuple[int, ...] = options.option((1, 2), 'Which.')


@dataclasses.dataclass(frozen=True)
class Outer(options.Config):
  place: str | None = options.option(None, 'Where.', may_change=True)
  rate: float | None = options.option(None, 'How fast; see `steps`.', low=0.0, below=1.0, unit='ms')
  fast: bool = options.option(False, 'Whether.')
  color: str = options.option('red', 'Which.', choices=('red', 'green'))
  inner: Inner = options.group('Inside', Inner)


def test_a_run_of_the_first_edition_is_the_same_run():
  config = flags.read(FIRST_EDITION / 'flags.txt', config_lib.SearchConfig)
  later = {'--weight_sharing=separate', '--precision=float32', '--verify_images', '--noskip_unreadable',
           '--held_out_images=0.0', '--norecompute_activations'}  # options that there were not
  lines = flags.to_flagfile(config, problem.silent(config)).splitlines()
  assert [line for line in lines if line not in later] == (FIRST_EDITION / 'flags.txt').read_text().splitlines() and later < set(lines)
  known = json.loads((FIRST_EDITION / 'identity.json').read_text())['identity']
  assert known.keys() <= options.identity(config).keys() and run_directory.differences(known, options.identity(config)) == ''
  other = options.identity(options.replace(config, precision='mixed_float16'))
  assert run_directory.differences(known, other) == "precision was None, is now 'mixed_float16'"


@pytest.mark.parametrize('config_class', RUNS)
def test_what_is_written_is_read_back(config_class):
  config = flags.from_flagfile(['--seed=7', '--dataset=folder:/a b', '--batch_size=12', ''], config_class)
  assert (config.seed, config.data.dataset, config.data.batch_size) == (7, 'folder:/a b', 12)
  assert flags.from_flagfile(flags.to_flagfile(config).splitlines(), config_class) == config


@pytest.mark.parametrize('config_class', RUNS)
def test_the_same_place_is_the_same_run_however_it_is_spelled(config_class, tmp_path, monkeypatch):
  (tmp_path / 'photos').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'photos')
  monkeypatch.chdir(tmp_path)
  spellings = ('photos', 'photos/', './photos', 'link', f'{tmp_path}/photos/')
  configs = [flags.from_flagfile([f'--dataset=folder:{path}'], config_class) for path in spellings]
  assert {config.data.dataset for config in configs} == {f'folder:{tmp_path}/photos'}
  identity = options.identity(configs[0])
  earlier = {**identity, 'dataset': 'folder:photos/'}  # which kept what was typed
  assert run_directory.differences(earlier, identity) == ''
  assert 'dataset was' in run_directory.differences({**identity, 'dataset': 'folder:others'}, identity)


def test_paths_of_trainings_are_kept_whole_and_names_as_they_are(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  given = ['--init=before', '--search_dir=search/', '--data_dir=~/data']
  network = flags.from_flagfile(given, config_lib.TrainConfig).network
  assert (network.init, network.search_dir) == (f'{tmp_path}/before', f'{tmp_path}/search')
  assert flags.from_flagfile(['--init=supernet'], config_lib.TrainConfig).network.init == 'supernet'
  (tmp_path / 'phone.json').touch()
  found = [flags.from_flagfile([f'--latency_table={name}'], config_lib.SearchConfig).target.latency_table
           for name in ('./phone.json', 'host', 'absent.json')]
  assert found == [f'{tmp_path}/phone.json', 'host', 'absent.json']


def test_identity_leaves_out_what_may_change():
  first, second = (flags.from_flagfile([f'--place={place}', '--rate=0.5'], Outer) for place in 'ab')
  assert options.identity(first) == options.identity(second) == {
      'color': 'red', 'fast': False, 'rate': 0.5, 'rates': [1, 2], 'steps': 3}


def test_text_of_a_flagfile():
  config = options.make(Outer, {'fast': True, 'place': 'here', 'rates': [4]})
  assert flags.to_flagfile(config) == '--color=red\n--fast\n--place=here\n--rates=4\n--steps=3\n'


@pytest.mark.parametrize('lines, message', [(['--rat=1'], 'rat'), (['--steps=x'], '--steps=x'), (['--steps=0'], 'at least 1'),
                                            (['stray'], 'not a flag')])
def test_lines_that_are_no_flags_of_the_run_are_refused(lines, message):
  with pytest.raises(ValueError, match=f'flags.txt: .*{message}'):
    flags.from_flagfile(lines, Outer)


@pytest.mark.parametrize('values, error, message', [
    ({'rate': 1.0}, ValueError, '`rate` must be below 1, got 1'),
    ({'rate': -1}, ValueError, '`rate` must be at least 0, got -1'),
    ({'rate': float('nan')}, ValueError, '`rate` must be a finite number'),
    ({'rate': 'x'}, TypeError, "`rate` must be a number, at least 0, below 1, got 'x'"),
    ({'steps': 1.5}, TypeError, '`steps` must be an integer'),
    ({'steps': True}, TypeError, '`steps` must be an integer'),
    ({'fast': 1}, TypeError, '`fast` must be true or false'),
    ({'rates': ['a']}, TypeError, '`rates` must be integers'),
    ({'color': 'blue'}, ValueError, "`color` must be one of red, green, got 'blue'"),
    ({'colour': 'red'}, TypeError, "no setting 'colour'; did you mean 'color'?"),
])
def test_values_are_checked_in_python_too(values, error, message):
  with pytest.raises(error, match=message):
    options.make(Outer, values)


def test_replacing_reaches_into_groups():
  config = options.replace(Outer(), steps=5, place='x')
  assert (config.inner.steps, config.place) == (5, 'x')


def test_help_has_headings_bounds_units_and_defaults():
  text = flags.render(Outer, 'A command.')
  assert text.startswith('A command.\n\nOptions:\n  --place=PLACE\n      Where. (not set by default)\n')
  assert '  --rate=RATE\n      How fast; see --steps. (a number, at least 0, below 1; in ms; not set by default)\n' in text
  assert '  --[no]fast\n      Whether. (default no)\n' in text
  assert 'Inside:\n  --steps=STEPS\n      How many. (an integer, at least 1; default 3)\n' in text
  assert '(integers with commas between them; default 1,2)' in text and text.index('Inside:') < text.index('Every command:')


@pytest.mark.parametrize('name', commands.COMMANDS)
def test_help_of_every_command(name):
  result = forks.run('-m', 'tf_proxyless', name, '--help', kind='light')
  assert (result.stderr, result.returncode) == ('', 0)
  path = ROOT / 'tf_proxyless' / 'app' / 'commands' / f'{name.replace("-", "_")}.py'
  doc = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')), clean=False)
  assert result.stdout.startswith(doc.strip('\n')) and f'tf-proxyless {name} ' in doc + ' '
  assert '`' not in result.stdout.removeprefix(doc)


def test_the_list_of_commands():
  run = lambda *arguments: forks.run('-m', 'tf_proxyless', *arguments, kind='light')
  listed = run('--help')
  assert listed.returncode == 0 and all(f'  {name} ' in listed.stdout for name in commands.COMMANDS)
  assert run().stdout == listed.stdout
  wrong = run('serch')
  assert (wrong.returncode, wrong.stdout) == (2, '') and "unknown command 'serch'; did you mean 'search'?" in wrong.stderr
