"""tools/quantize.py as a user runs it: results, kills, signals, mistakes."""

import functools
import json
import signal

import numpy as np
import pytest

from tests.search import runs as search_runs
from tests.train import runs as train_runs
from tf_proxyless.app import models
from tf_proxyless.infra import files
from tf_proxyless.space import io
from tf_proxyless.train import run_directory

# 11 steps an epoch; checkpoints after the fourth, the eighth and the last.
TINY = ('--batch_size=128', '--epochs=3', '--learning_rate=0.01', '--checkpoint_every_steps=4', '--evaluate_every_epochs=1')


start = functools.partial(search_runs.start_tool, 'quantize', cwd=search_runs.ROOT)
run = functools.partial(search_runs.tool, 'quantize', cwd=search_runs.ROOT)


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data_dir):
  """Directory of a training of the tiny network."""
  folder = tmp_path_factory.mktemp('trained')
  result = train_runs.run(*train_runs.TINY, '--epochs=12', f'--architecture={train_runs.architecture(folder / "tiny.json")}',
                          f'--data_dir={data_dir}', f'--run_dir={folder / "run"}')
  assert result.returncode == 0, result.stderr
  return folder / 'run'


def finish(path, trained, data_dir, *more):
  result = run(*TINY, f'--model={trained}', f'--data_dir={data_dir}', f'--run_dir={path}', *more)
  assert (result.returncode, result.stderr) == (0, ''), result.stderr
  return run_directory.RunDirectory(path), result.stdout


@pytest.fixture(scope='module')
def quantized(tmp_path_factory, trained, data_dir):
  """A finished quantization, and what was printed."""
  return finish(tmp_path_factory.mktemp('quantized') / 'run', trained, data_dir)


def check_equal(found, expected):
  assert search_runs.history(found) == search_runs.history(expected)
  with np.load(found.path / 'weights.npz') as weights, np.load(expected.path / 'weights.npz') as others:
    assert weights.files == others.files
    for name in weights.files:
      np.testing.assert_array_equal(weights[name], others[name], err_msg=name)
  results = [files.read_json(each.results, models.RESULTS) for each in (found, expected)]
  assert {**results[0], 'seconds': 0} == {**results[1], 'seconds': 0}


@pytest.mark.long
def test_a_quantization(quantized, trained):
  run, printed = quantized
  results = files.read_json(run.results, models.RESULTS)
  float_results = files.read_json(trained / 'results.json', models.RESULTS)
  assert results['float_test_top1'] == float_results['test_top1'] > 0.8
  for name in ('calibrated_test_top1', 'test_top1'):  # ranges that start at [-6, 6] would cost most of it
    assert results[name] > results['float_test_top1'] - 0.03
    assert f'{100 * results[name]:.2f} % top-1 of 360 test images' in printed
  assert (results['dataset'], results['class_names']) == (float_results['dataset'], float_results['class_names'])
  assert [entry['epoch'] for entry in run.read_history()] == [-1, 0, 1, 2]
  assert json.loads(run.status.read_text())['state'] == 'finished'
  assert io.load_architecture(run.architecture) == io.load_architecture(trained / 'architecture.json')
  assert files.read_json(run.path / 'quantization.json', 'quantization') == {
      'input_range': [0.0, 1.0], 'range_momentum': 0.99, 'bits': 8, 'depthwise': 'per_channel'}


@pytest.mark.long
def test_the_model_is_what_results_say(quantized, data_dir):
  from tf_proxyless.data import pipelines
  from tf_proxyless.data import preprocessing
  from tf_proxyless.data import sources
  from tf_proxyless.train import training

  loaded = models.load(quantized[0].path)
  source = sources.open_dataset('digits', data_dir)
  scores = training.evaluate(loaded.model, pipelines.test_pass(source, preprocessing.for_source(source, 8), 128))
  assert scores.top1 == loaded.results['test_top1'] and scores.loss == pytest.approx(loaded.results['test_loss'])


