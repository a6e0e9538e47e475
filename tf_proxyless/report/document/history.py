"""The history of a search for its report. Unlike a search that continues, it passes over lines that cannot be read."""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.report.document import run_files as report_files

Choices = Sequence[tuple[str, int]]  # path of each decision and how many choices it has

_RECENT_EPOCHS = 5
_CURVES = ('loss', 'accuracy', 'most_likely_accuracy', 'entropy', 'expected_cost', 'most_likely_cost')
_PROBABILITY_DIGITS = 4
_MAX_BYTES = 2**28


@dataclasses.dataclass(frozen=True)
class Epoch:
  """A line of history.jsonl.

  Attributes:
    epoch: Number of the epoch.
    phase: Phase of the schedule.
    scalars: Every other number.
    probabilities: Probability of each choice, by decision.
  """

  epoch: int
  phase: str
  scalars: dict[str, float | int]
  probabilities: list[list[float]]


def read(path: pathlib.Path, decisions: Choices, reader: report_files.Reader, growing: bool) -> list[Epoch]:
  """The epochs that can be read; others are named among the reader's problems.

  Args:
    path: history.jsonl; there need not be one.
    decisions: Path and number of choices of each decision of the space.
    reader: Collects problems.
    growing: Whether the run goes on, so that its last line may be half written.
  """
  data = reader.read(path, lambda file: files.read_bytes(file, _MAX_BYTES))
  if data is None:
    return []
  epochs: list[Epoch] = []
  *lines, rest = data.split(b'\n')
  for number, line in enumerate(lines, 1):
    try:
      entry = _parse(line, decisions)
      if epochs and entry.epoch <= epochs[-1].epoch:
        raise ValueError(f'epoch {entry.epoch} after epoch {epochs[-1].epoch}')
      epochs.append(entry)
    except ValueError as error:
      reader.add(f'{path.name}:{number}: {error}; passed over')
  if rest and not growing:
    reader.add(f'{path.name}:{len(lines) + 1}: was cut off; passed over')
  return epochs


def _parse(line: bytes, decisions: Choices) -> Epoch:
  entry = files.parse_json(line)
  if not isinstance(entry, dict):
    raise ValueError('not a JSON object')
  epoch, phase = entry.pop('epoch', None), entry.pop('phase', '')
  if type(epoch) is not int or epoch < 0 or not isinstance(phase, str):
    raise ValueError(f'epoch must be a number from 0 and phase a name, got {files.shorten(epoch)} and {files.shorten(phase)}')
  scalars = {name: value for name, value in entry.items() if type(value) in (int, float)}
  return Epoch(epoch, phase, scalars, list(_probabilities(entry.get('probabilities'), decisions)))


def _probabilities(found: Any, decisions: Choices) -> Iterator[list[float]]:
  for path, count in decisions:
    row = found.get(path) if isinstance(found, dict) else None
    if not isinstance(row, list) or len(row) != count or not all(type(p) in (int, float) and 0 <= p <= 1 for p in row):
      raise ValueError(f'no {count} probabilities for decision {path}')
    yield [round(p, _PROBABILITY_DIGITS) for p in row]


def to_json(epochs: Sequence[Epoch]) -> dict[str, list]:
  """Columns, those of the curves in any case: a value for each epoch, None where a line lacks it."""
  names = dict.fromkeys((*_CURVES, *(name for epoch in epochs for name in epoch.scalars)))
  return {'epoch': [epoch.epoch for epoch in epochs],
          'phase': [epoch.phase for epoch in epochs],
          **{name: [epoch.scalars.get(name) for epoch in epochs] for name in names},
          'probabilities': [epoch.probabilities for epoch in epochs]}


def most_likely(epochs: Sequence[Epoch]) -> list[list[int]]:
  """The most probable choice of each decision, by epoch."""
  return [[max(range(len(row)), key=row.__getitem__) for row in epoch.probabilities] for epoch in epochs]


def seconds(epochs: Sequence[Epoch], planned: int | None) -> dict[str, float | None]:
  """Seconds of all epochs, and those left at the pace of the last ones.

  Args:
    epochs: Epochs so far.
    planned: Epochs of the whole search; None if it is over or they are not known.
  """
  taken = [epoch.scalars['seconds'] for epoch in epochs if 'seconds' in epoch.scalars]
  left = None
  if planned is not None and taken:
    left = statistics.median(taken[-_RECENT_EPOCHS:]) * max(planned - epochs[-1].epoch - 1, 0)
  return {'epochs': float(sum(taken)), 'left': left}
