"""The runner against the reader that android_benchmark has for the genuine tool."""

import importlib.metadata
import os
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from android_benchmark import benchmark_model
from android_benchmark import errors
from tests import forks
from tests.deploy import models
from tf_proxyless.deploy import op_models
from tf_proxyless.deploy.litert_benchmark import results
from tf_proxyless.space import ops

MODULE = [sys.executable, '-m', 'tf_proxyless.deploy.litert_benchmark']
QUICK = ('--num_runs=5', '--min_secs=0', '--warmup_min_secs=0')


def run(*flags):
  return forks.run('-m', 'tf_proxyless.deploy.litert_benchmark', *flags)


def read(result, kernels='builtin'):
  return benchmark_model.read(result.returncode, result.stdout + result.stderr, benchmark_model.Settings(kernels=kernels))


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  return op_models.write(models.one(ops.MBConv(8, 3, 1, 6), (16, 16, 8), residual=True), 'int8', tmp_path_factory.mktemp('models'))


@pytest.fixture(scope='module')
def foreign(tmp_path_factory):
  """A model of which XNNPACK takes nothing."""
  function = tf.function(lambda x: tf.cumsum(x), input_signature=[tf.TensorSpec([8], tf.float32)])
  path = tmp_path_factory.mktemp('foreign') / 'cumsum.tflite'
  path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function).convert())
  return path


@pytest.mark.parametrize('kernels', ['builtin', 'xnnpack'])
def test_android_benchmark_reads_it(model, kernels):
  settings = benchmark_model.Settings(kernels=kernels, num_runs=7, min_secs=0, warmup_secs=0)
  result = run(f'--graph={model}', *benchmark_model.arguments(settings))
  launch = read(result, kernels)
  assert launch.runs == 7
  assert 0 < launch.min_ms <= launch.p5_ms <= launch.median_ms <= launch.p95_ms
  assert result.returncode == 0
  assert f'Tool: [litert_benchmark on ai-edge-litert {importlib.metadata.version("ai-edge-litert")}]' in result.stdout


def test_other_kernels_than_asked_for_are_noticed(model):
  with pytest.raises(errors.BenchmarkError, match='XNNPACK was applied although'):
    read(run(f'--graph={model}', '--use_xnnpack=true', *QUICK), 'builtin')
  with pytest.raises(errors.BenchmarkError, match='XNNPACK was not applied'):
    read(run(f'--graph={model}', '--use_xnnpack=false', *QUICK), 'xnnpack')


def test_a_model_that_xnnpack_does_not_take_is_noticed(foreign):
  result = run(f'--graph={foreign}', '--use_xnnpack=true', *QUICK)
  assert 'Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.' in result.stdout
  with pytest.raises(errors.BenchmarkError, match='XNNPACK was not applied'):
    read(result, 'xnnpack')


def test_xnnpack_says_how_much_it_took(model, tmp_path):
  whole = op_models.write(models.small(), 'int8', tmp_path, 'uint8')  # the conversion of uint8 remains outside
  assert 'completely executed' in run(f'--graph={model}', '--use_xnnpack=true', *QUICK).stdout
  assert 'partially executed by the delegate w/ 1 delegate kernels.' in run(f'--graph={whole}', '--use_xnnpack=true', *QUICK).stdout


def test_many_models_in_one_process(model, foreign, tmp_path):
  paths = [str(model), str(tmp_path / 'missing.tflite'), str(tmp_path / 'broken.tflite'), str(foreign)]
  (tmp_path / 'broken.tflite').write_bytes(model.read_bytes()[:1000])
  (tmp_path / 'list').write_text('\n'.join(paths) + '\n')
  result = run(f'--graphs={tmp_path / "list"}', '--use_xnnpack=false', *QUICK)
  marks = [line for line in result.stdout.splitlines() if line.startswith('===')]
  assert marks == [mark for path, code in zip(paths, (0, 1, 1, 0)) for mark in (f'=== begin {path}', f'=== end {path} exit={code}')]
  assert result.returncode == 1
  assert result.stderr.count('ERROR: Benchmarking failed.') == 2
  for part in (result.stdout.split('=== ')[2 * i + 1] for i in (0, 3)):
    assert benchmark_model.read(0, part, benchmark_model.Settings()).runs == 5


def test_a_process_that_is_killed_leaves_what_it_had_measured(model, tmp_path):
  os.mkfifo(tmp_path / 'hangs.tflite')  # nobody ever writes to it
  (tmp_path / 'list').write_text(f'{model}\n{tmp_path / "hangs.tflite"}\n')
  with open(tmp_path / 'log', 'wb') as log:
    process = subprocess.Popen([*MODULE, f'--graphs={tmp_path / "list"}', '--use_xnnpack=false', *QUICK], stdout=log, stderr=log)
  deadline = time.monotonic() + 60
  while 'hangs' not in (tmp_path / 'log').read_text() and time.monotonic() < deadline:
    time.sleep(0.05)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  first = (tmp_path / 'log').read_text().split('=== ')[1]
  assert benchmark_model.read(0, first, benchmark_model.Settings()).runs == 5


def test_runs_go_on_for_min_secs_and_end_at_max_secs(model):
  enough = read(run(f'--graph={model}', '--use_xnnpack=false', '--num_runs=1', '--min_secs=0.2', '--warmup_min_secs=0'))
  assert enough.runs > 5
  ended = read(run(f'--graph={model}', '--use_xnnpack=false', '--num_runs=1000000000', '--max_secs=0.2', '--warmup_min_secs=0'))
  assert 5 < ended.runs < 1000000


def test_a_mistake_has_benchmark_models_exit_code(model, tmp_path):
  for flags in [(), (f'--graph={model}', '--num_runs=many'), (f'--graph={model}', '--use_xnnpack=perhaps'),
                (f'--graph={model}', f'--graphs={model}'), (f'--graphs={tmp_path / "missing"}',)]:
    result = run(*flags)
    assert result.returncode == 1
    assert result.stderr.startswith('ERROR: ') and result.stderr.count('\n') == 1


def test_unknown_flags_are_named_and_ignored(model):
  result = run(f'--graph={model}', '--use_gpu=true', '--use_xnnpack=false', *QUICK)
  assert result.returncode == 0
  assert 'WARN: Unconsumed cmdline flags: --use_gpu=true\n' in result.stdout
  with pytest.raises(errors.BenchmarkError, match='does not know --use_gpu=true'):
    read(result)


def test_statistics():
  times = [20.5, *range(20)]  # as 0 .. 20 but for the half
  assert results.statistics(times) == 'count=21 first=20.5 curr=19 min=0 max=20.5 avg=10.0238 std=6.09542 p5=1 median=10 p95=19'
  assert results.statistics([2.5, 3.5]) == 'count=2 first=2.5 curr=3.5 min=2.5 max=3.5 avg=3 std=0.5 p5=2.5 median=3.5 p95=3.5'
  assert results.statistics([1357602.0]) == 'count=1 curr=1.3576e+06 p5=1.3576e+06 median=1.3576e+06 p95=1.3576e+06'
  assert results.statistics([7.0, 7.0]) == 'count=2 curr=7(all same) p5=7 median=7 p95=7'


def test_summary():
  assert results.summary(52687.4, [400, 200], [100, 50.5]) == (
      'Inference timings in us: Init: 52687, First inference: 400, Warmup (avg): 300, Inference (avg): 75.25')
