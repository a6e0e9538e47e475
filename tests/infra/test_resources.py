"""Shipped configurations are found by name from any directory: in a clone, in a wheel and in an editable install."""

import os
import pathlib
import site
import subprocess
import sys
import sysconfig
import venv

import pytest

from tf_proxyless.infra import resources

ROOT = pathlib.Path(__file__).parents[2]
TABLE = 'pixel1_tflite_float.json'


def find_all(cwd, python=sys.executable, path=''):
  """The shipped folder and what a process elsewhere finds by name."""
  code = ('from tf_proxyless.infra import resources\nprint(resources.folder())\n'
          'print(resources.latency_table("pixel1_tflite_float"))\nprint(resources.flagfile("configs/quickstart.flags"))')
  result = subprocess.run([python, '-c', code], cwd=cwd, capture_output=True, text=True, timeout=120, check=True,
                          env={**os.environ, 'PYTHONPATH': str(path)})
  folder, *found = map(pathlib.Path, result.stdout.split())
  assert found == [folder / 'latency' / TABLE, folder / 'quickstart.flags']
  for path in found:
    assert path.read_bytes() == (ROOT / 'configs' / path.relative_to(folder)).read_bytes()
  return folder


@pytest.mark.parametrize('name', [
    'pixel1_tflite_float', TABLE, f'latency/{TABLE}', f'configs/latency/{TABLE}', 'configs/pixel1_tflite_float'])
def test_names_of_a_shipped_table(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert resources.latency_table(name) == ROOT / 'configs' / 'latency' / TABLE


def test_a_file_wins_over_a_shipped_name_and_a_folder_does_not(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path(TABLE).write_text('')
  pathlib.Path('pixel1_tflite_float').mkdir()
  assert resources.latency_table(TABLE) == pathlib.Path(TABLE)
  assert resources.latency_table('pixel1_tflite_float') == ROOT / 'configs' / 'latency' / TABLE


@pytest.mark.parametrize('name', ['', '.', 'other/pixel1_tflite_float', '../latency/pixel1_tflite_float', f'/{TABLE}', 'mobile.flags'])
def test_other_names_list_the_shipped_ones(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=f'is neither a file nor one of those shipped: .*{TABLE}'):
    resources.latency_table(name)


def test_in_a_clone(tmp_path):
  assert find_all(tmp_path, path=ROOT) == ROOT / 'configs'


def test_in_a_wheel(tmp_path):
  """`build` lays the files out as a wheel holds them."""
  subprocess.run([sys.executable, 'setup.py', '-q', 'build', '--build-base', tmp_path / 'build'], cwd=ROOT, check=True, timeout=120)
  library = tmp_path / 'build' / 'lib'
  assert find_all(tmp_path, path=library) == library / 'tf_proxyless' / 'configs'
  shipped_files = {path.relative_to(ROOT / 'configs') for path in (ROOT / 'configs').rglob('*.*')}
  assert shipped_files <= {path.relative_to(library / 'tf_proxyless' / 'configs') for path in library.rglob('configs/**/*.*')}


@pytest.mark.long
@pytest.mark.parametrize('editable', [True, False])
def test_installed(tmp_path, editable):
  """A real installation, of a copy, since pip leaves its traces beside setup.py; packages come from this environment."""
  copy = tmp_path / 'clone'
  tracked = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split('\0')
  for name in filter(None, tracked):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes((ROOT / name).read_bytes())
  venv.create(tmp_path / 'venv', with_pip=True)
  python = tmp_path / 'venv' / 'bin' / 'python'
  packages = pathlib.Path(sysconfig.get_path('purelib', vars={'base': str(tmp_path / 'venv')}))
  (packages / 'borrowed.pth').write_text('\n'.join(site.getsitepackages()))
  subprocess.run([python, '-m', 'pip', 'install', '-q', '--no-build-isolation', '--no-deps', '--no-index',
                  *['--editable'] * editable, copy], cwd=tmp_path, check=True, timeout=300)
  expected = copy / 'configs' if editable else packages / 'tf_proxyless' / 'configs'
  assert find_all(tmp_path, python=python) == expected
