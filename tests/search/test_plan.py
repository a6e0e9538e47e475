"""What a search will cost: counts exact, times of real steps, and nothing changed by taking them."""

import numpy as np
import pytest

from tests import suites
from tests.nn import spaces
from tests.space import spaces as coupled
from tf_proxyless.app import progress
from tf_proxyless.search import plan
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer


@pytest.mark.long
@pytest.mark.parametrize('space', suites.few([spaces.tiny, coupled.tree], 1))  # pools of what is no number give numbers
def test_measuring_changes_no_weight_and_no_momentum(space):
  supernet = spaces.supernet(space())
  optimizer = weight_optimizer.SupernetSGD(supernet)
  variables = [*supernet.weights, *optimizer.fixed_slots, *(slot for choice in optimizer.candidate_slots for row in choice for slot in row)]
  paths = np.zeros((2, len(supernet.decisions)), np.int32)
  before = [variable.numpy() for variable in variables]
  seconds = plan.measure(steps_lib.SupernetSteps(supernet, optimizer), paths, paths[0], 4, 8)
  assert seconds.dearest >= seconds.weight_step > 0 and seconds.forward > 0
  for variable, value in zip(variables, before):
    np.testing.assert_array_equal(variable, value)


def test_counts_every_image():
  schedule = schedule_lib.Schedule(steps_per_epoch=100, warmup_epochs=2, search_epochs=3, weight_steps_per_update=10, frozen_epochs=1)
  seconds = plan.Seconds(3e-3, 7e-3, 1e-3)  # a quarter of the choices of the warm-up are the dearest
  parts = plan.make(schedule, 32, 50, 10, 40, 500, seconds)
  assert [part.images for part in parts] == [2 * 3200, 3 * 3200, (20 * 10 + 40) * 50, (5 + 12) * 500 + 12 * 10 * 32]
  assert [part.seconds for part in parts] == pytest.approx([25.6, 28.8, 12.0, 8.5 + 11.52])
  assert progress.describe(parts) == ('plan: about 1 min 26 s on this machine; warm-up 6.40 k images (30 %), weights 9.60 k images (33 %), '
                                      'scoring 12.0 k images (14 %), validation and derivation 12.3 k images (23 %)')


def test_says_which_of_images_and_steps_is_slower(monkeypatch):
  batches = [(None, np.zeros(10))] * 50
  clock = iter([0.0, 5.0, *np.arange(5.25, 90, 0.25)])  # the first batch takes 5 s, the others 0.25
  monkeypatch.setattr(plan.time, 'perf_counter', lambda: next(clock))
  assert plan.images_per_second(batches) == pytest.approx(40.0)
  assert plan.images_per_second(batches[:1]) == pytest.approx(40.0)
  parts = [plan.Part('weights', 1000, 20.0)]
  assert progress.describe_reading(parts, 40.0) == (
      'plan: images can be read at 40 a second, weight steps take 50: reading images will be the bottleneck')
  assert progress.describe_reading(parts, 1234.5).endswith('1,234 a second, weight steps take 50: the steps will be the bottleneck')


@pytest.mark.parametrize('passes, validation_batch, batch, epoch, expected', [
    (10, 200, 64, 281, 11),  # 2,000 images forward, against 11 * 64 in weight steps of three times the cost
    (3, 64, 64, 281, 5),
    (10, 1000, 32, 40, 40),  # an epoch has no more
])
def test_updates_take_at_most_half_of_the_time(passes, validation_batch, batch, epoch, expected):
  assert plan.weight_steps_per_update(passes, validation_batch, batch, epoch) == expected
