"""A table of a phone: the genuine adb client, a phone that speaks its protocol, real int8 models, the real runtime."""

import re
import stat
import sys

import pytest

from tests.android_benchmark import conftest as adb_fixtures
from tests.android_benchmark import measuring
from tests.search import runs
from tests.tools import test_build_latency_table as host
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib

adb_environment = adb_fixtures.adb_environment
adb_server = adb_fixtures.adb_server
start_phone = adb_fixtures.start_phone
phone = adb_fixtures.phone


@pytest.fixture
def binary(tmp_path):
  """A program that the phone can run by itself: benchmark_model's flags and output on the LiteRT of this machine."""
  path = tmp_path / 'benchmark_model'
  path.write_text(f'#!/bin/sh\nPYTHONPATH={runs.ROOT} exec {sys.executable} -m tf_proxyless.deploy.litert_benchmark "$@"\n')
  path.chmod(path.stat().st_mode | stat.S_IXUSR)
  return path


def build(folder, binary, *arguments):
  flags = ['--output=table.json', '--device=adb', f'--benchmark_binary={binary}', '--core_mask=10', '--rounds=2', '--min_secs=0.02',
           '--max_drift_percent=1000', '--calibration_networks=4', '--validation_networks=4', *host.TINY, *arguments]
  return host.run(*flags, cwd=folder)


@pytest.mark.long
def test_a_table_of_a_phone(phone, binary, tmp_path):
  phone.fault_at_launch('drop', match='mbconv', skip=3)  # the connection, in the middle of a block
  result = build(tmp_path, binary)
  assert result.returncode == 0, result.stderr
  table = table_lib.load(tmp_path / 'table.json')
  assert {entry.signature for entry in table.entries} == set(network_lib.op_signatures(host.SPACE))
  runtime = table.runtime
  assert (runtime.device, runtime.core_mask, runtime.threads, runtime.kernels, runtime.precision) == ('Pixel 2', '10', 1, 'builtin', 'int8')
  assert runtime.benchmark_tool == 'benchmark_model' and len(runtime.benchmark_sha256) == 64
  assert table.provenance == 'measured'
  assert (table.calibration.networks, table.validation.networks) == (4, 4)
  launches = [line for line in phone.android.read('launches').splitlines() if '--graph=' in line]
  assert all(line.startswith('10 ') and '--use_xnnpack=false' in line for line in launches)
  models = len(table.entries) + 8
  assert len(launches) > 2 * models + 2 * 2 * 2  # each model twice, two references a block, and a block again


@pytest.mark.long
def test_a_table_of_energy(phone, tmp_path):
  """By power rails: this benchmark_model takes a microsecond a byte, at one watt more than the idle phone."""
  phone.android.add_rails(idle_mw=300, busy_mw=1300)
  result = build(tmp_path, measuring.BINARY, '--unit=mJ', '--min_secs=2')
  assert result.returncode == 0, result.stderr
  table = table_lib.load(tmp_path / 'table.json')
  assert table.unit == 'mJ' and 'above idle, by 2 power rails, standard error of an entry 0.0 %' in table.source
  sizes = {entry.signature: entry.latency.latency_ms for entry in table.entries}
  models = {signature: tmp_path / 'table_work/operations/models' / f'{signature.file_name}.tflite' for signature in sizes}
  assert sizes == pytest.approx({signature: (path.stat().st_size + 1) / 1000 for signature, path in models.items()}, rel=1e-3)
  assert table.validation.spearman == 1
  assert re.search(r'^calibration +mJ = ', result.stdout, re.MULTILINE) and re.search(r'predicted [0-9.]+ mJ, measured', result.stdout)
  assert re.search(r'^error +standard error of an entry 0.0 % .median., at most 0.0 %$', result.stdout, re.MULTILINE)


@pytest.mark.long
def test_a_table_of_what_was_measured_otherwise(tmp_path):
  """Asks for the operations, then for the networks; two lines each, which differ by 2 %."""
  csv = tmp_path / 'my_meter.csv'
  csv.write_text('\ufeffmodel;mJ\n', encoding='utf-8')  # as a German spreadsheet does
  flags = ['--output=table.json', f'--device={csv}', '--unit=mJ', '--calibration_networks=4', '--validation_networks=4', *host.TINY]
  for stage in ('operations', 'networks'):
    result = host.run(*flags, cwd=tmp_path)
    assert result.returncode == 2 and f'models in table_work/{stage}/models, first ' in result.stderr, result.stderr
    with open(csv, 'a') as file:
      for path in (tmp_path / 'table_work' / stage / 'models').iterdir():
        file.write(''.join(f'{path.stem};{factor * path.stat().st_size / 1000}\n'.replace('.', ',') for factor in (0.99, 1.01)))
  result = host.run(*flags, cwd=tmp_path)
  assert result.returncode == 0, result.stderr
  table = table_lib.load(tmp_path / 'table.json')
  assert (table.runtime.device, table.unit, table.validation.spearman) == ('my_meter', 'mJ', 1)
  assert table.entries[0].latency.error_percent == pytest.approx(1.0)


@pytest.mark.long
def test_no_phone_is_one_line(adb_server, binary, tmp_path):
  result = build(tmp_path, binary)
  assert result.returncode == 2
  assert 'no phone' in result.stderr or 'no device' in result.stderr, result.stderr
  assert 'Traceback' not in result.stderr
