"""mobile-vision's table of single operators; lines as its authors' code writes them, the first five with the numbers of its README."""

import json

import pytest

from tf_proxyless.cost import model
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import mobile_vision
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published

RUNTIME = table_lib.Runtime('Galaxy S8', 'int8')


def line(kind, shapes, us, stride=1, **more):
  arguments = [f'name: "kernel"\ni: {shapes[1][1]}\n', 'name: "order"\ns: "NHWC"\n', f'name: "pad"\ni: {shapes[1][1] // 2}\n'] if len(
      shapes) == 3 else []
  if stride > 1:
    arguments.append(f'name: "stride"\ni: {stride}\n')
  return json.dumps({'op_type': kind, 'op_args': arguments, 'input_shapes': shapes, 'input_dtypes': [3] * len(shapes), 'runtime_us_p0': 1.0,
                     'runtime_us_p50': us, 'device': 'SM-G950U-7.0-24', **more})


README = (line('NCHW2NHWC', [[1, 3, 224, 224]], 276.0),
          line('Int8Quantize', [[1, 224, 224, 3]], 127.0),
          line('Int8ConvRelu', [[1, 224, 224, 3], [32, 3, 3, 3], [32]], 960.0, 2),
          line('Int8ConvRelu', [[1, 112, 112, 32], [32, 1, 1, 32], [32]], 674.0),
          line('Int8ConvRelu', [[1, 112, 112, 32], [32, 3, 3, 1], [32]], 363.0),
          line('Int8Dequantize', [[1, 1000]], 5.0))


