"""The package itself: what it offers, and that asking for it costs nothing."""

import subprocess
import sys

import pytest

import tf_proxyless as nas


def run(code):
  result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
  assert result.returncode == 0, result.stderr
  return result.stdout.strip()


def test_the_import_loads_no_tensorflow():
  code = ('import sys, time; start = time.process_time(); import tf_proxyless; spent = time.process_time() - start;'
          'print("tensorflow" in sys.modules, "numpy" in sys.modules, spent < 1.0)')
  assert run(code) == 'False False True'


def test_spaces_and_costs_load_no_tensorflow():
  code = ('import sys, tf_proxyless as nas; space = nas.spaces.proxyless(); print(nas.costs.macs(space).largest > 1e8,'
          'nas.LatencyTable, "tensorflow" in sys.modules)')
  assert run(code).endswith('False')


def test_search_stays_the_function():
  code = 'import tf_proxyless as nas; from tf_proxyless.search import run_directory; print(callable(nas.search), run_directory.__name__)'
  assert run(code).startswith('True')


def test_everything_that_is_listed_is_there():
  for name in nas.__all__:
    assert getattr(nas, name) is not None
  assert set(nas.__all__) <= set(dir(nas))
  with pytest.raises(AttributeError, match="no attribute 'serach'"):
    getattr(nas, 'serach')  # noqa: B009


def test_everything_that_is_listed_says_what_it_is():
  assert not [name for name in nas.__all__ if not getattr(nas, name).__doc__]
