"""Versions of the packages that results depend on."""

from __future__ import annotations

import importlib.metadata

_PACKAGES = ('tf_proxyless', 'tensorflow', 'tf_keras', 'tensorflow-datasets', 'tensorflow-model-optimization', 'ai-edge-litert', 'numpy')


def installed() -> dict[str, str]:
  """Version by name of package."""
  found = {}
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a clone that was not installed
      found[package] = 'not installed'
  return found
