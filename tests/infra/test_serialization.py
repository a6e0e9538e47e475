"""Dataclasses to JSON values and back."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any, Union

import pytest

from tf_proxyless.infra import serialization


@dataclasses.dataclass(frozen=True)
class Leaf:
  size: int
  weight: float = 1.5


@dataclasses.dataclass(frozen=True)
class Other:
  flag: bool


@dataclasses.dataclass(frozen=True)
class Tree:
  name: str
  child: Union[Leaf, Other]
  anything: tuple[Any, ...] = ()
  pair: tuple[int, float] = (1, 2.0)
  optional: Leaf | None = None
  by_name: Mapping[str, Leaf | None] = dataclasses.field(default_factory=dict)


TAGS = {'leaf': Leaf, 'other': Other}
TREE = Tree('t', Other(True), (Leaf(2), Other(False)), (3, 4.5), Leaf(5, 6.5), {'a': Leaf(7), 'b': None})


def test_round_trip():
  assert serialization.decode(Tree, serialization.encode(TREE, TAGS), TAGS) == TREE


def test_encoding():
  assert serialization.encode(Tree('t', Leaf(1), by_name={'a': Leaf(2)}), TAGS) == {
      'name': 't', 'child': {'type': 'leaf', 'size': 1, 'weight': 1.5}, 'anything': [], 'pair': [1, 2.0],
      'by_name': {'a': {'type': 'leaf', 'size': 2, 'weight': 1.5}}}


def test_integers_are_numbers_but_truth_values_are_not():
  assert serialization.decode(Leaf, {'size': 1, 'weight': 2}) == Leaf(1, 2.0)
  assert isinstance(serialization.decode(Leaf, {'size': 1, 'weight': 2}).weight, float)
  with pytest.raises(ValueError, match='^weight: must be a finite number, got True'):
    serialization.decode(Leaf, {'size': 1, 'weight': True})


def test_long_values_are_shortened():
  with pytest.raises(ValueError) as error:
    serialization.decode(Leaf, {'size': 'x' * 10**6})
  assert len(str(error.value)) < 100
