"""Image folders of small images."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib

from PIL import Image


def put(root: pathlib.Path, layout: Mapping[str, int]) -> pathlib.Path:
  """Writes images, each of its own colour.

  Args:
    root: The folder.
    layout: How many by the folder in it, such as 'train/cat'.

  Returns:
    The folder.
  """
  for index, (folder, count) in enumerate(layout.items()):
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    for number in range(count):
      Image.new('RGB', (9, 7), (index, number, len(folder))).save(path / f'{number:02d}.png')
  return root
