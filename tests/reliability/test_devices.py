"""Searches on two devices: what `two_devices` tests, in a process whose TensorFlow has two."""

import subprocess
import sys

import pytest

from tests.search import runs


def _run(marks):
  command = [sys.executable, '-m', 'pytest', '-q', '-x', '-m', marks, '-p', 'no:cacheprovider', 'tests/reliability/two_devices.py']
  result = subprocess.run(command, cwd=runs.ROOT, env={**runs.environment(), 'CUDA_VISIBLE_DEVICES': ''}, capture_output=True, text=True,
                          timeout=600)
  assert result.returncode == 0, result.stdout[-4000:]


@pytest.mark.long
def test_steps():
  _run('not long')


@pytest.mark.by_hand
def test_whole_searches():
  _run('long')
