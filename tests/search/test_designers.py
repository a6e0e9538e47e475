"""Designers: moves, how the genetic algorithm adapts, and gains on landscapes; what all of them keep is in test_contract."""

import itertools

import numpy as np
import pytest

from tests.search import landscapes
from tests.space import spaces
from tf_proxyless.cost import memory
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import limits
from tf_proxyless.derive import solver
from tf_proxyless.search import ask_tell
from tf_proxyless.search.designers import bayesian
from tf_proxyless.search.designers import evolution
from tf_proxyless.search.designers import genetic
from tf_proxyless.search.designers import local_search
from tf_proxyless.search.designers import moves
from tf_proxyless.search.designers import random
from tf_proxyless.space import schema

DESIGNERS = {'evolution': evolution.Evolution, 'genetic': genetic.Genetic, 'local_search': local_search.LocalSearch}


def space_of(name):
  space = spaces.COUPLED[name]()
  return schema.decisions(space), model_lib.from_macs(space)


@pytest.mark.parametrize('name', ['nested', 'widths'])
def test_moves(name):
  decisions, costs = space_of(name)
  rng = np.random.default_rng(0)
  paths = [tuple(path) for path in random.draw(decisions, 20, rng).tolist()]
  for path in paths:
    found = set(moves.neighbours(decisions, path))
    assert path not in found
    for changes in (1, 2):
      changed = moves.mutate(decisions, path, changes, rng)
      assert changed == schema.canonical(decisions, changed) and changed != path
    assert moves.mutate(decisions, path, 1, rng) in found
    crossed = moves.cross(decisions, path, paths[0], rng)
    assert crossed == schema.canonical(decisions, crossed)
    limit = solver.Constraint(costs, costs.smallest + 0.2 * (costs.largest - costs.smallest))
    repaired = moves.repair(path, [limit], rng)
    assert moves.fits(repaired, [limit]) and (repaired == path) == moves.fits(path, [limit])
    shared = sum(a == b for a, b in zip(repaired, path))
    within = [other for other in set(map(lambda other: schema.canonical(decisions, other),
                                         itertools.product(*(range(len(decision.choices)) for decision in decisions))))
              if moves.fits(other, [limit])]
    # Decisions that count share as many choices as in any network within the limit.
    assert shared >= max(sum(a == b for i, (a, b) in enumerate(zip(other, path)) if schema.counts(decisions, other, i)) for other in within)


@pytest.mark.parametrize('designer', [bayesian.Bayesian, evolution.Evolution, genetic.Genetic, local_search.LocalSearch, random.Random])
def test_networks_within_a_limit_on_memory(designer):
  space = spaces.widths()
  macs = model_lib.from_macs(space)
  arena = lambda path: memory.plan(schema.resolve(space, schema.genotype(space, path))).bytes
  paths = random.draw(macs.decisions, 20, np.random.default_rng(0)).tolist()
  limit = sorted(map(arena, paths))[8]
  found = ask_tell.ask_tell(designer(macs.decisions, limits.make(space, None, limit), 0), lambda paths: paths.sum(axis=1) / 10, macs, 30)
  assert max(map(arena, found.paths.tolist())) <= limit


def test_random_networks_within_a_tight_limit():
  """Hardly any network of the landscapes costs as little."""
  limit = [solver.Constraint(landscapes.COST_MODEL, landscapes.COST_MODEL.smallest + 3.0)]
  found = random.draw(landscapes.COST_MODEL.decisions, 30, np.random.default_rng(0), limit, repaired=True)
  assert landscapes.COST_MODEL.costs(found).max() <= limit[0].limit and len(np.unique(found, axis=0)) > 1


def test_no_network_within():
  decisions, costs = space_of('widths')
  with pytest.raises(ValueError, match='cannot be reached'):
    moves.repair((0,) * len(decisions), [solver.Constraint(costs, 1.0)], np.random.default_rng(0))


@pytest.mark.long
@pytest.mark.parametrize('name, interactions', [
    ('evolution', 'none'), ('genetic', 'none'), ('evolution', 'all'), ('genetic', 'all'), ('local_search', 'all')])
def test_beats_random_search_on_landscapes(name, interactions):
  constraint = solver.Constraint(landscapes.COST_MODEL, landscapes.TARGET_MS)
  gains = {}
  for designer in (DESIGNERS[name], random.Random):
    landscape = landscapes.Landscape(1, interactions=interactions)
    found = ask_tell.ask_tell(designer(landscapes.COST_MODEL.decisions, [constraint], 0), landscape.score, landscapes.COST_MODEL, 400)
    assert found.cost.max() <= landscapes.TARGET_MS
    gains[designer] = landscape.gain_ratio(found.paths[found.accuracy.argmax()])
  assert gains[DESIGNERS[name]] > gains[random.Random]


