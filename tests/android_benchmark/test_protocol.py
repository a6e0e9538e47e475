import collections
import dataclasses
import math

import pytest

from android_benchmark import errors
from android_benchmark import output
from android_benchmark import protocol

_MODELS = tuple(f'model{index}' for index in range(47))
_PLAN = protocol.Plan(_MODELS, ('model7', 'model3'), rounds=3, seed=5, max_drift_percent=3, max_repeats=2)


def _record(block, readings=(1.0, 1.0), failed=()):
  launches = {model: output.Launch(mean_ms=1) for model in block.models if model not in failed}
  failures = dict.fromkeys(failed, 'crash')
  return protocol.Record(block.round, block.index, block.reference, tuple(readings), launches, failures, {}, 'now', 1.0, {})


def _measure_all(plan, outcome, limit=100):
  """Measures until done; `outcome` makes the record of the nth block."""
  records = []
  while (block := protocol.next_block(plan, records)) is not None:
    records.append(outcome(len(records), block))
    assert len(records) < limit
  return records


def test_every_round_has_every_model_once_in_another_order():
  blocks = protocol.blocks(_PLAN)
  assert all(len(block.models) <= _PLAN.block_models for block in blocks)
  orders = [[model for block in blocks if block.round == number for model in block.models] for number in range(3)]
  assert all(sorted(order) == sorted(_MODELS) for order in orders)
  assert len({tuple(order) for order in orders}) == 3
  assert protocol.blocks(_PLAN) == blocks


def test_without_drift_each_block_is_measured_once_in_order():
  records = _measure_all(_PLAN, lambda number, block: _record(block))
  assert [(record.round, record.index) for record in records] == [(block.round, block.index) for block in protocol.blocks(_PLAN)]
  assert protocol.kept(_PLAN, records) == records


@pytest.mark.parametrize('readings', [(1.0, 1.031), (0.969, 1.0), (1.031, 1.0)])
def test_a_block_that_drifted_is_repeated_at_the_end_of_its_round(readings):
  records = _measure_all(_PLAN, lambda number, block: _record(block, readings if number == 1 else (1.0, 1.0)))
  assert [(record.round, record.index) for record in records[:5]] == [(0, 0), (0, 1), (0, 2), (0, 1), (1, 0)]
  assert len(records) == 10
  assert records[3] in protocol.kept(_PLAN, records)
  assert records[1] not in protocol.kept(_PLAN, records)


def test_drift_is_up_to_the_limit():
  assert len(_measure_all(_PLAN, lambda number, block: _record(block, (1.0, 1.029) if number == 1 else (1.0, 1.0)))) == 9


def test_repeats_have_an_end_and_the_one_that_drifted_least_is_kept():
  drifts = iter([1.5, 1.2, 1.4])

  def outcome(number, block):
    return _record(block, (1.0, next(drifts)) if (block.round, block.index) == (1, 2) else (1.0, 1.0))

  records = _measure_all(_PLAN, outcome)
  assert len(records) == 9 + _PLAN.max_repeats
  kept = [record for record in protocol.kept(_PLAN, records) if (record.round, record.index) == (1, 2)]
  assert [record.readings_ms for record in kept] == [(1.0, 1.2)]


def test_the_level_is_the_median_so_that_early_blocks_can_turn_out_to_have_drifted():
  """The first round of a cold phone is faster than all that follows."""
  records = _measure_all(_PLAN, lambda number, block: _record(block, (0.9, 0.9) if number < 3 else (1.0, 1.0)))
  assert protocol.level_ms(_PLAN, 'model7', records) == 1.0
  assert all(record.readings_ms == (1.0, 1.0) for record in protocol.kept(_PLAN, records))


def test_where_the_fastest_counts_a_model_is_repeated_only_if_none_of_its_launches_was_without_drift():
  shared = dataclasses.replace(_PLAN, fastest_counts=True)
  slow = iter([True, False, True, True, True, False, True, True, True])  # in every block but one of the first round and one of the second
  records = _measure_all(shared, lambda number, block: _record(block, (1.3, 1.3) if number < 9 and next(slow) else (1.0, 1.0)))
  assert protocol.level_ms(shared, 'model7', records) == 1.0
  well = {model for record in (records[1], records[5]) for model in record.launches}
  counts = collections.Counter(model for record in records for model in record.launches)
  assert counts == {model: 3 if model in well else 4 for model in _MODELS}
  assert max(protocol.least_drifts(protocol.tries(shared, records)).values()) == 0.0
  busy = _measure_all(shared, lambda number, block: _record(block, (1.3, 1.3 if number else 1.0)))
  assert len(busy) == len(protocol.blocks(shared)) + 3 * shared.max_repeats


