"""Effects against closed forms: dense algebra, honest standard errors, and what no sample can tell."""

import numpy as np
import pytest

from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import ridge as ridge_lib

COUNTS = (4, 3, 5)


def make(networks=600, per_batch=10, noise=0.01, seed=0, effects=None, batch_noise=0.05, drifting=None):
  """Samples of an additive landscape, and its effects [12]."""
  rng = np.random.default_rng(seed)
  effects = rng.normal(0, 0.02, sum(COUNTS)) if effects is None else effects
  paths = rng.integers(0, COUNTS, (networks, len(COUNTS)))
  features = ridge_lib.one_hot(COUNTS, paths)
  batch = np.arange(networks) // per_batch
  accuracy = 0.5 + features @ effects + batch_noise * rng.normal(size=networks)[batch] + noise * rng.normal(size=networks)
  if drifting is not None:
    accuracy += np.linspace(0, 1, networks) * (features @ drifting)
  return evaluations_lib.Evaluations(COUNTS, paths, accuracy, 10.0 + paths.sum(axis=1), batch), effects


def centred(effects):
  return np.concatenate([part - part.mean() for part in np.split(effects, np.cumsum(COUNTS)[:-1])])


def test_one_hot():
  np.testing.assert_array_equal(ridge_lib.one_hot((2, 3), np.array([[1, 2], [0, 0]])), [[0, 1, 0, 0, 1], [1, 0, 1, 0, 0]])


def test_moments_equal_dense_algebra_for_uneven_batches(monkeypatch):
  monkeypatch.setattr(ridge_lib, '_CHUNK', 7)
  rng = np.random.default_rng(0)
  batch = np.sort(rng.integers(0, 12, 60)) ** 2
  paths, accuracy = rng.integers(0, COUNTS, (60, 3)), rng.uniform(size=60)
  found = ridge_lib.moments(evaluations_lib.Evaluations(COUNTS, paths, accuracy, np.ones(60), batch), half_life=0.25)
  weights = np.array([0.5 ** ((60 - np.flatnonzero(batch == b)[-1] - 1) / 60 / 0.25) for b in batch])
  same = batch[:, None] == batch
  centring = np.eye(60) - same / same.sum(axis=1, keepdims=True)
  x, y = centring @ ridge_lib.one_hot(COUNTS, paths), centring @ accuracy.astype(np.float32)
  np.testing.assert_allclose(found.gram, x.T @ np.diag(weights) @ x, atol=1e-10)
  np.testing.assert_allclose(found.squared_gram, x.T @ np.diag(weights**2) @ x, atol=1e-10)
  np.testing.assert_allclose(found.moment, x.T @ (weights * y), atol=1e-10)
  assert found.square == pytest.approx(weights @ y**2)
  assert found.freedom == pytest.approx(weights @ np.diag(centring))


def test_strength_maximises_the_marginal_likelihood_of_the_centred_model():
  samples, _ = make(120, noise=0.03)
  moments = ridge_lib.moments(samples)
  starts = ridge_lib.batch_starts(samples.batch)
  # Ten networks a batch: an orthonormal basis of what centring leaves turns the model into an ordinary one.
  basis = np.linalg.qr(np.c_[np.ones(10), np.eye(10)[:, :9]])[0][:, 1:]
  x, y = (np.concatenate([basis.T @ part for part in np.split(values, starts[1:])])
          for values in (ridge_lib.one_hot(COUNTS, samples.paths), samples.accuracy.astype(float)))

  def log_likelihood(ridge):  # profiled over the noise variance
    covariance = np.eye(len(y)) + x @ x.T / ridge
    variance = y @ np.linalg.solve(covariance, y) / len(y)
    return -0.5 * (len(y) * np.log(variance) + np.linalg.slogdet(covariance)[1])

  found = ridge_lib.strength(moments)
  assert log_likelihood(found) >= max(log_likelihood(found * factor) for factor in (0.5, 0.8, 1.25, 2)) - 1e-9


@pytest.mark.parametrize('recency', [False, True])
def test_effects_are_recovered_within_their_standard_errors(recency):
  z = []
  for seed in range(30):
    samples, effects = make(seed=seed)
    found = effects_lib.fit(samples, recency)
    z.append((found.coefficients - centred(effects)) / np.concatenate(found.standard_errors))
    np.testing.assert_allclose([values.sum() for values in found.values], 0.0, atol=1e-10)
    assert found.noise_sd == pytest.approx(0.01, rel=0.35 if recency else 0.15)
  assert np.std(z) == pytest.approx(1.0, abs=0.15)


def test_noise_is_estimated_without_bias_with_and_without_weights():
  for recency in (False, True):
    variances = [effects_lib.fit(make(400, seed=seed)[0], recency).noise_sd ** 2 for seed in range(40)]
    assert np.mean(variances) == pytest.approx(1e-4, rel=0.05)


def test_without_weights_the_sandwich_is_the_ridge_posterior():
  moments = ridge_lib.moments(make()[0])
  found = ridge_lib.posterior(moments, 3.0)
  np.testing.assert_allclose(found.covariance, found.noise_variance * found.inverse, rtol=1e-9, atol=1e-15)


