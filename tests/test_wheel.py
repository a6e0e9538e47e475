"""The wheel in a directory of its own: the command tf-proxyless and all that is shipped, without a clone.

The packages that it needs are those of this environment: what pip would fetch is not tested here.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.search import runs

ROOT = pathlib.Path(__file__).parents[1]
PARTS = ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'tf_proxyless', 'android_benchmark', 'configs')


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
  folder = tmp_path_factory.mktemp('wheel')
  source = folder / 'source'
  source.mkdir()
  for name in PARTS:
    copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
    copy(ROOT / name, source / name)
  pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
  subprocess.run([*pip, 'wheel', str(source), '--no-deps', '--no-build-isolation', '--wheel-dir', str(folder)], check=True)
  wheel, = folder.glob('*.whl')
  subprocess.run([*pip, 'install', str(wheel), '--no-deps', '--target', str(folder / 'installed')], check=True)
  return folder / 'installed'


def start(installed, cwd, *command):
  return subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=1500,
                        env={**os.environ, 'PYTHONPATH': str(installed), 'XDG_CACHE_HOME': str(cwd / 'cache')})


def run(installed, cwd, *arguments):
  return start(installed, cwd, installed / 'bin' / 'tf-proxyless', *arguments)


@pytest.mark.long
def test_everything_that_is_no_code_is_in_the_wheel(installed):
  there = {path.relative_to(ROOT).as_posix() for pattern in ('*.css', '*.js', '*.json') for path in (ROOT / 'tf_proxyless').rglob(pattern)}
  assert 'tf_proxyless/report/drawing/picture.css' in there
  assert not [name for name in there if not (installed / name).is_file()]
  shipped = {path.relative_to(ROOT / 'configs').as_posix() for path in (ROOT / 'configs').rglob('*.*')}
  assert not [name for name in shipped if not (installed / 'tf_proxyless' / 'configs' / name).is_file()]


def test_commands_of_the_wheel(installed, tmp_path):
  assert 'import-torch-weights' in run(installed, tmp_path, '--help').stdout
  described = run(installed, tmp_path, 'describe', '--architecture=proxyless_mobile', '--latency_table=pixel2_int8_estimate')
  assert described.returncode == 0 and '320.43 M MACs' in described.stdout, described.stderr
  refused = run(installed, tmp_path, 'search', '--flagfile=mobile.flags', '--batch_size=0')
  assert (refused.returncode, refused.stderr) == (2, 'error: flag --batch_size=0: must be an integer, at least 1\n')


@pytest.mark.long
def test_every_command_has_help(installed, tmp_path):
  from tf_proxyless.app import commands

  listed = run(installed, tmp_path, '--help').stdout
  for name in commands.COMMANDS:
    assert name in listed
    found = run(installed, tmp_path, name, '--help')
    assert found.returncode == 0 and '--' in found.stdout and not found.stderr, name


@pytest.mark.long
def test_the_public_face_and_a_search_with_its_report(installed, tmp_path):
  code = 'import tf_proxyless as nas; print(nas.__file__); print(nas.costs.macs(nas.spaces.proxyless()).largest)'
  assert start(installed, tmp_path, '-c', code).stdout.startswith(str(installed))
  found = run(installed, tmp_path, 'search', *runs.TINY, '--run_dir=run', '--data_dir=data')
  assert found.returncode == 0, found.stderr[-2000:]
  assert (tmp_path / 'run' / 'report.html').stat().st_size > 10_000
  drawn = run(installed, tmp_path, 'report', '--run_dir=run', '--figures=figures')
  assert drawn.returncode == 0 and (tmp_path / 'figures' / 'network.svg').is_file(), drawn.stderr[-2000:]


@pytest.mark.by_hand
@pytest.mark.timeout(1800)
def test_the_quickstart(installed, tmp_path):
  """A short search by a flagfile that begins with the shipped one; training as shipped, since the int8 file of a network that has learned
  little does not agree with it, and is refused."""
  (tmp_path / 'short.flags').write_text('--flagfile=quickstart.flags\n--warmup_epochs=2\n--search_epochs=3\n--scored_networks=50\n')
  found = run(installed, tmp_path, 'quickstart', '--work_dir=quickstart', '--data_dir=data', '--cache_dir=cache',
              '--flagfile_search=short.flags')
  assert found.returncode == 0, found.stderr[-2000:]
