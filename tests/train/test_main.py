"""The command itself: results, evaluation, start values, several workers, signals and kills."""

import json
import re
import signal

import numpy as np
import pytest
import tensorflow as tf

from tests.reliability import workers
from tests.search import runs as search_runs
from tests.train import runs
from tf_proxyless.app import models
from tf_proxyless.infra import files
from tf_proxyless.space import io
from tf_proxyless.train import run_directory


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data_dir):
  """A finished training of the tiny network, and what was printed."""
  folder = tmp_path_factory.mktemp('trained')
  return finish(folder / 'run', data_dir, runs.architecture(folder / 'tiny.json'))


def flags_of(path, data_dir, architecture, *more):
  return [*runs.TINY, f'--run_dir={path}', f'--data_dir={data_dir}', f'--architecture={architecture}', *more]


def finish(path, data_dir, architecture, *more):
  result = runs.run(*flags_of(path, data_dir, architecture, *more))
  assert (result.returncode, result.stderr) == (0, ''), result.stderr
  return run_directory.RunDirectory(path), result.stdout


def check_equal(run, whole):
  assert search_runs.history(run) == search_runs.history(whole)
  found, expected = search_runs.variables(run), search_runs.variables(whole)
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)
  results = [files.read_json(each.results, models.RESULTS) for each in (run, whole)]
  assert {**results[0], 'seconds': 0} == {**results[1], 'seconds': 0}


def test_a_training(trained):
  run, printed = trained
  results = files.read_json(run.results, models.RESULTS)
  assert (results['dataset'], results['epochs'], results['test_images'], results['resolution'], results['seed']) == (
      'digits', 3, 360, 8, 0)
  assert results['class_names'] == [str(digit) for digit in range(10)]
  assert results['preprocessing'] == {'augmentation': 'digits', 'color_jitter': None, 'input_range': [0.0, 1.0],
                                      'input_normalization': None}
  assert 0.2 < results['test_top1'] < results['test_top5'] <= 1  # three epochs of 11 steps: far better than chance
  assert f'{100 * results["test_top1"]:.2f} % top-1' in printed and str(run.model) in printed
  assert [entry['epoch'] for entry in run.read_history()] == [0, 1, 2]
  assert json.loads(run.status.read_text())['state'] == 'finished'
  assert list(run.logs.iterdir())


def test_the_model_is_what_results_say(trained, data_dir):
  from tf_proxyless.data import pipelines
  from tf_proxyless.data import preprocessing
  from tf_proxyless.data import sources
  from tf_proxyless.train import training

  run, _ = trained
  loaded = models.load(run.path)
  source = sources.open_dataset('digits', data_dir)
  scores = training.evaluate(loaded.model, pipelines.test_pass(source, preprocessing.for_source(source, 8), 100))
  assert scores.top1 == loaded.results['test_top1'] and scores.loss == pytest.approx(loaded.results['test_loss'])
  assert loaded.architecture == io.load_architecture(run.architecture) and loaded.architecture.cost.macs > 0
  assert loaded.directory == run.path
  assert {type(layer).__module__.split('.')[0] for layer in loaded.model.layers} == {'tf_keras'}
  assert {weight.dtype for weight in loaded.model.weights} == {tf.float32}


def test_a_model_that_is_there_stays_unless_it_is_another_or_damaged(trained, tmp_path):
  """A finished training that is called again saves what it saved; its fine-tuning knows it by its digest."""
  run, _ = trained
  path = tmp_path / 'model.keras'
  content = run.model.read_bytes()
  path.write_bytes(content)
  runs.architecture(tmp_path / 'model.json')
  model = models.load(path).model
  models.save(model, path)
  assert path.read_bytes() == content
  model.weights[0].assign_add(tf.ones_like(model.weights[0]))
  models.save(model, path)
  np.testing.assert_array_equal(models.load(path).model.weights[0], model.weights[0])
  path.write_bytes(content[:-100])
  models.save(model, path)
  np.testing.assert_array_equal(models.load(path).model.weights[0], model.weights[0])


def test_wrong_classes_and_a_model_that_its_architecture_does_not_describe(trained, tmp_path):
  run, _ = trained
  (tmp_path / 'model.keras').write_bytes(run.model.read_bytes())
  with pytest.raises(ValueError, match='there is no .*model.json or .*architecture.json, which says what the model is'):
    models.load(tmp_path / 'model.keras')
  runs.architecture(tmp_path / 'architecture.json', classes=12)
  with pytest.raises(ValueError, match=re.escape('maps (8, 8, 3) to 10 classes, its architecture (8, 8, 3) to 12')):
    models.load(tmp_path / 'model.keras')
  runs.architecture(tmp_path / 'model.json')  # that beside it by name wins
  assert models.load(tmp_path / 'model.keras').results is None


@pytest.mark.long
@pytest.mark.parametrize('more', [(), ('--init=model',)])
def test_evaluate_only(trained, data_dir, more):
  run, printed = trained
  flags = [f'--init={run.model}'] if more else [f'--run_dir={run.path}']
  result = runs.run('--evaluate_only', '--dataset=digits', f'--data_dir={data_dir}', *flags)
  assert (result.returncode, result.stderr) == (0, '')
  *found, compared = result.stdout.splitlines()
  assert found == printed.splitlines()[1:3]  # after what is made of training images
  accuracy = f'{files.read_json(run.results, models.RESULTS)["test_top1"]:.2%} of 360 test images'
  assert compared == f'model when made        {accuracy}; now {accuracy}'