@pytest.mark.long
@pytest.mark.parametrize('share, moves', [(0.0, False), (1.0, True)])
def test_statistics_stand_still_after_their_share(trained, tmp_path, data_dir, share, moves):
  run, _ = finish(tmp_path / 'run', trained, data_dir, '--epochs=1', f'--batch_norm_share={share}')
  known = {weight.name: weight.numpy() for weight in models.load(trained).model.weights if 'moving_' in weight.name}
  found = {weight.name: weight.numpy() for weight in models.load(run.path).model.weights if 'moving_' in weight.name}
  assert known.keys() == found.keys() and len(known) > 4
  assert all(np.array_equal(found[name], value) != moves for name, value in known.items())


@pytest.mark.long
@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 0), pytest.param(signal.SIGINT, 130, marks=pytest.mark.by_hand)])
def test_signals_save(quantized, trained, tmp_path, data_dir, number, code):
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = [*TINY, f'--model={trained}', f'--data_dir={data_dir}', f'--run_dir={run.path}']
  result = search_runs.stop_when(start(*flags), lambda: search_runs.checkpoint_number(run) >= 1, number)
  results = [line for line in result.stdout.splitlines() if not line.startswith('images ')]
  assert (result.returncode, results) == (code, []), result.stderr
  assert result.stderr == f'stopped and saved; the same command continues in {run.path}\n'
  assert json.loads(run.status.read_text())['state'] == 'interrupted'
  finish(run.path, trained, data_dir)
  check_equal(run, quantized[0])


@pytest.mark.long
def test_another_model_is_not_continued_with(quantized, trained, data_dir):
  result = run(*TINY, f'--model={trained}', f'--data_dir={data_dir}', f'--run_dir={quantized[0].path}', '--epochs=4')
  search_runs.check_mistake(result, 'holds a run with other settings: epochs was 3, is now 4')
  result = run(f'--model={quantized[0].path}', '--dataset=digits', '--run_dir=never')
  search_runs.check_mistake(result, 'is quantized already')


@pytest.mark.long
def test_layers_that_cannot_be_quantised(tmp_path, data_dir):
  import tf_keras as keras

  inputs = keras.Input((8, 8, 3))
  x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation='tanh', name='curved')(inputs))
  models.save(keras.Model(inputs, keras.layers.Dense(10)(x)), tmp_path / 'model.keras')
  train_runs.architecture(tmp_path / 'model.json')
  result = run('--dataset=digits', f'--model={tmp_path / "model.keras"}', f'--data_dir={data_dir}', f'--run_dir={tmp_path / "run"}')
  search_runs.check_mistake(result, 'layers that cannot be quantised: curved (Conv2D)')


@pytest.fixture
def plain(tmp_path):
  """A .keras file of nothing, with its architecture beside it: mistakes in flags are told before it is loaded."""
  import zipfile

  with zipfile.ZipFile(tmp_path / 'model.keras', 'w') as archive:
    archive.writestr('metadata.json', '{"keras_version": "2.21.0"}')
    archive.writestr('config.json', '{}')
  train_runs.architecture(tmp_path / 'model.json')
  return tmp_path / 'model.keras'


@pytest.mark.parametrize('flags, message', [
    (['--dataset=digits'], '--run_dir is required'),
    (['--run_dir=never'], '--dataset is required: nothing beside the model says what it was trained on'),
    (['--dataset=cifar100', '--run_dir=never'], 'has 10 classes, the dataset has 100'),
    (['--dataset=digits', '--run_dir=never', '--validation_images=1.5'], '--validation_images must be a count above 1'),
    (['--dataset=digits', '--run_dir=never', '--learning_rate=0'], '--learning_rate=0: must be a number, above 0'),
    (['--dataset=digits', '--run_dir=never', '--range_momentum=1'], '--range_momentum=1: must be a number, at least 0, below 1'),
    (['--dataset=digits', '--run_dir=never', '--epochs=0'], '--epochs'),
])
def test_mistakes_are_told_before_tensorflow_is_loaded(plain, flags, message):
  search_runs.check_mistake(run(f'--model={plain}', *flags), message)
  assert not (search_runs.ROOT / 'never').exists()


def test_the_directory_of_the_model_is_not_written_to(plain):
  search_runs.check_mistake(run(f'--model={plain}', '--dataset=digits', f'--run_dir={plain.parent}'), 'holds the model; choose another')


def test_there_must_be_a_model(tmp_path):
  search_runs.check_mistake(run('--run_dir=never'), '--model is required')
  search_runs.check_mistake(run('--run_dir=never', f'--model={tmp_path / "none.keras"}'), 'there is no such model')
