"""How each layer of a network is quantised in training: what its TFLite kernel will do, on tfmot's default 8-bit scheme.

Three things differ from `Default8BitQuantizeScheme`:
  * Depthwise kernels have a range for each channel. tfmot 0.8.1 gives them one for all (its issue 808), so that channels much weaker
    than the strongest lose all their levels.
  * Ranges of kernels are those of the kernels as they are, not as they were before the last training step.
  * Ranges of activations start as the mean over the batches seen so far, instead of at [-6, 6], which takes thousands of steps to
    forget (its issue 368). The range of the images is fixed.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from tf_proxyless.nn import primitives

BITS = 8

_api = tfmot.quantization.keras


class KernelQuantizer(_api.quantizers.Quantizer):
  """Symmetric, narrow ranges [-m, m] of a kernel by output channel, or one for the whole kernel; without state.

  Attributes:
    channel_axis: Of [kernel, kernel, input, output] the axis that has ranges of its own; None is one range.
  """

  def __init__(self, channel_axis: int | None):
    """Stores its attribute."""
    self.channel_axis = channel_axis

  def build(self, tensor_shape, name, layer):
    """Makes no variables."""
    del tensor_shape, name, layer
    return {}

  def __call__(self, inputs, training, weights, **kwargs):
    """Quantises; the gradient passes as if it did not (straight-through)."""
    del training, weights, kwargs
    kernel = tf.convert_to_tensor(inputs)
    if self.channel_axis is None:
      limit = tf.stop_gradient(tf.reduce_max(tf.abs(kernel)))
      return tf.quantization.fake_quant_with_min_max_vars(kernel, -limit, limit, BITS, narrow_range=True)
    axes = [axis for axis in range(kernel.shape.rank) if axis != self.channel_axis]
    limits = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axes))
    # The operation has its channels last, which a depthwise kernel [k, k, channels, 1] has not.
    shape = kernel.shape if self.channel_axis == kernel.shape.rank - 1 else [1, *kernel.shape[:-1]]
    quantized = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        tf.reshape(kernel, shape), -limits, limits, BITS, narrow_range=True)
    return tf.reshape(quantized, kernel.shape)

  def get_config(self):
    """The arguments of the constructor."""
    return {'channel_axis': self.channel_axis}


class ImageQuantizer(_api.quantizers.Quantizer):
  """A fixed range for the images.

  Attributes:
    low: Least value, at most 0.
    high: Largest value.
  """

  def __init__(self, low: float, high: float):
    """Stores its attributes."""
    self.low = low
    self.high = high

  def build(self, tensor_shape, name, layer):
    """Makes no variables."""
    del tensor_shape, name, layer
    return {}

  def __call__(self, inputs, training, weights, **kwargs):
    """Quantises."""
    del training, weights, kwargs
    return tf.quantization.fake_quant_with_min_max_args(inputs, self.low, self.high, BITS)

  def get_config(self):
    """The arguments of the constructor."""
    return {'low': self.low, 'high': self.high}


class ActivationQuantizer(_api.quantizers.Quantizer):
  """One range for a tensor: the mean of its batches' ranges, from 1 / (1 - momentum) batches on their moving average.

  Attributes:
    momentum: Momentum of the moving average, in [0, 1).
  """

  def __init__(self, momentum: float):
    """Stores its attribute."""
    self.momentum = momentum

  def build(self, tensor_shape, name, layer):
    """Makes the range and the count of batches in it."""
    del tensor_shape
    add = lambda suffix: layer.add_weight(f'{name}_{suffix}', shape=(), initializer='zeros', trainable=False)
    return {suffix: add(suffix) for suffix in ('min', 'max', 'batches')}

  def __call__(self, inputs, training, weights, **kwargs):
    """Quantises; in training the range takes in the batch first."""
    del kwargs
    low, high, batches = (weights[suffix] for suffix in ('min', 'max', 'batches'))
    if training:
      rate = tf.maximum(1 / (batches + 1), 1 - self.momentum)
      seen_low = tf.minimum(tf.stop_gradient(tf.reduce_min(inputs)), 0.0)  # TFLite represents 0 exactly
      seen_high = tf.maximum(tf.stop_gradient(tf.reduce_max(inputs)), 0.0)
      low, high = low.assign_add(rate * (seen_low - low)), high.assign_add(rate * (seen_high - high))
      batches.assign_add(1.0)
    return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, BITS)

  def get_config(self):
    """The arguments of the constructor."""
    return {'momentum': self.momentum}


def is_range(weight: tf.Variable, suffix: str) -> bool:
  """Whether it belongs to the quantizer of an activation as its 'min', 'max' or 'batches'."""
  return weight.name.endswith(f'/output_{suffix}:0')


def input_range(layer: keras.layers.Layer) -> tuple[tf.Variable | float, tf.Variable | float]:
  """The range of what a quantised layer gets, from the nearest layer before it that has one."""
  source = layer.inbound_nodes[0].inbound_layers
  if hasattr(source, 'quantizer'):
    return source.quantizer.low, source.quantizer.high
  limits = [weight for suffix in ('min', 'max') for weight in source.weights if is_range(weight, suffix)]
  return tuple(limits) if limits else input_range(source)  # padding, pooling and dropout have none


class InputLevels(_api.quantizers.Quantizer):
  """Rounds to the levels of the layer's input, as TFLite's pooling does.

  Of maxima and slices it changes nothing, but without it the converter left a convolution behind a pool of many readers in floats.
  """

  def build(self, tensor_shape, name, layer):
    """Makes no variables."""
    del tensor_shape, name
    self._layer = layer
    return {}

  def __call__(self, inputs, training, weights, **kwargs):
    """Quantises, in a model that is complete."""
    del training, weights, kwargs
    return tf.quantization.fake_quant_with_min_max_vars(inputs, *input_range(self._layer), BITS) if self._layer.inbound_nodes else inputs

  def get_config(self):
    """No arguments."""
    return {}


class LayerConfig(_api.QuantizeConfig):
  """What is quantised of one layer.

  Attributes:
    kernel: Name of its kernel; None if it has none.
    channel_axis: See `KernelQuantizer`.
    momentum: See `ActivationQuantizer`; None leaves the output as it is.
  """

  def __init__(self, kernel: str | None = None, channel_axis: int | None = None, momentum: float | None = None):
    """Stores its attributes."""
    self.kernel = kernel
    self.channel_axis = channel_axis
    self.momentum = momentum

  def get_weights_and_quantizers(self, layer):
    """The kernel with its quantizer."""
    return [] if self.kernel is None else [(getattr(layer, self.kernel), KernelQuantizer(self.channel_axis))]

  def get_activations_and_quantizers(self, layer):
    """None: outputs are quantised instead, which for a linear or fused activation is the same."""
    return []

  def set_quantize_weights(self, layer, quantize_weights):
    """Lets the layer work with the quantised kernel."""
    for weight in quantize_weights:
      setattr(layer, self.kernel, weight)

  def set_quantize_activations(self, layer, quantize_activations):
    """Does nothing, as there are none."""
    del layer, quantize_activations

  def get_output_quantizers(self, layer):
    """The quantizer of the output."""
    return [] if self.momentum is None else [ActivationQuantizer(self.momentum)]

  def get_config(self):
    """The arguments of the constructor."""
    return {'kernel': self.kernel, 'channel_axis': self.channel_axis, 'momentum': self.momentum}


class InputLevelsConfig(LayerConfig):
  """The output is quantised on the levels of the input."""

  def get_output_quantizers(self, layer):
    """The quantizer of the output."""
    return [InputLevels()]


# Layers whose outputs are among the values of their inputs, and those that are quantised on the levels of their inputs.
_SAME_VALUES = (keras.layers.ZeroPadding2D, keras.layers.Dropout, keras.layers.Reshape, keras.layers.Permute)
_SAME_LEVELS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D, keras.layers.Cropping2D)
_NEW_VALUES = (keras.layers.ReLU, keras.layers.Add, keras.layers.Multiply, keras.layers.Rescaling, keras.layers.Activation,
               keras.layers.GlobalAveragePooling2D)
ACTIVATIONS = (primitives.hard_swish,)
OTHER_LAYERS = ', '.join(kind.__name__ for kind in (*_SAME_VALUES, *_SAME_LEVELS, *_NEW_VALUES)
                         if kind is not keras.layers.Activation)


class Registry(_api.default_8bit.Default8BitQuantizeRegistry):
  """The configuration of each kind of layer that the networks of `nn.keras_network.build` have, except batch normalisation."""

  def __init__(self, momentum: float):
    """Stores the momentum of activation ranges."""
    super().__init__()
    self._momentum = momentum
    self._configs = {
        keras.layers.DepthwiseConv2D: LayerConfig('depthwise_kernel', channel_axis=2),
        keras.layers.Dense: LayerConfig('kernel', momentum=momentum),
        **{kind: LayerConfig() for kind in _SAME_VALUES},
        **{kind: InputLevelsConfig() for kind in _SAME_LEVELS},
        **{kind: LayerConfig(momentum=momentum) for kind in _NEW_VALUES},
    }

  def supports(self, layer):
    """Whether it knows this layer; of `Activation` layers, those with a function of `ACTIVATIONS`."""
    if type(layer) is keras.layers.Activation:
      return layer.activation in ACTIVATIONS
    return type(layer) is keras.layers.Conv2D or type(layer) in self._configs

  def get_quantize_config(self, layer):
    """The configuration of a layer; batch normalisation behind a convolution without bias is folded into it."""
    if type(layer) is keras.layers.Conv2D:
      return LayerConfig('kernel', channel_axis=3, momentum=self._momentum if layer.use_bias else None)
    return self._configs[type(layer)]


class _Layout(_api.default_8bit.Default8BitQuantizeLayoutTransform):
  """tfmot's fusions, with the quantizers of this module."""

  def __init__(self, input_range: tuple[float, float], momentum: float):
    self._input_range = input_range
    self._momentum = momentum

  def apply(self, model, layer_quantize_map):
    model, configs = super().apply(model, layer_quantize_map)
    images = ImageQuantizer(*self._input_range)
    for layer in model.layers:
      entry = configs.get(layer.name, {})
      if isinstance(layer, keras.layers.BatchNormalization) and entry['quantize_config'].get_output_quantizers(layer):
        entry['quantize_config'] = LayerConfig(momentum=self._momentum)  # no ReLU follows
      elif hasattr(layer, 'quantizer'):  # what tfmot has put behind the input
        layer.quantizer = images
      elif type(layer) in _FUSED and _before_relu(layer):
        entry['quantize_config'] = LayerConfig(*_FUSED[type(layer)])
      elif type(layer) in _KERNELS and not layer.use_bias and not is_before(layer, keras.layers.BatchNormalization):
        entry['quantize_config'] = LayerConfig(*_KERNELS[type(layer)], momentum=self._momentum)
    return model, configs


