"""tools/benchmark_report.py: what it prints. No timing is asserted."""

import re

import pytest

from tests import programs
from tests.search import runs

@pytest.mark.long
def test_prints_size_and_times(tmp_path):
  programs.require('chromium')
  programs.require('chromedriver', 'chromium-driver')
  done = runs.tool('benchmark_report', '--epochs=3', '--loads=1', cwd=tmp_path, limit_s=120)
  assert done.returncode == 0, done.stderr
  assert 'search          3 epochs, 21 decisions' in done.stdout
  for name in ('first paint', 'script done', 'loaded'):
    assert re.search(rf'^{name} +\d+ ms \(median of 1; ', done.stdout, re.MULTILINE)
