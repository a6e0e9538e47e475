"""Predictors: what they learn on landscapes whose accuracies are known, what they say of themselves, and their files."""

import json

import numpy as np
import pytest

from tests import suites
from tests.search import landscapes
from tests.space import spaces
from tf_proxyless.search import ask_tell
from tf_proxyless.search.designers import genetic
from tf_proxyless.search.predictors import base
from tf_proxyless.search.predictors import features
from tf_proxyless.search.predictors import file
from tf_proxyless.search.predictors import gaussian_process
from tf_proxyless.space import chamnet
from tf_proxyless.space import schema

DECISIONS = landscapes.COST_MODEL.decisions
NOISE = 0.004  # of a training


def networks(count, seed=0, interactions='none'):
  """Networks drawn evenly, what they have when they are trained, and their true accuracies."""
  rng = np.random.default_rng(seed)
  paths = np.stack([rng.integers(0, len(decision.choices), count) for decision in DECISIONS], axis=1).astype(np.int32)
  true = landscapes.BASE_ACCURACY + landscapes.Landscape(1, interactions=interactions).true_gain(paths)
  return paths, true + rng.normal(0, NOISE, count), true


def test_numbers_are_ordered_and_operations_are_not():
  decisions = (schema.Decision('filters', (8, 16, 32), 'filters'), schema.Decision('op', ('a', 'b', 'c'), 'op'),
               schema.Decision('skip', ('a', 'b'), 'op'), schema.Decision('fixed', (3,), 'kernel_size'))
  found = features.features(decisions, np.array([[0, 0, 0, 0], [1, 1, 1, 0], [2, 2, 0, 0]]))
  assert [each.shape[1] for each in found] == [1, 3, 1]
  np.testing.assert_allclose(found[0][:, 0], [0, 0.5, 1])
  distances = np.sum((found[1][:, None] - found[1])**2, axis=2)
  np.testing.assert_allclose(distances, 1 - np.eye(3))
  np.testing.assert_array_equal(found[2][:, 0], [1, 0, 1])


@pytest.mark.parametrize('kind', suites.few(file.KINDS, 1))
def test_it_ranks_networks_that_it_has_not_seen(kind):
  paths, trained, _ = networks(200)
  predictor = file.KINDS[kind](DECISIONS, paths, trained)
  others, _, true = networks(100, seed=1)
  mean, deviation = predictor.predict(others)
  assert base.Scores.of(mean, deviation, true).spearman > 0.9
  assert isinstance(predictor, base.Predictor) and (deviation > 0).all()


def test_a_gaussian_process_says_how_little_it_knows():
  """Held-out scores are those on new networks, intervals hold what they promise, and noise is found; also with interactions."""
  for interactions in ('none', 'neighbours'):
    paths, trained, _ = networks(120, interactions=interactions)
    predictor = gaussian_process.GaussianProcess(DECISIONS, paths, trained)
    scores = base.cross_validate(predictor).scores
    others, others_trained, _ = networks(300, 1, interactions)
    mean, deviation = predictor.predict(others)
    new = base.Scores.of(mean, np.hypot(deviation, predictor.noise), others_trained)
    assert scores.networks == 120 and abs(scores.spearman - new.spearman) < 0.15 and 0.7 < scores.error / new.error < 1.4
    assert 0.88 <= scores.within <= 1.0 and 0.85 <= new.within <= 1.0
    assert predictor.predict(paths)[1].mean() < deviation.mean(), 'more is known of networks that were trained'


def test_energies_of_measured_networks():
  """ChamNet's other use of it: what 120 networks take, in mJ, tells that of others, which a designer then keeps within a limit."""
  energy = lambda paths: 2.5 * landscapes.COST_MODEL.costs(paths)**1.1 / 10
  paths, others = networks(120)[0], networks(100, seed=1)[0]
  measured = energy(paths) * np.random.default_rng(0).normal(1, 0.01, 120)
  predictor = gaussian_process.GaussianProcess(DECISIONS, paths, measured)
  mean, _ = predictor.predict(others)
  assert np.mean(np.abs(mean / energy(others) - 1)) < 0.04
  limit, landscape = float(np.quantile(measured, 0.4)), landscapes.Landscape(1)

  def accuracies(paths):
    mean, deviation = predictor.predict(paths)
    return np.where(mean + 2 * deviation <= limit, landscapes.BASE_ACCURACY + landscape.true_gain(paths), 0.0)

  found = ask_tell.ask_tell(genetic.Genetic(DECISIONS), accuracies, landscapes.COST_MODEL, 400)
  best = found.paths[[found.accuracy.argmax()]]
  assert energy(best)[0] <= limit and found.accuracy.max() > accuracies(paths).max()


