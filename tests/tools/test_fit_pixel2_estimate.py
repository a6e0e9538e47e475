"""tools/fit_pixel2_estimate.py as a user runs it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = ROOT / 'configs' / 'latency' / 'published' / 'pixel2_int8_estimate.json'


def run(*arguments, cwd):
  return subprocess.run([sys.executable, ROOT / 'tools' / 'fit_pixel2_estimate.py', *arguments], cwd=cwd, capture_output=True, text=True,
                        timeout=60, env={**os.environ, 'PYTHONPATH': str(ROOT)})


def test_shows_every_figure_and_writes_the_formula(tmp_path):
  result = run('--output=estimate.json', cwd=tmp_path)
  assert (result.stderr, result.returncode) == ('', 0)
  lines = result.stdout.splitlines()
  assert lines[0].split() == 'network width pixels clock role published ms estimate ms error % left out %'.split()
  assert lines[20].split()[:7] == ['mobilenet_v2', '1.00', '224', 'server', 'fit', '48.0', '48.09']
  assert 'fitted to 40 figures: rms error 2.5 %; each left out in turn 3.2 %' in lines
  written, shipped = (json.loads(path.read_text()) for path in (tmp_path / 'estimate.json', SHIPPED))
  assert written.pop('schema') == shipped.pop('schema')
  assert written == pytest.approx(shipped, rel=1e-4)


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
  result = run('--output=nowhere/estimate.json', cwd=tmp_path)
  assert (result.returncode, result.stdout) == (2, '')
  assert result.stderr.startswith('error: ') and result.stderr.count('\n') == 1
