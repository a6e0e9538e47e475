"""What a network was trained with goes with it: every later command uses it, and refuses what differs by its name."""

import dataclasses
import json
import shutil

import numpy as np
from PIL import Image
import pytest

from tests.api import data as api_data
import tf_proxyless as nas
from tf_proxyless.app import accuracy
from tf_proxyless.app import architectures
from tf_proxyless.app import augmentation
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app.commands import measure as measure_command
from tf_proxyless.app.commands import train as train_command
from tf_proxyless.data import sources
from tf_proxyless.deploy import metadata
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import run_directory
from tf_proxyless.infra import shutdown
from tf_proxyless.measure import model_card
from tf_proxyless.space import io
from tf_proxyless.space import schema
from tf_proxyless.train import trainer as trainer_lib

NETWORK = schema.resolve(api_data.SPACE, schema.genotype(api_data.SPACE, (0, 1)))
SHORT = {'batch_size': 12, 'epochs': 12, 'learning_rate': 0.1}
_OTHERS = 'the network knows b, c, d; the folder has c, d, z'


def write_frames(folder, classes=('b', 'c', 'd')):
  """Images of 80 x 80 pixels whose classes are told apart at their edges alone, which the centre that photographs are cut to has not."""
  rng = np.random.default_rng(0)
  for part, count in (('train', 24), ('test', 20)):
    for label, name in enumerate(classes):
      (folder / part / name).mkdir(parents=True)
      for index in range(count):
        pixels = rng.integers(60, 100, (80, 80, 3), np.uint8)
        middle = pixels[5:75, 5:75].copy()
        pixels[..., label] = 255
        pixels[5:75, 5:75] = middle
        Image.fromarray(pixels).save(folder / part / name / f'{index}.png')
  return f'folder:{folder}'


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
  """A dataset whose default are crops, and a network that was trained on whole images."""
  folder = tmp_path_factory.mktemp('frames')
  name = write_frames(folder / 'images')
  return name, nas.train(NETWORK, name, run_dir=folder / 'run', augmentation='cifar', **SHORT)


@pytest.fixture
def renamed(frames, tmp_path):
  """The same images, after somebody has renamed a class so that it comes last."""
  shutil.copytree(frames[0].removeprefix('folder:'), tmp_path / 'images')
  for part in ('train', 'test'):
    (tmp_path / 'images' / part / 'b').rename(tmp_path / 'images' / part / 'z')
  return f'folder:{tmp_path / "images"}'


def evaluate(init, dataset, **settings):
  return train_command.main(options.make(config_lib.TrainConfig, {
      'evaluate_only': True, 'init': str(init), 'dataset': dataset, **settings}))


@pytest.mark.long
def test_it_is_written_beside_the_model(frames):
  _, trained = frames
  assert trained.accuracy > 0.9
  assert trained.architecture.class_names == ('b', 'c', 'd') and trained.architecture.augmentation == 'cifar'
  assert trained.results['class_names'] == ['b', 'c', 'd'] and trained.results['preprocessing']['augmentation'] == 'cifar'


@pytest.mark.long
def test_export_sees_images_as_the_training_did(frames, tmp_path, capsys):
  """A file that was copied with its description, too."""
  _, trained = frames
  card = nas.export(trained, tmp_path / 'm.tflite', quantization='none')
  assert card.accuracies['float'] == trained.accuracy and card.augmentation == 'cifar'
  printed = capsys.readouterr().out
  assert f'float when made        {trained.accuracy:.2%} of 60 test images; now {trained.accuracy:.2%} of 60 test images' in printed
  assert 'warning' not in printed
  assert metadata.read_labels((tmp_path / 'm.tflite').read_bytes()) == ['b', 'c', 'd']
  shutil.copy(trained.run.model, tmp_path / 'best.keras')
  shutil.copy(trained.run.architecture, tmp_path / 'best.json')
  copied = nas.export(tmp_path / 'best.keras', tmp_path / 'copied.tflite', quantization='none', dataset=frames[0])
  assert copied.accuracies == card.accuracies and copied.sha256 == card.sha256


