"""Programs and files that tests need: without one a test is skipped, in CI it fails."""

import os
import shutil

import pytest


def require(name, package=None):
  """The path of a program; skips the test if it is missing, and fails it where CI says that everything must be there."""
  path = shutil.which(name)
  if path is None:
    _miss(name, package or name)
  return path


def require_folder(path, package):
  """The same for the folder of a package without programs."""
  if not os.path.isdir(path):
    _miss(path, package)
  return path


def _miss(what, package):
  message = f'{what} is not installed (Debian package {package})'
  pytest.fail(message) if os.environ.get('CI') else pytest.skip(message)
