"""Amounts of work against hand counts, the counter, and published figures of the MobileNets."""

import dataclasses

import pytest

from tf_proxyless.cost import counting
from tf_proxyless.cost import features
from tf_proxyless.cost import mobilenets
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import published


def test_mbconv_by_hand():
  # 14x14x10 -> 5x5 depthwise of stride 2 on 30 channels -> 7x7x20.
  signature = network.OpSignature(ops.MBConv(20, 5, 2, 3), (14, 14, 10))
  assert features.of_signature(signature) == features.Features(
      matrix_macs=196 * 300 + 49 * 600, depthwise_macs=49 * 30 * 25, extra_tap_macs=49 * 30 * 16,
      output_elements=196 * 30 + 49 * 30 + 49 * 20, weights=300 + 750 + 600, layers=3)


def test_a_shortcut_writes_its_sum():
  signature = network.OpSignature(ops.MBConv(16, 3, 1, 6), (14, 14, 16))
  residual = features.of_signature(dataclasses.replace(signature, residual=True))
  assert residual == features.of_signature(signature) + features.Features(output_elements=14 * 14 * 16, layers=1)


def test_convolution_classifier_and_zero():
  assert features.of_signature(network.OpSignature(ops.ConvBn(8, 3, 2), (15, 7, 3))) == features.Features(
      matrix_macs=32 * 9 * 24, output_elements=32 * 8, weights=9 * 24, layers=1)
  assert features.of_signature(network.OpSignature(ops.Classifier(1000), (7, 7, 1280))) == features.Features(
      matrix_macs=1_280_000, output_elements=1000, weights=1_280_000, layers=1)
  assert features.of_signature(None) == features.Features()


def test_multiply_adds_are_those_of_the_counter():
  for signature in network.op_signatures(proxyless.proxyless()):
    assert features.of_signature(signature).macs == counting.count(signature).macs


@pytest.mark.parametrize('name', published.NAMES)
def test_a_network_is_the_sum_of_its_blocks(name):
  net = published.network(name)
  total = sum((features.of_signature(row.signature) for row in counting.count_blocks(net)), features.Features())
  assert features.of_network(net) == total
  assert total.macs == counting.count_network(net).macs


def test_open_decisions_are_refused():
  with pytest.raises(ValueError, match='is still a choice'):
    features.of_network(proxyless.proxyless())


# Multiply-adds, those of depthwise convolutions, and weights, with 1000 classes. Their authors' pages say 300, 97, 153 and 154 million.
@pytest.mark.parametrize('width, resolution, macs, depthwise_macs, weights', [
    (1.0, 224, 300_774_272, 20_716_416, 3_469_760),
    (0.5, 224, 97_131_840, 11_204_928, 1_949_136),
    (0.75, 192, 153_941_888, 12_845_952, 2_608_784),
    (1.0, 160, 154_083_200, 10_569_600, 3_469_760),
])
def test_mobilenet_v2(width, resolution, macs, depthwise_macs, weights):
  found = features.of_network(mobilenets.mobilenet_v2(width, resolution, classes=1000))
  assert (found.macs, found.depthwise_macs, found.weights) == (macs, depthwise_macs, weights)


def test_mobilenet_v2_has_a_shortcut_within_each_stage_of_several_blocks():
  shortcuts = [block.name for block in mobilenets.mobilenet_v2(1.0, 224).blocks if block.residual]
  assert shortcuts == [f'block_{i}' for i in (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)]


@pytest.mark.parametrize('width, resolution, macs, depthwise_macs, weights', [
    (1.0, 224, 320_427_584, 41_423_424, 4_045_016),
    (0.5, 224, 103_585_728, 21_497_280, 2_149_896),
    (1.0, 160, 164_110_400, 21_134_400, 4_045_016),
])
def test_proxyless_mobile(width, resolution, macs, depthwise_macs, weights):
  found = features.of_network(mobilenets.proxyless_mobile(width, resolution, classes=1000))
  assert (found.macs, found.depthwise_macs, found.weights) == (macs, depthwise_macs, weights)


def test_a_class_more_is_a_multiply_add_for_each_channel():
  assert features.of_network(mobilenets.mobilenet_v2(1.0, 224)).macs == 300_774_272 + 1280
