"""When a search does what."""

import math

import pytest

from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path


def make(steps_per_epoch=13, warmup_epochs=3, search_epochs=5, **settings):
  return schedule_lib.Schedule(steps_per_epoch, warmup_epochs, search_epochs, **settings)


def test_phases():
  schedule = make()
  assert schedule.epochs == 8
  assert [schedule.phase(epoch) for epoch in range(8)] == ['warmup'] * 3 + ['joint'] * 5
  assert make(warmup_epochs=0).phase(0) == 'joint'


def test_learning_rates_are_cosines_to_0():
  schedule = make(steps_per_epoch=10, warmup_epochs=4, search_epochs=6, warmup_learning_rate=0.2, search_learning_rate=0.08)
  assert schedule.learning_rate(0, 0) == 0.2
  assert schedule.learning_rate(2, 0) == pytest.approx(0.1)
  assert schedule.learning_rate(1, 0) == pytest.approx(0.1 * (1 + math.sqrt(0.5)))
  assert 0 < schedule.learning_rate(3, 9) < 0.2 * 0.002
  assert schedule.learning_rate(4, 0) == 0.08
  assert schedule.learning_rate(7, 0) == pytest.approx(0.04)
  assert 0 < schedule.learning_rate(9, 9) < 0.08 * 0.001
  for first, last in ((0, 4), (4, 10)):
    rates = [schedule.learning_rate(epoch, step) for epoch in range(first, last) for step in range(10)]
    assert rates == sorted(rates, reverse=True)


def test_the_warmup_begins_with_the_dearest_network():
  schedule = make(steps_per_epoch=10, warmup_epochs=4)
  shares = [schedule.dearest(epoch, step) for epoch in range(4) for step in range(10)]
  assert shares[0] == 1.0 and shares[10] == pytest.approx(0.5) and shares[20:] == [0.0] * 20
  assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize('settings', [
    {}, {'weight_steps_per_update': 1}, {'weight_steps_per_update': 13}, {'weight_steps_per_update': 7, 'frozen_epochs': 0},
    {'frozen_epochs': 4}, {'warmup_epochs': 0, 'weight_steps_per_update': 2}])
def test_updates_counted_are_the_updates_that_happen(settings):
  schedule = make(**settings)
  happen = [(epoch, step) for epoch in range(schedule.epochs) for step in range(13) if schedule.updates_after(epoch, step)]
  assert len(happen) == schedule.updates > 0
  assert happen[0] == (schedule.warmup_epochs + schedule.frozen_epochs, schedule.weight_steps_per_update - 1)


@pytest.mark.parametrize('settings, message', [
    ({'steps_per_epoch': 0}, 'steps_per_epoch must be at least 1, got 0'),
    ({'warmup_epochs': -1}, 'warmup_epochs must be at least 0, got -1'),
    ({'search_epochs': 0}, 'search_epochs must be at least 1, got 0'),
    ({'weight_steps_per_update': 0}, 'weight_steps_per_update must be at least 1, got 0'),
    ({'frozen_epochs': -1}, 'frozen_epochs must be at least 0, got -1'),
    ({'frozen_epochs': 5}, 'the architecture would never be updated: 5 search epochs of 13 steps, of which 5 without updates'),
    ({'frozen_epochs': 9}, 'the architecture would never be updated'),
    ({'weight_steps_per_update': 14}, 'the architecture would never be updated'),
])
def test_refuses(settings, message):
  with pytest.raises(ValueError, match=message):
    make(**settings)


@pytest.mark.parametrize('rate, points', [
    (reinforce.ReinforceConfig().rate,
     {300: 0.05, 1_000: 0.0125, 3_000: 0.0085, 10_000: 0.005, 100_000: 0.001}),
    (two_path.TwoPathConfig().rate, {3_000: 0.03, 10_000: 0.01, 100_000: 0.001}),
], ids=['reinforce', 'gradient'])
def test_default_rates(rate, points):
  for updates, value in points.items():
    assert rate(updates) == pytest.approx(value)
  for (low, high), (start, end) in zip(zip(points, list(points)[1:]), zip(points.values(), list(points.values())[1:])):
    assert rate(math.sqrt(low * high)) == pytest.approx(math.sqrt(start * end))  # a line between logarithms
  assert rate(1) == rate(0) == pytest.approx(points[min(points)])  # level beyond the ends
  assert rate(10**7) == pytest.approx(points[max(points)])
