"""Image folders: a directory per class, with or without a test set of their own."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings

import numpy as np
from PIL import Image

from tf_proxyless.data import records
from tf_proxyless.data import selection

EXTENSIONS = ('.bmp', '.gif', '.jpeg', '.jpg', '.png')
_SAMPLE = 100  # images
_GREY_MODES = ('1', 'I', 'I;16', 'L', 'LA')


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFolder:
  """The classes and images of a folder.

  Attributes:
    directory: Absolute path of the folder.
    class_names: Names of the class directories, sorted.
    train: Records of PATH/train/CLASS, or of PATH/CLASS.
    test: Records of PATH/test/CLASS; None where there is no PATH/test beside PATH/train.
  """

  directory: str
  class_names: tuple[str, ...]
  train: records.Files
  test: records.Files | None


def scan(path: str) -> ImageFolder:
  """Lists the images of a folder, PATH/train/CLASS/* with PATH/test/CLASS/*, or PATH/CLASS/*, at any depth below CLASS.

  Args:
    path: The folder; `~` is the home directory.

  Returns:
    The classes and their files; no file is opened.

  Raises:
    ValueError: It is not a folder, has no class, a class without images, or a test class that is not a class of `train`.
  """
  root = pathlib.Path(path).expanduser().resolve()
  if not root.is_dir():
    raise ValueError(f'{path!r} is not a folder (looked at {root})')
  has_parts = bool(_class_directories(root / 'train'))
  train_root = root / 'train' if has_parts else root
  class_names = tuple(directory.name for directory in _class_directories(train_root))
  if len(class_names) < 2:
    raise ValueError(f'{train_root} holds {len(class_names)} class folders; at least 2 are needed, each with images')
  train = _files(root, train_root, class_names)
  empty = [name for label, name in enumerate(class_names) if label not in set(train.labels.tolist())]
  if empty:
    raise ValueError(f'no images ({", ".join(EXTENSIONS)}) in {len(empty)} of {len(class_names)} class folders of '
                     f'{train_root}, for instance in {empty[0]!r}')
  test = _files(root, root / 'test', class_names) if has_parts and (root / 'test').is_dir() else None
  if test is not None and not len(test.ids):
    raise ValueError(f'no images ({", ".join(EXTENSIONS)}) in the class folders of {root / "test"}')
  return ImageFolder(str(root), class_names, train, test)


def largest_shape(images: records.Files) -> tuple[int | None, int | None, int | None]:
  """Greatest height, width and channels (1 if all are grey, else 3) of some images, chosen by the hash of their names.

  Args:
    images: The files, of which headers are read.

  Returns:
    (height, width, channels); None for each if no file of the sample is an image.
  """
  shapes = []
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # who reads an image that something is wrong with says so
    for position in np.argsort(selection.fingerprints(images.ids))[:_SAMPLE]:
      try:
        with Image.open(os.path.join(os.fsencode(images.directory), images.ids[position])) as image:
          shapes.append((image.height, image.width, 1 if image.mode in _GREY_MODES else 3))
      except (OSError, Image.DecompressionBombError):
        continue
  height, width, channels = np.max(shapes, axis=0).tolist() if shapes else (None, None, None)
  return height, width, channels


def _class_directories(root: pathlib.Path) -> list[pathlib.Path]:
  """The visible directories below a directory, sorted; none where it does not exist."""
  if not root.is_dir():
    return []
  return sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith('.'))


def _files(root: pathlib.Path, part: pathlib.Path, class_names: tuple[str, ...]) -> records.Files:
  """The images of the class directories of `part`, sorted by their path relative to `root`."""
  unknown = [directory.name for directory in _class_directories(part) if directory.name not in class_names]
  if unknown:
    raise ValueError(f'classes of {part} that the training images do not have: {", ".join(unknown)}')
  found = sorted(
      (file.relative_to(root).as_posix().encode(), label)
      for label, name in enumerate(class_names)
      for file in (part / name).rglob('*')
      if file.suffix.lower() in EXTENSIONS and not file.name.startswith('.'))
  ids, labels = [path for path, _ in found], [label for _, label in found]
  return records.Files(str(root), np.array(ids, np.bytes_), np.array(labels, np.int64))
