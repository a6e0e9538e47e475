"""tools/export_tflite.py as a user runs it: files that are what their card says, and mistakes in one line."""

import dataclasses
import functools
import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.search import runs
from tests.tools import digits_model
from tf_proxyless.app import architectures
from tf_proxyless.measure import model_card
from tf_proxyless.app import models
from tf_proxyless.deploy import metadata
from tf_proxyless.deploy import ovic
from tf_proxyless.deploy import qat
from tf_proxyless.infra import files
from tf_proxyless.nn import keras_network
from tf_proxyless.space import io
from tf_proxyless.space import published


run = functools.partial(runs.tool, 'export_tflite')


@pytest.fixture(scope='module')
def quantized(trained, tmp_path_factory):
  """A directory as tools/quantize.py leaves it, with calibrated ranges but no training."""
  loaded, directory = models.load(trained), tmp_path_factory.mktemp('quantized')
  model = qat.quantize(loaded.model)
  qat.calibrate(model, [np.random.default_rng(0).random((64, 8, 8, 3), np.float32)])
  qat.save(model, loaded.architecture, directory)
  (directory / 'flags.txt').write_text(f'--seed=0\n--model={trained}\n')
  files.write_json(directory / 'results.json', models.RESULTS, {'dataset': 'digits', 'float_test_top1': loaded.results['test_top1']})
  return directory


def check_files(folder, name, result):
  """The card of a file, after both were found to belong together."""
  assert result.returncode == 0, result.stderr
  content, card = (folder / f'{name}.tflite').read_bytes(), model_card.load(folder / f'{name}_card.json')
  assert (card.size_bytes, card.sha256) == (len(content), hashlib.sha256(content).hexdigest())
  assert metadata.read_labels(content) == list('0123456789') and card.labels == 10
  assert model_card.describe(card) in result.stdout and 'TensorFlow Lite 2.5.0 or newer' in result.stdout
  return card


@pytest.mark.long
def test_int8_after_training(trained, data_dir, tmp_path):
  result = run(f'--model={trained}', f'--output={tmp_path}/m.tflite', f'--data_dir={data_dir}', '--latency_table=pixel2_int8_estimate')
  card = check_files(tmp_path, 'm', result)
  assert result.stderr == ''
  assert (card.quantization, card.how, card.dataset, card.test_images) == ('int8', 'ptq', 'digits', 360)
  expected = json.loads((trained / 'results.json').read_text())['test_top1']
  assert card.accuracies['float'] == pytest.approx(expected) and abs(card.accuracies['tflite'] - expected) < 0.02 and card.agreement >= 0.98
  assert card.input == model_card.Tensor((1, 8, 8, 3), 'uint8', pytest.approx(1 / 255, rel=1e-6), 0)
  assert card.predicted.provenance == 'estimated' and card.predicted.latency_ms > 0
  assert card.network == digits_model.architecture().network


@pytest.mark.long
@pytest.mark.parametrize('quantization, most', [('none', 1e-4), ('float16', 2e-2)])
def test_floats(trained, data_dir, tmp_path, quantization, most):
  result = run(f'--model={trained}/model.keras', f'--quantization={quantization}', f'--output={tmp_path}/m.tflite',
               f'--data_dir={data_dir}')
  card = check_files(tmp_path, 'm', result)
  assert (card.how, card.input.type, card.accuracies['tflite']) == ('float', 'float32', card.accuracies['float'])
  assert card.difference < most


