"""How far phones are apart, and which of them is to be believed."""

import random

import pytest

from android_benchmark import agreement
from android_benchmark import output
from android_benchmark import protocol

_MODELS = tuple(f'model{index}' for index in range(30))
_PLAN = protocol.Plan(_MODELS, ('model7',), rounds=3, block_models=10, shared=('model0', 'model7', 'model29'))
_NAMES = {name: f'adb:{name}' for name in 'ABCD'}


def _records(factors, noise=0.0, odd=()):
  """Phones that take blocks in turn; `odd` are phone, model and factor of what is different."""
  rng, records = random.Random(0), []
  for number in range(100):
    phone = list(factors)[number % len(factors)]
    block = protocol.next_block(_PLAN, records, phone)
    if block is None:
      return records
    factor = factors[phone]
    special = {model: value for name, model, value in odd if name == phone}
    times = {model: (1 + _MODELS.index(model)) * factor * special.get(model, 1) * (1 + rng.gauss(0, noise)) for model in block.models}
    launches = {model: output.Launch(time, time) for model, time in times.items()}
    level = 8.0 * factor
    records.append(protocol.Record(block.round, block.index, 'model7', (level, level), launches, {}, {}, 'now', 1.0, {}, phone))
  raise AssertionError('does not end')


def test_scales_are_relative_to_the_mean_and_one_model_does_not_move_them():
  found = agreement.compare(_PLAN, _records({'A': 1.0, 'B': 1.1, 'C': 1 / 1.1}, odd=[('B', 'model29', 1.5)]))
  assert [each.scale for each in found.values()] == pytest.approx([1.0, 1.1, 1 / 1.1])
  assert (found['B'].worst_model, found['B'].worst_percent) == ('model29', pytest.approx(50))
  assert found['B'].models >= 3


def test_noise_averages_out():
  found = agreement.compare(_PLAN, _records({'A': 1.0, 'B': 1.05, 'C': 0.97}, noise=0.02))
  mean = (1.05 * 0.97)**(1 / 3)
  assert [each.scale for each in found.values()] == pytest.approx([1 / mean, 1.05 / mean, 0.97 / mean], rel=0.01)


def test_one_phone_is_itself():
  assert agreement.compare(_PLAN, _records({'A': 3.0})) == {'A': agreement.Agreement(1.0, 0, None, 0.0)}
  assert agreement.compare(_PLAN, []) == {} and agreement.apart(_PLAN, [], ['A'], _NAMES) == {}


def test_phones_that_are_close_are_scaled():
  assert agreement.apart(_PLAN, _records({'A': 1.0, 'B': 1.09}), 'AB', _NAMES) == {}


def test_a_phone_that_is_far_off_is_named():
  found = agreement.apart(_PLAN, _records({'A': 1.0, 'B': 1.02, 'C': 0.8}), 'ABC', _NAMES)
  assert list(found) == ['C']
  assert found['C'].startswith('adb:C takes 20.8 % less than the other phones on the same ')


def test_of_two_nobody_knows_unless_one_is_away_or_a_third_comes():
  records = _records({'A': 1.0, 'B': 1.25}, odd=[('B', 'model0', 1.2)])
  with pytest.raises(ValueError, match=r'adb:B takes 25.0 % longer than adb:A on the same \d+ models \(50.0 % on model0\): more than 10 %'):
    agreement.apart(_PLAN, records, 'AB', _NAMES)
  assert list(agreement.apart(_PLAN, records, 'A', _NAMES)) == ['B']
  assert agreement.apart(_PLAN, records, 'ABC', _NAMES) == {}, 'C has not measured yet'
