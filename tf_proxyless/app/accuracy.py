"""What accuracies of the same network say of each other: by chance, by other images, or by a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
from typing import Any

_STANDARD_ERRORS = 2.0
_COLLAPSE = 0.03  # int8 costs a point or so


@dataclasses.dataclass(frozen=True)
class Accuracy:
  """An accuracy on test images.

  Attributes:
    top1: Share of the images.
    images: How many there are.
    dataset: Their name; None is not known.
  """

  top1: float
  images: int
  dataset: str | None = None

  def __str__(self) -> str:
    return f'{self.top1:.2%} of {self.images:,} test images'


def standard_error(first: Accuracy, second: Accuracy) -> float:
  """Of their difference, if it is chance: binomial, of the same images or of others."""
  images = first.images if first.images == second.images else 1 / (1 / first.images + 1 / second.images)
  share = (first.top1 * first.images + second.top1 * second.images) / (first.images + second.images)
  return (share * (1 - share) / images) ** 0.5


def compare(name: str, earlier: Accuracy, now: Accuracy) -> Iterator[str]:
  """Lines for the user: both accuracies of a network, and a warning if they differ by more than chance.

  Args:
    name: Name of the network, for messages.
    earlier: What was found when it was made.
    now: What is found now.
  """
  yield f'{name + " when made":<22} {earlier}; now {now}'
  error = standard_error(earlier, now)
  if earlier.dataset not in (None, now.dataset):
    why = f'the dataset is another, {earlier.dataset} then'
  elif earlier.images != now.images:
    why = 'the test images are others'
  else:
    why = 'the images are others of the same number, or something is wrong'
  if abs(earlier.top1 - now.top1) > _STANDARD_ERRORS * error:
    yield (f'warning: these differ by {100 * abs(earlier.top1 - now.top1):.2f} points, more than chance (a standard error is '
           f'{100 * error:.2f}): {why}')


def of_results(name: str, results: Mapping[str, Any] | None, now: Accuracy) -> Iterator[str]:
  """`compare` with what results.json says, if there is one, of a model that is evaluated again."""
  if results and 'test_top1' in results:
    yield from compare(name, Accuracy(results['test_top1'], results.get('test_images', now.images), results.get('dataset')), now)


def collapse(name: str, plain: Accuracy, now: Accuracy) -> Iterator[str]:
  """A warning if an int8 network or file is much worse than its float network.

  Args:
    name: Name of the network or file, for messages.
    plain: Accuracy of the float network.
    now: Accuracy of the other.
  """
  lost = plain.top1 - now.top1
  if lost > max(_COLLAPSE, _STANDARD_ERRORS * standard_error(plain, now)):
    yield (f'warning: {name} has lost {100 * lost:.2f} points: the float network has {plain.top1:.2%}, it {now.top1:.2%}; fine-tune with '
           'a lower `learning_rate`, or for more `epochs`')
