"""Cards as files, and what they say."""

import dataclasses

import pytest

from tests.deploy import models
from tf_proxyless.measure import model_card
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib

RUNTIME = table_lib.Runtime('AMD EPYC', 'int8', 'builtin', threads=1, date='2026-01-02')


def table(precision='int8'):
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=0.1))
                  for signature in network_lib.op_signatures(models.small()))
  return table_lib.LatencyTable('host', dataclasses.replace(RUNTIME, precision=precision), entries,
                                    calibration=table_lib.Calibration(2.0, 0.5, 3))


@pytest.fixture
def card():
  predicted = model_card.predict(table(), models.small(), 'int8')
  measured = model_card.Measurement(latency_ms=1.25, p5_ms=1.2, p95_ms=1.5, runs=100, rounds=5, drift_percent=0.4, runtime=RUNTIME,
                                    predicted=dataclasses.replace(predicted, latency_ms=1.0))
  return model_card.ModelCard(
      architecture='small', genotype={'blocks/block_1/op': 5}, network=models.small(), macs=1_234_567, parameters=8900, quantization='int8',
      how='qat', size_bytes=45678, sha256='ab' * 32, input=model_card.Tensor((1, 32, 32, 3), 'uint8', 1 / 255, 0),
      output=model_card.Tensor((1, 5), 'uint8', 0.1, 90), operators={'CONV_2D': 11}, labels=5, ovic=False, versions={'numpy': '2'},
      input_normalization={'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}, dataset='digits', test_images=360,
      accuracies={'float': 0.99, 'qat': 0.985, 'tflite': 0.98}, top5_accuracies={'tflite': 1.0}, tried={'qat': 0.98, 'ptq': 0.97},
      agreement=0.995, difference=2.0, steps=1.0, predicted=predicted, measured=(measured,))


def test_a_card_survives_its_file(card, tmp_path):
  path = model_card.path_for(tmp_path / 'model.tflite')
  assert path.name == 'model_card.json'
  model_card.save(card, path)
  assert model_card.load(path) == card
  few = dataclasses.replace(card, input_normalization=None, dataset=None, test_images=None, accuracies=None, top5_accuracies=None,
                            tried=None, agreement=None, difference=None, steps=None, predicted=None, measured=())
  model_card.save(few, path)
  assert model_card.load(path) == few


def test_what_it_says(card):
  text = model_card.describe(card)
  for part in ('small, 1.23 M MACs, 8,900 parameters', '45,678 bytes, int8 by quantization-aware training, takes uint8 [1, 32, 32, 3]',
               'float 99.00%, qat 98.50%, tflite 98.00% on 360 test images of digits; file and network agree on 99.50%',
               'kept                   qat, the best of qat 98.00%, ptq 97.00%', 'predicted latency',
               '1.250 ms (1.200 to 1.500; AMD EPYC, builtin', '1.000 ms: measured is 25.0% above'):
    assert part in text


def test_what_an_old_tool_did_not_print_is_left_out(card, tmp_path):
  old = dataclasses.replace(card, measured=(dataclasses.replace(card.measured[0], p5_ms=None, p95_ms=None, runs=None),))
  model_card.save(old, tmp_path / 'card.json')
  assert model_card.load(tmp_path / 'card.json') == old
  assert '1.250 ms (AMD EPYC, builtin' in model_card.describe(old)


def test_a_prediction_is_calibrated_and_of_its_precision():
  network = models.small()
  blocks = sum(network_lib.op_signature(traced.block.op, traced.input_shape, traced.block.residual) is not None
               for traced in network_lib.trace(network))
  assert model_card.predict(table(), network, 'int8').latency_ms == pytest.approx(0.5 + 2 * 0.1 * blocks)
  assert model_card.predict(table('float32'), network, 'float16').provenance == 'measured'
  with pytest.raises(ValueError, match="precision 'int8' instead of 'float32'"):
    model_card.predict(table(), network, 'none')


def test_damage_is_one_line(card, tmp_path):
  path = tmp_path / 'card.json'
  model_card.save(card, path)
  path.write_text(path.read_text().replace('"test_images": 360', '"test_images": "many"'))
  with pytest.raises(ValueError, match='card.json: test_images: must be an integer'):
    model_card.load(path)
