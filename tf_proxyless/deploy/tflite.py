"""Keras models to TFLite flatbuffers, an order of magnitude faster than `TFLiteConverter.from_keras_model`."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import warnings

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import convert_phase
import tf_keras as keras

from tf_proxyless.infra import stderr as stderr_lib

PRECISIONS = ('float32', 'float16', 'int8')
IO_TYPES = {'float32': tf.float32, 'int8': tf.int8, 'uint8': tf.uint8}


def convert(model: keras.Model, precision: str, representative: np.ndarray | None = None, io: str = 'float32') -> bytes:
  """Converts a model to a flatbuffer with a fixed batch of one image and no signature.

  Args:
    model: From float32 images [batch, height, width, channels] to one tensor.
    precision: 'float32'; 'float16', weights in half the size that are made float32 again to compute; or 'int8', activations in int8
      and weights too, per channel but for dense layers.
    representative: float32 [samples, height, width, channels], images from which int8 takes the ranges of activations; None if the
      model knows them, from quantization-aware training.
    io: Type of the model's input and output: 'float32', or for int8 also 'int8' or 'uint8'.

  Returns:
    The content of a .tflite file; equal arguments give equal bytes.

  Raises:
    ValueError: The arguments do not fit each other, or TFLite lacks operations, which are named.
  """
  shape = tuple(model.input_shape[1:])
  _check(shape, precision, representative, io)
  function = tf.function(lambda images: model(images, training=False), autograph=False)
  concrete = function.get_concrete_function(tf.TensorSpec([1, *shape], tf.float32))
  knows_ranges = any(op.type.startswith('FakeQuant') for op in concrete.graph.get_operations())
  if precision == 'int8' and knows_ranges == (representative is not None):
    raise ValueError('the model knows its ranges and takes no representative images' if knows_ranges else
                     'int8 needs representative images, or a model from quantization-aware training')
  # A function as the trackable object keeps the converter from writing and reading a SavedModel, which is most of its time.
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
  if precision != 'float32':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if precision == 'float16':
    converter.target_spec.supported_types = [tf.float16]
  if precision == 'int8':
    if representative is not None:
      converter.representative_dataset = lambda: ([image[np.newaxis]] for image in representative)
      converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
      # A runtime of 2021 takes the first scale of a dense layer for all, and says nothing.
      converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    converter.inference_input_type = converter.inference_output_type = IO_TYPES[io]
  with _quiet():
    try:
      return bytes(converter.convert())
    except convert_phase.ConverterError as error:
      operations = {found.operator.name.removeprefix('tf.') for found in error.errors if found.operator.name}
  raise ValueError(f'the model cannot be converted; TFLite lacks {", ".join(sorted(operations)) or "something that it needs"}')


def _check(shape: tuple[int | None, ...], precision: str, representative: np.ndarray | None, io: str) -> None:
  if precision not in PRECISIONS:
    raise ValueError(f'precision must be one of {", ".join(PRECISIONS)}, got {precision!r}')
  accepted = tuple(IO_TYPES) if precision == 'int8' else ('float32',)
  if io not in accepted:
    raise ValueError(f'io of a model in {precision} must be one of {", ".join(accepted)}, got {io!r}')
  if None in shape:
    raise ValueError(f'the model must have a fixed input shape, got {shape}')
  if representative is None:
    return
  if precision != 'int8':
    raise ValueError(f'representative images are for int8, not for {precision}')
  found = (representative.dtype, representative.shape[1:])
  if found != (np.float32, shape) or not len(representative):
    raise ValueError(f'representative must be float32 images [samples, {", ".join(map(str, shape))}], '
                     f'got {representative.dtype} {list(representative.shape)}')


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Holds back what the converter writes, some lines for every model."""
  with stderr_lib.suppress_stderr(), warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)  # that ranges were not given, although they come from images
    yield
