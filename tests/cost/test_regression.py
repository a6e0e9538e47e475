"""Filling a latency table: closed forms, the published table with holes, and what is refused."""

import dataclasses
import pathlib

import numpy as np
import pytest

from tf_proxyless.cost import features
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import regression
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import published

PIXEL1 = pathlib.Path(__file__).parents[2] / 'configs' / 'latency' / 'pixel1_tflite_float.json'


@pytest.fixture(scope='module')
def table():
  return table_lib.load(PIXEL1)


def without(table, condition):
  return dataclasses.replace(table, entries=tuple(entry for entry in table.entries if not condition(entry.signature)))


def test_a_linear_runtime_is_recovered():
  space = proxyless.proxyless()
  signatures = network.op_signatures(space)

  def milliseconds(signature):
    f = features.of_signature(signature)
    return 1e-6 * (0.1 * f.matrix_macs + 5 * f.output_elements + 0.3 * f.weights + 0.4 * f.extra_tap_macs) + 0.01 * f.layers

  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=milliseconds(signature)))
                  for signature in signatures)
  full = table_lib.LatencyTable('linear', table_lib.Runtime('a phone', 'int8'), entries)
  found = regression.fill(without(full, lambda signature: signature.input_shape[0] == 28), signatures)
  assert len(found.estimated) == 12
  assert found.rmse_percent == pytest.approx(0, abs=1e-6)
  for signature in found.estimated:
    assert found.table.latency_ms(signature) == pytest.approx(milliseconds(signature), rel=1e-9)


@pytest.mark.long
def test_holes_of_the_published_table_are_filled_to_what_is_stated(table):
  """A fifth of the blocks is taken away, five times; on the whole, what comes back is as good as the stated error says."""
  blocks = [entry.signature for entry in table.entries if entry.signature.kind == 'mbconv']
  errors, stated = [], []
  for first in range(5):
    holes = blocks[first::5]
    found = regression.fill(without(table, lambda signature, holes=holes: signature in holes), holes)
    assert set(found.estimated) == set(holes)
    errors += [100 * (found.table.latency_ms(signature) / table.latency_ms(signature) - 1) for signature in holes]
    stated.append(found.rmse_percent)
  assert len(errors) == len(blocks)
  assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.mean(stated), rel=0.2)
  assert np.mean(stated) == pytest.approx(9, abs=1)


def test_the_published_network_that_the_published_table_lacks(table):
  """It is 32 wide in stage 1, where the table has 24."""
  mobile = published.network('proxyless_mobile')
  found = regression.fill(table, network.op_signatures(mobile))
  assert [str(signature) for signature in found.estimated] == [
      'mbconv 112x112x16 -> 32 k5 s2 e3', 'mbconv 56x56x32 -> 32 k3 s1 e3 residual', 'mbconv 56x56x32 -> 40 k7 s2 e3']
  assert found.table.provenance == '72 published, 3 estimated'
  assert found.table.entries[:72] == table.entries
  assert found.table.estimate_error_percent == found.rmse_percent
  assert found.table.source.startswith(table.source)
  assert 'ESTIMATED: 3 of 75 entries, by regression' in found.table.source
  assert f'missed by {found.rmse_percent:.1f} %' in found.table.source
  assert model_lib.from_latency_table(mobile, found.table).fixed == pytest.approx(80.67, rel=0.1)  # the authors' profile of it


def test_a_complete_table_stays_as_it_is(table):
  assert regression.fill(table, network.op_signatures(proxyless.proxyless())) == regression.Fill(table, (), None)


@pytest.mark.long
def test_filled_tables_survive_their_files(table, tmp_path):
  filled = regression.fill(table, network.op_signatures(published.network('proxyless_cpu'))).table
  table_lib.save(filled, tmp_path / 'table.json')
  assert table_lib.load(tmp_path / 'table.json') == filled


@pytest.mark.long
def test_estimates_teach_nothing(table):
  needed = network.op_signatures(published.network('proxyless_mobile'))
  once = regression.fill(table, needed[:5]).table
  twice = regression.fill(once, needed).table
  assert {entry.signature: entry.latency for entry in twice.entries} == {
      entry.signature: entry.latency for entry in regression.fill(table, needed).table.entries}
  with pytest.raises(ValueError, match="'pixel2_int8_estimate' lacks .* entries and has 0 that are not estimates; at least 10"):
    regression.fill(pixel2.named_table(pixel2.SERVER, proxyless.proxyless()), needed)


@pytest.mark.long
def test_kinds_with_few_entries_are_estimated_from_all_and_the_error_says_so(table):
  classifier = network.OpSignature(ops.Classifier(100), (7, 7, 1280))
  assert regression.fill(table, [classifier]).rmse_percent > regression.fill(table, network.op_signatures(published.network(
      'proxyless_mobile'))).rmse_percent
