"""What is done on a GPU, done on the CPU of the machine that tests."""

import json

import pytest
import tensorflow as tf

from tests.deploy import models
from tf_proxyless.deploy import gpu_latency
from tf_proxyless.space import ops

NETWORKS = {
    'small': models.one(ops.MBConv(8, 3, 1, 6), (8, 8, 8), residual=True),
    'middle': models.one(ops.MBConv(16, 3, 1, 6), (16, 16, 16), residual=True),
    'large': models.one(ops.MBConv(32, 3, 1, 6), (32, 32, 32), residual=True),
}


@pytest.fixture(scope='module')
def measurements():
  return gpu_latency.measure(NETWORKS, '/CPU:0', batch_size=2, rounds=3, num_runs=4, sample_secs=0.002)


def test_it_is_the_format_of_android_benchmark(measurements):
  assert json.loads(json.dumps(measurements, allow_nan=False)) == measurements
  assert (measurements['schema'], measurements['version']) == ('android_benchmark/measurements', 1)
  assert measurements['benchmark'] == {'tool': 'tensorflow', 'version': tf.__version__, 'sha256': None}
  assert set(measurements['device']) == {'model', 'serial', 'soc', 'system', 'cores'}
  assert measurements['settings']['batch_size'] == 2
  assert list(measurements['models']) == list(NETWORKS)
  for figures in measurements['models'].values():
    assert 0 < figures['min_ms'] <= figures['p5_ms'] <= figures['median_ms'] <= figures['p95_ms']
    assert figures['runs'] == sum(launch['runs'] for launch in figures['launches'])


def test_each_round_measures_all_and_the_reference_twice(measurements):
  reference = measurements['reference']
  assert len(reference['readings_ms']) == 6
  assert reference['repeated_blocks'] == 0
  level, readings = reference['median_ms'], reference['readings_ms']
  assert min(readings) <= level <= max(readings)
  assert reference['drift_percent'] == pytest.approx(100 * max(abs(reading - level) for reading in readings) / level)
  counts = {name: len(figures['launches']) for name, figures in measurements['models'].items()}
  assert counts == {name: 6 if name == reference['model'] else 3 for name in NETWORKS}


def test_a_graph_runs_the_network_as_often_as_it_is_told():
  compiled = gpu_latency._Compiled(NETWORKS['small'], 3, '/CPU:0')
  for count in (0, 1, 7):
    runs, outputs = compiled._run(tf.constant(count))
    assert runs == count
    assert outputs.shape == (3, 8, 8, 8)
    assert (tf.math.reduce_std(outputs) > 0) == (count > 0)


def test_an_absent_gpu_is_one_line():
  count = len(tf.config.list_physical_devices('GPU'))
  for device in (f'/GPU:{count}', '/CPU:99', 'gpu', '/GPU:x'):
    with pytest.raises(ValueError, match=f"^TensorFlow has no device '{device}' here; it has CPU:0[^\n]*$"):
      gpu_latency.measure(NETWORKS, device)


@pytest.mark.parametrize('networks, arguments', [({}, {}), (NETWORKS, {'batch_size': 0}), (NETWORKS, {'rounds': 0})])
def test_nothing_to_measure_is_refused(networks, arguments):
  with pytest.raises(ValueError, match='at least one'):
    gpu_latency.measure(networks, '/CPU:0', **arguments)
