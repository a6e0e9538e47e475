"""Names of datasets, checked before TensorFlow is loaded."""

from __future__ import annotations

import os
import re

from tf_proxyless.infra import files
from tf_proxyless.infra import suggest

EMBEDDED = ('digits', 'cluttered_digits')  # need no download
IDX = ('fashion_mnist', 'mnist', 'kmnist', 'emnist')  # grey images, which can be read from their IDX files
FOLDER_PREFIX = 'folder:'
ARRAYS_PREFIX = 'arrays:'  # images in the memory of a Python process, see `data.arrays`
# Lets mistakes in tables and targets come to light before a dataset is opened; the dataset has the last word.
_CLASSES = {'digits': 10, 'cluttered_digits': 10, 'fashion_mnist': 10, 'mnist': 10, 'kmnist': 10, 'cifar10': 10, 'cifar100': 100,
            'imagenet2012': 1000}
_NAME = re.compile(r'(?P<name>\w+)(/[\w\-.]+)?(:\d+\.\d+\.\d+)?')  # no namespaces: those ask the network


def classes(name: str) -> int | None:
  """Number of classes of a dataset if known without opening it, else None."""
  return _CLASSES.get(name.split(':')[0])


def resolve(name: str) -> str:
  """A name as it is kept: that of a folder with its absolute path, however it was spelled."""
  return FOLDER_PREFIX + files.resolve(name.removeprefix(FOLDER_PREFIX)) if name.startswith(FOLDER_PREFIX) else name


def base(name: str) -> str:
  """A name without configuration and version."""
  return re.split('[/:]', name, maxsplit=1)[0]


def channels(name: str) -> int | None:
  """Channels of a network for a dataset if known without opening it: 1 for grey images, but 3 for the digits, as in runs that exist."""
  return 1 if base(name) in IDX else 3 if classes(name) else None


def check(name: str, data_dir: str | None = None) -> None:
  """Refuses what is neither a folder, nor known, nor prepared, without asking the network or loading TensorFlow.

  Args:
    name: Name of a dataset, see `data.sources.open_dataset`.
    data_dir: Folder of prepared datasets; None is ~/tensorflow_datasets.

  Raises:
    ValueError: There is no such dataset; the message suggests a name.
  """
  if name.startswith(FOLDER_PREFIX):
    path = name.removeprefix(FOLDER_PREFIX)
    if not os.path.isdir(os.path.expanduser(path)):
      raise ValueError(f'--dataset={name}: {path!r} is not a folder')
    return
  if name in _CLASSES or name.startswith(ARRAYS_PREFIX):
    return
  import tensorflow_datasets as tfds  # without TensorFlow, which it loads once it is needed

  match = _NAME.fullmatch(name)
  known = [*EMBEDDED, *tfds.list_builders(with_community_datasets=False)]  # own builders that were imported too
  prepared = os.path.join(os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR), base(name))
  if match is None or not (base(name) in known or os.path.isdir(prepared)):
    raise ValueError(f'unknown dataset {name!r}: accepted are {", ".join(EMBEDDED)}, folder:PATH and the names of tensorflow-datasets '
                     f'(name, name:version, name/config:version), such as cifar10 or imagenet2012{suggest.hint(base(name), known, most=1)}')
