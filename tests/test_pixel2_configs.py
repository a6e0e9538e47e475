"""The searches for a Pixel 2 before a phone is at hand: what their headers say is what their estimate says."""

import re

import pytest

from tests import test_configs
from tools import fit_pixel2_estimate
from tf_proxyless.cost import features
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

# Width, resolution and milliseconds of the published network that the target is taken from.
SEARCHES = {'pixel2_int8': (1.0, 224, 48.0), 'lpirc_224_050': (0.5, 224, 31.0), 'lpirc_160_100': (1.0, 160, 35.0)}


@pytest.mark.parametrize('name', SEARCHES)
def test_target_is_a_published_latency(name):
  width, resolution, target = SEARCHES[name]
  problem = test_configs.make_problem(name)
  clock = 'server' if name == 'pixel2_int8' else 'lpirc'
  network = 'mobilenet_v2' if name == 'pixel2_int8' else 'proxyless_mobile'
  published = [figure.latency_ms for figure in fit_pixel2_estimate.load_figures()
               if (figure.network, figure.width, figure.resolution, figure.clock) == (network, width, resolution, clock)]
  assert published == [target] == [problem.target]
  assert problem.table.provenance == 'estimated'


@pytest.mark.parametrize('name', SEARCHES)
def test_the_range_is_that_of_the_header(name):
  problem = test_configs.make_problem(name)
  text = test_configs.header(test_configs.runs.ROOT / 'configs' / f'{name}.flags')['expect']
  stated = re.search(r'the space holds ([\d.]+) to ([\d.]+) ms', text).groups()
  assert stated == (f'{problem.cost_model.smallest:.1f}', f'{problem.cost_model.largest:.1f}')


@pytest.mark.parametrize('name', SEARCHES)
def test_the_published_network_lies_in_the_space(name):
  width, resolution, _ = SEARCHES[name]
  problem = test_configs.make_problem(name)
  net = mobilenets.proxyless_mobile(width, resolution, classes=1000)
  assert set(network_lib.op_signatures(net)) <= set(network_lib.op_signatures(problem.space))
  text = test_configs.header(test_configs.runs.ROOT / 'configs' / f'{name}.flags')['expect']
  stated = re.search(r'the published network(?:, scaled,)? is ([\d.]+) ms', text)
  assert stated is None or stated[1] == f'{model_lib.from_latency_table(net, problem.table).fixed:.1f}'


@pytest.mark.parametrize('name', SEARCHES)
def test_a_class_for_background_takes_no_time(name):
  """The challenge wants 1001 classes where the dataset has 1000."""
  problem = test_configs.make_problem(name)
  shape = (problem.space.input_shape[0] // 32, problem.space.input_shape[1] // 32, 1280)
  estimate = pixel2.load_estimate()
  thousand, more = (estimate.operation_ms(features.of_signature(network_lib.OpSignature(ops.Classifier(classes), shape)))
                    for classes in (1000, 1001))
  assert problem.space.classes == 1000
  assert thousand < more < thousand + 0.001
