"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import gc

import pytest

gc.set_threshold(100_000, 20, 20)  # TensorFlow keeps so many objects that Python's own limits take a twelfth of the tests' time


@pytest.fixture(scope='session', autouse=True)
def cache(tmp_path_factory):
  """A cache of this session in place of the user's."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    yield


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory):
  """A data_dir of this session, in which digits are prepared on first use."""
  return str(tmp_path_factory.mktemp('tensorflow_datasets'))


@pytest.fixture(scope='session')
def imagenet_data_dir(tmp_path_factory):
  """A data_dir with a tiny imagenet2012 that the real builder has prepared from archives in the genuine format."""
  from tests.data import imagenet_tars  # TensorFlow, which the tests of other rooms do without
  return imagenet_tars.prepare(tmp_path_factory.mktemp('imagenet'))
