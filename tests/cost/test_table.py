"""Latency tables: round trip, coverage, and what is refused."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest

from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import published

PIXEL1 = pathlib.Path(__file__).parents[2] / 'configs' / 'latency' / 'pixel1_tflite_float.json'


@pytest.fixture
def table():
  """A table in which no field has its default."""
  runtime = table_lib.Runtime(
      'Pixel 2', 'int8', kernels='builtin', threads=2, batch_size=4, soc='Snapdragon 835', core_mask='f0',
      benchmark_tool='benchmark_model', benchmark_version='2.21', benchmark_sha256='ab' * 32, date='2019-06-01')
  entries = (
      table_lib.Entry(network.OpSignature(ops.MBConv(8, 5, 1, 6), (14, 16, 8), residual=True, padding='symmetric'),
                          table_lib.LatencyStats('measured', 1.5, 1.25, 2.0, 1.625, 0.125, 50)),
      table_lib.Entry(network.OpSignature(ops.Classifier(10), (7, 7, 32)),
                          table_lib.LatencyStats('estimated', mean_ms=0.5)),
  )
  return table_lib.LatencyTable(
      'mine', runtime, entries, 'a test', table_lib.Calibration(1.25, -0.5, 6),
      table_lib.Validation(0.75, 1.5, 90.0, 99.0, 0.98, 30), 12.5)


def write(tmp_path, table, change=lambda body: None):
  path = tmp_path / 'table.json'
  table_lib.save(table, path)
  body = json.loads(path.read_text())
  change(body)
  path.write_text(json.dumps(body))
  return path


def test_round_trip_of_values_that_are_not_defaults(table, tmp_path):
  path = tmp_path / 'table.json'
  table_lib.save(table, path)
  assert table_lib.load(path) == table


def of_energy(table):
  return dataclasses.replace(table, unit='mJ')


def test_a_table_of_energy_says_so_in_its_file(table, tmp_path):
  path = write(tmp_path, of_energy(table))
  body = json.loads(path.read_text())
  assert body['unit'] == 'mJ' and '_ms"' not in path.read_text()
  assert body['entries'][0]['latency'] == {
      'provenance': 'measured', 'median_mj': 1.5, 'p5_mj': 1.25, 'p95_mj': 2.0, 'mean_mj': 1.625, 'std_mj': 0.125, 'runs': 50}
  assert body['calibration']['offset_mj'] == -0.5 and body['validation']['rmse_mj'] == 0.75
  assert table_lib.load(path) == of_energy(table)
  assert of_energy(table).sha256 != table.sha256
  assert str(of_energy(table)) == "energy table 'mine'"
  table_lib.save(table, path)
  assert 'unit' not in json.loads(path.read_text())  # earlier editions read it


def test_units_are_not_mixed(table, tmp_path):
  latency = lambda body: body['entries'][0]['latency']
  for source, change, message in (
      (table, lambda body: body.update(unit='mJ'), "'offset_ms' in a table whose unit is not ms$"),
      (of_energy(table), lambda body: body.pop('unit'), "unknown fields .'mean_mj'"),
      (of_energy(table), lambda body: latency(body).update(median_mj=-1), 'LatencyStats.median_mj must be a finite number above 0'),
      (table, lambda body: body.update(unit='J'), "LatencyTable.unit must be one of ms, mJ, got 'J'")):
    with pytest.raises(ValueError, match=message):
      table_lib.load(write(tmp_path, source, change))
  of_energy(table).check_unit('mJ')
  with pytest.raises(ValueError, match="^energy table 'mine' is in mJ; one in ms is needed$"):
    of_energy(table).check_unit('ms')


def test_standard_error(table):
  assert table.entries[0].latency.error_percent == pytest.approx(100 * 0.125 / 50**0.5 / 1.625)
  assert table.entries[1].latency.error_percent is None


def test_hash_is_of_content_not_layout(table, tmp_path):
  path = write(tmp_path, table)
  assert '\n' not in path.read_text()
  assert table_lib.load(path).sha256 == table.sha256
  other = dataclasses.replace(table, calibration=table_lib.Calibration(1.25, -0.5, 7))
  assert other.sha256 != table.sha256


def test_latency_is_the_median_and_the_mean_only_where_no_median_is_known(table):
  assert [table.latency_ms(entry.signature) for entry in table.entries] == [1.5, 0.5]
  assert table.latency_ms(None) == 0.0


def test_unknown_entry_names_the_operation(table):
  with pytest.raises(ValueError, match="'mine' has no entry for mbconv 14x16x8 -> 8 k5 s1 e6 residual$"):
    table.latency_ms(network.OpSignature(ops.MBConv(8, 5, 1, 6), (14, 16, 8), residual=True))


def test_provenance_is_a_summary(table):
  assert table.provenance == '1 measured, 1 estimated'
  assert table_lib.load(PIXEL1).provenance == 'published'


def test_published_pixel1_table():
  table = table_lib.load(PIXEL1)
  assert len(table.entries) == 72
  assert table.runtime.device == 'Pixel 1' and table.runtime.precision == 'float32' and table.runtime.kernels == 'unknown'
  assert table.calibration == table_lib.Calibration(1.0, 0.0, 0)
  assert table.latency_ms(network.OpSignature(ops.MBConv(24, 7, 2, 6), (112, 112, 16))) == 22.105
  assert table.latency_ms(network.OpSignature(ops.MBConv(192, 5, 1, 3), (7, 7, 192), residual=True)) == 2.241
  table.check_covers(proxyless.proxyless())
  needed = set(network.op_signatures(proxyless.proxyless()))
  unused = {entry.signature for entry in table.entries} - needed
  # Block 0 has kernels 5 and 7 in the table, 3 in the space.
  assert unused == {network.OpSignature(ops.MBConv(16, kernel, 1, 1), (112, 112, 32)) for kernel in (5, 7)}


def test_every_missing_entry_is_listed():
  table = table_lib.load(PIXEL1)
  mobile = published.network('proxyless_mobile')  # 32 wide in stage 1, where the table has 24
  missing = table.missing(network.op_signatures(mobile))
  assert [str(signature) for signature in missing] == [
      'mbconv 112x112x16 -> 32 k5 s2 e3', 'mbconv 56x56x32 -> 32 k3 s1 e3 residual', 'mbconv 56x56x32 -> 40 k7 s2 e3']
  with pytest.raises(ValueError) as error:
    table.check_covers(mobile)
  assert 'lacks 3 of the 17 entries' in str(error.value)
  assert all(str(signature) in str(error.value) for signature in missing)


def test_another_runtime_is_refused(table):
  table.check_runtime(precision='int8', kernels='builtin')
  with pytest.raises(ValueError, match="for another runtime: precision 'int8' instead of 'float32', threads 2 instead of 1$"):
    table.check_runtime(precision='float32', kernels='builtin', threads=1)
  with pytest.raises(TypeError, match=r"no fields \['colour'\]"):
    table.check_runtime(colour='red')


@pytest.mark.parametrize('change, message', [
    (lambda b: b.update(extra=1), r"unknown fields \['extra'\]"),
    (lambda b: b.pop('runtime'), r"missing fields \['runtime'\]"),
    (lambda b: b.update(schema='tf_proxyless/architecture'), "schema and version must be 'tf_proxyless/latency_table' and 1 or 2"),
    (lambda b: b.update(version=3), 'got .* and 3$'),
    (lambda b: b.update(entries=[]), 'no entries'),
    (lambda b: b['entries'].append(b['entries'][0]), 'more than one entry for: mbconv 14x16x8'),
    (lambda b: b['entries'][0]['latency'].update(median_ms=-1.0), 'entries/0/latency: LatencyStats.median_ms .* got -1.0'),
    (lambda b: b['entries'][0]['latency'].update(median_ms=0), 'above 0, got 0'),
    (lambda b: b['entries'][0]['latency'].update(median_ms=10**400), 'has more than 64 bits'),
    (lambda b: b['entries'][0]['latency'].update(median_ms='1.5'), "must be a finite number, got '1.5'"),
    (lambda b: b['entries'][0]['latency'].update(median_ms=True), 'must be a finite number, got True'),
    (lambda b: b['entries'][1]['latency'].pop('mean_ms'), 'entries/1/latency: LatencyStats needs median_ms or mean_ms'),
    (lambda b: b['entries'][0]['latency'].update(provenance='guessed'), 'must be one of measured, published, estimated'),
    (lambda b: b['entries'][0]['signature'].update(op='dilated'), 'entries/0/signature: '),
    (lambda b: b['entries'][0]['signature'].update(input_shape=[1, 2]), 'input_shape: must have 3 elements, got 2'),
    (lambda b: b['entries'][0]['signature']['op'].update(strides=0), 'MBConv.strides must be a positive integer, got 0'),
    (lambda b: b['entries'][0]['signature']['op'].update(filters=8.0), 'filters: must be an integer, got 8.0'),
    (lambda b: b['runtime'].update(precision='int4'), 'Runtime.precision must be one of float32, float16, int8'),
    (lambda b: b['runtime'].update(threads=0), 'threads must be a finite number at least 1'),
    (lambda b: b['calibration'].update(scale=0), 'scale must be a finite number above 0'),
    (lambda b: b.update(estimate_error_percent=-1), 'LatencyTable.estimate_error_percent must be a finite number at least 0'),
    (lambda b: b['validation'].pop('spearman'), r"validation: missing fields \['spearman'\]"),
])
def test_files_that_are_refused(table, tmp_path, change, message):
  path = write(tmp_path, table, change)
  with pytest.raises(ValueError, match=message) as error:
    table_lib.load(path)
  assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


def test_constructors_refuse_nan():
  with pytest.raises(ValueError, match='mean_ms must be a finite number'):
    table_lib.LatencyStats('measured', mean_ms=float('nan'))
  with pytest.raises(ValueError, match='offset_ms must be a finite number'):
    table_lib.Calibration(offset_ms=float('nan'))


def test_a_table_may_name_the_operations_of_any_space(tmp_path):
  """In a process that has not met the space."""
  signature = network.OpSignature(cifar_tree.TreeExit(16), (8, 8, 6), terms=2)
  entry = table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=0.1))
  table_lib.save(table_lib.LatencyTable('tree', table_lib.Runtime('here', 'int8'), (entry,)), tmp_path / 'table.json')
  code = f'from tf_proxyless.cost import table\nprint(table.load({str(tmp_path / "table.json")!r}).entries[0].signature)'
  result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert result.stdout == 'tree_exit 8x8x6 -> 16 sum2\n'
