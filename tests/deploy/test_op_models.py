"""Models of operations and networks: the kernels that deployment runs, each file made once."""

import dataclasses
import os
import re

import numpy as np
import pytest

from tests import suites
from tests.deploy import models
from tf_proxyless.deploy import op_models
from tf_proxyless.nn import keras_network
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

EXPANDED = ['CONV_2D', 'DEPTHWISE_CONV_2D', 'CONV_2D']
SHUFFLE = ['RESHAPE', 'TRANSPOSE', 'RESHAPE']
SQUEEZE_EXCITE = ['MEAN', 'CONV_2D', 'CONV_2D', 'MUL', 'MUL']

OPERATIONS = [
    (models.one(ops.ConvBn(8, 3, 2), (16, 16, 3)), ['CONV_2D']),
    (models.one(ops.ConvBn(8, 3, 2), (16, 16, 3), padding='symmetric'), ['PAD', 'CONV_2D']),
    (models.one(ops.MBConv(8, 3, 1, 1), (8, 8, 8)), EXPANDED[1:]),
    (models.one(ops.MBConv(8, 5, 1, 6), (8, 8, 8), residual=True), [*EXPANDED, 'ADD']),
    (models.one(ops.MBConv(16, 7, 2, 3), (8, 8, 8)), EXPANDED),
    (models.one(ops.MBConv(16, 7, 2, 3), (8, 8, 8), padding='symmetric'), ['CONV_2D', 'PAD', 'DEPTHWISE_CONV_2D', 'CONV_2D']),
    (models.one(ops.Classifier(10), (4, 4, 16)), ['MEAN', 'FULLY_CONNECTED']),
    (models.one(ops.Classifier(10, hidden=16), (4, 4, 16)), ['MEAN', 'FULLY_CONNECTED', 'HARD_SWISH', 'FULLY_CONNECTED']),
    (models.one(ops.ConvBn(8, 3, 1, 'hard_swish'), (9, 7, 8)), ['CONV_2D', 'HARD_SWISH']),
    (models.one(ops.ConvBn(8, 3, 2, groups=2), (9, 7, 8)), ['CONV_2D', *SHUFFLE]),
    (models.one(ops.MBConv(8, 5, 1, 3, groups=4), (9, 7, 8), residual=True), [
        'CONV_2D', *SHUFFLE, 'DEPTHWISE_CONV_2D', 'CONV_2D', 'ADD']),
    (models.one(ops.MBConv(16, 3, 2, 1, 'hard_swish', 0.25, expanded_filters=20), (8, 8, 8)), [
        'CONV_2D', 'HARD_SWISH', 'DEPTHWISE_CONV_2D', 'HARD_SWISH', *SQUEEZE_EXCITE, 'CONV_2D']),
    (models.one(ops.SeparableConv(16, 5, 2, 'relu'), (9, 7, 8)), EXPANDED[1:]),
    (models.one(ops.Pool('average', 3, 2), (9, 7, 8)), ['AVERAGE_POOL_2D']),
    (models.one(ops.Pool('max', 3), (9, 7, 8)), ['MAX_POOL_2D']),
]


@pytest.mark.parametrize('network, expected', suites.few(OPERATIONS, 6),
                         ids=lambda value: value.name if isinstance(value, network_lib.Network) else '')
def test_an_operation_is_what_it_is_inside_a_network(network, expected, tmp_path):
  for precision in ('float32', 'int8'):
    path = op_models.write(network, precision, tmp_path)
    assert models.op_names(path) == expected
    assert models.io_dtypes(path) == (precision, precision)
    assert models.dtypes(path) <= ({'int8', 'int32'} if precision == 'int8' else {'float32', 'int32'})


def test_relu6_is_fused(tmp_path):
  path = op_models.write(OPERATIONS[0][0], 'float32', tmp_path)
  outputs = models.run(path, 1000 * np.random.default_rng(0).standard_normal((2, 16, 16, 3), dtype=np.float32))
  assert (outputs.min(), outputs.max()) == (0, 6)


