"""From what a search found to a measured int8 file, by functions."""

import pytest
import tensorflow as tf

from tests.api import data
from tests.data import idx_files
import tf_proxyless as nas
from tf_proxyless.space import schema

NETWORK = schema.resolve(data.SPACE, schema.genotype(data.SPACE, (0, 1)))
SHORT = {'epochs': 8, 'batch_size': 24, 'augmentation': 'none'}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  return nas.train(NETWORK, data.images(), data.images(40, seed=1), run_dir=tmp_path_factory.mktemp('train') / 'float', **SHORT)


def test_trains_evaluates_and_resumes(trained):
  assert trained.accuracy > 0.5 and len(trained.history) == SHORT['epochs']
  assert trained.architecture.network == NETWORK
  assert trained.model.output_shape == (None, data.CLASSES)
  assert nas.evaluate(trained, data.images(40, seed=1)) == pytest.approx(trained.accuracy)
  assert nas.evaluate(trained.run.path, tf.data.Dataset.from_tensor_slices(data.images(40, seed=1))) == pytest.approx(trained.accuracy)
  again = nas.train(NETWORK, data.images(), data.images(40, seed=1), run_dir=trained.run.path, **SHORT)
  assert again.results == trained.results
  with pytest.raises(ValueError, match='epochs was 8, is now 9.* choose another `run_dir`'):
    nas.train(NETWORK, data.images(), data.images(40, seed=1), run_dir=trained.run.path, **{**SHORT, 'epochs': 9})


@pytest.mark.long
def test_starts_from_a_trained_model(trained, tmp_path):
  found = nas.train(trained.architecture, data.images(), data.images(40, seed=1), run_dir=tmp_path / 'more', init=trained,
                    **{**SHORT, 'epochs': 1})
  assert found.accuracy >= 0.5


REFUSED = {
    'no test data': ((NETWORK, data.images()), {}, ValueError, '`test_data` is needed'),
    'open decisions': ((data.SPACE, data.images(), data.images(9)), {}, ValueError, 'is still a choice; resolve the space first'),
    'no network': ((3, data.images(), data.images(9)), {}, TypeError, 'architecture must be a SearchResult, .* got int'),
    'unknown name': (('proxyless_mobil', data.images(), data.images(9)), {}, ValueError, 'proxyless_mobil'),
    'setting': ((NETWORK, data.images(), data.images(9)), {'epoch': 1}, TypeError, "no setting 'epoch'; did you mean 'epochs'"),
    'classes': ((NETWORK, data.images(classes=4), data.images(9)), {}, ValueError, 'classes'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refuses(name, tmp_path):
  arguments, settings, error, message = REFUSED[name]
  with pytest.raises(error, match=message) as raised:
    nas.train(*arguments, run_dir=tmp_path / 'run', **{**SHORT, **settings})
  text = str(raised.value)
  assert '\n' not in text and '--' not in text and 'flag' not in text


def test_a_float_file(trained, tmp_path):
  card = nas.export(trained, tmp_path / 'float.tflite', quantization='none')
  assert nas.export(trained, tmp_path / 'saved', format='saved_model') is None and (tmp_path / 'saved' / 'saved_model.pb').is_file()
  assert (tmp_path / 'float.tflite').stat().st_size > 1000
  assert card.accuracies['float'] == pytest.approx(trained.accuracy)
  assert card.accuracies['tflite'] == pytest.approx(trained.accuracy, abs=0.03)
  with pytest.raises(ValueError, match='there is no file'):
    nas.measure.tflite(tmp_path / 'other.tflite')


@pytest.mark.long
def test_from_images_to_a_measured_int8_file(tmp_path):
  """With a latency table of this machine."""
  table = nas.measure.host(data.SPACE, cache_dir=tmp_path / 'cache')
  assert nas.measure.host(data.SPACE, cache_dir=tmp_path / 'cache') == table  # measured once
  images, test = data.images(), data.images(40, seed=1)
  result = nas.search(data.SPACE, images, cost=table, target='50%', run_dir=tmp_path / 'search', **data.SETTINGS)
  trained = nas.train(result, images, test, run_dir=tmp_path / 'float', init=result, **SHORT)
  quantized = nas.quantize(trained, images, test, run_dir=tmp_path / 'int8', epochs=2, batch_size=24)
  assert quantized.accuracy >= trained.accuracy - 0.1
  card = nas.export(quantized, tmp_path / 'mine.tflite', latency_table=table)
  measured = nas.measure.tflite(tmp_path / 'mine.tflite', rounds=1, min_secs=0.05, max_drift_percent=500.0)
  assert 0 < measured['median_ms'] < 100
  assert card.accuracies['qat'] == pytest.approx(quantized.accuracy) and card.predicted.latency_ms > 0
  assert nas.evaluate(quantized, test) == pytest.approx(quantized.accuracy)


@pytest.mark.long
def test_grey_images_stay_grey_from_their_files_to_int8(tmp_path):
  """A dataset by its name; how the search augments its images, all that follows does."""
  folder = idx_files.write(tmp_path / 'data', counts={'train': 200, 'test': 60})
  space = nas.spaces.proxyless(resolution=28, channels=1, classes=10, stem_filters=8, first_block_filters=8, stage_filters=(8,),
                               stage_blocks=(2,), stage_strides=(2,), head_filters=16)
  settings = {'data_dir': folder, 'batch_size': 24}
  result = nas.search(space, 'fashion_mnist', cost='macs', target='50%', run_dir=tmp_path / 'search', **{**data.SETTINGS, **settings})
  trained = nas.train(result, 'fashion_mnist', run_dir=tmp_path / 'float', epochs=15, learning_rate=0.1, **settings)
  quantized = nas.quantize(trained, run_dir=tmp_path / 'int8', epochs=2, **settings)
  card = nas.export(quantized, tmp_path / 'grey.tflite', data_dir=folder)
  for found in (trained, quantized):
    assert found.model.input_shape == (None, 28, 28, 1)
    assert found.results['preprocessing']['augmentation'] == data.SETTINGS['augmentation']
  assert (card.input.shape, card.input.type, card.augmentation) == ((1, 28, 28, 1), 'uint8', data.SETTINGS['augmentation'])
  assert card.network.input_shape == (28, 28, 1) and card.labels == 10
  assert card.accuracies['tflite'] >= card.accuracies['float'] - 0.1 > 0.4
