"""Versions are those that the packages themselves say."""

import numpy as np

from tf_proxyless.infra import versions


def test_versions_are_those_of_the_packages():
  found = versions.installed()
  assert found['numpy'] == np.__version__
  assert {'tf_proxyless', 'tensorflow', 'tf_keras', 'ai-edge-litert'} < set(found)


def test_a_package_that_is_not_there_says_so(monkeypatch):
  monkeypatch.setattr(versions, '_PACKAGES', ('numpy', 'no-such-package'))
  assert versions.installed() == {'numpy': np.__version__, 'no-such-package': 'not installed'}
