"""A predictor as a JSON file that others can load: what it is, of which space, the networks that it was fitted to, and its scores."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import serialization
from tf_proxyless.search.predictors import base
from tf_proxyless.search.predictors import gaussian_process
from tf_proxyless.search.predictors import mlps
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

KINDS: dict[str, type[base.Predictor]] = {'gaussian_process': gaussian_process.GaussianProcess, 'mlps': mlps.MLPs}
_RECORD = 'predictor'


@dataclasses.dataclass(frozen=True)
class _Content:
  """Content of the file.

  Attributes:
    kind: One of `KINDS`.
    space: Digest of the search space, see `io.digest`.
    decisions: Paths of its decisions.
    paths: Choice of each decision, by network.
    accuracy: By network, in [0, 1].
    predicted, deviation: The same networks by fits to others, see `base.HeldOut`.
    scores: How good these are, for who reads the file.
  """

  kind: str
  space: str
  decisions: tuple[str, ...]
  paths: tuple[tuple[int, ...], ...]
  accuracy: tuple[float, ...]
  predicted: tuple[float, ...]
  deviation: tuple[float, ...]
  scores: base.Scores

  def __post_init__(self) -> None:
    if not all(0 <= value <= 1 for value in self.accuracy):
      raise ValueError('accuracies must be in [0, 1]: a file is of these, not of energies')

  @property
  def held_out(self) -> base.HeldOut:
    """Raises a ValueError where there are not as many of all."""
    return base.HeldOut(self.predicted, self.deviation, self.accuracy)


def save(predictor: base.Predictor, space: network_lib.Network, held_out: base.HeldOut, path: files.PathLike) -> None:
  """Writes a predictor.

  Args:
    predictor: One of `KINDS`.
    space: The space that it is of.
    held_out: What it is worth, see `base.cross_validate`.
    path: The file.

  Raises:
    ValueError: It predicts something else than accuracies.
    OSError: It cannot be written.
  """
  kind = next(name for name, each in KINDS.items() if type(predictor) is each)
  decisions, paths = tuple(decision.path for decision in predictor.decisions), tuple(map(tuple, predictor.paths.tolist()))
  content = _Content(kind, io.digest(space), decisions, paths, held_out.values, held_out.predicted, held_out.deviation, held_out.scores)
  files.write_json(path, _RECORD, {**serialization.encode(content), 'parameters': dict(predictor.parameters)})


def load(path: files.PathLike, space: network_lib.Network) -> tuple[base.Predictor, base.HeldOut]:
  """Reads a predictor of a space; nothing is fitted.

  Raises:
    ValueError: The file is none, or of another space; one line that names the file.
    OSError: It cannot be read.
  """
  body = files.read_json(path, _RECORD)
  parameters: Any = body.pop('parameters', None)
  try:
    content = serialization.decode(_Content, body)
    decisions = schema.decisions(space)
    if content.space != io.digest(space):
      raise ValueError(f'predicts another search space; {_difference(content.decisions, [each.path for each in decisions])}')
    if content.kind not in KINDS:
      raise ValueError(f'kind must be one of {", ".join(KINDS)}, got {files.shorten(content.kind)}')
    held_out = content.held_out
    if not isinstance(parameters, dict) or not parameters:
      raise ValueError(f'parameters must be those of a {content.kind}, got {files.shorten(parameters)}')
    predictor = KINDS[content.kind](decisions, np.array(content.paths, np.int32), np.array(content.accuracy), parameters=parameters)
  except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
    reason = f'{type(error).__name__} {error}' if isinstance(error, (KeyError, AttributeError, TypeError)) else str(error)
    raise ValueError(f'{path}: {errors.one_line(reason)}') from error
  return predictor, held_out


def load_held_out(path: files.PathLike) -> base.HeldOut:
  """The predictions that a file has of networks by fits to others, whatever space they are of.

  Raises:
    ValueError: The file is none; one line that names the file.
    OSError: It cannot be read.
  """
  body = files.read_json(path, _RECORD)
  body.pop('parameters', None)
  try:
    return serialization.decode(_Content, body).held_out
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def _difference(theirs: tuple[str, ...], ours: list[str]) -> str:
  missing = [path for path in ours if path not in theirs]
  more = [path for path in theirs if path not in ours]
  if not missing and not more:
    return 'its decisions have the same names, but other choices'
  return files.one_line(f'it lacks {len(missing)} decisions of this one ({", ".join(missing[:2])}) and has {len(more)} others '
                        f'({", ".join(more[:2])})', 200)
