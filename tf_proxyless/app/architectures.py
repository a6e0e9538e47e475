"""The network to train: from a file, a published one, or MobileNetV2, with the dataset's classes. Loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import json
import os
from typing import Any
import unicodedata

from tf_proxyless.cost import counting
from tf_proxyless.cost import mobilenets
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import files
from tf_proxyless.infra import suggest
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published
from tf_proxyless.space import schema

MOBILENET_V2 = 'mobilenet_v2'
NAMES = (*published.NAMES, MOBILENET_V2)
_RESOLUTION, _CLASSES = 224, 1000  # of those with widths
_SHOWN = 12  # names in a message
_WITH_WIDTHS = {'proxyless_mobile': mobilenets.proxyless_mobile, MOBILENET_V2: mobilenets.mobilenet_v2}


def find(name: str, classes: int | None, resolution: int | None = None, width_multiplier: float = 1.0,
         dropout_rate: float | None = None, spaces: Sequence[str] = ()) -> io.Architecture:
  """The architecture in a file, or of a name in `NAMES` or of TuNAS, see `published.is_name`.

  Args:
    name: A path or a name.
    classes: Number of classes of the dataset; named networks get as many outputs, a file must have them. None is not known yet:
      nothing is checked.
    resolution: Input height and width, pixels; None is that of the file, or as published.
    width_multiplier: Width multiplier of proxyless_mobile and mobilenet_v2.
    dropout_rate: Before the classifier; None is the network's own.
    spaces: Names of search spaces, to list with those of networks where the caller takes both.

  Returns:
    The architecture with its multiply-adds and parameters; a predicted latency is kept if the network is as it was.

  Raises:
    ValueError: In one line, what does not fit.
    OSError: The file cannot be read.
  """
  if (name == MOBILENET_V2 or published.is_name(name)) and not os.path.isfile(name):
    found = _named(name, classes, resolution, width_multiplier)
  elif width_multiplier != 1:
    raise ValueError(f'`width_multiplier` is for {" and ".join(_WITH_WIDTHS)}, not for {name}')
  elif os.path.exists(name) or name.endswith('.json'):
    found = io.load_architecture(name)
  else:
    names = (*NAMES, *spaces)
    raise ValueError(f'{name!r} is neither a file nor one of {", ".join(names)}{suggest.hint(name, names, most=1)}')
  return adapt(found, name, classes, resolution, dropout_rate)


def adapt(architecture: io.Architecture, name: str, classes: int | None, resolution: int | None = None,
          dropout_rate: float | None = None) -> io.Architecture:
  """An architecture at another resolution or dropout rate; see `find`."""
  network = architecture.network
  if classes is not None and network.classes != classes:
    raise ValueError(f'{name} has {network.classes} classes, the dataset has {classes}')
  if resolution is not None:
    network = dataclasses.replace(network, input_shape=(resolution, resolution, network.input_shape[2]))
  if dropout_rate is not None:
    network = _with_classifier(network, dropout_rate=dropout_rate)
  if network.input_shape != architecture.network.input_shape:
    return _without_predictions(architecture, network)
  count = counting.count_network(network)
  cost = dataclasses.replace(architecture.cost or io.Cost(), macs=count.macs, parameters=count.parameters)
  return dataclasses.replace(architecture, network=network, cost=cost)


def _without_predictions(architecture: io.Architecture, network: network_lib.Network) -> io.Architecture:
  """An architecture with another network, for which no table was asked."""
  count = counting.count_network(network)
  return dataclasses.replace(architecture, network=network, cost=io.Cost(count.macs, count.parameters), latency_table=None,
                             energy_table=None)


def with_classes(architecture: io.Architecture, classes: int) -> io.Architecture:
  """The same network with another number of outputs, for weights that are to learn other classes; its latency is not known then."""
  network = _with_classifier(architecture.network, units=classes)
  return dataclasses.replace(_without_predictions(architecture, network), class_names=None)


def other_classes(known: Sequence[str] | None, dataset: str, class_names: Sequence[str]) -> str:
  """How the classes of a dataset differ from those that a network was trained on, in words; '' if they do not.

  Args:
    known: What the network's outputs stand for, in their order; None is not known.
    dataset: Name of the dataset. Arrays that were given without names have none to compare.
    class_names: Its classes, in the order of its labels.
  """
  ours, theirs = ([unicodedata.normalize('NFC', name) for name in names] for names in (known or (), class_names))
  is_unnamed = dataset.startswith(dataset_names.ARRAYS_PREFIX) and theirs == list(map(str, range(len(theirs))))
  if known is None or ours == theirs or is_unnamed and len(ours) == len(theirs):
    return ''
  kind = 'folder' if dataset.startswith(dataset_names.FOLDER_PREFIX) else 'dataset'
  if sorted(ours) == sorted(theirs):
    place = next(i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1])
    return f'the network knows {_listed(ours)}; the {kind} has them in another order: its number {place} is {theirs[place]}'
  if max(len(ours), len(theirs)) > _SHOWN and (set(ours) - set(theirs) or set(theirs) - set(ours)):
    numbers = f'{len(ours)} classes, {len(theirs)} in the {kind}; '
    ours, theirs = ([name for name in names if name not in others] for names, others in ((ours, theirs), (theirs, ours)))
    return f'the network knows {numbers}only it has {_listed(ours)}; only the {kind} has {_listed(theirs)}'
  return f'the network knows {_listed(ours)}; the {kind} has {_listed(theirs)}'


def check_classes(architecture: io.Architecture, name: str, dataset: str, class_names: Sequence[str]) -> None:
  """Refuses a dataset of other classes than those of a network, or of the same in another order; see `other_classes`.

  Args:
    architecture: The network; of one whose classes are not known the number is compared.
    name: Name of the network, for messages.
    dataset: Name of the dataset.
    class_names: Its classes, in the order of its labels.

  Raises:
    ValueError: In one line, how they differ.
  """
  differing = other_classes(architecture.class_names, dataset, class_names)
  if differing:
    raise ValueError(f'{name} and {dataset} have other classes: {differing}; give it the images that it was trained for, or start '
                     'a training on these from it')
  if architecture.network.classes != len(class_names):
    raise ValueError(f'{name} has {architecture.network.classes} classes, the dataset has {len(class_names)}')


def check_start(network: network_lib.Network, start: network_lib.Network) -> None:
  """Refuses start values of a network that computes something else with weights of the same shapes.

  Resolution, classes and dropout may differ. A last operation of one's own is not looked into.

  Raises:
    ValueError: Padding, a stride or an activation differs.
  """
  if not hasattr(network.blocks[-1].op, 'units'):
    return
  alike = lambda each: _with_classifier(dataclasses.replace(each, input_shape=network.input_shape), units=network.classes, dropout_rate=0.0)
  ours, theirs = (counting.count_blocks(alike(each)) for each in (network, start))
  differing = [row.traced.block.name for row, other in zip(ours, theirs) if row.signature != other.signature]
  if differing or len(ours) != len(theirs):
    paddings = f', and padding {start.padding!r} instead of {network.padding!r}' if start.padding != network.padding else ''
    raise ValueError('the start values are of a network with weights of the same shapes, but other strides, activations or connections'
                     f'{paddings}, for instance in {", ".join(differing[:3])}; leave `architecture` out, to train on the same network')


def describe_unknown(architecture: io.Architecture) -> list[str]:
  """Lines for the user of a network that does not say what its inputs and outputs mean, as imported weights and old files do not."""
  unknown = {'the names of its classes: they are taken for those of the dataset, of which only the number is compared':
             architecture.class_names,
             'how it was trained to see images: they are cut and resized as suits the dataset': architecture.augmentation}
  return [f'warning: nothing beside the model says {text}' for text, value in unknown.items() if value is None]


def augmentation_of(architecture: io.Architecture, given: str | None) -> str | None:
  """The augmentation that says how the test images of a trained network are cut and resized: the one that it was trained with.

  Args:
    architecture: The network.
    given: What options say, for one of which it is not known.

  Raises:
    ValueError: Another is given than that of the network.
  """
  if given and architecture.augmentation not in (None, given):
    raise ValueError(f'`augmentation={given}`: the network was trained with {architecture.augmentation}, which says how its images are '
                     'cut and resized; leave the option out')
  return architecture.augmentation or given


def _listed(names: Sequence[str]) -> str:
  more = len(names) - _SHOWN
  return files.one_line(', '.join(names[:_SHOWN]) or 'none', 400) + (f' and {more} more' if more > 0 else '')


def with_normalization(architecture: io.Architecture, normalization: Mapping[str, tuple[float, ...]] | None) -> io.Architecture:
  """The same network on pixels that are normalised as for given weights."""
  return dataclasses.replace(architecture, input_normalization=normalization)


def of_space(space: network_lib.Network, genotype: schema.Genotype) -> io.Architecture:
  """A network of a search space, with its multiply-adds and parameters."""
  network = schema.resolve(space, genotype)
  count = counting.count_network(network)
  return io.Architecture(network, genotype, cost=io.Cost(count.macs, count.parameters))


def digest(architecture: io.Architecture) -> str:
  """SHA-256 of what is computed: the network, whatever its name, and the normalisation of its input."""
  normalization = architecture.input_normalization and dict(architecture.input_normalization)
  content = [io.network_to_json(dataclasses.replace(architecture.network, name='network')), normalization]
  return hashlib.sha256(json.dumps(content, sort_keys=True).encode('utf-8')).hexdigest()


def check_searched(architecture: io.Architecture, search_dir: str) -> None:
  """Refuses an architecture that is not of the space of a search.

  Raises:
    ValueError: In one line, why.
    OSError: The directory is not that of a search.
  """
  space = io.load_search_space(run_directory.RunDirectory(search_dir).search_space)
  try:
    network = schema.resolve(space, architecture.genotype)
  except (KeyError, ValueError) as error:
    raise ValueError(f'the architecture is not of the space that {search_dir} searched: {error.args[0]}') from error
  plain = lambda network: dataclasses.replace(_with_classifier(network, dropout_rate=0.0), name='network')
  if plain(network) != plain(architecture.network):
    raise ValueError(f'the architecture is not of the space that {search_dir} searched: its genotype means another network there')


def _named(name: str, classes: int | None, resolution: int | None, width_multiplier: float) -> io.Architecture:
  if name == MOBILENET_V2 or width_multiplier != 1:
    if name not in _WITH_WIDTHS:
      raise ValueError(f'`width_multiplier` is for {" and ".join(_WITH_WIDTHS)}, not for {name}')
    return io.Architecture(_WITH_WIDTHS[name](width_multiplier, resolution or _RESOLUTION, classes or _CLASSES), {})
  space, genotype = published.published(name, resolution=resolution, classes=classes)
  return io.Architecture(schema.resolve(space, genotype), genotype)


def _with_classifier(network: network_lib.Network, **changes: Any) -> network_lib.Network:
  *blocks, last = network.blocks
  if not hasattr(last.op, 'units'):
    raise ValueError(f'the last block of {network.name!r} is not a classifier')
  return dataclasses.replace(network, blocks=(*blocks, dataclasses.replace(last, op=dataclasses.replace(last.op, **changes))))