def test_the_projection_is_linear(tmp_path):
  path = op_models.write(OPERATIONS[4][0], 'float32', tmp_path)
  outputs = models.run(path, 1000 * np.random.default_rng(0).standard_normal((2, 8, 8, 8), dtype=np.float32))
  assert outputs.min() < -1 and outputs.max() > 6


@pytest.mark.parametrize('precision, io', [('float32', 'float32'), ('int8', 'uint8')])
def test_a_network_has_the_operations_of_its_blocks(precision, io, tmp_path):
  path = op_models.write(models.small(), precision, tmp_path, 'uint8')
  quantize = ['QUANTIZE'] if precision == 'int8' else []
  assert models.op_names(path) == [
      *quantize, 'CONV_2D', *EXPANDED[1:], *EXPANDED, *EXPANDED, 'ADD', *EXPANDED, *EXPANDED, 'ADD', 'CONV_2D', 'MEAN',
      'FULLY_CONNECTED', *quantize]
  assert models.io_dtypes(path) == (io, io)


@pytest.mark.long
def test_activations_keep_their_scale(tmp_path):
  """With the start values of training they fade: nothing like a trained network, in floats or in int8 ranges."""
  network = models.small()
  images = np.random.default_rng(3).random((4, 32, 32, 3), dtype=np.float32)
  assert keras_network.build(network)(images).numpy().std() < 0.01
  outputs = {precision: models.run(op_models.write(network, precision, tmp_path, 'float32'), images) for precision in ('float32', 'int8')}
  assert 0.1 < outputs['float32'].std() < 30
  assert np.corrcoef(outputs['float32'].ravel(), outputs['int8'].ravel())[0, 1] > 0.98


def test_a_file_is_made_once_and_whole(tmp_path):
  network = OPERATIONS[0][0]
  folder = tmp_path / 'made' / 'if need be'
  path = op_models.write(network, 'int8', folder)
  content = path.read_bytes()
  os.utime(path, ns=(0, 0))
  assert op_models.write(network, 'int8', folder) == path
  assert path.stat().st_mtime_ns == 0
  path.unlink()
  assert op_models.write(network, 'int8', folder).read_bytes() == content  # a function of its arguments
  assert list(folder.iterdir()) == [path]


def test_what_differs_has_another_name(tmp_path, monkeypatch):
  network = OPERATIONS[0][0]
  others = [(network, 'float32', 'int8'), (network, 'int8', 'uint8'), (dataclasses.replace(network, padding='symmetric'), 'int8', 'int8'),
            (dataclasses.replace(network, input_shape=(16, 14, 3)), 'int8', 'int8')]
  paths = [op_models.write(*arguments[:2], tmp_path, arguments[2]) for arguments in [(network, 'int8', 'int8'), *others]]
  monkeypatch.setattr(op_models, 'FORMAT_VERSION', op_models.FORMAT_VERSION + 1)
  paths.append(op_models.write(network, 'int8', tmp_path))
  assert len(set(paths)) == len(paths) == len(list(tmp_path.iterdir()))


@pytest.mark.parametrize('name, readable', [
    ('conv_bn 16x16x3 -> 8 k3 s2', 'conv_bn_16x16x3_8_k3_s2'), ('../étage 2/', 'tage_2'), ('n' * 300, 'n' * 80)])
def test_names_are_fit_for_any_file_system(name, readable, tmp_path):
  path = op_models.write(dataclasses.replace(OPERATIONS[0][0], name=name), 'float32', tmp_path)
  assert path.parent == tmp_path
  assert re.fullmatch(f'{readable}_float32_[0-9a-f]{{12}}.tflite', path.name)


def test_what_is_refused(tmp_path):
  with pytest.raises(ValueError, match="precision must be one of float32, float16, int8, got 'float64'"):
    op_models.write(OPERATIONS[0][0], 'float64', tmp_path)
  assert list(tmp_path.iterdir()) == []