# The kernels of convolutions and the axis of their ranges.
_KERNELS = {keras.layers.Conv2D: ('kernel', 3), keras.layers.DepthwiseConv2D: ('depthwise_kernel', 2)}
# Layers that TFLite fuses with a ReLU behind them, with the arguments of their configurations.
_FUSED = {keras.layers.Conv2D: _KERNELS[keras.layers.Conv2D], keras.layers.Dense: ('kernel',), keras.layers.Rescaling: ()}


def is_before(layer: keras.layers.Layer, kind: type) -> bool:
  """Whether a layer of a kind, wrapped or not, takes what a layer gives."""
  followers = [node.outbound_layer for node in layer.outbound_nodes]
  return any(isinstance(getattr(follower, 'layer', follower), kind) for follower in followers)



def _before_relu(layer: keras.layers.Layer) -> bool:
  """Whether a ReLU takes what a layer gives, with at most a constant added."""
  followers = [node.outbound_layer for node in layer.outbound_nodes]
  return bool(followers) and all(
      isinstance(follower, keras.layers.ReLU)
      or isinstance(follower, keras.layers.Rescaling) and follower.scale == 1 and _before_relu(follower) for follower in followers)


CUSTOM_OBJECTS = {kind.__name__: kind for kind in (
    ImageQuantizer, ActivationQuantizer, KernelQuantizer, InputLevels, LayerConfig, InputLevelsConfig)}


class Scheme(_api.default_8bit.Default8BitQuantizeScheme):
  """The whole scheme."""

  def __init__(self, input_range: tuple[float, float], momentum: float):
    """Stores the range of images, and the momentum of activation ranges."""
    super().__init__()
    self._input_range = input_range
    self._momentum = momentum

  def get_layout_transformer(self):
    """What fuses layers as TFLite does."""
    return _Layout(self._input_range, self._momentum)

  def get_quantize_registry(self):
    """What knows the configuration of a layer."""
    return Registry(self._momentum)
