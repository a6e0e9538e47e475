"""The order of measurements, as pure functions of what was measured so far, so that an interrupted session continues where it was.

In every round all models are shuffled and cut into blocks. A block begins and ends with the reference model. How far these two readings
are off the reference's level, the median of all its readings, is the block's drift. Blocks that drifted too far are measured again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import math
import random
import statistics
from typing import Any

from android_benchmark import errors
from android_benchmark import output


@dataclasses.dataclass(frozen=True)
class Plan:
  """A plan of measurements.

  Attributes:
    models: Names of the models.
    references: Models that may be the reference, the best first; the next is for when one fails.
    rounds: Number of measurements of each model.
    seed: Seed of the order.
    max_drift_percent: Drift above which a block is measured again.
    max_repeats: Maximum number of repeats.
    block_models: Maximum number of models per block.
  """

  models: tuple[str, ...]
  references: tuple[str, ...]
  rounds: int = 5
  seed: int = 0
  max_drift_percent: float = 3.0
  max_repeats: int = 6
  block_models: int = 20


@dataclasses.dataclass(frozen=True)
class Block:
  """Models that are measured together."""

  round: int
  index: int
  reference: str
  models: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Record:
  """A block that was measured.

  Attributes:
    round, index, reference: Round, place and reference model of the block.
    readings_ms: Readings of the reference before and after the models; None where it failed.
    launches: Statistics by model.
    failed: Reasons by model, where its launch and another one failed.
    retried: Reasons by model, where its launch failed, but not another one.
    time: Start, ISO 8601.
    seconds: Duration.
    health: State of the device before it.
  """

  round: int
  index: int
  reference: str
  readings_ms: tuple[float | None, ...]
  launches: Mapping[str, output.Launch]
  failed: Mapping[str, str]
  retried: Mapping[str, str]
  time: str
  seconds: float
  health: Mapping[str, Any]


def blocks(plan: Plan) -> tuple[Block, ...]:
  """All blocks with all models, in order, as if none ever failed."""
  count = math.ceil(len(plan.models) / plan.block_models)
  result = []
  for number in range(plan.rounds):
    models = list(plan.models)
    random.Random(f'{plan.seed}/{number}').shuffle(models)
    result += [Block(number, index, plan.references[0], tuple(models[index::count])) for index in range(count)]
  return tuple(result)


def failures(records: Iterable[Record]) -> dict[str, str]:
  """Reasons of the models that are left out."""
  return {model: reason for record in records for model, reason in record.failed.items()}


def reference(plan: Plan, records: Iterable[Record]) -> str:
  """The model that is the reference.

  Raises:
    BenchmarkError: None of those that may be it runs.
  """
  failed = failures(records)
  for model in plan.references:
    if model not in failed:
      return model
  model = plan.references[0]
  raise errors.BenchmarkError(f'the reference model {model} fails, choose another: {failed[model]}')


def readings_ms(model: str, records: Iterable[Record]) -> list[float]:
  """All readings of a model as the reference."""
  return [reading for record in records if record.reference == model for reading in record.readings_ms if reading is not None]


def level_ms(model: str, records: Iterable[Record]) -> float:
  """The level of a reference model: the median of its readings; NaN before the first."""
  return statistics.median(readings_ms(model, records) or [math.nan])


def drift_percent(record: Record, level: float) -> float:
  """Distance of a block's readings of the reference from its level; infinite where one is missing."""
  return max(math.inf if reading is None else abs(100 * (reading / level - 1)) for reading in record.readings_ms)


def attempts(plan: Plan, records: Sequence[Record]) -> dict[tuple[int, int], list[Record]]:
  """Measurements of each block by its round and index, those with the present reference."""
  present = reference(plan, records)
  result: dict[tuple[int, int], list[Record]] = {(block.round, block.index): [] for block in blocks(plan)}
  for record in records:
    if record.reference == present and (record.round, record.index) in result:
      result[record.round, record.index].append(record)
  return result


def next_block(plan: Plan, records: Sequence[Record]) -> Block | None:
  """The block to measure now; None when all is done.

  Raises:
    BenchmarkError: No reference model runs.
  """
  present, failed, measured = reference(plan, records), failures(records), attempts(plan, records)
  level = level_ms(present, records)
  for number in range(plan.rounds):
    remaining = [dataclasses.replace(block, reference=present, models=tuple(model for model in block.models if model not in failed))
                 for block in blocks(plan) if block.round == number]
    drifted = []
    for block in remaining:
      tries = measured[number, block.index]
      if block.models and not tries:
        return block
      if block.models and len(tries) <= plan.max_repeats:
        if min(drift_percent(record, level) for record in tries) > plan.max_drift_percent:
          drifted.append(block)
    if drifted:
      return min(drifted, key=lambda block: len(measured[number, block.index]))
  return None


def kept(plan: Plan, records: Sequence[Record]) -> list[Record]:
  """Of each block the measurement that drifted least."""
  level = level_ms(reference(plan, records), records)
  return [min(tries, key=lambda record: drift_percent(record, level)) for tries in attempts(plan, records).values() if tries]