@pytest.mark.long
def test_for_keras_3_and_as_a_saved_model(trained, quantized, tmp_path):
  assert (done := run(f'--model={trained}', '--format=keras3', f'--output={tmp_path}/net.py')).returncode == 0, done.stderr
  assert done.stdout.split()[1::2] == [f'{tmp_path}/net.py', f'{tmp_path}/net.weights.h5'] and done.stderr == ''
  assert f'CLASS_NAMES = {list("0123456789")}' in (tmp_path / 'net.py').read_text()
  for _ in range(2):  # another one replaces it
    assert (done := run(f'--model={trained}', '--format=saved_model', f'--output={tmp_path}/saved')).returncode == 0, done.stderr
  assert done.stdout.split() == ['model', f'{tmp_path}/saved'] and done.stderr == ''
  images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
  loaded = tf.saved_model.load(str(tmp_path / 'saved'))
  np.testing.assert_allclose(loaded.serve(images), models.load(trained).model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_what_other_formats_refuse(trained, quantized, tmp_path):
  for arguments, message in [
      ([f'--model={trained}', '--format=keras3', '--output=m.py', '--quantization=int8'], '--quantization is for --format=tflite'),
      ([f'--model={trained}', '--format=saved_model', '--output=m', '--try_both'], '--try_both is for --format=tflite'),
      ([f'--model={trained}', '--format=keras3', '--output=m.tflite'], "must be a .py file that Python can import, got 'm.tflite'"),
      ([f'--model={trained}', '--format=keras3', '--output=my-net.py'], "--output must be a .py file that Python can import"),
      ([f'--model={trained}', '--format=saved_model', '--output=.'], "--output must be a new folder or that of a SavedModel, got '.'"),
      ([f'--model={trained}', '--format=keras3', '--output=nowhere/m.py'], "--output: there is no folder 'nowhere'"),
      ([f'--model={quantized}', '--format=keras3', '--output=m.py'], 'had quantization-aware training, which only a .tflite file holds'),
      ([f'--model={trained}', '--format=onnx', '--output=m.onnx'], '--format=onnx: must be one of tflite, keras3, saved_model'),
  ]:
    runs.check_mistake(run(*arguments, cwd=tmp_path), message)


@pytest.mark.long
def test_both_ways_of_quantization(trained, quantized, data_dir, tmp_path):
  result = run(f'--model={quantized}', '--try_both', f'--output={tmp_path}/m.tflite', f'--data_dir={data_dir}', '--min_agreement=0')
  card = check_files(tmp_path, 'm', result)
  assert set(card.tried) == {'qat', 'ptq'} and card.tried[card.how] == card.accuracies['tflite'] == max(card.tried.values())
  assert set(card.accuracies) == {'float', 'qat', 'tflite'}


@pytest.mark.long
def test_quantization_aware_training(quantized, data_dir, tmp_path):
  result = run(f'--model={quantized}', f'--output={tmp_path}/m.tflite', f'--data_dir={data_dir}')
  card = check_files(tmp_path, 'm', result)
  assert card.how == 'qat' and card.steps <= 2 and card.agreement >= 0.98
  expected = json.loads((quantized / 'results.json').read_text())['float_test_top1']
  assert card.accuracies['float'] == expected


@pytest.mark.long
@pytest.mark.parametrize('normalization', [None, {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}])
def test_ovic_from_random_weights(tmp_path, data_dir, normalization):
  network = published.network('proxyless_mobile', resolution=32)
  models.save(keras_network.build(network), tmp_path / 'model.keras')
  architecture = dataclasses.replace(io.find_architecture('proxyless_mobile'), network=network, input_normalization=normalization)
  io.save_architecture(architecture, tmp_path / 'architecture.json')
  result = run(f'--model={tmp_path}', '--ovic', f'--output={tmp_path}/m.tflite', '--representative_dataset=digits',
               f'--data_dir={data_dir}', '--representative_images=8', '--min_agreement=0')
  assert result.returncode == 0, result.stderr
  ovic.validate((tmp_path / 'm.tflite').read_bytes())
  card = model_card.load(tmp_path / 'm_card.json')
  assert card.ovic and card.accuracies is None and card.input_normalization == normalization


@pytest.mark.long
@pytest.mark.parametrize('width, resolution, predicted_ms', [(0.5, 224, 30.4), (1.0, 160, 35.5)])
def test_the_lpirc_pair(tmp_path, data_dir, width, resolution, predicted_ms):
  """Both settings of the authors' slides, with random weights, and what the estimate says on the slides' clock (31 and 35 ms there)."""
  found = architectures.find('proxyless_mobile', 1000, resolution=resolution, width_multiplier=width)
  io.save_architecture(found, tmp_path / 'architecture.json')
  models.save(keras_network.build(dataclasses.replace(found.network, name='network')), tmp_path / 'model.keras')
  result = run(f'--model={tmp_path}', '--ovic', f'--output={tmp_path}/m.tflite', '--representative_dataset=digits',
               '--representative_images=8', '--min_agreement=0', f'--data_dir={data_dir}', '--latency_table=pixel2_int8_estimate_lpirc')
  assert result.returncode == 0, result.stderr
  ovic.validate((tmp_path / 'm.tflite').read_bytes())
  card = model_card.load(tmp_path / 'm_card.json')
  assert (card.input.shape, card.output.shape) == ((1, resolution, resolution, 3), (1, 1001))
  assert card.predicted.latency_ms == pytest.approx(predicted_ms, abs=0.05) and card.predicted.provenance == 'estimated'


@pytest.mark.long
def test_mistakes_are_one_line_before_tensorflow_is_loaded(trained, quantized, tmp_path):
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'corrupt').mkdir()
  (tmp_path / 'corrupt' / 'model.keras').write_bytes((trained / 'model.keras').read_bytes()[:1000])
  output = f'--output={tmp_path}/m.tflite'
  for arguments, message in [
      ([], '--model is required'),
      ([f'--model={trained}'], '--output is required'),
      ([f'--model={trained}', '--output=m.keras'], "--output must end in .tflite, got 'm.keras'"),
      ([f'--model={trained}', '--output=nowhere/m.tflite'], "--output: there is no folder 'nowhere'"),
      ([f'--model={tmp_path}/empty', output], 'empty/model.keras: there is no such model'),
      ([f'--model={tmp_path}/corrupt', output], 'is not a .keras file, or a damaged one'),
      ([f'--model={quantized}', output, '--quantization=float16'], '--quantization must be int8, got float16'),
      ([f'--model={trained}', output, '--ovic'], '--ovic needs the 1000 classes of ImageNet, to which it adds the background'),
      ([f'--model={trained}', output, '--ovic', '--io=int8'], '--ovic needs --quantization=int8 and --io=uint8'),
      ([f'--model={trained}', output, '--try_both'], '--try_both needs the directory of a quantization-aware training'),
      ([f'--model={trained}', output, '--latency_table=nowhere'], "latency table 'nowhere' is neither a file nor one of those shipped"),
      ([f'--model={trained}', output, '--quantization=none', '--latency_table=pixel2_int8_estimate'],
       "precision 'int8' instead of 'float32'"),
      ([f'--model={trained}', output, '--representative_images=0'], 'representative_images'),
  ]:
    runs.check_mistake(run(*arguments, cwd=tmp_path), message)
  assert not (tmp_path / 'm.tflite').exists()


@pytest.mark.long
def test_a_file_that_does_not_agree_is_not_written(trained, data_dir, tmp_path):
  other = tmp_path / 'other'
  other.mkdir()
  network = dataclasses.replace(digits_model.architecture().network, name='untrained')
  models.save(keras_network.build(network), other / 'model.keras')
  io.save_architecture(io.Architecture(network, {}), other / 'architecture.json')
  result = run(f'--model={other}', '--dataset=digits', f'--output={tmp_path}/m.tflite', f'--data_dir={data_dir}', '--min_agreement=1')
  assert result.returncode == 2 and 'less than --min_agreement=1' in result.stderr
  assert not list(tmp_path.glob('m*'))