def test_in_a_space_where_nothing_counts_nothing_is_learned():
  paths = networks(80)[0]
  noise = 0.7 + np.random.default_rng(2).normal(0, 0.01, 80)
  scores = base.cross_validate(gaussian_process.GaussianProcess(DECISIONS, paths, noise)).scores
  assert abs(scores.spearman) < 0.35 and scores.error > 0.9 * scores.spread


@pytest.mark.parametrize('kind', [pytest.param(kind, marks=pytest.mark.long) if kind == 'mlps' else kind for kind in file.KINDS])
def test_files(tmp_path, kind):
  space = chamnet.chamnet(resolution=(32, 64))
  decisions = schema.decisions(space)
  rng = np.random.default_rng(0)
  paths = np.array([schema.canonical(decisions, [rng.integers(len(decision.choices)) for decision in decisions]) for _ in range(40)])
  accuracy = 0.5 + 0.01 * paths.sum(axis=1) / 10 + rng.normal(0, 1e-3, 40)
  predictor = file.KINDS[kind](decisions, paths, accuracy)
  held_out = base.cross_validate(predictor, folds=3)
  file.save(predictor, space, held_out, tmp_path / 'predictor.json')
  loaded, known = file.load(tmp_path / 'predictor.json', space)
  assert known == file.load_held_out(tmp_path / 'predictor.json') == held_out and known.scores.spearman > 0.5
  for a, b in zip(loaded.predict(paths), predictor.predict(paths)):
    np.testing.assert_allclose(a, b, rtol=1e-9)
  energies = file.KINDS[kind](decisions, paths, 10 + accuracy)
  with pytest.raises(ValueError, match='a file is of these, not of energies'):
    file.save(energies, space, base.HeldOut(*[tuple(energies.values)] * 3), tmp_path / 'energies.json')
  with pytest.raises(ValueError, match='predictor.json: predicts another search space; it lacks'):
    file.load(tmp_path / 'predictor.json', spaces.COUPLED['widths']())
  with pytest.raises(ValueError, match='its decisions have the same names, but other choices'):
    file.load(tmp_path / 'predictor.json', chamnet.chamnet(resolution=(32, 96)))
  content = json.loads((tmp_path / 'predictor.json').read_text())
  for change, message in (({'accuracy': content['accuracy'][:-1]}, 'must be as many'), ({'kind': 'oracle'}, 'kind must be one of'),
                          ({'parameters': {}}, ''), ({'parameters': None}, ''),
                          ({'parameters': {'lengths': [1], 'members': [[[[1]]]]}}, ''),
                          ({'accuracy': [2.0] * 40}, r'in \[0, 1\]'), ({'paths': [[99] * len(decisions)] * 40}, 'of another space')):
    (tmp_path / 'changed.json').write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=f'changed.json: .*{message}'):
      file.load(tmp_path / 'changed.json', space)


@pytest.mark.parametrize('paths, values, message', [
    (np.zeros((3, 21), int), [0.1, 0.2, 0.3], 'is for 4 to 2,000 networks, got 3, of which 1 differ'),
    (networks(10)[0], [0.5] * 10, 'all 10 networks have the value 0.5: there is nothing to predict'),
    (networks(10)[0], [float('nan')] * 10, 'values must be finite'),
    (networks(10)[0][:, 1:], [0.5] * 10, 'the networks are of another space'),
])
def test_what_cannot_be_predicted(paths, values, message):
  with pytest.raises(ValueError, match=message):
    gaussian_process.GaussianProcess(DECISIONS, paths, np.array(values))
