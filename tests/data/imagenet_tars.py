"""A tiny ImageNet in the genuine format: ILSVRC2012_img_train.tar, a tar of a tar per synset, and ILSVRC2012_img_val.tar.

The real builder of tensorflow-datasets prepares it, so that what works on it works on ImageNet, all 1,000 classes included. The
synsets are those of the first validation images, so that validation images have classes that occur in training. As in ImageNet,
sizes differ, some images are grey, and n02105855_2933.JPEG is a PNG.
"""

from __future__ import annotations

import io
import pathlib
import tarfile

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from tf_proxyless.data import sources

_PNG = 'n02105855_2933.JPEG'  # named in the builder's list of exceptions


def prepare(directory: str | pathlib.Path, synsets: int = 8, images_per_synset: int = 12) -> str:
  """Makes the archives and has tensorflow-datasets prepare them.

  Args:
    directory: An empty or new directory.
    synsets: Classes with training images, and the number of validation (that is, test) images.
    images_per_synset: Training images of each.

  Returns:
    A data_dir in which imagenet2012 is prepared.
  """
  manual = pathlib.Path(directory) / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  write_archives(manual, synsets, images_per_synset)
  sources.open_dataset('imagenet2012', str(directory), download=True)
  return str(directory)


def write_archives(directory: pathlib.Path, synsets: int, images_per_synset: int) -> None:
  """Writes the two archives."""
  names = validation_synsets(synsets)
  labels = {name: label for label, name in enumerate(dict.fromkeys(names))}
  with tarfile.open(directory / 'ILSVRC2012_img_train.tar', 'w') as archive:
    for name in sorted(labels):
      inner = io.BytesIO()
      with tarfile.open(fileobj=inner, mode='w') as synset:
        for index in range(images_per_synset):
          is_png = name == _PNG.split('_')[0] and index == 0
          _add(synset, _PNG if is_png else f'{name}_{index + 1}.JPEG', _image(labels[name], index, 'PNG' if is_png else 'JPEG'))
      _add(archive, f'{name}.tar', inner.getvalue())
  with tarfile.open(directory / 'ILSVRC2012_img_val.tar', 'w') as archive:
    for index, name in enumerate(names):
      _add(archive, f'ILSVRC2012_val_{index + 1:08d}.JPEG', _image(labels[name], images_per_synset + index, 'JPEG'))


def validation_synsets(count: int) -> list[str]:
  """The synsets of the first validation images of ImageNet."""
  path = tfds.core.tfds_path('datasets/imagenet2012/validation_labels.txt')
  return path.read_text().split()[:count]


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
  entry = tarfile.TarInfo(name)
  entry.size = len(content)
  archive.addfile(entry, io.BytesIO(content))


def _image(label: int, index: int, encoding: str) -> bytes:
  """A smooth image whose colour tells its class, of one of several sizes; every fifth is grey."""
  rng = np.random.default_rng([label, index])
  height, width = ((60, 80), (96, 64), (75, 75), (33, 120))[index % 4]
  shade = np.random.default_rng(label).uniform(60, 195, 3)
  noise = rng.normal(0, 20, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
  pixels = Image.fromarray(np.clip(shade + noise, 0, 255).astype(np.uint8))
  encoded = io.BytesIO()
  (pixels.convert('L') if index % 5 == 4 else pixels).save(encoded, encoding, **({'quality': 90} if encoding == 'JPEG' else {}))
  return encoded.getvalue()
