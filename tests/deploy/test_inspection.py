"""What inspection reads of files, against LiteRT's own interpreter."""

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf

from tests.deploy import classifiers
from tests.deploy import models
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import tflite


@pytest.fixture(scope='module')
def content():
  return tflite.convert(classifiers.build(), 'int8', classifiers.images(4), 'uint8')


def test_operators_types_and_shapes_are_those_of_the_interpreter(content):
  found, runner = inspection.read(content), models.interpreter(content)
  names = models.op_names(content)
  assert found.operators == {name: names.count(name) for name in names}
  assert found.tensor_types == models.dtypes(content)
  assert not found.foreign_operators
  for tensors, details in ((found.inputs, runner.get_input_details()), (found.outputs, runner.get_output_details())):
    (tensor,), (detail,) = tensors, details
    assert (tensor.shape, tensor.type) == (tuple(detail['shape']), np.dtype(detail['dtype']).name)
    assert (tensor.scale, tensor.zero_point) == detail['quantization']


def test_a_float_tensor_has_no_scale():
  found = inspection.read(tflite.convert(classifiers.build(), 'float32'))
  assert [(tensor.type, tensor.scale, tensor.zero_point) for tensor in (*found.inputs, *found.outputs)] == [('float32', None, None)] * 2


def test_what_is_not_builtin_is_named():
  function = tf.function(lambda x: tf.math.erf(x))
  concrete = function.get_concrete_function(tf.TensorSpec([1, 4], tf.float32))
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
  assert inspection.read(converter.convert()).foreign_operators == ('FlexErf',)


def test_packing_what_was_unpacked_changes_nothing_but_aligns_weights(content):
  packed = inspection.pack(inspection.unpack(content))
  assert inspection.read(packed) == inspection.read(content)
  images = classifiers.images(8)
  np.testing.assert_array_equal(evaluation.LiteRtModel(packed)(images), evaluation.LiteRtModel(content)(images))
  model, places = inspection.schema.Model.GetRootAs(packed), []
  for i in range(model.BuffersLength()):
    buffer = model.Buffers(i)
    if buffer.DataLength():
      places.append(buffer._tab.Vector(flatbuffers.number_types.UOffsetTFlags.py_type(buffer._tab.Offset(4))))
  assert len(places) > 20 and not any(place % 16 for place in places)


@pytest.mark.parametrize('damage, message', [
    (lambda content: b'', 'not a .tflite file'),
    (lambda content: b'PK\3\4 and more', 'not a .tflite file'),
    (lambda content: content[:200], 'a damaged .tflite file'),
    (lambda content: b'\xff\xff\xff\x7f' + content[4:], 'a damaged .tflite file'),
])
def test_damaged_files_are_refused(content, damage, message):
  with pytest.raises(ValueError, match=message):
    inspection.read(damage(content))
