"""Operations check themselves and know their output shapes."""

import pytest

from tf_proxyless.space import ops
from tf_proxyless.space import schema


@pytest.mark.parametrize('op, shape, name', [
    (ops.ConvBn(8, 3, 2), (113, 56, 8), 'conv3'),
    (ops.ConvBn(8, 1), (225, 112, 8), 'conv1'),
    (ops.MBConv(24, 7, 2, 3), (113, 56, 24), 'k7e3'),
    (ops.MBConv(24, 5, 4, 1), (57, 28, 24), 'k5e1'),
    (ops.MBConv(24, 5, 1, 4.5), (225, 112, 24), 'k5e4.5'),
    (ops.Zero(), (225, 112, 3), 'zero'),
    (ops.Classifier(10, 0.5), (1, 1, 10), 'classifier'),
])
def test_output_shape_rounds_up_and_names_are_short(op, shape, name):
  assert ops.output_shape(op, (225, 112, 3)) == shape
  assert ops.short_name(op) == name


def test_short_names_of_operations_with_open_decisions():
  one_of = lambda *choices: schema.OneOf(choices, 'any')
  assert ops.MBConv(8, one_of(3, 5), 1, one_of(1, 2.5), se_ratio=one_of(0.0, 0.25)).short_name == 'k3|5e1|2.5se0|0.25'
  assert ops.ConvBn(8, one_of(1, 3)).short_name == 'conv1|3'
  assert ops.MBConv(one_of(8, 16), activation=one_of('relu', 'relu6')).short_name == 'k3e6_relu|relu6'


@pytest.mark.parametrize('make, message', [
    (lambda: ops.ConvBn(0), 'ConvBn.filters must be a positive integer, got 0'),
    (lambda: ops.ConvBn(8, 2), 'ConvBn.kernel_size must be odd, got 2'),
    (lambda: ops.ConvBn(8, 3, 0), 'ConvBn.strides'),
    (lambda: ops.MBConv(8.0), 'MBConv.filters must be a positive integer, got 8.0'),
    (lambda: ops.MBConv(8, 4), 'MBConv.kernel_size must be odd, got 4'),
    (lambda: ops.MBConv(8, expand_ratio=True), 'MBConv.expand_ratio must be a positive number, got True'),
    (lambda: ops.Classifier(-1), 'Classifier.units'),
    (lambda: ops.Classifier(10, 1.0), r'dropout_rate must be in \[0, 1\), got 1.0'),
    (lambda: ops.Classifier(10, float('nan')), 'dropout_rate must be in'),
])
def test_what_is_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


@pytest.mark.parametrize('function', [lambda op: ops.output_shape(op, (8, 8, 3)), ops.short_name])
def test_other_objects_are_not_operations(function):
  with pytest.raises(TypeError, match='not an operation'):
    function('mbconv')
