"""tools/build_latency_table.py: a small space is really measured on this machine; mistakes are one line."""

import functools
import json
import os
import signal

from PIL import Image
import pytest

from tests.search import runs
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless

# Few operations, but networks of very different size, so that noise in medians of three rounds does not reverse their order.
TINY = ('--resolution=8', '--stem_filters=8', '--stem_strides=1', '--first_block_filters=8', '--stage_filters=8', '--stage_blocks=6',
        '--stage_strides=1', '--head_filters=16', '--classes=10')
SPACE = proxyless.proxyless(stage_filters=(8,), stage_blocks=(6,), stage_strides=(1,), resolution=8, stem_filters=8, stem_strides=1,
                            first_block_filters=8, head_filters=16, classes=10)
# Whatever the drift: beside other work blocks would be measured again and again.
FAST = ('--rounds=3', '--min_secs=0.02', '--max_drift_percent=1000', '--calibration_networks=4', '--validation_networks=6')


run = functools.partial(runs.tool, 'build_latency_table', kind='light')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  folder = tmp_path_factory.mktemp('table')
  return run('--output=table.json', *TINY, *FAST, cwd=folder), folder


@pytest.mark.long
def test_a_table_with_its_proof(built):
  result, folder = built
  assert result.returncode == 0, result.stderr
  table = table_lib.load(folder / 'table.json')
  assert {entry.signature for entry in table.entries} == set(network_lib.op_signatures(SPACE))
  assert (table.provenance, table.runtime.precision, table.runtime.kernels, table.runtime.threads) == ('measured', 'int8', 'builtin', 1)
  assert table.runtime.benchmark_tool == 'litert_benchmark' and table.runtime.benchmark_version and table.runtime.soc
  assert all(entry.latency.p5_ms <= entry.latency.median_ms <= entry.latency.p95_ms for entry in table.entries)
  assert (table.calibration.networks, table.validation.networks) == (4, 6)
  assert f'mean error {table.validation.mape_percent:.1f} %' in result.stdout
  assert len(json.loads((folder / 'table_proof.json').read_text())['networks']) == 10
  assert Image.open(folder / 'table_proof.png').format == 'PNG'


@pytest.mark.long
def test_a_killed_run_continues_and_a_finished_one_measures_anew(tmp_path):
  partial = tmp_path / 'table_work' / 'operations' / 'measurements.json.partial'
  process = runs.start_tool('build_latency_table', '--output=table.json', *TINY, *FAST, cwd=tmp_path)
  stopped = runs.stop_when(process, lambda: partial.exists() and partial.read_text().count('\n') > 1, signal.SIGTERM)  # a block is in it
  assert stopped.returncode == 143
  kept = partial.read_text()
  result = run('--output=table.json', *TINY, *FAST, cwd=tmp_path)
  assert result.returncode == 0, result.stderr
  assert kept.count('\n') > 1 and not partial.exists()
  first = table_lib.load(tmp_path / 'table.json')
  again = run('--output=table.json', *TINY, *FAST, cwd=tmp_path)
  assert again.returncode == 0, again.stderr
  assert table_lib.load(tmp_path / 'table.json').entries != first.entries


@pytest.mark.parametrize('arguments, message', [
    ([], '--output is required'),
    (['--output=no/such/table.json'], "--output: there is no folder 'no/such'"),
    (['--output=t.json', '--device=phone'],
     "--device must be 'host', 'adb', 'adb:SERIAL', 'adb:ONE,OTHER' for phones of one model, 'gpu', or a CSV file, got 'phone'"),
    (['--output=t.json', '--device=adb'], '--device=adb needs --benchmark_binary'),
    (['--output=t.json', '--device=adb', '--benchmark_binary=none'], "--benchmark_binary: there is no file 'none'"),
    (['--output=t.json', '--device=adb:ONE,OTHER', f'--benchmark_binary={__file__}', '--unit=mJ'],
     '--device=adb:ONE,OTHER: --unit=mJ is for one phone at a time'),
    (['--output=t.json', '--core_mask=0x10'], "--core_mask must be hexadecimal without 0x, for instance '10' or 'f0', got '0x10'"),
    (['--output=t.json', '--core_mask=0'], '--core_mask must be hexadecimal'),
    (['--output=t.json', '--device=gpu'], '--device=gpu measures TensorFlow in float32; add --precision=float32'),
    (['--output=t.json', f'--threads={max(2, os.cpu_count())}'], 'take fewer, or add --force_threads'),
    (['--output=t.json', '--calibration_networks=0'], 'give both --calibration_networks and --validation_networks'),
    (['--output=t.json', '--resolution=100'], 'resolution must be a positive multiple'),
    (['--output=t.json', '--precision=int4'], '--precision=int4'),
    (['--output=t.json', '--kernels=gpu'], '--kernels=gpu'),
    (['--output=t.json', 'more'], "unexpected argument 'more'")])
def test_mistakes_are_one_line_at_once(tmp_path, arguments, message):
  runs.check_mistake(run(*arguments, cwd=tmp_path), message)
  assert not list(tmp_path.iterdir())
