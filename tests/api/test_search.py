"""nas.search and what comes out of it."""

import dataclasses
import math
import pathlib
import signal
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.api import data
from tests.space import spaces
import tf_proxyless as nas
from tf_proxyless.report.document import document
from tf_proxyless.search import loop
from tf_proxyless.space import schema


def search(run_dir, images=None, space=data.SPACE, **arguments):
  arguments = {**data.SETTINGS, 'target': '50%', **arguments}
  return nas.search(space, data.images() if images is None else images, run_dir=run_dir, **arguments)


@pytest.fixture(scope='module')
def result(tmp_path_factory):
  """A finished search of arrays, for MACs by REINFORCE."""
  return search(tmp_path_factory.mktemp('search') / 'run')


def check(result):
  """What every finished search keeps."""
  problem, architecture = result.problem, result.architecture
  assert result.state == 'finished' and len(result.history) == 3
  assert problem.cost_model.cost(architecture.genotype) <= problem.target
  assert architecture.network == schema.resolve(problem.space, architecture.genotype)
  assert len(result.evaluations) > 0
  decisions = schema.decisions(problem.space)
  assert all(schema.canonical(decisions, path) == tuple(path) for path in result.evaluations.paths.tolist())


def test_arrays(result):
  check(result)
  costs = nas.costs.macs(data.SPACE)
  assert result.problem.target == costs.smallest + 0.5 * (costs.largest - costs.smallest)
  assert result.architecture.cost.macs == costs.cost(result.architecture.genotype)


def test_tf_data_batched_or_not_are_the_same_images(result):
  """The identity of a run has the content of the images, so that the finished run accepts them; others it refuses."""
  whole = tf.data.Dataset.from_tensor_slices(data.images())
  for dataset in (whole, whole.batch(50)):
    assert search(result.run.path, dataset).architecture == result.architecture
  with pytest.raises(ValueError, match='dataset was .*, is now .*choose another `run_dir`'):
    search(result.run.path, data.images(seed=1))


@pytest.mark.long
def test_own_validation_images_are_those_that_are_scored_on(tmp_path):
  images, labels = data.images(120)
  more = data.images(40, seed=5)
  found = search(tmp_path, (images / 255.0, labels), validation_data=more, validation_batch_size=40)
  assert found.state == 'finished'
  accuracies = found.evaluations.accuracy * 40
  np.testing.assert_allclose(accuracies, accuracies.round(), atol=1e-4)


COSTS = {'nested': {'cost': lambda signature: 0.0 if signature is None else 1.0 + signature.op.filters if hasattr(signature.op, 'filters')
                    else 1.0, 'unit': 'mJ'},
         'resolutions': {'cost': 'bytes', 'target': '50%'},
         'widths': {'cost': 'macs'}}


@pytest.mark.long
@pytest.mark.parametrize('name', COSTS)
def test_decisions_of_any_kind_with_own_costs(name, tmp_path):
  found = search(tmp_path, data.images(classes=10, size=16), spaces.COUPLED[name](), **COSTS[name])
  check(found)
  assert found.problem.cost_model.unit == {'nested': 'mJ', 'resolutions': 'bytes', 'widths': 'macs'}[name]
  run = document.document(found.run.path)['runs'][0]
  unit = {'macs': 'MACs'}.get(found.problem.cost_model.unit, found.problem.cost_model.unit)
  assert not run['problems'] and (run['cost']['unit'], run['cost']['target']) == (unit, found.problem.target)
  assert run['network']['cost'] == found.problem.cost_model.cost(found.architecture.genotype)
  assert found.report().path.stat().st_size > 10_000


@pytest.mark.long
def test_two_paths_on_a_latency_table(tmp_path):
  table = data.table()
  found = search(tmp_path, cost=table, target=0.02, optimizer=nas.optimizers.TwoPath(learning_rate=0.05))
  assert document.document(tmp_path)['runs'][0]['cost']['optimizer'] == 'TwoPath'
  check(found)
  assert found.architecture.cost.predicted_ms <= 0.02
  assert nas.load(tmp_path, optimizer=nas.optimizers.TwoPath(learning_rate=0.05)).derive(by='probability') is not None


