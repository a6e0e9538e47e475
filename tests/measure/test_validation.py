"""The choice of networks for a proof, and what comes of measurements that are known."""

import dataclasses
import math

import numpy as np
import pytest

from tests import suites
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import table as table_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

SPACE = proxyless.proxyless(stage_filters=(8,), stage_blocks=(2,), stage_strides=(1,), resolution=8, stem_strides=1, classes=10)


def make_table(space):
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=1.0 + i % 7))
                  for i, signature in enumerate(network_lib.op_signatures(space)))
  return table_lib.LatencyTable('planted', table_lib.Runtime('here', 'int8', 'builtin'), entries)


def test_calibration_and_validation_are_disjoint():
  chosen = validation_lib.choose_networks(SPACE, make_table(SPACE), 5, 8, seed=0)
  assert [purpose for purpose, _ in chosen.values()] == ['calibration'] * 5 + ['validation'] * 8
  assert len({network for _, network in chosen.values()}) == 13
  assert all(schema.is_resolved(network) for _, network in chosen.values())


@pytest.mark.parametrize('seed', suites.few(range(3), 1))
def test_both_span_the_range(seed):
  space = proxyless.proxyless(stage_filters=(8, 16), stage_blocks=(3, 3), stage_strides=(2, 2), resolution=32, classes=10)
  table = dataclasses.replace(pixel2.named_table(pixel2.SERVER, space), calibration=None)
  model = model_lib.from_latency_table(space, table)
  chosen = validation_lib.choose_networks(space, table, 5, 8, seed)
  for wanted in ('calibration', 'validation'):
    sums = np.array([model_lib.entry_sum(table, network) for purpose, network in chosen.values() if purpose == wanted])
    places = (sums - model.smallest) / (model.largest - model.smallest)
    assert places.min() < 0.2 and places.max() > 0.8 and np.diff(places).max() < 0.35


def test_a_small_space_gives_what_it_has():
  chosen = validation_lib.choose_networks(SPACE, make_table(SPACE), 30, 90, seed=0)
  assert [purpose for purpose, _ in chosen.values()] == ['calibration'] * 21 + ['validation'] * 21


def test_too_small_a_space_is_refused():
  fixed = dataclasses.replace(SPACE, blocks=tuple(dataclasses.replace(block, op=block.candidates[0]) for block in SPACE.blocks))
  with pytest.raises(ValueError, match='has 1 networks; a proof needs 6'):
    validation_lib.choose_networks(fixed, make_table(SPACE), 3, 3, seed=0)


@pytest.mark.long
def test_published_networks_that_the_table_covers_take_part():
  space, _ = published.published('proxyless_cpu')
  chosen = validation_lib.choose_networks(space, pixel2.named_table(pixel2.SERVER, space), 3, 3, seed=0)
  assert [name for name, (purpose, _) in chosen.items() if purpose == 'published'] == ['proxyless_cpu']
  assert chosen['proxyless_cpu'][1] == published.network('proxyless_cpu')


def validate(monkeypatch, tmp_path, latency, unit='ms'):
  """A proof whose measurements are a function of the sum of entries."""
  table = dataclasses.replace(make_table(SPACE), unit=unit)

  def measure(networks, setup, work, io):
    assert io == 'uint8' and '--block_models=6' in setup.options
    models = {name: {f'median_{unit.lower()}' if unit == 'mJ' else 'undisturbed_ms': latency(i, model_lib.entry_sum(table, network))}
              for i, (name, network) in enumerate(networks.items())}
    return {'models': models, 'failed': {}, 'warnings': [], 'reference': {'drift_percent': 0.5}}

  monkeypatch.setattr(table_builder, 'measure', measure)
  return validation_lib.validate(SPACE, table, table_builder.Setup('host', 'int8'), tmp_path, 6, 12, seed=1)


def test_a_proof_of_energy_says_so(monkeypatch, tmp_path):
  proof = validate(monkeypatch, tmp_path, lambda i, total: 0.5 + 1.25 * total, 'mJ')
  validation_lib.save(proof, tmp_path / 'proof.json')
  text = (tmp_path / 'proof.json').read_text()
  assert '"predicted_mj": ' in text and '_ms"' not in text
  assert validation_lib.load_rows(tmp_path / 'proof.json') == proof.rows
  lines = validation_lib.describe(proof).splitlines()
  assert lines[0] == 'calibration            mJ = 0.5 + 1.250 * sum, from 6 networks' and ' mJ, mean error 0.0 %' in lines[1]


def test_a_line_is_found_exactly(monkeypatch, tmp_path):
  proof = validate(monkeypatch, tmp_path, lambda i, total: 0.5 + 1.25 * total)
  assert proof.table.calibration.scale == pytest.approx(1.25)
  assert proof.table.calibration.offset_ms == pytest.approx(0.5)
  assert proof.table.validation.rmse_ms == pytest.approx(0, abs=1e-9)
  assert (proof.table.validation.networks, proof.table.validation.within_5_percent) == (12, 100)


def test_only_held_out_networks_are_judged(monkeypatch, tmp_path):
  """The last twelve are 20 % slower than the six that were fitted on."""
  proof = validate(monkeypatch, tmp_path, lambda i, total: total if i < 6 else 1.2 * total)
  assert proof.table.calibration.scale == pytest.approx(1)
  assert proof.table.validation.mape_percent == pytest.approx(100 * (1 - 1 / 1.2))
  assert proof.table.validation.within_10_percent == 0
  text = validation_lib.describe(proof)
  assert '12 other networks' in text and '(-16.7 %)' in text


def test_a_proof_is_kept_with_its_networks(monkeypatch, tmp_path):
  proof = validate(monkeypatch, tmp_path, lambda i, total: 2 * total)
  validation_lib.save(proof, tmp_path / 'proof.json')
  table_lib.save(proof.table, tmp_path / 'table.json')
  assert table_lib.load(tmp_path / 'table.json') == proof.table
  assert 'random_17' in (tmp_path / 'proof.json').read_text()
  assert math.isclose(proof.rows[0].predicted_ms, proof.rows[0].measured_ms)


def test_a_misfit_is_not_kept(monkeypatch, tmp_path):
  """What other work disturbed is measured anew by the same command; what was measured of operations is kept."""
  for name in ('operations', 'networks'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'request.json').write_text('{}')
  with pytest.raises(ValueError, match=r'no proof of the table: .* measured faster .* drift 0.5 %\), the same command measures these'):
    validate(monkeypatch, tmp_path, lambda i, total: 1 / total)
  assert [path.parent.name for path in tmp_path.glob('*/request.json')] == ['operations']


def test_operations_that_could_not_be_measured_are_measured_anew(monkeypatch, tmp_path):
  (tmp_path / 'operations').mkdir()
  (tmp_path / 'operations' / 'request.json').write_text('{}')
  table = make_table(SPACE)
  lacking = dataclasses.replace(table, entries=table.entries[1:])
  monkeypatch.setattr(table_builder, 'build', lambda space, setup, work: (lacking, {}))
  with pytest.raises(ValueError, match='lacks'):
    validation_lib.measure(SPACE, table_builder.Setup('host', 'int8'), tmp_path, 3, 3, tmp_path / 'table.json')
  assert not list(tmp_path.rglob('request.json')) and not (tmp_path / 'table.json').exists()
