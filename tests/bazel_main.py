"""Runs the test file that Bazel names: a py_test is a program, and these tests are pytest's."""

import sys

import pytest

if __name__ == '__main__':
  sys.exit(pytest.main([*sys.argv[1:], '-p', 'no:cacheprovider']))
