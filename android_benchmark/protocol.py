"""The order of measurements, as pure functions of what was measured so far, so that an interrupted session continues where it was.

In every round all models are shuffled and cut into blocks. A block begins and ends with the reference model. How far these two readings
are off the reference's level, the median of all its readings, is the block's drift. Blocks that drifted too far are measured again.

Where other programs run at the same time, the level is the fastest reading, and a model is measured again only if none of its launches, in
whatever round, was in a block that did not drift.

Several phones take blocks from one plan. Each has its own reference, its level and its failures; what drifted, or failed, on one phone is
measured again by whichever is free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
import dataclasses
import itertools
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
    shared: Models that every one of several phones measures in its first block.
    fastest_counts: Whether other programs run on the device, so that the fastest launch of a model counts, not the median.
  """

  models: tuple[str, ...]
  references: tuple[str, ...]
  rounds: int = 5
  seed: int = 0
  max_drift_percent: float = 3.0
  max_repeats: int = 6
  block_models: int = 20
  shared: tuple[str, ...] = ()
  fastest_counts: bool = False


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
    phone: Key of the phone that measured it; '' is this machine, or the only phone.
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
  phone: str = ''


def blocks(plan: Plan) -> tuple[Block, ...]:
  """All blocks with all models, in order, as if none ever failed."""
  count = math.ceil(len(plan.models) / plan.block_models)
  result = []
  for number in range(plan.rounds):
    models = list(plan.models)
    random.Random(f'{plan.seed}/{number}').shuffle(models)
    result += [Block(number, index, plan.references[0], tuple(models[index::count])) for index in range(count)]
  return tuple(result)


def by_phone(records: Iterable[Record]) -> dict[str, list[Record]]:
  """What each phone measured."""
  result: dict[str, list[Record]] = {}
  for record in records:
    result.setdefault(record.phone, []).append(record)
  return result


def failures(records: Iterable[Record]) -> dict[str, str]:
  """Reasons of the models that failed."""
  return {model: reason for record in records for model, reason in record.failed.items()}


def reference(plan: Plan, records: Iterable[Record]) -> str:
  """The model that is the reference of a phone with these records.

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


def level_ms(plan: Plan, model: str, records: Iterable[Record]) -> float:
  """The level of a reference model: the median of its readings, or the fastest; NaN before the first."""
  return (min if plan.fastest_counts else statistics.median)(readings_ms(model, records) or [math.nan])


def drift_percent(record: Record, level: float) -> float:
  """Distance of a block's readings of the reference from its level; infinite where one is missing."""
  return max(math.inf if reading is None else abs(100 * (reading / level - 1)) for reading in record.readings_ms)


@dataclasses.dataclass(frozen=True)
class Try:
  """A measurement of a block that counts: its phone still has the same reference.

  Attributes:
    record: The measurement.
    drift: Its drift from its phone's level, percent.
    models: The models that it measured and that never failed on its phone.
  """

  record: Record
  drift: float
  models: frozenset[str]


def tries(plan: Plan, records: Iterable[Record]) -> dict[tuple[int, int], list[Try]]:
  """Measurements of each block by its round and index."""
  result: dict[tuple[int, int], list[Try]] = {(block.round, block.index): [] for block in blocks(plan)}
  for own in by_phone(records).values():
    failed = failures(own)
    present = next((model for model in plan.references if model not in failed), '')
    level = level_ms(plan, present, own)
    for record in own:
      if record.reference == present and (record.round, record.index) in result:
        found = Try(record, drift_percent(record, level), frozenset(record.launches) - frozenset(failed))
        result[record.round, record.index].append(found)
  return result


def next_block(plan: Plan, records: Sequence[Record], phone: str = '', busy: Collection[tuple[int, int]] = ()) -> Block | None:
  """The block that a phone is to measure now; None when there is none for it.

  Args:
    plan: Plan of the measurements.
    records: What was measured so far, by all phones.
    phone: Key of the phone.
    busy: Rounds and indices of the blocks that other phones are measuring.

  Raises:
    BenchmarkError: No reference model runs on this phone.
  """
  own = [record for record in records if record.phone == phone]
  present, failed, measured = reference(plan, own), failures(own), tries(plan, records)
  least = least_drifts(measured)
  shared = [model for model in plan.shared if model not in failed and not any(model in record.launches for record in own)]
  for number in range(plan.rounds):
    waiting: list[tuple[int, Block]] = []
    for block in blocks(plan):
      if block.round == number and (number, block.index) not in busy:
        drifts = {model: [found.drift for found in measured[number, block.index] if model in found.models] for model in block.models}
        missing = {model: len(own_drifts) for model, own_drifts in drifts.items()
                   if model not in failed and not _is_enough(plan, own_drifts, number, least.get(model, math.inf))}
        if missing:
          models = (*missing, *(model for model in shared if model not in missing))
          waiting.append((min(missing.values()), dataclasses.replace(block, reference=present, models=models)))
    if waiting:
      return min(waiting, key=lambda found: found[0])[1]
  return None


def least_drifts(measured: Mapping[Any, Iterable[Try]]) -> dict[str, float]:
  """By model the least drift, percent, among all blocks that it was measured in; of what `tries` gives."""
  found: dict[str, float] = {}
  for each in itertools.chain.from_iterable(measured.values()):
    found.update({model: min(each.drift, found.get(model, math.inf)) for model in each.models})
  return found


def _is_enough(plan: Plan, drifts: Sequence[float], number: int, least: float) -> bool:
  """Whether a model was measured in a round often enough, with these drifts, where `least` is that of all rounds."""
  if not drifts or len(drifts) > plan.max_repeats:
    return bool(drifts)
  if plan.fastest_counts:
    return number < plan.rounds - 1 or least <= plan.max_drift_percent
  return min(drifts) <= plan.max_drift_percent


def chosen(plan: Plan, records: Iterable[Record]) -> dict[tuple[int, str], Record]:
  """By round and model the measurement that drifted least. Models that failed wherever they were tried are missing."""
  result = {}
  measured = tries(plan, records)
  for block in blocks(plan):
    for model in block.models:  # others, which phones are compared by, have a block of their own
      found = [each for each in measured[block.round, block.index] if model in each.models]
      if found:
        result[block.round, model] = min(found, key=lambda each: each.drift).record
  return result


def kept(plan: Plan, records: Iterable[Record]) -> list[Record]:
  """The measurements of blocks that `chosen` takes something from, in order."""
  return list({id(record): record for record in chosen(plan, records).values()}.values())