@pytest.mark.long
def test_a_file_of_an_earlier_edition_has_it_in_its_results(frames, tmp_path, capsys):
  name, trained = frames
  shutil.copytree(trained.run.path, tmp_path / 'run')
  path = tmp_path / 'run' / 'architecture.json'
  content = json.loads(path.read_text())
  path.write_text(json.dumps({key: value for key, value in content.items() if key not in ('class_names', 'augmentation')}))
  assert models.find(tmp_path / 'run').architecture == trained.architecture
  assert nas.evaluate(tmp_path / 'run', name) == trained.accuracy
  (tmp_path / 'run' / 'results.json').unlink()
  evaluate(tmp_path / 'run', name)
  printed = capsys.readouterr().out
  assert 'nothing beside the model says the names of its classes' in printed and 'how it was trained to see images' in printed


@pytest.mark.long
def test_quantization_and_measurement_do_as_the_training_did(frames, tmp_path, renamed, capsys):
  name, trained = frames
  quantized = nas.quantize(trained, run_dir=tmp_path / 'int8', epochs=2, batch_size=12)
  assert quantized.results['float_test_top1'] == trained.accuracy and quantized.accuracy > 0.9
  assert quantized.architecture == trained.architecture
  card = nas.export(quantized, tmp_path / 'm.tflite')
  assert card.accuracies == {'float': trained.accuracy, 'qat': quantized.accuracy, 'tflite': pytest.approx(quantized.accuracy, abs=0.05)}
  capsys.readouterr()
  measure = lambda dataset: measure_command.main(options.make(measure_command.Config, {
      'model': str(tmp_path / 'm.tflite'), 'dataset': dataset, 'rounds': 1, 'min_secs': 0.01, 'max_drift_percent': 500.0}))
  measure(name)
  assert 'warning: these differ' not in capsys.readouterr().out
  assert model_card.load(tmp_path / 'm_card.json').accuracies == card.accuracies
  with pytest.raises(ValueError, match=_OTHERS):
    measure(renamed)
  with pytest.raises(ValueError, match=_OTHERS):
    nas.export(quantized, tmp_path / 'other.tflite', dataset=renamed)
  other = nas.quantize(trained, run_dir=tmp_path / 'other', epochs=1, batch_size=12, augmentation='imagenet')
  assert 'augmentation imagenet: crops, mirror images and colours (the network was trained with cifar)' in capsys.readouterr().out
  with pytest.raises(ValueError, match='cifar, .*other with imagenet: their images are not cut and resized alike'):
    nas.export(other, tmp_path / 'other.tflite', try_both=True)


@pytest.mark.long
def test_a_renamed_class_is_refused_by_all(frames, renamed, tmp_path):
  _, trained = frames
  for refused in (lambda: evaluate(trained.run.path, renamed), lambda: nas.evaluate(trained, renamed),
                  lambda: nas.export(trained, tmp_path / 'm.tflite', quantization='none', dataset=renamed),
                  lambda: nas.quantize(trained, renamed, run_dir=tmp_path / 'int8')):
    with pytest.raises(ValueError, match=_OTHERS):
      refused()
  assert not list(tmp_path.glob('m*')) and not (tmp_path / 'int8' / 'status.json').exists()


@pytest.mark.long
def test_another_augmentation_is_refused_where_nothing_is_trained(frames):
  name, trained = frames
  with pytest.raises(ValueError, match='`augmentation=imagenet`: the network was trained with cifar, which says how its images are cut'):
    evaluate(trained.run.path, name, augmentation='imagenet')


