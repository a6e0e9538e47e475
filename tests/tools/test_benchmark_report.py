"""tools/benchmark_report.py: what it prints. No timing is asserted."""

import os
import pathlib
import re
import subprocess
import sys

from tests import programs

ROOT = pathlib.Path(__file__).parents[2]


def test_prints_size_and_times(tmp_path):
  programs.require('chromium')
  programs.require('chromedriver', 'chromium-driver')
  done = subprocess.run([sys.executable, ROOT / 'tools' / 'benchmark_report.py', '--epochs=3', '--loads=1'], cwd=tmp_path,
                        capture_output=True, text=True, timeout=120, env={**os.environ, 'PYTHONPATH': str(ROOT)})
  assert done.returncode == 0, done.stderr
  assert 'search          3 epochs, 21 decisions' in done.stdout
  for name in ('first paint', 'script done', 'loaded'):
    assert re.search(rf'^{name} +\d+ ms \(median of 1; ', done.stdout, re.MULTILINE)
