"""Learning rates in closed form, and what a recipe refuses."""

import math

import pytest

from tf_proxyless.train import recipe as recipe_lib


def rates(**arguments):
  recipe = recipe_lib.Recipe(**{'epochs': 10, 'steps_per_epoch': 4, 'learning_rate': 0.4, **arguments})
  return [recipe.learning_rate_at(step) for step in range(recipe.steps)]


def test_cosine_to_zero():
  """Of the official code: rate / 2 (1 + cos(pi step / steps))."""
  found = rates()
  assert found[0] == 0.4
  assert found == pytest.approx([0.2 * (1 + math.cos(math.pi * step / 40)) for step in range(40)])
  assert 0 < found[-1] < 0.001


def test_warm_up_is_a_line_to_the_cosine_that_follows():
  found = rates(warmup_epochs=2)
  assert found[:8] == pytest.approx([0.4 * (step + 1) / 9 for step in range(8)])
  assert found[8] == 0.4 and found[8:] == pytest.approx([0.2 * (1 + math.cos(math.pi * step / 32)) for step in range(32)])


def test_half_an_epoch_of_warm_up():
  assert rates(warmup_epochs=0.5)[:3] == pytest.approx([0.4 / 3, 0.8 / 3, 0.4])


def test_exponential_steps():
  """MnasNet (arXiv 1807.11626, section 5): 0.97 of the rate every 2.4 epochs, counted from the start."""
  found = rates(schedule='exponential', decay_rate=0.97, decay_epochs=2.4, warmup_epochs=1)
  assert found[4:10] == [0.4] * 6  # epoch 2.4 is step 9.6
  assert found[10:20] == pytest.approx([0.4 * 0.97] * 10)
  assert found[-1] == pytest.approx(0.4 * 0.97**4)


@pytest.mark.parametrize('field, value', [
    ('epochs', 0), ('steps_per_epoch', 0), ('learning_rate', 0.0), ('learning_rate', math.nan), ('learning_rate', math.inf),
    ('momentum', 1.0), ('weight_decay', -0.1), ('label_smoothing', 1.0), ('label_smoothing', math.nan), ('warmup_epochs', 2.5),
    ('warmup_epochs', -1.0), ('optimizer', 'adam'), ('schedule', 'line'), ('decay_rate', 0.0), ('decay_epochs', 0.0), ('epsilon', 0.0),
    ('rho', 1.0), ('average_momentum', 1.0)])
def test_refusals(field, value):
  with pytest.raises(ValueError, match=f'{field} must be .*{value}'):
    recipe_lib.Recipe(**{'epochs': 2, 'steps_per_epoch': 1, field: value})