@pytest.mark.long
def test_a_start_from_other_classes_begins_a_classifier(frames, renamed, tmp_path, capsys):
  """Its number of classes is the same, and what they mean is not."""
  name, trained = frames
  start = lambda folder, dataset: nas.train(trained.architecture, dataset, run_dir=tmp_path / folder, init=trained,
                                            **{**SHORT, 'epochs': 1, 'learning_rate': 1e-9})
  assert start('same', name).accuracy > 0.9
  assert 'random' not in capsys.readouterr().err
  found = start('other', renamed)
  assert f'classifier_dense starts from random values: {_OTHERS}' in capsys.readouterr().err
  assert found.accuracy < 0.9 and found.architecture.class_names == ('c', 'd', 'z')
  assert found.results['preprocessing']['augmentation'] == 'imagenet'  # other images, of a size for which that is the default
  assert start('same', name).results['preprocessing']['augmentation'] == 'cifar'


@pytest.mark.long
def test_arrays_keep_the_names_that_they_were_given(tmp_path):
  names, images, test = ['x', 'y', 'z'], api_data.images(), api_data.images(40, seed=1)
  trained = nas.train(NETWORK, images, test, run_dir=tmp_path / 'run', class_names=names, augmentation='none', epochs=1, batch_size=24)
  assert nas.evaluate(trained, test) == trained.accuracy == nas.evaluate(trained, api_data.images(40, seed=1))
  with pytest.raises(ValueError, match='labels must be in 0..2, got 0 to 3'):
    nas.evaluate(trained, api_data.images(40, seed=1, classes=4))
  quantized = nas.quantize(trained, images, test, run_dir=tmp_path / 'int8', epochs=1, batch_size=24)
  assert quantized.results['class_names'] == names
  nas.export(quantized, tmp_path / 'm.tflite', min_agreement=0.0)
  assert metadata.read_labels((tmp_path / 'm.tflite').read_bytes()) == names


@pytest.mark.parametrize('known, given, dataset, expected', [
    (None, ('a', 'b'), 'folder:x', ''),
    (('a', 'b'), ('a', 'b'), 'folder:x', ''),
    (('caf\u00e9', 'b'), ('cafe\u0301', 'b'), 'folder:x', ''),  # as another system writes names of files
    (('a', 'b'), ('0', '1'), 'arrays:1', ''),
    (('a', 'b'), ('0', '1', '2'), 'arrays:1', 'the network knows a, b; the dataset has 0, 1, 2'),
    (('a', 'b'), ('b', 'a'), 'mine', 'the network knows a, b; the dataset has them in another order: its number 0 is b'),
    (('a', 'b'), ('a', 'b', 'c'), 'folder:x', 'the network knows a, b; the folder has a, b, c'),
    (tuple(map(str, range(100))), tuple(map(str, range(1, 101))), 'folder:x',
     'the network knows 100 classes, 100 in the folder; only it has 0; only the folder has 100'),
])
def test_classes_are_compared_by_name_and_order(known, given, dataset, expected):
  assert architectures.other_classes(known, dataset, given) == expected


def test_start_values_of_the_same_shapes_and_another_computation_are_refused():
  network = architectures.find('proxyless_mobile', None).network
  architectures.check_start(network, architectures.find('proxyless_mobile', 10, resolution=96).network)
  other = dataclasses.replace(network, padding='symmetric')
  with pytest.raises(ValueError, match="same shapes, but other .* padding 'symmetric' instead of 'same', for instance in stem"):
    architectures.check_start(network, other)


def test_accuracies_that_differ_by_more_than_chance_are_told():
  made = accuracy.Accuracy(0.892, 10000, 'folder:x')
  assert list(accuracy.compare('float', made, made)) == [
      'float when made        89.20% of 10,000 test images; now 89.20% of 10,000 test images']
  compare = lambda top1, images=10000, dataset='folder:x': list(
      accuracy.compare('float', made, accuracy.Accuracy(top1, images, dataset)))[1:]
  assert compare(0.890) == [] and compare(0.83, 20) == []
  assert compare(0.823) == ['warning: these differ by 6.90 points, more than chance (a standard error is 0.35): the images are others of '
                            'the same number, or something is wrong']
  assert 'the test images are others' in compare(0.823, 5000)[0]
  assert 'the dataset is another, folder:x then' in compare(0.823, dataset='folder:y')[0]