def test_batch_noise_does_not_matter():
  quiet, loud = (effects_lib.fit(make(batch_noise=sd)[0], False) for sd in (0.0, 0.5))
  np.testing.assert_allclose(quiet.coefficients, loud.coefficients, atol=1e-5)


def test_batches_of_one_network_are_centred_over_windows():
  samples, effects = make(5000, per_batch=1, batch_noise=0.0)
  assert list(ridge_lib.batch_starts(samples.batch)) == list(range(0, 5000, 100))
  np.testing.assert_allclose(effects_lib.fit(samples, False).coefficients, centred(effects), atol=0.002)


def test_a_choice_that_nobody_tried_has_the_prior():
  samples, _ = make()
  never = evaluations_lib.Evaluations((5, 3, 5), samples.paths, samples.accuracy, samples.cost, samples.batch)
  found = effects_lib.fit(never, False)
  assert found.values[0][4] == 0.0 and found.by_decision(found.counts)[0][4] == 0
  contrast, prior = effects_lib.difference(found, (4, 0, 0), (0, 0, 0)), found.noise_sd / np.sqrt(found.ridge)
  assert prior < contrast[1] < np.sqrt(2) * prior
  assert effects_lib.difference(found, (1, 0, 0), (0, 0, 0))[1] < 0.2 * prior


def test_recency_follows_a_supernet_that_changes():
  change = np.random.default_rng(1).normal(0, 0.02, sum(COUNTS))
  samples, effects = make(3000, drifting=change)
  errors = [np.linalg.norm(effects_lib.fit(samples, recency).coefficients - centred(effects + change)) for recency in (False, True)]
  assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize('networks, noise, expected', [(3000, 0.005, True), (3000, 0.03, False), (10000, 0.03, True)])
def test_recency_by_number_and_noise(networks, noise, expected):
  assert (effects_lib.fit(make(networks, noise=noise)[0]).half_life is not None) == expected


def test_prediction_and_difference():
  samples, effects = make(3000, batch_noise=0.02)
  found = effects_lib.fit(samples, False)
  a, b = (1, 2, 3), (0, 2, 4)
  offsets = np.array([0, 4, 7])
  accuracy, error = effects_lib.predict(found, a)
  assert accuracy == pytest.approx(0.5 + effects[offsets + a].sum(), abs=4 * error)
  assert error == pytest.approx(np.hypot(0.02 / np.sqrt(300), 0.001), rel=0.5)
  difference, error = effects_lib.difference(found, a, b)
  assert difference == pytest.approx(accuracy - effects_lib.predict(found, b)[0])
  assert difference == pytest.approx(effects[offsets + a].sum() - effects[offsets + b].sum(), abs=4 * error)
  assert effects_lib.difference(found, a, a) == (0.0, 0.0)


def test_draws_have_the_stated_mean_and_covariance():
  found = effects_lib.fit(make()[0], False)
  draws = effects_lib.draw(found, 20000, np.random.default_rng(0))
  scale = found.covariance.diagonal().max()
  np.testing.assert_allclose(draws.mean(axis=0), found.coefficients, atol=5 * np.sqrt(scale / 20000))
  np.testing.assert_allclose(np.cov(draws.T), found.covariance, atol=0.05 * scale)


def test_drift_is_one_without_change_and_grows_with_it():
  still = [effects_lib.drift(make(2000, seed=seed)[0]) for seed in range(20)]
  assert np.mean(np.square(still)) == pytest.approx(1.0, abs=0.2)
  change = np.random.default_rng(1).normal(0, 0.005, sum(COUNTS))
  assert effects_lib.drift(make(2000, drifting=change)[0]) > 1.5
  assert effects_lib.drift(make(3, per_batch=3)[0]) is None


def test_cost_slope():
  z = []
  for seed in range(60):
    samples, _ = make(200, effects=np.concatenate([0.003 * np.arange(n) for n in COUNTS]), seed=seed)
    slope, error = effects_lib.cost_slope(samples)
    z.append((slope - 0.003) / error)
  assert np.std(z) == pytest.approx(1.0, abs=0.25) and abs(np.mean(z)) < 0.5
  assert effects_lib.cost_slope(samples[:2]) is None
  equal = evaluations_lib.Evaluations(COUNTS, samples.paths, samples.accuracy, np.ones(len(samples)), samples.batch)
  assert effects_lib.cost_slope(equal) is None


def test_samples_that_say_nothing_are_refused():
  samples, _ = make()
  for useless in (samples[:0], samples[:1],
                  evaluations_lib.Evaluations(COUNTS, samples.paths * 0, samples.accuracy, samples.cost, samples.batch)):
    with pytest.raises(ValueError, match='differ and share a batch'):
      effects_lib.fit(useless)


def test_equal_accuracies_have_no_effects():
  samples, _ = make()
  flat = evaluations_lib.Evaluations(COUNTS, samples.paths, np.ones(len(samples)), samples.cost, samples.batch)
  np.testing.assert_array_equal(effects_lib.fit(flat).coefficients, 0.0)
