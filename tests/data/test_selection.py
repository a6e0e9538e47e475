"""The choice of examples: its counts in closed form, and what it must not depend on."""

import numpy as np
import pytest

from tf_proxyless.data import selection

IDS = np.array([f'example_{i}' for i in range(1000)], np.bytes_)
LABELS = np.arange(1000) % 7


@pytest.mark.parametrize('total, weights, shares', [
    (10, [1, 1, 1], [4, 3, 3]),
    (7, [1, 2, 4], [1, 2, 4]),
    (5, [3, 3, 3, 1], [2, 2, 1, 0]),  # quotas 1.5 1.5 1.5 0.5: of equal remainders the first win
    (3, [0, 1, 0, 1], [0, 2, 0, 1]),
    (0, [5, 6], [0, 0]),
    (360, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180], [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]),
])
def test_apportion_gives_largest_remainders(total, weights, shares):
  assert selection.apportion(total, weights).tolist() == shares
  quotas = total * np.array(weights) / np.sum(weights)
  assert np.all(np.abs(np.array(shares) - quotas) < 1)


def test_choose_takes_the_asked_number_of_each_class():
  counts = np.array([0, 1, 2, 50, 100, 142, 3])
  chosen = selection.choose(IDS, LABELS, counts, 'salt')
  assert np.bincount(LABELS[chosen], minlength=7).tolist() == counts.tolist()


def test_choice_does_not_depend_on_the_order_of_reading():
  order = np.random.default_rng(0).permutation(len(IDS))
  chosen = selection.choose(IDS, LABELS, np.full(7, 20), 'a')
  assert np.array_equal(chosen[order], selection.choose(IDS[order], LABELS[order], np.full(7, 20), 'a'))


def test_a_larger_choice_contains_the_smaller():
  small, large = (selection.choose(IDS, LABELS, np.full(7, n), 'a') for n in (10, 30))
  assert np.all(large[small])


def test_salts_choose_independently():
  a, b = (selection.choose(IDS, LABELS, np.full(7, 71), salt) for salt in ('a', 'b'))
  # Two independent halves share 497 / 2 examples on average, with a standard deviation of about sqrt(1000) / 4 = 8.
  assert abs(np.count_nonzero(a & b) - 248.5) < 40


def test_choice_is_the_same_on_every_machine():
  # FarmHash is fixed; a changed hash would move the validation set of every saved search.
  chosen = selection.choose(np.array([b'%d' % i for i in range(10)]), np.zeros(10, np.int64), np.array([3]), 'salt')
  assert np.flatnonzero(chosen).tolist() == [1, 3, 4]
