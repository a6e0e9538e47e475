"""Runs that many tests read."""

import pytest

from tests.report.document import report_runs


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
  """A search that is over; nobody changes it."""
  return report_runs.write(tmp_path_factory.mktemp('runs') / 'phone_1ms')
