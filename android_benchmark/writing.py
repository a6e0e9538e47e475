"""Files that are whole or not there, whatever ends this process or this machine."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
import tempfile
from typing import Any


def write_json(path: pathlib.Path, body: Mapping[str, Any]) -> None:
  """Writes a JSON file, the whole of it or nothing; it is on the disk when this returns."""
  descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
  try:
    with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
      json.dump(body, file, indent=1, allow_nan=False)
      file.write('\n')
      file.flush()
      os.fsync(file.fileno())
    os.chmod(temporary, 0o644)  # mkstemp gives 0600
    os.replace(temporary, path)
  finally:
    pathlib.Path(temporary).unlink(missing_ok=True)  # it has the other name now, if all went well
  sync_folder(path.parent)


def sync_folder(path: pathlib.Path) -> None:
  """Puts on the disk which files a folder has."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