@pytest.mark.long
@pytest.mark.parametrize('main', ['ms', 'mJ'])
def test_latency_and_energy_together(tmp_path, main, capsys):
  """The target is of one table, the limit of the other; both in the result, in its files, in a derivation and in the report."""
  tables = {'ms': data.table(), 'mJ': dataclasses.replace(data.table(), unit='mJ', entries=tuple(
      dataclasses.replace(entry, latency=dataclasses.replace(entry.latency, median_ms=1.0 + i % 5))
      for i, entry in enumerate(data.table().entries)))}
  limited = {'ms': 'mJ', 'mJ': 'ms'}[main]
  name, option = {'ms': ('latency_table', 'max_latency_ms'), 'mJ': ('energy_table', 'max_energy_mj')}[limited]
  tables[limited].save(tmp_path / 'limit.json')
  other = nas.costs.model(data.SPACE, tables[limited])
  limit = (other.smallest + other.largest) / 2
  found = search(tmp_path / 'run', cost=tables[main], **{name: str(tmp_path / 'limit.json'), option: limit})
  check(found)
  assert f'{limited} of ' in next(line for line in capsys.readouterr().out.splitlines() if line.startswith('within the limit'))
  cost = found.architecture.cost
  assert {'ms': cost.predicted_ms, 'mJ': cost.predicted_mj}[limited] == pytest.approx(other.cost(found.architecture.genotype))
  assert other.cost(found.architecture.genotype) <= limit
  assert {'ms': cost.predicted_ms, 'mJ': cost.predicted_mj}[main] <= found.problem.target
  again = nas.load(tmp_path / 'run')
  assert again.problem.cost_model.unit == main and [each.limit for each in again.problem.others] == [limit]
  assert other.cost(again.derive(by='probability').genotype) <= limit
  run = document.document(tmp_path / 'run')['runs'][0]
  assert not run['problems'] and run['cost']['unit'] == run['table']['unit'] == main
  assert all(block['cost'] is not None for block in run['network']['blocks'])
  assert found.report().path.stat().st_size > 10_000


