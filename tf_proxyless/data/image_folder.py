"""Image folders: a directory per class, with or without parts of their own to validate and to test on."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator, Mapping
import dataclasses
import os
import re
import unicodedata
import warnings

import numpy as np
from PIL import Image

from tf_proxyless.data import records
from tf_proxyless.data import selection
from tf_proxyless.infra import class_names as class_names_lib
from tf_proxyless.infra import files

EXTENSIONS = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.webp')
_PART = re.compile('(?P<train>train|training)|(?P<validation>val|valid|validation)|(?P<test>test|testing)', re.IGNORECASE)
_SET = re.compile('[ _-]?(set|data|images|split)$', re.IGNORECASE)  # may follow
_NAMES = 'train, val and test'  # of parts, as messages have it
_JUNK = ('__MACOSX',)  # which are passed over like hidden folders
_SAMPLE = 100  # images
_GREY_MODES = ('1', 'I', 'I;16', 'L', 'LA')


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFolder:
  """The classes and images of a folder.

  Attributes:
    directory: Absolute path of the folder.
    class_names: Names of the class directories, sorted.
    train: Records of PATH/train/CLASS, or of PATH/CLASS.
    validation: Records of PATH/val/CLASS, where there is PATH/test too; else None.
    test: Records of PATH/test/CLASS, or else of PATH/val/CLASS; None without both.
    names: The folder of each part that there is.
    passed_over: How many files, or folders, are not used, by kind.
  """

  directory: str
  class_names: tuple[str, ...]
  train: records.Files
  validation: records.Files | None
  test: records.Files | None
  names: Mapping[str, str]
  passed_over: Mapping[str, int]

  @property
  def parts(self) -> dict[str, records.Files]:
    """The records of each part that there is."""
    found = {'train': self.train, 'validation': self.validation, 'test': self.test}
    return {part: images for part, images in found.items() if images is not None}

  def without(self, ids: Collection[bytes]) -> ImageFolder:
    """The folder without some of its images.

    Raises:
      ValueError: A class has no other images to train on, or a part no other images.
    """
    left = {part: images.select(np.flatnonzero(~np.isin(images.ids, list(ids)))) for part, images in self.parts.items()}
    _check_images(self.directory, self.class_names, left, self.names)
    return dataclasses.replace(self, **left)


@dataclasses.dataclass(frozen=True)
class _Folder:
  """What lies directly in a folder that may be a class or a part: names of visible folders, and whether images do."""

  folders: frozenset[str]
  images: bool


def scan(path: str) -> ImageFolder:
  """Lists the images of a folder, PATH/PART/CLASS/* or PATH/CLASS/*, at any depth below CLASS.

  Parts are folders with class folders in them that are called train (or training), val (valid, validation) and test (testing), in any case,
  perhaps with 'set' behind it. Without test, val is the test set.

  Args:
    path: The folder; `~` is the home directory.

  Returns:
    The classes and their files; no file is opened.

  Raises:
    ValueError: It is not a folder, it can be understood in more than one way, a class has no images or a name that cannot be a label, or
      a part has a class that is not one of `train`.
  """
  root = files.resolve(path)
  if not os.path.isdir(root):
    raise ValueError(f'{path!r} is not a folder (looked at {root})')
  passed_over: collections.Counter[str] = collections.Counter()
  names = _find_parts(root, passed_over)
  class_names = _find_classes(_join(root, names.get('train', '')))
  for part in [part for part in names if part != 'train' and _is_unlabelled(os.path.join(root, names[part]), class_names)]:
    passed_over[f'folder {names.pop(part)!r} without classes'] += 1
  for folder in {root, *(os.path.join(root, name) for name in names.values())}:
    _count_beside(folder, passed_over)
  found = {part: _files(root, name, class_names, passed_over) for part, name in (names or {'train': ''}).items()}
  _check_images(root, class_names, found, names)
  if 'test' not in found and 'validation' in found:
    found['test'], names['test'] = found.pop('validation'), names.pop('validation')
  return ImageFolder(root, class_names, found['train'], found.get('validation'), found.get('test'), names,
                     dict(passed_over))


def describe(folder: ImageFolder, parts: Mapping[str, records.Records]) -> tuple[tuple[str, str], ...]:
  """A short table of what was understood of a folder: rows of a heading and a text.

  Args:
    folder: The folder.
    parts: The records as they are used, 'test' perhaps held out of the folder's `train`.
  """
  rows = [('folder', folder.directory), ('training images', _describe_train(folder.class_names, parts['train'].labels))]
  if 'validation' in parts:
    rows.append(('validation images', f'{len(parts["validation"].ids):,}, those in {folder.names["validation"]!r}, whatever '
                 '`validation_images` says'))
  of = f'those in {folder.names["test"]!r}' if folder.test is not None else 'a stratified fifth of all: there is no folder test or val'
  rows.append(('test images', f'{len(parts["test"].ids):,}, {of}'))
  if folder.passed_over:
    most = sorted(folder.passed_over.items(), key=lambda item: (-item[1], item[0]))
    shown = [files.one_line(f'{count:,} {kind}', 100) for kind, count in most[:8]]
    rows.append(('passed over', ', '.join(shown) + (f' and {len(most) - 8} other kinds' if len(most) > 8 else '')))
  return tuple(rows)


def _describe_train(class_names: tuple[str, ...], labels: np.ndarray) -> str:
  sizes = np.bincount(labels, minlength=len(class_names))
  each = f'{sizes.min():,}' if sizes.min() == sizes.max() else f'{sizes.min():,} to {sizes.max():,}'
  listed = ', '.join(f'{name} {size:,}' for name, size in zip(class_names, sizes)) if len(class_names) <= 10 else f'{each} each'
  return f'{len(labels):,} of {len(class_names):,} classes: {listed}'


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


def _join(root: str, part: str) -> str:
  return os.path.join(root, part) if part else root


def _is_visible(name: str) -> bool:
  return not name.startswith('.') and name not in _JUNK


def _part(name: str) -> str | None:
  """The part that a folder is called like."""
  match = _PART.fullmatch(_SET.sub('', name))
  return match.lastgroup if match else None


def _is_folder(entry: os.DirEntry) -> bool:
  """Whether it is a folder, or a link that leads to one."""
  return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _is_image(name: str) -> bool:
  return os.path.splitext(name)[1].lower() in EXTENSIONS


def _list_folders(root: str) -> list[str]:
  """Names of the visible folders in a folder, sorted."""
  with os.scandir(root) as entries:
    return sorted(entry.name for entry in entries if _is_visible(entry.name) and _is_folder(entry))


def _look_into(path: str) -> _Folder:
  folders, images = set(), False
  with os.scandir(path) as entries:
    for entry in entries:
      if not _is_visible(entry.name):
        continue
      if _is_folder(entry):
        folders.add(entry.name)
      else:
        images = images or _is_image(entry.name)
  return _Folder(frozenset(folders), images)


def _count_beside(folder: str, passed_over: collections.Counter[str]) -> None:
  """Counts images that lie directly in a folder of class folders, and links there that lead nowhere."""
  with os.scandir(folder) as entries:
    for entry in entries:
      if _is_visible(entry.name) and not os.path.exists(entry.path):
        passed_over['broken link'] += 1
      elif _is_visible(entry.name) and _is_image(entry.name) and not _is_folder(entry):
        passed_over['image beside class folders'] += 1


def _find_parts(root: str, passed_over: collections.Counter[str]) -> dict[str, str]:
  """The folder of each part; none where the folders of `root` are classes. Counts what lies beside the parts.

  Raises:
    ValueError: The layout can be understood in more than one way.
  """
  folders = {name: _look_into(os.path.join(root, name)) for name in _list_folders(root)}
  named: dict[str, list[str]] = {}
  for name in sorted(folders):
    part = _part(name)
    if part:
      named.setdefault(part, []).append(name)
  holding = {part: [name for name in names if folders[name].folders] for part, names in named.items()}
  twice = next((names for names in holding.values() if len(names) > 1), None)
  if twice:
    raise ValueError(f'{root} holds {" and ".join(map(repr, twice))}, which mean the same part; leave one of them there')
  train = next(iter(holding.get('train', [])), None)
  if train is None:
    _refuse_parts_as_classes(root, folders, named)
    return {}
  for name in sorted(folders.keys() - {name for names in holding.values() for name in names}):
    is_class = len(named) == 1 and (folders[name].folders or folders[name].images)  # where 'train' may be one, too
    if is_class or folders[name].folders & folders[train].folders:
      raise ValueError(f'{root}: {train!r} was taken for the training images; beside it {name!r} holds '
                       f'{_some(folders[name].folders) or "images"}, but is not called like a part; parts are called {_NAMES}: rename it, '
                       'or move it away')
    passed_over[f'folder {name!r} ' + ('without classes' if _part(name) else f'beside {train!r}')] += 1
  return {part: names[0] for part, names in holding.items() if names}


def _refuse_parts_as_classes(root: str, folders: Mapping[str, _Folder], named: Mapping[str, list[str]]) -> None:
  """Refuses folders that are no classes, where there is no part with classes to train on."""
  parts = [name for names in named.values() for name in names]
  if len(named) > 1 or 'test' in named or any(folders[name].folders for name in parts):
    raise ValueError(f'{root} holds {", ".join(map(repr, sorted(parts)))}, but no training part with a folder for each class: put class '
                     f'folders into PATH/train/, and likewise PATH/val/ and PATH/test/; a class of that name needs another one')
  inner = [folder.folders for folder in folders.values()]
  if len(inner) < 2 or any(folder.images for folder in folders.values()):
    return
  common, everything = frozenset.intersection(*inner), frozenset.union(*inner)
  if len(common) > len(everything) / 2 and (len(common) > 1 or any(map(_part, common))):
    raise ValueError(f'{root}: the folders {_some(folders)} all hold folders of the same names: {_some(common)}. If the former are parts '
                     f'of a dataset, call them {_NAMES}; if the latter are, put them outermost, as PATH/train/CLASS; else put the images '
                     'of each class into one folder')


def _some(names: Collection[str], most: int = 4) -> str:
  return ', '.join(map(repr, sorted(names)[:most])) + (', ...' if len(names) > most else '')


def _find_classes(train_root: str) -> tuple[str, ...]:
  """Names of the class folders, sorted.

  Raises:
    ValueError: There are fewer than two, one has a name that cannot be a label, or two have the same.
  """
  found = tuple(_list_folders(train_root))
  if len(found) < 2:
    is_deeper = found and _list_folders(os.path.join(train_root, found[0]))
    deeper = f'; if {found[0]!r} holds the class folders, give it as the folder' if is_deeper else ''
    raise ValueError(f'{train_root} holds {len(found)} class folders; at least 2 are needed, each with images{deeper}')
  for name in found:
    if class_names_lib.fault(name):
      raise ValueError(f'the name of the class folder {name!r} in {train_root} cannot be a label: {class_names_lib.fault(name)}; rename it')
  same = collections.Counter(map(_normal, found)).most_common(1)[0]
  if same[1] > 1:
    raise ValueError(f'{train_root} holds {same[1]} class folders called {same[0]!r}, which differ only in how Unicode writes them; '
                     'merge them')
  return found


def _normal(name: str) -> str:
  return unicodedata.normalize('NFC', name)


def _is_unlabelled(part: str, class_names: tuple[str, ...]) -> bool:
  """Whether the images of a part lie in no class folder, or all in one that is none."""
  found = {_normal(name) for name in _list_folders(part)}
  return len(found) < 2 and found.isdisjoint(map(_normal, class_names))


def _check_images(root: str, class_names: tuple[str, ...], parts: Mapping[str, records.Files], names: Mapping[str, str]) -> None:
  """Refuses parts without images, and classes without images to train on."""
  counts = np.bincount(parts['train'].labels, minlength=len(class_names))
  empty = [name for name, count in zip(class_names, counts) if not count]
  if empty:
    raise ValueError(f'no images ({", ".join(EXTENSIONS)}) in {len(empty)} of {len(class_names)} class folders of '
                     f'{_join(root, names.get("train", ""))}, for instance in {empty[0]!r}')
  for part, images in parts.items():
    if not len(images.ids):
      raise ValueError(f'no images ({", ".join(EXTENSIONS)}) in the class folders of {os.path.join(root, names[part])}')


def _files(root: str, part: str, class_names: tuple[str, ...], passed_over: collections.Counter[str]) -> records.Files:
  """The images of the class folders of `part`, sorted by their path relative to `root`."""
  part_root = _join(root, part)
  labels = {_normal(name): label for label, name in enumerate(class_names)}
  there = _list_folders(part_root)
  unknown = [name for name in there if _normal(name) not in labels]
  if unknown:
    cases = {name.casefold(): name for name in class_names}
    meant = cases.get(unknown[0].casefold())
    raise ValueError(f'classes of {part_root} that the training images do not have: {_some(unknown)}; '
                     + (f'is it {meant!r}? Rename it' if meant else 'rename or move what is no class'))
  found = sorted((os.fsencode(os.path.join(part, path)), labels[_normal(name)])
                 for name in there for path in _walk(part_root, name, passed_over))
  return records.Files(root, np.array([path for path, _ in found], np.bytes_), np.array([label for _, label in found], np.int64))


def _walk(root: str, folder: str, passed_over: collections.Counter[str]) -> Iterator[str]:
  """Paths, relative to `root`, of the images in a folder and those below it, linked ones too, each once; counts what is no image."""
  waiting, links = [folder], {os.path.realpath(os.path.join(root, folder))}
  while waiting:
    folder = waiting.pop()
    with os.scandir(os.path.join(root, folder)) as entries:
      for entry in entries:
        name = entry.name
        if not _is_visible(name):
          continue
        path, is_image = f'{folder}/{name}', _is_image(name)
        if _is_folder(entry):
          if is_image:
            passed_over['folder called like an image'] += 1
          elif entry.is_symlink() and not _is_new(entry.path, links):
            passed_over['link to a folder that is seen already'] += 1
          else:
            waiting.append(path)
        elif not os.path.isfile(entry.path) if entry.is_symlink() else not entry.is_file():
          passed_over['broken link' if entry.is_symlink() else 'device or pipe'] += 1
        elif is_image:
          yield path
        else:
          passed_over[os.path.splitext(name)[1].lower() or 'file without extension'] += 1


def _is_new(link: str, seen: set[str]) -> bool:
  """Whether a link leads to a folder that is neither among those seen, nor above or below one of them; it is added to them."""
  target = os.path.realpath(link)
  inside = lambda path, folder: f'{path}/'.startswith(f'{folder.rstrip("/")}/')
  if any(inside(target, folder) or inside(folder, target) for folder in seen):
    return False
  seen.add(target)
  return True