def convolutions(height, width, filters, kernel, stride, expand):
  """Of an inverted bottleneck of FBNet, as Caffe2 has them, in the order of execution."""
  inside, size = width * expand, [1, height, height]
  if expand > 1:
    yield 'Int8ConvRelu', [[*size, width], [inside, 1, 1, width], [inside]], 1
  yield 'Int8ConvRelu', [[*size, inside], [inside, kernel, kernel, 1], [inside]], stride
  after = [1, height // stride, height // stride]
  yield 'Int8Conv', [[*after, inside], [filters, 1, 1, inside], [filters]], 1
  if stride == 1 and width == filters:
    yield 'Int8Add', [[*after, filters]] * 2, 1


def write(tmp_path, lines):
  path = tmp_path / 'table.json'
  path.write_text('\n'.join(lines) + '\n')
  return path


def test_a_network_costs_the_sum_of_its_operators(tmp_path):
  """FBNet-C, whose operators are written down here once more; of its space, the operations that it has."""
  network, space = published.network('fbnet_c'), published.SPACES['fbnet']()
  found, total, us = {}, 0.0, 0
  for traced in network_lib.trace(network):
    op, (height, _, width) = traced.block.op, traced.input_shape
    operators = []
    if isinstance(op, ops.MBConv):
      operators = list(convolutions(height, width, op.filters, op.kernel_size, op.strides, op.expand_ratio))
    elif isinstance(op, ops.ConvBn):
      kernel = [op.filters, op.kernel_size, op.kernel_size, width]
      operators = [('Int8ConvRelu', [[1, height, height, width], kernel, [op.filters]], op.strides)]
    elif isinstance(op, ops.Classifier):
      operators = [('Int8AveragePool', [[1, height, height, width]], 1), ('Int8FC', [[1, width], [1000, width], [1000]], 1)]
    for kind, shapes, stride in operators:
      us += 1
      found.setdefault((kind, json.dumps(shapes), stride), us)
      total += found[kind, json.dumps(shapes), stride]
  path = write(tmp_path, [*README[:2], README[-1], *(line(kind, json.loads(shapes), us, stride)
                                                    for (kind, shapes, stride), us in found.items())])
  table, missing = mobile_vision.load(path, network, 's8', RUNTIME)
  assert not missing
  assert model.from_latency_table(network, table).fixed == pytest.approx((total + 276 + 127 + 5) / 1000)
  table, missing = mobile_vision.load(path, space, 's8', RUNTIME)
  assert len(table.entries) >= 15 and set(table.missing(network_lib.op_signatures(space))) == set(missing)
  assert any(operator.startswith('Int8ChannelShuffle') for lacking in missing.values() for operator in lacking)


def test_what_its_readme_shows(tmp_path):
  """The start of ChamNet-A; a convolution without ReLU takes what one with it does."""
  blocks = (network_lib.Block('stem', ops.ConvBn(32, 3, 2, 'relu')), network_lib.Block('mix', ops.ConvBn(32, 1, 1, 'linear')),
            network_lib.Block('depthwise', ops.SeparableConv(32, 3, 1, 'relu')), network_lib.Block('classifier', ops.Classifier(1000)))
  table, missing = mobile_vision.load(write(tmp_path, README), network_lib.Network('start', (224, 224, 3), blocks), 's8', RUNTIME)
  assert [entry.latency.latency_ms for entry in table.entries] == [0.96, 0.674, 0.363 + 0.674]
  assert table.calibration.offset_ms == pytest.approx(0.276 + 0.127 + 0.005)
  assert list(missing.values()) == [['Int8AveragePool with input [[1, 112, 112, 32]]', 'Int8FC with input [[1, 32], [1000, 32], [1000]]']]


def test_several_measurements_are_averaged_and_other_steps_left_out(tmp_path):
  stem = [[1, 224, 224, 3], [32, 3, 3, 3], [32]]
  wide = json.loads(line('Int8ConvRelu', stem, 1.0, 2))
  wide['op_args'].append('name: "dilation"\ni: 2\n')
  lines = (line('Int8ConvRelu', stem, 900.0, 2), line('Int8ConvRelu', stem, 960.0, 2), line('Int8ConvRelu', stem, 5.0), json.dumps(wide))
  blocks = (network_lib.Block('stem', ops.ConvBn(32, 3, 2)), network_lib.Block('classifier', ops.Classifier(10)))
  network = network_lib.Network('start', (224, 224, 3), blocks)
  table, _ = mobile_vision.load(write(tmp_path, lines), network, 's8', RUNTIME)
  assert table.entries[0].latency.latency_ms == 0.93


def test_what_caffe2_has_no_operator_for_is_said(tmp_path):
  network = published.network('mobilenet_v3_large')
  with pytest.raises(ValueError, match=r'table.json: prices none of the 15 operations of .* hard_swish it lacks Int8Conv with input'):
    mobile_vision.load(write(tmp_path, README), network, 's8', RUNTIME)
  blocks = (*network.blocks[:1], network_lib.Block('mix', ops.ConvBn(32, 1, 1, 'relu')), network.blocks[-1])
  lines = (*README, line('Int8ConvRelu', [[1, 112, 112, 16], [32, 1, 1, 16], [32]], 9.0))
  _, missing = mobile_vision.load(write(tmp_path, lines), network_lib.Network('both', (224, 224, 3), blocks), 's8', RUNTIME)
  assert [lacking[1] for lacking in missing.values()] == ['Activation as an operator', 'Int8FC with input [[1, 32], [1280, 32], [1280]]']


@pytest.mark.parametrize('text, message', [
    ('{"op_type": "Int8FC"}', r'table.json:7: not an operator with op_type, op_args, input_shapes and runtime_us_p50: .*Int8FC'),
    ('[', 'table.json:7: not an operator'),
    (line('Int8FC', [[1e999]], 1.0), 'table.json:7: not an operator'),
    (line('Int8FC', [[1, 2], [3, 2], [3]], 0.0), 'table.json:7: runtime_us_p50 must be a positive number, got 0.0'),
    (line('Int8FC', [[1, 2], [3, 2], [3]], 1.0, device='SM-G930F'), 'table.json: of several devices, .*; keep the lines of one'),
])
def test_mistakes(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    mobile_vision.load(write(tmp_path, [*README, text]), published.network('fbnet_c'), 's8', RUNTIME)


def test_is_one(tmp_path):
  assert mobile_vision.is_one(write(tmp_path, README)) and not mobile_vision.is_one(__file__)
