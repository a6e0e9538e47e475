"""The wheel in a directory of its own: the command tf-proxyless and the shipped configurations, without a clone."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

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


def run(installed, cwd, *arguments):
  return subprocess.run([sys.executable, str(installed / 'bin' / 'tf-proxyless'), *arguments], cwd=cwd, capture_output=True, text=True,
                        timeout=100, env={**os.environ, 'PYTHONPATH': str(installed)})


def test_commands_of_the_wheel(installed, tmp_path):
  assert 'import-torch-weights' in run(installed, tmp_path, '--help').stdout
  described = run(installed, tmp_path, 'describe', '--architecture=proxyless_mobile', '--latency_table=pixel2_int8_estimate')
  assert described.returncode == 0 and '320.43 M MACs' in described.stdout, described.stderr
  refused = run(installed, tmp_path, 'search', '--flagfile=mobile.flags', '--batch_size=0')
  assert (refused.returncode, refused.stderr) == (2, 'error: flag --batch_size=0: must be an integer, at least 1\n')
