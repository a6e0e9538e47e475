"""The networks that a search scored and derived, in its report."""

import dataclasses
import json

import numpy as np
import pytest

from tests.report.document import report_runs
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.report.document import samples as report_samples


def test_many_samples_are_thinned_evenly():
  samples = dataclasses.replace(report_runs.make_evaluations(report_runs.cost_model(), 500), accuracy=np.arange(5000) / 5000)
  found = report_samples.samples(samples, False, None)
  assert found['count'] == 5000 and len(found['cost']) == len(found['accuracy']) == 2000
  rows = np.array(found['accuracy']) * 5000
  assert rows[0] == 0 and rows[-1] == pytest.approx(4999) and set(np.diff(rows).round()) == {2, 3}
  few = report_samples.samples(samples[:30], False, None)
  assert few['count'] == len(few['cost']) == 30
  assert report_samples.samples(samples[:0], False, None) is None


def test_the_front_by_means_is_not_made_of_lucky_batches():
  """Where cost plays no part, every mean is the true accuracy within its error; the best single ones are far off."""
  samples = report_runs.make_evaluations(report_runs.cost_model(), 400, slope=0.0, noise=0.05)
  front = report_samples.front_by_means(samples, frozen=True)
  assert max(samples.accuracy) > 0.65
  assert all(abs(accuracy - 0.5) < 4.5 * error for accuracy, error in zip(front['accuracy'], front['error']))
  assert front['cost'] == sorted(front['cost']) and front['accuracy'] == sorted(front['accuracy'])


def test_fronts_rise_as_accuracy_does():
  samples = report_runs.make_evaluations(report_runs.cost_model(), 400, slope=0.1, noise=0.01)
  low, high = report_runs.cost_model().smallest, report_runs.cost_model().largest
  means = report_samples.samples(samples, True, None)['front']
  assert len(means['cost']) > 15
  for cost, accuracy, error in zip(means['cost'], means['accuracy'], means['error']):
    assert abs(accuracy - (0.5 + 0.1 * (cost - low) / (high - low))) < 5 * error
  best = report_samples.samples(samples, True, report_runs.cost_model())['front']
  assert best['of'] != means['of'] and best['accuracy'] == sorted(best['accuracy'])
  for cost, accuracy, error in zip(best['cost'], best['accuracy'], best['error']):
    assert abs(accuracy - (0.5 + 0.1 * (cost - low) / (high - low))) < 5 * error  # every network of a cost is as good, here


def test_only_the_last_quarter_counts_while_weights_learn():
  samples = report_runs.make_evaluations(report_runs.cost_model(), 100)
  drifting = dataclasses.replace(samples, accuracy=np.where(np.arange(1000) < 750, 0.0, 0.9))
  assert report_samples.front_by_means(drifting, frozen=False)['accuracy'] == [pytest.approx(0.9)]
  assert max(report_samples.front_by_means(drifting, frozen=True)['accuracy']) < 0.5


def test_a_derivation_is_read_as_it_was_written(finished):
  found = report_samples.load_derivation(finished.derivation)
  record = json.loads(finished.derivation.read_text())
  assert [dataclasses.asdict(candidate)['cost'] for candidate in found.candidates] == [c['cost'] for c in record['candidates']]
  assert found.chosen == found.candidates[0] and isinstance(found.probability, candidates_lib.Candidate)
  margins = report_runs.read(finished)['derivation']['margins']
  assert [margin['decision'] for margin in margins] == [f'block {m["decision"] + 1}' for m in record['margins']]
