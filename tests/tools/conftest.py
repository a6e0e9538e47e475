"""Fixtures that tests of several tools share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope='session')
def trained(tmp_path_factory, data_dir):
  """The directory of a small network that was trained on digits for some seconds."""
  from tests.tools import digits_model  # TensorFlow, which the tests of other tools do without
  return digits_model.train(tmp_path_factory.mktemp('trained') / 'run', data_dir)
