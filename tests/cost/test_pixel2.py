"""The estimate for the Pixel 2 and its tables; how it is fitted: tests/tools/test_fit_pixel2_estimate.py."""

import dataclasses

import pytest

from tf_proxyless.cost import features
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless


@pytest.fixture(scope='module')
def estimate():
  return pixel2.load_estimate()


def test_coefficients_are_those_of_the_study(estimate):
  """An independent fit, of slightly other samples: 0.66 ms, 0.0683, 4.03, 0.171 ns; an older clock of 1.21; 1.25 for LPIRC."""
  assert dataclasses.astuple(estimate)[:5] == pytest.approx((0.66, 0.0683, 4.03, 0.171, 0.43), rel=0.01)
  assert (estimate.older_factor, estimate.lpirc_factor) == (pytest.approx(1.21, abs=0.01), pytest.approx(1.25, abs=0.005))


def test_estimates_grow_with_kernel_expansion_width_and_resolution(estimate):
  milliseconds = lambda width, size, kernel, expand_ratio: estimate.operation_ms(
      features.of_signature(network.OpSignature(ops.MBConv(width, kernel, 1, expand_ratio), (size, size, width))))
  start = (24, 28, 3, 3)
  for i, larger in enumerate((32, 56, 5, 6)):
    assert milliseconds(*start[:i], larger, *start[i + 1:]) > milliseconds(*start)


@pytest.mark.parametrize('name, factor', [(pixel2.SERVER, 1.0), (pixel2.LPIRC, 1.25)])
def test_a_table_adds_up_to_the_formula(name, factor, estimate):
  net = mobilenets.proxyless_mobile(0.5, 224)
  table = pixel2.named_table(name, net)
  total = model_lib.from_latency_table(net, table).fixed
  assert total == pytest.approx(estimate.network_ms(features.of_network(net)) * factor, rel=0.005)
  assert total == pytest.approx(24.25 * factor, rel=0.005)  # the study's value
  assert table.name == name and table.provenance == 'estimated' and table.estimate_error_percent == 30
  assert table.source.startswith('ESTIMATED, not measured')


def test_blocks_of_the_default_space():
  """Milliseconds of some blocks in the study, on the server's clock."""
  space = proxyless.proxyless()
  table = pixel2.named_table(pixel2.SERVER, space)
  table.check_covers(space)
  expected = {
      (ops.MBConv(24, 3, 2, 3), (112, 112, 16), False): 4.24, (ops.MBConv(24, 7, 1, 6), (56, 56, 24), True): 13.50,
      (ops.MBConv(40, 5, 1, 6), (28, 28, 40), True): 4.10, (ops.MBConv(192, 5, 2, 3), (14, 14, 96), False): 0.99,
      (ops.MBConv(320, 7, 1, 6), (7, 7, 192), False): 3.57, (ops.ConvBn(32, 3, 2), (224, 224, 3)): 2.36,
      (ops.ConvBn(1280, 1, 1), (7, 7, 320)): 1.69, (ops.Classifier(1000), (7, 7, 1280)): 0.31,
  }
  for arguments, milliseconds in expected.items():
    assert table.latency_ms(network.OpSignature(*arguments)) == pytest.approx(milliseconds, rel=0.01, abs=0.005)
  assert table.calibration.offset_ms == pytest.approx(0.66, abs=0.005)


def test_other_kernels_and_phones_are_refused():
  table = pixel2.named_table(pixel2.SERVER, mobilenets.mobilenet_v2(0.5, 224))
  table.check_runtime(device='Pixel 2', precision='int8', kernels='builtin', threads=1)
  with pytest.raises(ValueError, match="for another runtime: kernels 'builtin' instead of 'xnnpack'$"):
    table.check_runtime(kernels='xnnpack')
  with pytest.raises(ValueError, match="device 'Pixel 2' instead of 'Pixel 3'"):
    table.check_runtime(device='Pixel 3')
  with pytest.raises(ValueError, match='name must be one of pixel2_int8_estimate, pixel2_int8_estimate_lpirc'):
    pixel2.named_table('pixel3', mobilenets.mobilenet_v2(0.5, 224))
