"""From measurements to tables: the runtime, failing operations, and what an interrupted build keeps."""

import json

import pytest

from tf_proxyless.infra import errors
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

SPACE = proxyless.proxyless(stage_filters=(8,), stage_blocks=(2,), stage_strides=(1,), resolution=8, stem_filters=8, stem_strides=1,
                            first_block_filters=8, head_filters=16, classes=10)


def measurements(models, failed=(), core_mask='10'):
  figures = {name: dict(median_ms=1.0 + i, p5_ms=0.9 + i, p95_ms=1.2 + i, mean_ms=1.05 + i, std_ms=0.1, min_ms=0.5, runs=100)
             for i, name in enumerate(models) if name not in failed}
  return {'schema': 'android_benchmark/measurements', 'version': 1,
          'device': {'model': 'Pixel 2', 'serial': 'X', 'soc': 'msm8998', 'system': 'Android 11', 'cores': 8},
          'benchmark': {'tool': 'benchmark_model', 'version': None, 'sha256': 'ab' * 32},
          'settings': {'core_mask': core_mask, 'threads': 1, 'kernels': 'builtin'}, 'models': figures,
          'failed': dict.fromkeys(failed, 'exit code 139'),
          'reference': {'model': 'a', 'drift_percent': 1.25}, 'warnings': []}


def build(monkeypatch, tmp_path, failed=()):
  monkeypatch.setattr(table_builder, 'measure', lambda networks, setup, work: measurements(networks, failed))
  return table_builder.build(SPACE, table_builder.Setup('adb', 'int8'), tmp_path)


def test_each_operation_gets_its_figures(monkeypatch, tmp_path):
  table, _ = build(monkeypatch, tmp_path)
  signatures = network_lib.op_signatures(SPACE)
  assert [entry.signature for entry in table.entries] == list(signatures)
  assert [entry.latency.median_ms for entry in table.entries] == [1.0 + i for i in range(len(signatures))]
  assert {entry.latency.provenance for entry in table.entries} == {'measured'}
  runtime = table.runtime
  assert (runtime.device, runtime.soc, runtime.core_mask, runtime.precision, runtime.kernels, runtime.threads, runtime.batch_size) == (
      'Pixel 2', 'msm8998', '10', 'int8', 'builtin', 1, 1)
  assert 'drifted by 1.2 %' in table.source or 'drifted by 1.3 %' in table.source


def test_a_machine_that_others_use_is_known_by_its_undisturbed_runs(monkeypatch, tmp_path):
  found = measurements(signature.file_name for signature in network_lib.op_signatures(SPACE))
  for figures in found['models'].values():
    figures['undisturbed_ms'] = figures['median_ms'] / 2
  monkeypatch.setattr(table_builder, 'measure', lambda networks, setup, work: found)
  table, _ = table_builder.build(SPACE, table_builder.Setup('host', 'int8'), tmp_path)
  assert [entry.latency.latency_ms for entry in table.entries] == [(1.0 + i) / 2 for i in range(len(table.entries))]


def test_what_always_fails_is_left_out(monkeypatch, tmp_path):
  bad = network_lib.op_signatures(SPACE)[3]
  table, found = build(monkeypatch, tmp_path, failed=[bad.file_name])
  assert table.missing(network_lib.op_signatures(SPACE)) == (bad,)
  assert found['failed'] == {bad.file_name: 'exit code 139'}


def test_nothing_measured_is_a_mistake_to_tell(monkeypatch, tmp_path):
  with pytest.raises(errors.UserError, match='no operation could be measured: .*exit code 139'):
    build(monkeypatch, tmp_path, failed=[signature.file_name for signature in network_lib.op_signatures(SPACE)])


def test_the_figures_of_a_gpu_fit(tmp_path):
  """TensorFlow's own measurements, here on the CPU, have what a table needs."""
  from tf_proxyless.deploy import gpu_latency
  signature = network_lib.op_signatures(SPACE)[1]
  network = network_lib.network_of_signature(signature)
  found = gpu_latency.measure({'block': network}, '/CPU:0', batch_size=2, rounds=1, num_runs=2, sample_secs=0.001, report=lambda text: None)
  runtime = table_builder.runtime(found, table_builder.Setup('gpu', 'float32', None, batch_size=2))
  assert (runtime.kernels, runtime.precision, runtime.batch_size, runtime.core_mask) == ('unknown', 'float32', 2, None)
  assert runtime.benchmark_tool and found['models']['block']['median_ms'] > 0 and found['failed'] == {}
  assert found['reference']['drift_percent'] >= 0


OPERATIONS = (
    ops.MBConv(8, 3, 1, 3, 'hard_swish', 0.25), ops.MBConv(8, 3, 1, 3, groups=2), ops.ConvBn(8, 1, groups=4), ops.SeparableConv(8),
    ops.Pool('average'), ops.Pool('max'), ops.Zero())


