"""Networks to train by name or file, adapted to a dataset."""

import dataclasses

import pytest

from tf_proxyless.app import architectures
from tf_proxyless.cost import counting
from tf_proxyless.space import io
from tf_proxyless.space import ops
from tf_proxyless.space import published


def test_a_published_network_is_itself():
  found = architectures.find('proxyless_mobile', 1000)
  assert found.network == published.network('proxyless_mobile')
  assert (round(found.cost.macs / 1e4), found.cost.parameters) == (32043, 4080512)
  assert len(found.genotype) == 21


@pytest.mark.parametrize('name', architectures.NAMES)
def test_named_networks_take_classes_resolution_and_dropout(name):
  found = architectures.find(name, 10, resolution=64, dropout_rate=0.4)
  assert (found.network.classes, found.network.input_shape) == (10, (64, 64, 3))
  last = found.network.blocks[-1].op
  assert last == ops.Classifier(10, 0.4, hidden=last.hidden)
  assert found.cost.macs == counting.count_network(found.network).macs


def test_mobilenet_v2_has_its_published_size():
  """Sandler et al., CVPR 2018, table 4: 3.4 M parameters, 300 M multiply-adds; 1.95 M and 97 M at half the width."""
  whole, half = architectures.find('mobilenet_v2', 1000).cost, architectures.find('mobilenet_v2', 1000, width_multiplier=0.5).cost
  assert (whole.parameters, half.parameters) == (pytest.approx(3.4e6, rel=0.04), pytest.approx(1.95e6, rel=0.02))
  assert (whole.macs, half.macs) == (pytest.approx(300e6, rel=0.01), pytest.approx(97e6, rel=0.01))


@pytest.fixture
def searched(tmp_path):
  """An architecture as a search writes it, with a predicted latency."""
  found = dataclasses.replace(architectures.find('proxyless_mobile', 10), cost=io.Cost(1, 2, 78.0),
                              latency_table=io.TableReference('ab' * 32, 'measured'))
  io.save_architecture(found, tmp_path / 'a.json')
  return str(tmp_path / 'a.json')


def test_a_prediction_is_of_one_resolution(searched):
  same, other = architectures.find(searched, 10), architectures.find(searched, None, resolution=192)
  assert (same.cost.predicted_ms, same.latency_table.provenance) == (78.0, 'measured')
  assert (other.cost.predicted_ms, other.latency_table) == (None, None)
  assert same.cost.macs > other.cost.macs > 1e6


def test_other_classes_are_refused_unless_asked_for(searched):
  with pytest.raises(ValueError, match='a.json has 10 classes, the dataset has 100'):
    architectures.find(searched, 100)
  found = architectures.with_classes(architectures.find(searched, 10), 100)
  assert found.network.classes == 100 and found.cost.predicted_ms is None


def test_a_digest_is_of_what_is_computed(searched):
  found = architectures.find(searched, 10)
  named = dataclasses.replace(found, network=dataclasses.replace(found.network, name='other'), seed=7)
  normalized = architectures.with_normalization(found, {'mean': (0.5,) * 3, 'std': (0.2,) * 3})
  assert architectures.digest(found) == architectures.digest(named)
  others = [normalized, architectures.find(searched, 10, dropout_rate=0.5), architectures.find(searched, 10, resolution=192)]
  assert len({architectures.digest(each) for each in (found, *others)}) == 4
