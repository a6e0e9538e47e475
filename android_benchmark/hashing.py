"""Hashes of files."""

from __future__ import annotations

import hashlib
import pathlib


def sha256(path: pathlib.Path) -> str:
  """Hash of a file's content, in hexadecimal."""
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while chunk := file.read(2**20):
      digest.update(chunk)
  return digest.hexdigest()
