"""Programs that tests need: without one a test is skipped, in CI it fails."""

import os
import shutil

import pytest


def require(name, package=None):
  """The path of a program; skips the test if it is missing, and fails it where CI says that everything must be there."""
  path = shutil.which(name)
  if path is None:
    message = f'{name} is not installed (Debian package {package or name})'
    pytest.fail(message) if os.environ.get('CI') else pytest.skip(message)
  return path