def test_a_collapse_is_told():
  collapse = lambda top1, images=10000: list(
      accuracy.collapse('the file', accuracy.Accuracy(0.892, images), accuracy.Accuracy(top1, images)))
  assert collapse(0.88) == collapse(0.95) == collapse(0.80, 20) == []
  assert collapse(0.10)[0].startswith('warning: the file has lost 79.20 points: the float network has 89.20%, it 10.00%')


@pytest.mark.long
def test_a_search_refuses_other_classes_and_its_weights_know_theirs(frames, renamed, tmp_path, capsys):
  name, _ = frames
  images = tmp_path / 'copy'
  shutil.copytree(name.removeprefix('folder:'), images)
  settings = {**api_data.SETTINGS, 'batch_size': 12, 'validation_batch_size': 12}
  result = nas.search(api_data.SPACE, f'folder:{images}', cost='macs', target='50%', run_dir=tmp_path / 'search', **settings)
  assert result.run.class_names == ('b', 'c', 'd')
  nas.train(result, renamed, run_dir=tmp_path / 'run', init=result, epochs=1, batch_size=12)
  assert f'classifier_dense starts from random values: {_OTHERS}' in capsys.readouterr().err
  for part in ('train', 'test'):
    (images / part / 'b').rename(images / part / 'z')
  with pytest.raises(ValueError, match=f'searched on other classes: {_OTHERS}'):
    nas.search(api_data.SPACE, f'folder:{images}', cost='macs', target='50%', run_dir=tmp_path / 'search', **settings)


@pytest.mark.long
def test_a_model_is_there_before_it_is_evaluated(frames, tmp_path, monkeypatch, capsys):
  """An image that became unreadable: one line, and the weights of the training are a model; the same command only evaluates then."""
  images = tmp_path / 'images'
  shutil.copytree(frames[0].removeprefix('folder:'), images)
  bad, good = images / 'test' / 'b' / '3.png', (images / 'test' / 'b' / '3.png').read_bytes()
  config = options.make(config_lib.TrainConfig, {
      'architecture': str(frames[1].run.architecture), 'dataset': f'folder:{images}', 'run_dir': str(tmp_path / 'run'), **SHORT,
      'epochs': 1})
  save = models.save

  def save_and_damage(model, path):
    save(model, path)
    bad.write_bytes(b'')

  monkeypatch.setattr(models, 'save', save_and_damage)
  with shutdown.signals_given_back(), pytest.raises(errors.UserError, match='^an image of the dataset cannot be read: [^\n]{5,300}$'):
    train_command.main(config)
  run = run_directory.RunDirectory(tmp_path / 'run')
  status = run.read_status()
  assert status['state'] == 'failed' and status['reason'].startswith('an image of the dataset cannot be read') and 'repeats' not in status
  content = (tmp_path / 'run' / 'model.keras').read_bytes()
  bad.write_bytes(good)
  monkeypatch.undo()
  with shutdown.signals_given_back():
    assert train_command.main(config) == 0
  assert run.is_finished() and (tmp_path / 'run' / 'model.keras').read_bytes() == content
  assert models.find(tmp_path / 'run').results['test_images'] == 60


