"""Finds the configurations that come with the package, by name and from any directory."""

from __future__ import annotations

from collections.abc import Iterable
import pathlib

from tf_proxyless.infra import suggest

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_FOLDERS = ('train', 'quantize')  # of flagfiles; others are searches


def folder() -> pathlib.Path:
  """The folder of shipped configurations: inside the package in a wheel, beside it in a clone or editable install."""
  inside = _PACKAGE / 'configs'
  return inside if inside.is_dir() else _PACKAGE.parent / 'configs'


def flagfile(name: str) -> pathlib.Path:
  """The flagfile at a path, or the shipped one of that name, for instance 'mobile.flags', 'configs/mobile.flags' or 'train/imagenet.flags'.

  Raises:
    ValueError: There is neither; the shipped ones are listed.
  """
  parent = pathlib.Path(name).parent.name
  subfolder = parent if parent in _FOLDERS else ''
  return _find(name, 'flagfile', subfolder, '.flags')


def latency_table(name: str) -> pathlib.Path:
  """The latency table at a path, or the shipped one of that name, for instance 'pixel1_tflite_float'.

  Raises:
    ValueError: There is neither; the shipped ones are listed.
  """
  return _find(name, 'latency table', 'latency', '.json')


def search_space(name: str, others: Iterable[str] = ()) -> pathlib.Path:
  """The search space at a path, or the shipped one of that name, for instance 'fashion_mnist'.

  Args:
    name: See there.
    others: Names that are spaces without being files.

  Raises:
    ValueError: There is neither; all known names are listed.
  """
  return _find(name, 'search space', 'spaces', '.json', others)


def search_spaces() -> list[str]:
  """Names of the shipped search spaces that are files."""
  return sorted(entry.stem for entry in (folder() / 'spaces').glob('*.json'))


def _find(name: str, what: str, subfolder: str, suffix: str, others: Iterable[str] = ()) -> pathlib.Path:
  path = pathlib.Path(name)
  if path.exists() and not path.is_dir():
    return path
  directory = folder() / subfolder
  tail = path.name if path.name.endswith(suffix) else path.name + suffix
  if path.parent.as_posix() in {'.', 'configs', f'configs/{subfolder}', subfolder} and (directory / tail).is_file():
    return directory / tail
  names = [*others, *sorted(entry.name for entry in directory.glob(f'*{suffix}'))]
  raise ValueError(f'{what} {name!r} is neither a file nor one of those shipped: {", ".join(names) or "none"}'
                   f'{suggest.hint(tail, names, most=1)}')
