"""The network to train: from a file, a published one, or MobileNetV2, with the dataset's classes. Loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import os
from typing import Any

from tf_proxyless.cost import counting
from tf_proxyless.cost import mobilenets
from tf_proxyless.infra import suggest
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published
from tf_proxyless.space import schema

MOBILENET_V2 = 'mobilenet_v2'
NAMES = (*published.NAMES, MOBILENET_V2)
_RESOLUTION, _CLASSES = 224, 1000  # of those with widths
_WITH_WIDTHS = {'proxyless_mobile': mobilenets.proxyless_mobile, MOBILENET_V2: mobilenets.mobilenet_v2}


def find(name: str, classes: int | None, resolution: int | None = None, width_multiplier: float = 1.0,
         dropout_rate: float | None = None) -> io.Architecture:
  """The architecture in a file, or of a name in `NAMES` or of TuNAS, see `published.is_name`.

  Args:
    name: A path or a name.
    classes: Number of classes of the dataset; named networks get as many outputs, a file must have them. None is not known yet:
      nothing is checked.
    resolution: Input height and width, pixels; None is that of the file, or as published.
    width_multiplier: Width multiplier of proxyless_mobile and mobilenet_v2.
    dropout_rate: Before the classifier; None is the network's own.

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
    raise ValueError(f'{name!r} is neither a file nor one of {", ".join(NAMES)}{suggest.hint(name, NAMES, most=1)}')
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
  count = counting.count_network(network)
  known = architecture.cost or io.Cost()
  cost = io.Cost(count.macs, count.parameters, known.predicted_ms if network.input_shape == architecture.network.input_shape else None)
  return dataclasses.replace(architecture, network=network, cost=cost,
                             latency_table=architecture.latency_table if cost.predicted_ms is not None else None)


def with_classes(architecture: io.Architecture, classes: int) -> io.Architecture:
  """The same network with another number of outputs, for weights that are to learn other classes; its latency is not known then."""
  network = _with_classifier(architecture.network, units=classes)
  count = counting.count_network(network)
  return dataclasses.replace(architecture, network=network, cost=io.Cost(count.macs, count.parameters), latency_table=None)


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
