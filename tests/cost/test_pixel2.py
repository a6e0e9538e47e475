"""The estimate for the Pixel 2 against the figures that were published for it."""

import dataclasses
import itertools

import numpy as np
import pytest

from tf_proxyless.cost import features
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless


@pytest.fixture(scope='module')
def figures():
  return pixel2.load_figures()


@pytest.fixture(scope='module')
def estimate():
  return pixel2.load_estimate()


def select(figures, **fields):
  return [figure for figure in figures.figures if all(getattr(figure, name) == value for name, value in fields.items())]


def test_the_shipped_formula_is_fitted_to_the_shipped_figures(figures, estimate):
  assert dataclasses.astuple(pixel2.fit(figures)) == pytest.approx(dataclasses.astuple(estimate), rel=1e-4)


def test_coefficients_are_those_of_the_study(estimate):
  """An independent fit, of slightly other samples: 0.66 ms, 0.0683, 4.03, 0.171 ns; an older clock of 1.21; 1.25 for LPIRC."""
  assert dataclasses.astuple(estimate)[:5] == pytest.approx((0.66, 0.0683, 4.03, 0.171, 0.43), rel=0.01)
  assert (estimate.older_factor, estimate.lpirc_factor) == (pytest.approx(1.21, abs=0.01), pytest.approx(1.25, abs=0.005))


def test_the_twenty_mobilenets_of_the_server_are_within_6_percent(figures, estimate):
  table = select(figures, network='mobilenet_v2', clock='server')
  assert len(table) == 20 and {figure.role for figure in table} == {'fit'}
  for figure in table:
    assert estimate.network_ms(figure.features) == pytest.approx(figure.latency_ms, rel=0.06)


def test_the_network_that_was_held_out(figures, estimate):
  figure, = select(figures, role='held_out')
  assert figure.network == 'mobilenet_v3_large_minimalistic' and figure.latency_ms == 35.0
  assert 34 <= estimate.network_ms(figure.features) <= 36


def test_the_five_networks_of_the_lpirc_are_within_3_percent_and_in_order(figures, estimate):
  five = select(figures, clock='lpirc')
  assert [figure.latency_ms for figure in five] == [28, 36, 31, 31, 35]
  estimates = [estimate.network_ms(figure.features, 'lpirc') for figure in five]
  assert estimates == pytest.approx([28, 36, 31, 31, 35], rel=0.03)
  for (published, estimated), (other, other_estimated) in itertools.combinations(zip([28, 36, 31, 31, 35], estimates), 2):
    assert published == other or (published < other) == (estimated < other_estimated)


def test_the_lpirc_factor_is_also_what_three_networks_show_by_themselves(figures):
  """28, 36 and 31 ms where the server took 22, 29 and 25."""
  server = {(figure.width, figure.resolution): figure.latency_ms for figure in select(figures, network='mobilenet_v2', clock='server')}
  pairs = select(figures, role='factor')
  assert len(pairs) == 3
  ratios = [figure.latency_ms / server[figure.width, figure.resolution] for figure in pairs]
  assert np.mean(ratios) == pytest.approx(1.25, abs=0.005)


def test_a_known_formula_is_recovered(figures):
  truth = pixel2.Estimate(0.5, 0.05, 3.0, 0.2, pixel2.EXTRA_TAP_NS, 1.1, 1.3, 40)
  exact = tuple(dataclasses.replace(figure, latency_ms=truth.network_ms(figure.features, figure.clock)) for figure in figures.figures)
  assert dataclasses.astuple(pixel2.fit(dataclasses.replace(figures, figures=exact))) == pytest.approx(dataclasses.astuple(truth), rel=1e-4)


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


def test_tables_and_formulas_survive_their_files(tmp_path, estimate):
  table = pixel2.named_table(pixel2.LPIRC, mobilenets.mobilenet_v2(0.5, 224))
  table_lib.save(table, tmp_path / 'table.json')
  assert table_lib.load(tmp_path / 'table.json') == table
  pixel2.save_estimate(estimate, tmp_path / 'estimate.json')
  assert (tmp_path / 'estimate.json').read_text() == (pixel2.resources.folder() / 'latency/published/pixel2_int8_estimate.json').read_text()


def test_unknown_names_are_refused(figures):
  with pytest.raises(ValueError, match='name must be one of pixel2_int8_estimate, pixel2_int8_estimate_lpirc'):
    pixel2.named_table('pixel3', mobilenets.mobilenet_v2(0.5, 224))
  figure = figures.figures[0]
  for change, message in [({'network': 'resnet'}, 'Figure.network must be one of'), ({'clock': '2030'}, 'Figure.clock'),
                          ({'role': 'fits'}, 'Figure.role'), ({'latency_ms': float('nan')}, 'must be positive')]:
    with pytest.raises(ValueError, match=message):
      dataclasses.replace(figure, **change)
  with pytest.raises(ValueError, match=r"name sources \['rumour'\]"):
    dataclasses.replace(figures, figures=(dataclasses.replace(figure, source='rumour'),))