@pytest.mark.long
def test_every_kind_of_operation_is_measured_on_this_machine(tmp_path):
  blocks = (network_lib.Block('block', schema.OneOf(OPERATIONS, 'op'), residual=True),
            network_lib.Block('classifier', ops.Classifier(5, hidden=16)))
  space = network_lib.Network('space', (8, 8, 8), blocks)
  setup = table_builder.Setup('host', 'int8', rounds=1, options=('--min_secs=0.01',))
  table, found = table_builder.build(space, setup, tmp_path)
  assert found['failed'] == {}
  assert [entry.signature for entry in table.entries] == list(network_lib.op_signatures(space)) and len(table.entries) == len(OPERATIONS)
  assert all(0 < entry.latency.latency_ms == entry.latency.undisturbed_ms <= entry.latency.median_ms for entry in table.entries)


class Benchmark:
  """Stands for the process that measures, and counts."""

  def __init__(self, monkeypatch):
    self.runs = 0
    monkeypatch.setattr(table_builder, '_run_benchmark', self)
    monkeypatch.setattr(table_builder, 'write_models', self.write_models)

  def write_models(self, networks, precision, folder, io):
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, network in networks.items():
      paths[name] = folder / f'{name}_{precision}.tflite'
      paths[name].write_text(f'{network} {io}')
    return paths

  def __call__(self, models, setup, output):
    self.runs += 1
    self.had_partial = output.with_name(f'{output.name}.partial').exists()
    self.models = sorted(path.name for path in models.iterdir())
    output.write_text(json.dumps(measurements(path.stem for path in models.iterdir())))


def test_phones_that_come_and_go_continue_what_some_of_them_measured(monkeypatch, tmp_path):
  benchmark = Benchmark(monkeypatch)
  partial = tmp_path / 'operations/measurements.json.partial'

  def measure(device, threads=1):
    table_builder.measure({'a': SPACE}, table_builder.Setup(device, 'int8', threads=threads, benchmark_binary='x'), tmp_path / 'operations')

  measure('adb:A')
  measure('adb:A,B')
  assert benchmark.runs == 1
  (tmp_path / 'operations/measurements.json').unlink()
  partial.touch()
  measure('adb:C,A')
  assert benchmark.runs == 2 and benchmark.had_partial
  partial.touch()
  measure('adb:D')
  assert benchmark.runs == 3 and not benchmark.had_partial
  measure('adb:D', threads=2)
  assert benchmark.runs == 4


def test_a_table_of_several_phones_names_them_and_how_far_they_are_apart(monkeypatch, tmp_path):
  phones = [{'name': f'adb:{name}', 'key': f'{name} 12', 'blocks': 7, 'scale': scale, 'worst_model': 'a', 'worst_percent': percent}
            for name, scale, percent in (('X', 1.012, 0.8), ('Y', 0.988, -0.8))]
  monkeypatch.setattr(table_builder, 'measure', lambda networks, setup, work: measurements_lib.check(
      {**measurements(networks), 'phones': phones}))
  table, _ = table_builder.build(SPACE, table_builder.Setup('adb:X,Y', 'int8'), tmp_path)
  assert table.source.endswith(
      '; the average of 2 phones: X (+1.2 %, on a +0.8 % beyond that), Y (-1.2 %, on a -0.8 % beyond that)')
  with pytest.raises(ValueError, match='scale'):
    measurements_lib.check({**measurements(['a']), 'phones': [{**phones[0], 'scale': 'x'}]})


def test_what_was_measured_is_not_measured_again_until_it_is_forgotten(monkeypatch, tmp_path):
  benchmark = Benchmark(monkeypatch)
  networks = {'a': SPACE, 'b': SPACE}
  setup = table_builder.Setup('host', 'int8')
  first = table_builder.measure(networks, setup, tmp_path / 'operations')
  assert benchmark.models == ['a.tflite', 'b.tflite']
  assert table_builder.measure(networks, setup, tmp_path / 'operations') == first and benchmark.runs == 1
  table_builder.measure(networks, table_builder.Setup('host', 'int8', threads=2), tmp_path / 'operations')
  assert benchmark.runs == 2
  table_builder.discard_cache(tmp_path)
  table_builder.measure(networks, table_builder.Setup('host', 'int8', threads=2), tmp_path / 'operations')
  assert benchmark.runs == 3


def test_an_interrupted_session_is_continued_only_for_the_same_request(monkeypatch, tmp_path):
  benchmark = Benchmark(monkeypatch)
  setup = table_builder.Setup('host', 'int8')
  table_builder.measure({'a': SPACE}, setup, tmp_path)
  partial, journal = tmp_path / 'measurements.json.partial', tmp_path / 'measurements.json.restore'
  for change, kept in (({'a': SPACE}, True), ({'a': SPACE, 'b': SPACE}, False)):
    (tmp_path / 'measurements.json').unlink()
    partial.write_text('{}')
    journal.write_text('{}')
    table_builder.measure(change, setup, tmp_path)
    assert benchmark.had_partial == kept
    assert journal.exists()  # what is to be restored on a phone
