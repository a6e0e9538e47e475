"""Choices in a tree: walking, resolving, counting."""

import dataclasses
import itertools
import math
import pickle

import pytest

from tests.space import spaces
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class Named:
  name: str
  value: object


ONE_OF = schema.OneOf(('a', 'b', 'c'), 'letter')
# A choice whose second alternative holds a choice itself, beside two named elements.
NESTED = (schema.OneOf((1, (Named('inner', schema.OneOf((10, 20), 'number')),)), 'outer'), Named('x', ONE_OF))


def test_walk_gives_paths_parents_first():
  assert [(path, one_of.tag) for path, one_of in schema.walk(NESTED)] == [
      ('0', 'outer'), ('0/1/inner/value', 'number'), ('x/value', 'letter')]


def test_a_space_may_be_one_choice():
  assert list(schema.walk(ONE_OF)) == [('', ONE_OF)]
  assert schema.resolve(ONE_OF, {'': 1}) == 'b'


def test_resolve_takes_exactly_the_active_decisions():
  assert schema.resolve(NESTED, {'0': 0, 'x/value': 2}) == (1, Named('x', 'c'))
  assert schema.resolve(NESTED, {'0': 1, '0/1/inner/value': 1, 'x/value': 0}) == ((Named('inner', 20),), Named('x', 'a'))


def test_resolve_refuses():
  with pytest.raises(KeyError, match="no choice for decision 'x/value'"):
    schema.resolve(NESTED, {'0': 0})
  with pytest.raises(KeyError, match=r"not in the space: \['0/1/inner/value', 'y'\]"):
    schema.resolve(NESTED, {'0': 0, 'x/value': 0, 'y': 1, '0/1/inner/value': 0})
  for index in (-1, 3):
    with pytest.raises(ValueError, match=rf"choice {index} of decision 'x/value' is not one of 0\.\.2"):
      schema.resolve(NESTED, {'0': 0, 'x/value': index})


def test_cardinality_is_the_number_of_resolutions():
  resolutions = {schema.resolve(NESTED, {'0': 0, 'x/value': i}) for i in range(3)}
  resolutions |= {schema.resolve(NESTED, {'0': 1, '0/1/inner/value': j, 'x/value': i}) for i in range(3) for j in range(2)}
  assert schema.cardinality(NESTED) == len(resolutions) == (1 + 2) * 3


NUMBER = schema.OneOf((1, 2, 3), 'number', 'number')
WIDTH, DEPTH = schema.OneOf((8, 16), 'width', 'width'), schema.OneOf((Named('deep', ONE_OF), 0), 'depth', 'depth')
SHARED = {  # decisions in several places: always, in some choices only, both of two, with decisions in their own choices
    'always': (WIDTH, ONE_OF, WIDTH),
    'sometimes': (schema.OneOf((WIDTH, 'none'), 'a'), schema.OneOf((Named('x', WIDTH), 'none', Named('y', WIDTH)), 'b')),
    'two': (schema.OneOf(((WIDTH, NUMBER), 0), 'a'), schema.OneOf((WIDTH, NUMBER), 'b')),
    'deep': (DEPTH, schema.OneOf((DEPTH, 1), 'a'), WIDTH, WIDTH),
}


@pytest.mark.parametrize('space', [*SHARED.values(), *(make() for make in spaces.COUPLED.values())], ids=[*SHARED, *spaces.COUPLED])
def test_cardinality_with_decisions_in_several_places(space):
  paths = itertools.product(*(range(len(decision.choices)) for decision in schema.decisions(space)))
  assert schema.cardinality(space) == len({schema.resolve(space, schema.genotype(space, path)) for path in paths})


def test_cardinality_of_independent_decisions_is_their_product():
  decisions = tuple(schema.OneOf(tuple(range(n)), 'n') for n in range(1, 25))
  assert schema.cardinality(decisions) == math.factorial(24)


def test_is_resolved():
  assert not schema.is_resolved(NESTED)
  assert schema.is_resolved(schema.resolve(NESTED, {'0': 0, 'x/value': 0}))
  assert not schema.is_resolved(schema.OneOf((1,), 'only'))  # one choice is still a decision


@pytest.mark.parametrize('choices', [(), [1, 2], None])
def test_one_of_needs_a_tuple_of_choices(choices):
  with pytest.raises(ValueError, match='non-empty tuple'):
    schema.OneOf(choices, 'tag')


def test_genotype_is_a_hashable_mapping_in_order():
  genotype = schema.Genotype({'b': 1, 'a': 0})
  assert list(genotype) == ['b', 'a'] and len(genotype) == 2 and genotype['b'] == 1
  same = schema.Genotype({'a': 0, 'b': 1})
  assert genotype == same == {'a': 0, 'b': 1} and hash(genotype) == hash(same)
  assert genotype != schema.Genotype({'a': 0, 'b': 2})
  assert pickle.loads(pickle.dumps(genotype)) == genotype


def test_genotype_does_not_follow_its_argument():
  choices = {'a': 0}
  genotype = schema.Genotype(choices)
  choices['a'] = 1
  assert genotype['a'] == 0


@pytest.mark.parametrize('choices', [{'a': 1.0}, {'a': True}, {1: 0}, {'a': '0'}])
def test_genotype_refuses_other_types(choices):
  with pytest.raises(TypeError, match='a genotype maps paths'):
    schema.Genotype(choices)
