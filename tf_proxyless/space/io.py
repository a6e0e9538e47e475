"""Search spaces and architectures as JSON files."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import os
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.infra import serialization
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import official
from tf_proxyless.space import published
from tf_proxyless.space import registry
from tf_proxyless.space import schema

def _tags() -> dict[str, type]:
  """Class by the "type" of each node that may stand where others may; files live longer than class names."""
  return {**registry.classes(), 'one_of': schema.OneOf}


_ARCHITECTURE = 'architecture'
_SEARCH_SPACE = 'search_space'


@dataclasses.dataclass(frozen=True)
class Cost:
  """What the network of a file costs; None is not known.

  Attributes:
    macs: Multiply-adds.
    parameters: Trainable weights.
    predicted_ms: By the latency table, calibrated.
    predicted_mj: Energy of a run by the energy table, likewise.
  """

  macs: int | None = None
  parameters: int | None = None
  predicted_ms: float | None = None
  predicted_mj: float | None = None


@dataclasses.dataclass(frozen=True)
class TableReference:
  """Which latency table a prediction came from."""

  sha256: str
  provenance: str


@dataclasses.dataclass(frozen=True)
class Derivation:
  """How an architecture was chosen.

  Attributes:
    by: 'validation', 'evidence' or 'probability'; 'predictor' without a supernet.
    budget: Cost that it may not exceed, in the unit of the search (ms or MACs).
    estimate: Estimated accuracy in [0, 1].
    standard_error: Standard error of the estimate.
  """

  by: str
  budget: float | None = None
  estimate: float | None = None
  standard_error: float | None = None


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A network without open decisions, and where it comes from.

  Attributes:
    network: The resolved network.
    genotype: Choice index by decision path in the space that it was resolved from.
    cost: What it costs.
    latency_table, energy_table: The tables of the predictions.
    derivation: How it was chosen.
    input_normalization: 'mean' and 'std' by channel, if pixels in [0, 1] are to be normalised before the first layer.
    versions: Version by package name.
    seed: Seed of the search.
    class_names: What the outputs stand for, of a network that was trained; None is not known.
    augmentation: What it was trained with, which also says how an image is cut and resized for it; None is not known.
  """

  network: network_lib.Network
  genotype: Mapping[str, int]
  cost: Cost | None = None
  latency_table: TableReference | None = None
  derivation: Derivation | None = None
  input_normalization: Mapping[str, tuple[float, ...]] | None = None
  versions: Mapping[str, str] | None = None
  seed: int | None = None
  class_names: tuple[str, ...] | None = None
  augmentation: str | None = None
  energy_table: TableReference | None = None

  def __post_init__(self) -> None:
    if not schema.is_resolved(self.network):
      raise ValueError(f'the network {self.network.name!r} of an architecture has open decisions')
    if not isinstance(self.genotype, schema.Genotype):
      object.__setattr__(self, 'genotype', schema.Genotype(self.genotype))
    check_normalization(self.input_normalization, self.network.input_shape[2])
    if self.class_names is not None and len(self.class_names) != self.network.classes:
      raise ValueError(f'class_names must be {self.network.classes}, as many as the network has outputs, got {len(self.class_names)}')


def check_normalization(normalization: Mapping[str, tuple[float, ...]] | None, channels: int) -> None:
  """Checks that pixels can be normalised so: by a mean and a deviation for each channel; None is not at all.

  Raises:
    ValueError: They cannot.
  """
  if normalization is None:
    return
  if set(normalization) != {'mean', 'std'} or any(len(values) != channels for values in normalization.values()):
    raise ValueError(f'input_normalization must have a mean and a std for each of {channels} channels, got {normalization!r}')
  if not min(normalization['std']) > 0:
    raise ValueError(f'input_normalization must have a positive std, got {normalization["std"]!r}')


def network_to_json(network: network_lib.Network) -> dict[str, Any]:
  """A network or search space as JSON values."""
  return serialization.encode(network, _tags())


def architecture_to_json(architecture: Architecture) -> dict[str, Any]:
  """An architecture as JSON values."""
  return serialization.encode(architecture, _tags())


def architecture_from_json(value: Any) -> Architecture:
  """The inverse of `architecture_to_json`.

  Raises:
    ValueError: One line that names the place and what is wrong.
  """
  return serialization.decode(Architecture, value, _tags())


def digest(space: network_lib.Network) -> str:
  """SHA-256 of what a search space is, whatever file it lies in."""
  return hashlib.sha256(json.dumps(network_to_json(space), sort_keys=True).encode('utf-8')).hexdigest()


def save_search_space(space: network_lib.Network, path: files.PathLike) -> None:
  """Writes a search space atomically."""
  files.write_json(path, _SEARCH_SPACE, {'network': network_to_json(space)})


def load_search_space(path: files.PathLike) -> network_lib.Network:
  """Reads a search space.

  Raises:
    ValueError: The file is not a search space; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  return _load(_SearchSpace, _SEARCH_SPACE, path).network


def is_search_space(path: files.PathLike) -> bool:
  """Whether a file says that it is a search space.

  Raises:
    ValueError: The file is not an object in JSON.
    OSError: The file cannot be read.
  """
  return files.read_object(path).get('schema') == f'tf_proxyless/{_SEARCH_SPACE}'


def save_architecture(architecture: Architecture, path: files.PathLike) -> None:
  """Writes an architecture atomically."""
  files.write_json(path, _ARCHITECTURE, architecture_to_json(architecture))


def load_architecture(path: files.PathLike) -> Architecture:
  """Reads an architecture, or a network of the official ProxylessNAS code, see `official`.

  Raises:
    ValueError: The file is neither; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  body = files.read_object(path)
  if body.get('name') in official.NAMES and 'schema' not in body:
    try:
      return Architecture(official.network(body), schema.Genotype({}))
    except ValueError as error:
      raise ValueError(files.one_line(f'{path}: {error}')) from error
  return _load(Architecture, _ARCHITECTURE, path)


def find_architecture(name: str) -> Architecture:
  """A published network by name, see `published.is_name`, or else the architecture in a file.

  Raises:
    ValueError: The name is unknown, or the file is not an architecture.
    OSError: The file cannot be read.
  """
  if not published.is_name(name) and (os.path.exists(name) or name.endswith('.json')):
    return load_architecture(name)
  space, genotype = published.published(name)
  return Architecture(schema.resolve(space, genotype), genotype)


@dataclasses.dataclass(frozen=True)
class _SearchSpace:
  """Content of a search space file."""

  network: network_lib.Network


def _load(kind: type, name: str, path: files.PathLike) -> Any:
  body = files.read_json(path, name)
  try:
    return serialization.decode(kind, body, _tags())
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