def test_a_model_that_failed_is_left_out_from_then_on():
  records = _measure_all(_PLAN, lambda number, block: _record(block, failed={'model9'} & set(block.models)))
  assert sum('model9' in record.failed for record in records) == 1
  assert protocol.failures(records) == {'model9': 'crash'}
  counts = collections.Counter(model for record in records for model in record.launches)
  assert counts == {model: 3 for model in _MODELS if model != 'model9'}


def test_when_the_reference_fails_the_next_one_takes_its_place_and_blocks_are_measured_anew():
  def outcome(number, block):
    broken = block.reference == 'model7' and number == 2
    return _record(block, (1.0, None) if broken else (1.0, 1.0), failed=('model7',) if broken else ())

  records = _measure_all(_PLAN, outcome)
  assert [record.reference for record in records] == ['model7'] * 3 + ['model3'] * 9
  assert protocol.kept(_PLAN, records) == records[3:]


def test_without_any_reference_there_is_no_measurement():
  block = protocol.blocks(_PLAN)[0]
  with pytest.raises(errors.BenchmarkError, match='model7 fails, choose another: crash'):
    protocol.next_block(_PLAN, [_record(block, (None, None), failed=('model7', 'model3'))])


def test_more_rounds_continue_what_fewer_have_begun():
  records = _measure_all(_PLAN, lambda number, block: _record(block))
  longer = protocol.Plan(_MODELS, _PLAN.references, rounds=4, seed=5)
  assert protocol.next_block(longer, records) == protocol.blocks(longer)[9]


def test_a_missing_reading_is_endless_drift():
  assert protocol.drift_percent(_record(protocol.blocks(_PLAN)[0], (1.0, None)), 1.0) == math.inf


def test_a_block_all_of_whose_models_failed_is_skipped():
  plan = protocol.Plan(('a', 'b'), ('a', 'b'), rounds=2)
  first = protocol.next_block(plan, [])
  records = [_record(first, failed=('b',))]
  assert protocol.next_block(plan, records).models == ('a',)


# --- Several phones


def _by(phone, record):
  return protocol.Record(**{**vars(record), 'phone': phone})


def _measure_by(plan, phones, outcome, records=(), limit=100):
  """Phones take blocks in turn, each before the one before has ended its own."""
  records, busy = list(records), {}
  while True:
    for phone in phones:
      if phone in busy:
        records.append(_by(phone, outcome(phone, busy.pop(phone))))
      block = protocol.next_block(plan, records, phone, [(other.round, other.index) for other in busy.values()])
      if block is not None:
        busy[phone] = block
    assert len(records) < limit
    if not busy:
      return records


def test_phones_share_the_blocks_and_each_measures_the_shared_models_first():
  plan = protocol.Plan(_MODELS, ('model7',), rounds=3, seed=5, shared=('model0', 'model7', 'model46'))
  records = _measure_by(plan, 'ABC', lambda phone, block: _record(block))
  assert sorted((record.round, record.index) for record in records) == [(block.round, block.index) for block in protocol.blocks(plan)]
  for phone, own in protocol.by_phone(records).items():
    assert len(own) == 3 and set(plan.shared) <= own[0].launches.keys(), phone
    assert [len(record.launches) for record in own[1:]] == [len(protocol.blocks(plan)[record.round * 3 + record.index].models)
                                                           for record in own[1:]]
  assert len(protocol.chosen(plan, records)) == 3 * len(_MODELS)


def test_each_phone_drifts_from_its_own_level():
  readings = {'A': (1.0, 1.0), 'B': (1.2, 1.2)}
  records = _measure_by(_PLAN, 'AB', lambda phone, block: _record(block, readings[phone]))
  assert len(records) == 9
  drifted = _by('A', _record(protocol.blocks(_PLAN)[0], (1.0, 1.2)))
  assert protocol.next_block(_PLAN, [*records[1:], drifted], 'B').index == 0, 'another phone repeats it'


def test_what_failed_on_one_phone_is_measured_on_another_and_only_what_failed_everywhere_is_left_out():
  failing = {'A': {'model9', 'model11'}, 'B': {'model9'}}
  records = _measure_by(_PLAN, 'AB', lambda phone, block: _record(block, failed=failing[phone] & set(block.models)))
  assert {model for _, model in protocol.chosen(_PLAN, records)} == set(_MODELS) - {'model9'}
  assert all((number, 'model11') in protocol.chosen(_PLAN, records) for number in range(3))
  assert all(record.phone == 'B' for (_, model), record in protocol.chosen(_PLAN, records).items() if model == 'model11')


def test_a_phone_whose_reference_never_runs_takes_nothing_from_others():
  block = protocol.blocks(_PLAN)[0]
  broken = _by('A', _record(block, (None, None), failed=('model7', 'model3')))
  with pytest.raises(errors.BenchmarkError, match='choose another'):
    protocol.next_block(_PLAN, [broken], 'A')
  assert protocol.next_block(_PLAN, [broken], 'B').models == block.models