@pytest.mark.by_hand
def test_bayesian_samples_are_better_than_random_ones_and_none_is_suggested_twice():
  """For each of several targets; seventy networks, of which a training each would take hours."""
  costs = landscapes.COST_MODEL
  targets = [solver.Constraint(costs, limit) for limit in (60.0, landscapes.TARGET_MS)]
  best = {}
  for name, designer in (('bayesian', bayesian.Bayesian(costs.decisions, targets[1:], targets=targets)),
                         ('random', random.Random(costs.decisions, targets[1:]))):
    found = ask_tell.ask_tell(designer, landscapes.Landscape(1).score, costs, 70)
    assert found.cost.max() <= landscapes.TARGET_MS
    best[name] = [found.accuracy[found.cost <= target.limit].max() for target in targets]
    assert name == 'random' or len(np.unique(found.paths, axis=0)) == 70
  assert (np.array(best['bayesian']) > np.array(best['random'])).all()


def test_bayesian_samples_go_on_where_a_space_has_no_more():
  """All networks of a small space, and then some again; and accuracies that are all alike."""
  costs = model_lib.additive('ms', ('first', 'second'), 1.0, ((1.0, 2.0),) * 2)
  for accuracy in (lambda paths: 0.1 + 0.1 * paths.sum(axis=1), lambda paths: np.full(len(paths), 0.5)):
    found = ask_tell.ask_tell(bayesian.Bayesian(costs.decisions, first=4), accuracy, costs, 40)
    assert len(np.unique(found.paths, axis=0)) == 4


def test_networks_without_accuracy_are_left_out(tmp_path):
  """Some of each batch; a continued file ends as if it had not been interrupted; without any accuracy there is nothing to do."""
  decisions, costs = space_of('widths')
  constraint = solver.Constraint(costs, costs.largest)
  accuracy = lambda paths: np.where(paths[:, 0] == 0, np.nan, 0.5 + 0.01 * paths.sum(axis=1))
  make = lambda: genetic.Genetic(decisions, [constraint])
  whole = ask_tell.ask_tell(make(), accuracy, costs, 60, path=tmp_path / 'whole.bin')
  assert 10 < len(whole) < 60 and (whole.paths[:, 0] != 0).all() and set(whole.batch.tolist()) == set(range(6))
  for evaluations in (20, 40):
    ask_tell.ask_tell(make(), accuracy, costs, evaluations, path=tmp_path / f'{evaluations}.bin')
    again = ask_tell.ask_tell(make(), accuracy, costs, 60, path=tmp_path / f'{evaluations}.bin')
    np.testing.assert_array_equal(again.paths, whole.paths)
    assert (tmp_path / f'{evaluations}.bin').read_bytes() == (tmp_path / 'whole.bin').read_bytes()
  with pytest.raises(ValueError, match='none of the 10 networks of batch 0 has an accuracy'):
    ask_tell.ask_tell(make(), lambda paths: np.full(len(paths), np.nan), costs, 20)


def test_the_genetic_algorithm_adapts():
  """Many changes while children are accepted whatever they are, few when none is; and crossing where it is crossing that helps."""
  decisions, costs = landscapes.COST_MODEL.decisions, landscapes.COST_MODEL
  improving = genetic.Genetic(decisions)
  count = itertools.count()
  ask_tell.ask_tell(improving, lambda paths: np.array([1e-4 * next(count) for _ in paths]), costs, 300)
  assert improving.changes == len(decisions) / 2
  stuck = genetic.Genetic(decisions)
  count = itertools.count()
  ask_tell.ask_tell(stuck, lambda paths: np.array([0.9 - 1e-4 * next(count) for _ in paths]), costs, 300)
  assert stuck.changes == 1.0 and stuck.crossing_share == pytest.approx(0.5, abs=0.1)


def test_a_penalty_lets_networks_over_their_limit():
  decisions, costs = space_of('widths')
  limit = solver.Constraint(costs, (costs.smallest + costs.largest) / 2)
  accuracy = lambda paths: costs.costs(paths) / costs.largest  # the dearest are the best
  free, light, heavy = (ask_tell.ask_tell(genetic.Genetic(decisions, [limit], penalty=penalty), accuracy, costs, 300)
                        for penalty in (0.0, 0.1, 100.0))
  last = [float(np.median(found.cost[-50:])) for found in (free, light, heavy)]
  assert last[0] >= last[1] > limit.limit
  assert last[2] < last[1] and heavy.cost.max() > limit.limit


@pytest.mark.parametrize('make, message', [
    (lambda: bayesian.Bayesian(landscapes.COST_MODEL.decisions, first=3), 'first must be at least 4, got 3'),
    (lambda: genetic.Genetic(landscapes.COST_MODEL.decisions, population=1), 'population must be at least 2, got 1'),
    (lambda: genetic.Genetic(landscapes.COST_MODEL.decisions, penalty=-1.0), 'penalty must be at least 0, got -1.0'),
    (lambda: genetic.Genetic(landscapes.COST_MODEL.decisions, penalty=float('nan')), 'penalty must be at least 0, got nan'),
    (lambda: evolution.Evolution(landscapes.COST_MODEL.decisions, population=5, tournament=6), 'tournament must be from 1 to .* 5, got 6'),
])
def test_settings_that_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