REFUSED = {
    'shape': ({'images': (np.zeros((6, 8, 8), np.uint8), np.arange(6) % 3)}, ValueError, r'train images must be \[height, width, 1 or 3\]'),
    'range': ({'images': (np.full((6, 8, 8, 3), 7.0), np.arange(6) % 3)}, ValueError, r'in \[0, 1\], got 7 to 7; divide them'),
    'nan': ({'images': (np.full((6, 8, 8, 3), np.nan), np.arange(6) % 3)}, ValueError, r'floats must be in \[0, 1\]'),
    'type': ({'images': (np.zeros((6, 8, 8, 3), np.int32), np.arange(6) % 3)}, ValueError, 'must be uint8, or floats'),
    'labels': ({'images': (np.zeros((6, 8, 8, 3), np.uint8), np.arange(5))}, ValueError, 'integers, one for each of 6 images'),
    'one hot': ({'images': (np.zeros((6, 8, 8, 3), np.uint8), np.eye(6))}, ValueError, 'train labels must be integers'),
    'negative': ({'images': (np.zeros((6, 8, 8, 3), np.uint8), np.arange(6) - 1)}, ValueError, 'labels must be in 0..4, got -1 to 4'),
    'classes': ({'images': data.images(classes=4)}, ValueError, 'the space has 3 classes, the images 4'),
    'names': ({'class_names': ['a', 'b']}, ValueError, 'labels must be in 0..1, got 0 to 2'),
    'blank': ({'class_names': ['a', 'b', 'c ']}, ValueError, "'c ' among `class_names` cannot be a label: it ends with a blank"),
    'kind of data': ({'images': [1, 2]}, TypeError, 'must be .images, labels., a tf.data.Dataset of such pairs, or the name of a dataset'),
    'kind of elements': ({'images': tf.data.Dataset.range(3)}, TypeError, r'must hold \(image, label\) pairs'),
    'unknown dataset': ({'images': 'mnits'}, ValueError, 'mnits'),
    'validation of a name': ({'images': 'digits', 'validation_data': data.images(5)}, ValueError, 'has its own validation and test images'),
    'target': ({'target': 3.0}, ValueError, 'target=3. is below the smallest network of the space'),
    'share': ({'target': '120%'}, ValueError, "a share such as '25%', got '120%'"),
    'text': ({'target': 'small'}, ValueError, "a share such as '25%', got 'small'"),
    'not finite': ({'target': float('nan')}, ValueError, 'must be a positive number'),
    'cost': ({'cost': 'energy'}, TypeError, "must be 'macs', 'bytes', a LatencyTable"),
    'other table': ({'cost': data.table(spaces.widths())}, ValueError, 'lacks'),
    'other costs': ({'cost': nas.costs.macs(spaces.widths())}, ValueError, 'is of another space'),
    'setting': ({'warmup_epoch': 3}, TypeError, "no setting 'warmup_epoch'; did you mean 'warmup_epochs'"),
    'type of a setting': ({'warmup_epochs': 'two'}, TypeError, "`warmup_epochs` must be an integer, at least 0, got 'two'"),
    'bound of a setting': ({'batch_size': 0}, ValueError, '`batch_size` must be at least 1, got 0'),
    'a designer': ({'designer': 'genetic'}, TypeError, "'designer' is no setting here: this searches a supernet; `nas.ask_tell` takes"),
    'setting of the space': ({'stage_filters': (8,)}, TypeError, "'stage_filters' is no setting here: `space` says it"),
    'large batch': ({'validation_batch_size': 1000}, ValueError, 'set `validation_batch_size`, or enlarge'),
    'two paths': ({'space': spaces.widths(), 'images': data.images(classes=10, size=16), 'optimizer': nas.optimizers.TwoPath()}, ValueError,
                  'use reinforce'),
    'name of an optimizer': ({'optimizer': 'reinforce'}, TypeError, 'optimizer must be the settings of one, .* got .reinforce.'),
    'name of an objective': ({'objective': 'reward_power'}, TypeError, 'objective must be the settings of one, .* got .reward_power.'),
    'objective of the other': ({'objective': nas.objectives.PenaltyLogConfig()}, ValueError, 'learns from a reward'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refuses_in_one_line_that_speaks_of_no_command(name, tmp_path):
  arguments, error, message = REFUSED[name]
  with pytest.raises(error, match=message) as raised:
    search(tmp_path / 'run', **arguments)
  text = str(raised.value)
  assert '\n' not in text and '--' not in text and 'flag' not in text
  assert not any((tmp_path / 'run').glob('checkpoints/*'))  # so that other arguments may follow


def test_other_arguments_in_a_directory_that_is_there(result):
  for arguments in ({'seed': 3}, {'target': '60%'}, {'optimizer': nas.optimizers.Reinforce(networks=3)}, {'cost': 'bytes'}):
    with pytest.raises(ValueError, match='holds a run with other settings: .* choose another `run_dir`') as raised:
      search(result.run.path, **arguments)
    assert '--' not in str(raised.value) and 'flag' not in str(raised.value)


def stop_at(monkeypatch, step, action):
  """Has something happen once, before a weight step."""
  train, steps = loop.Search._train, []

  def stopping(self, *arguments):
    steps.append(arguments)
    if len(steps) == step:
      action()
    return train(self, *arguments)

  monkeypatch.setattr(loop.Search, '_train', stopping)


def interrupt():
  raise KeyboardInterrupt


@pytest.mark.long
@pytest.mark.parametrize('action', [lambda: signal.raise_signal(signal.SIGINT), interrupt], ids=['signal', 'exception'])
def test_an_interrupted_search_ends_as_if_it_had_not_been(action, result, tmp_path, monkeypatch):
  handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
  with monkeypatch.context() as patches:
    stop_at(patches, 7, action)
    with pytest.raises(KeyboardInterrupt):
      search(tmp_path / 'run')
  assert {number: signal.getsignal(number) for number in handlers} == handlers
  assert signal.set_wakeup_fd(-1) == -1
  assert nas.load(tmp_path / 'run').state == 'interrupted'
  continued = search(tmp_path / 'run')
  assert continued.architecture == result.architecture
  assert data.without_seconds(continued.history) == data.without_seconds(result.history)
  np.testing.assert_array_equal(continued.evaluations.accuracy, result.evaluations.accuracy)


@pytest.mark.long
def test_a_search_in_another_thread(result, tmp_path):
  found = []
  thread = threading.Thread(target=lambda: found.append(search(tmp_path / 'run')))
  thread.start()
  thread.join()
  assert found and found[0].architecture == result.architecture


def test_loading_and_showing(result):
  loaded = nas.load(result.run.path)
  assert loaded.architecture == result.architecture and loaded.space == data.SPACE
  assert repr(loaded) == f"SearchResult('{result.run.path}', finished)"
  assert 'MACs' in loaded._repr_html_()
  assert loaded.derivation['by'] == 'validation'
  with pytest.raises(ValueError, match='is not the directory of a search'):
    nas.load(pathlib.Path('/nowhere'))


def test_pareto(result):
  costs = result.problem.cost_model
  limits = np.linspace(costs.smallest, costs.largest, 4)
  points = result.pareto(limits)
  assert [point.limit for point in points] == limits.tolist()
  assert all(point.cost <= point.limit and costs.cost(point.architecture.genotype) == point.cost for point in points)
  assert all(a.estimate <= b.estimate + 1e-9 for a, b in zip(points, points[1:]))
  scored = result.pareto(limits[::-1], by='validation')
  assert all(a.validation_accuracy >= b.validation_accuracy or a.estimate >= b.estimate for a, b in zip(scored, scored[1:]))
  assert scored[1].architecture.derivation.budget == limits[2] and scored[1].cost <= limits[2]
  assert result.pareto([]) == []
  for wrong, message in (([costs.smallest - 1], 'is below the smallest network'), ([limits[1], costs.largest + 1], 'is above the dearest'),
                         ([limits[1], limits[1]], 'twice'), ([limits[1], math.nan], 'must be a positive number, got nan')):
    with pytest.raises(ValueError, match=message):
      result.pareto(wrong)


@pytest.mark.parametrize('by', ['validation', 'evidence', 'probability'])
def test_derives_within_several_limits(by, result):
  weights, macs = nas.costs.file_bytes(data.SPACE), result.problem.cost_model
  limit = (macs.smallest + macs.largest) / 2
  constraint = nas.Constraint(weights, weights.smallest + 0.3 * (weights.largest - weights.smallest))
  found = nas.derive(result.run.path, limit, by, others=[constraint])
  assert macs.cost(found.genotype) <= limit and weights.cost(found.genotype) <= constraint.limit


def test_limits_that_cannot_be_kept(result):
  weights = nas.costs.file_bytes(data.SPACE)
  with pytest.raises(ValueError, match='`limit=1` is below the smallest network'):
    result.derive(1.0)
  with pytest.raises(ValueError, match='smallest'):
    result.derive(by='probability', others=[nas.Constraint(weights, 1.0)])


def test_a_keras_model_with_the_weights_of_the_supernet(result):
  images, labels = data.images(60, seed=9)
  inherited, fresh = result.keras_model(), result.keras_model(weights='random')
  assert inherited.output_shape == (None, data.CLASSES)
  assert [weight.shape for weight in inherited.weights] == [weight.shape for weight in fresh.weights]
  accuracy = lambda model: np.mean(model(images / np.float32(255)).numpy().argmax(axis=1) == labels)
  assert accuracy(inherited) > 0.5
  with pytest.raises(ValueError, match="'inherit' or 'random', got 'best'"):
    result.keras_model(weights='best')


def test_pictures(result, tmp_path):
  report = result.report()
  assert report.path.stat().st_size > 10_000 and report._repr_html_().startswith('<iframe srcdoc=')
  figure = result.figure('network')
  assert figure._repr_svg_().startswith('<svg')
  figure.save(tmp_path / 'network.svg')
  assert (tmp_path / 'network.svg').read_text() == figure.svg
  with pytest.raises(ValueError, match="no figure 'net' of this search; there are network, "):
    result.figure('net')