@pytest.mark.long
def test_an_epoch_is_on_disk_before_it_is_evaluated(frames, tmp_path, monkeypatch):
  """With an evaluation after each epoch: after its end, the same command makes no step again, and the history is whole."""
  name, _ = frames
  config = options.make(config_lib.TrainConfig, {
      'architecture': str(frames[1].run.architecture), 'dataset': name, 'run_dir': str(tmp_path / 'run'), **SHORT, 'epochs': 2,
      'evaluate_every_epochs': 1})
  real, calls = trainer_lib.Trainer.evaluate, []

  def fail_once(self, batches):
    calls.append(len(calls))
    if len(calls) == 2:
      raise MemoryError
    return real(self, batches)

  monkeypatch.setattr(trainer_lib.Trainer, 'evaluate', fail_once)
  with shutdown.signals_given_back(), pytest.raises(MemoryError):
    train_command.main(config)
  run = run_directory.RunDirectory(tmp_path / 'run')
  assert (run.read_status()['state'], run.read_status()['reason']) == ('failed', 'MemoryError')
  monkeypatch.setattr(trainer_lib.Trainer, 'train', None)  # no step is left
  with shutdown.signals_given_back():
    assert train_command.main(config) == 0
  assert [entry['epoch'] for entry in run.read_history()] == [0, 1] and all('evaluation_top1' in entry for entry in run.read_history())


@pytest.mark.parametrize('error, reason', [(KeyError('what'), 'what'), (MemoryError(), 'MemoryError'), (RuntimeError('a\nb'), 'a b')])
def test_whatever_ends_a_run_is_in_its_status(tmp_path, error, reason):
  run = run_directory.RunDirectory(tmp_path)
  run.write_status('finished')
  before = run_directory.RunDirectory(tmp_path)  # of a process that has not come to run
  with shutdown.signals_given_back(), pytest.raises(type(error)), shutdown.status_kept(before, before.write_status, shutdown.StopRequest()):
    raise error
  assert run.is_finished()
  with shutdown.signals_given_back(), pytest.raises(type(error)), shutdown.status_kept(run, run.write_status, shutdown.StopRequest()):
    run.write_status('running')
    raise error
  assert files.read_json(run.status, 'status')['reason'] == run.read_status()['reason'] == reason
  assert run.read_status()['state'] == 'failed'


def test_what_operations_say_becomes_a_line():
  import tensorflow as tf

  message = ('{{function_node __wrapped__IteratorGetNext_output_types_2_device_/job:localhost}} Error in user-defined '
             'function passed to MapDataset:1 transformation with iterator: Iterator::Root::ParallelMapV2: Input is empty.\n'
             '\t [[{{node DecodeImage}}]] [Op:IteratorGetNext] name: ')
  assert errors.describe(tf.errors.InvalidArgumentError(None, None, message)) == 'an image of the dataset cannot be read: Input is empty.'
  with pytest.raises(errors.UserError, match='^mine.jpg; No such file$'), errors.user_errors():
    raise tf.errors.NotFoundError(None, None, 'mine.jpg; No such file')
  with pytest.raises(tf.errors.InternalError), errors.user_errors():
    raise tf.errors.InternalError(None, None, 'a defect keeps its traceback')


@pytest.mark.long
def test_flags_of_a_start_on_the_same_images(frames):
  name, trained = frames
  source = sources.open_dataset(name)
  config = options.make(config_lib.TrainConfig, {'init': str(trained.run.path), 'dataset': name})
  start = models.find(trained.run.path)
  assert augmentation.before(config, start, source) == 'cifar'
  assert augmentation.before(config, dataclasses.replace(start, results={'dataset': 'other'}), source) is None


@pytest.mark.long
def test_a_card_is_of_the_network_in_the_file(frames, tmp_path):
  """Of the same shapes outside, with another one described beside it."""
  shutil.copy(frames[1].run.model, tmp_path / 'm.keras')
  other = schema.resolve(api_data.SPACE, schema.genotype(api_data.SPACE, (3, 1)))
  io.save_architecture(io.Architecture(other, {}), tmp_path / 'm.json')
  with pytest.raises(ValueError, match='m.keras has [0-9,]+ weights, the architecture beside it, .* it is of another network'):
    nas.export(tmp_path / 'm.keras', tmp_path / 'm.tflite', quantization='none', dataset=frames[0])


def test_architectures_hold_as_many_names_as_outputs():
  with pytest.raises(ValueError, match='class_names must be 3, as many as the network has outputs, got 2'):
    io.Architecture(NETWORK, {}, class_names=('a', 'b'))
