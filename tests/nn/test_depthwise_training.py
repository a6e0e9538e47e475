"""Fast depthwise gradients in stock models are the gradients of the stock models."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.nn import depthwise_training


def outputs_and_gradients(model, images, context=None):
  """What a compiled step sees."""

  @tf.function
  def step(images):
    with tf.GradientTape() as tape:
      tape.watch(images)
      outputs = model(images, training=True)
      loss = tf.reduce_sum(outputs**2)
    return outputs, tape.gradient(loss, [images, *model.trainable_variables])

  if context is None:
    outputs, gradients = step(images)
  else:
    with context:
      outputs, gradients = step(images)
  return [outputs.numpy(), *(gradient.numpy() for gradient in gradients)]


def make_model(**arguments):
  inputs = keras.Input((9, 8, 3))
  initializer = keras.initializers.RandomNormal(seed=1)
  return keras.Model(inputs, keras.layers.DepthwiseConv2D(depthwise_initializer=initializer, **arguments)(inputs))


@pytest.mark.parametrize('padding', ['same', 'valid'])
@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('kernel_size', [3, 5, 7])
def test_equal_to_the_stock_layer(kernel_size, strides, padding):
  model = make_model(kernel_size=kernel_size, strides=strides, padding=padding, activation='relu')
  images = tf.random.stateless_normal([4, 9, 8, 3], [0, 1])
  expected = outputs_and_gradients(model, images)
  found = outputs_and_gradients(model, images, depthwise_training.fast_depthwise(model))
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
  on_cpu = not tf.config.list_physical_devices('GPU')
  assert any('EXPLICIT' in str(node.attr) for node in graph_nodes(model)) == (on_cpu and kernel_size > 3)


def graph_nodes(model):
  """Of a step within the context: the fast gradient can be told by its padding."""

  @tf.function
  def step(images):
    with depthwise_training.fast_depthwise(model), tf.GradientTape() as tape:
      loss = tf.reduce_sum(model(images, training=True))
    return tape.gradient(loss, model.trainable_variables)

  return [node for node in step.get_concrete_function(tf.TensorSpec([4, 9, 8, 3])).graph.as_graph_def().node
          if node.op == 'DepthwiseConv2dNativeBackpropFilter']


def test_other_layers_stay_as_they_are():
  model = make_model(kernel_size=3, depth_multiplier=2)
  with depthwise_training.fast_depthwise(model):
    assert 'call' not in vars(model.layers[1])
  plain = make_model(kernel_size=3)
  with depthwise_training.fast_depthwise(plain):
    assert 'call' in vars(plain.layers[1])
  assert 'call' not in vars(plain.layers[1])