@pytest.mark.long
@pytest.mark.parametrize('more', [('--precision=mixed_bfloat16',), ('--optimizer=rmsprop', '--learning_rate=0.005', '--warmup_epochs=1'),
                                  ('--average_momentum=0.9', '--validation_images=0.2', '--evaluate_every_epochs=2')])
def test_recipes_learn(tmp_path, data_dir, more):
  run, printed = finish(tmp_path / 'run', data_dir, runs.architecture(tmp_path / 'tiny.json'), *more, '--epochs=8')
  results = files.read_json(run.results, models.RESULTS)
  assert results['test_top1'] > 0.5
  if '--validation_images=0.2' in more:
    assert results['validation_images'] == 287 and f'{100 * results["validation_top1"]:.2f} % top-1 of 287' in printed
    assert results['validation_top1'] == pytest.approx(run.read_history()[-1]['evaluation_top1'])


@pytest.mark.long
def test_start_values_from_a_model(trained, tmp_path, data_dir):
  """Weights continue where they stood; a classifier of other classes starts anew, another network is refused."""
  run, _ = trained
  more = [f'--init={run.path}', '--learning_rate=1e-9']
  kept, _ = finish(tmp_path / 'kept', data_dir, run.architecture, *more)
  for found, expected in zip(models.load(kept.path).model.trainable_weights, models.load(run.path).model.trainable_weights):
    np.testing.assert_allclose(found, expected, atol=1e-5)
  without = [flag for flag in flags_of(tmp_path / 'alone', data_dir, '') if not flag.startswith('--architecture')]
  assert runs.run(*without, f'--init={run.model}').returncode == 0
  assert io.load_architecture(tmp_path / 'alone' / 'architecture.json').network == io.load_architecture(run.architecture).network
  other = runs.architecture(tmp_path / 'other.json', filters=16)
  result = runs.run(*flags_of(tmp_path / 'refused', data_dir, other, *more))
  search_runs.check_mistake(result, 'the start values are of another network; 7 layers differ, for instance stem_conv')


@pytest.mark.long
def test_start_values_from_a_supernet(tmp_path, data_dir):
  """Inherited weights are better than chance before any training, and the search's architecture is needed."""
  search = tmp_path / 'search'
  assert search_runs.run(*search_runs.TINY, f'--run_dir={search}', f'--data_dir={data_dir}', '--warmup_epochs=20').returncode == 0
  run, _ = finish(tmp_path / 'run', data_dir, search / 'architecture.json', '--init=supernet', f'--search_dir={search}', '--epochs=1',
                  '--learning_rate=1e-9')
  inherited = files.read_json(run.results, models.RESULTS)['test_top1']
  fresh, _ = finish(tmp_path / 'fresh', data_dir, search / 'architecture.json', '--epochs=1', '--learning_rate=1e-9')
  assert inherited > 0.5 > files.read_json(fresh.results, models.RESULTS)['test_top1']


@pytest.mark.long
@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 0), pytest.param(signal.SIGINT, 130, marks=pytest.mark.by_hand)])
def test_signals_save(trained, tmp_path, data_dir, number, code):
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, trained[0].architecture)
  result = search_runs.stop_when(runs.start(*flags), lambda: search_runs.checkpoint_number(run) >= 1, number)
  assert (result.returncode, search_runs.results(result)) == (code, []), result.stderr
  assert result.stderr == f'stopped and saved; the same command continues in {run.path}\n'
  status = json.loads(run.status.read_text())
  assert status['state'] == 'interrupted'
  assert int(search_runs.variables(run)['progress/total_steps/.ATTRIBUTES/VARIABLE_VALUE']) == 11 * status['epoch'] + status['step']
  finish(run.path, data_dir, trained[0].architecture)
  check_equal(run, trained[0])


@pytest.mark.by_hand
def test_two_workers_and_a_stop_of_one(tmp_path, data_dir):
  """Both stop when one is asked to, at the same step, and go on together; the first of them writes."""
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = flags_of(run.path, data_dir, runs.architecture(tmp_path / 'tiny.json'))
  started = workers.start('tf_proxyless.train', *flags)
  result = search_runs.stop_when(started[1], lambda: search_runs.checkpoint_number(run) >= 1, signal.SIGTERM)
  assert result.returncode == 0, result.stderr
  assert (started[0].wait(300), json.loads(run.status.read_text())['state']) == (0, 'interrupted')
  (code, stdout, stderr), other = workers.finish(workers.start('tf_proxyless.train', *flags))
  assert (code, stderr.startswith('waiting for worker 1 ('), stderr.count('\n'), other) == (0, True, 1, (0, '', ''))
  assert 'top-1' in stdout
  assert [entry['epoch'] for entry in run.read_history()] == [0, 1, 2]
  assert files.read_json(run.results, models.RESULTS)['test_top1'] > 0.2
