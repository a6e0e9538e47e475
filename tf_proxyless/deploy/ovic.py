"""Models as the Low-Power Image Recognition Challenge takes them (On-device Visual Intelligence Competition, image classification).

Its program hands a model the bytes of an RGB image and sorts 1001 outputs, of which the first is the background. It reads the type of a
tensor as a number of bytes only: what it takes for other types, it silently misreads.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from tf_proxyless.deploy import inspection

CLASSES = 1000
BACKGROUND = 'background'
MAX_SIZE = 1000  # height and width, pixels
# Scale times 255 and zero points with which bytes are pixels in [0, 1] or [-1, 1].
_PIXELS = {1.0: (0,), 2.0: (127, 128)}


def add_background(content: bytes) -> bytes:
  """Puts an output in front of all others that always has the lowest value of its range; the others stay as they are, bit for bit.

  Args:
    content: Bytes of an int8 .tflite file that ends with a dense layer, whose weights have one scale.

  Raises:
    ValueError: It does not.
  """
  model = inspection.unpack(content)
  graph = model.subgraphs[0]
  codes = schema.BuiltinOperator
  kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
  *_, index = (i for i, operator in enumerate(graph.operators) if kinds[operator.opcodeIndex] != codes.QUANTIZE)
  dense = graph.operators[index]
  if kinds[dense.opcodeIndex] != codes.FULLY_CONNECTED:
    raise ValueError('a background can be added to a network that ends with a dense layer')
  if len(dense.inputs) < 3 or dense.inputs[2] < 0:  # the converter leaves out biases that are 0
    _add_biases(model, dense)
  source, kernel, bias, target = (graph.tensors[i] for i in (*dense.inputs, *dense.outputs))
  if target.type != schema.TensorType.INT8 or kernel.type != schema.TensorType.INT8:
    raise ValueError('a background can be added to an int8 network')
  lowest = -128 - int(target.quantization.zeroPoint[0])  # the output, in steps from 0
  output_scale, input_scale, kernel_scale = (float(tensor.quantization.scale[0]) for tensor in (target, source, kernel))
  steps = np.floor(lowest * output_scale / (input_scale * kernel_scale))
  _prepend(model, kernel, np.int8(0))
  _prepend(model, bias, np.int32(steps))
  outputs = {i for operator in graph.operators[index:] for i in operator.outputs}
  for tensor in (graph.tensors[i] for i in outputs):
    tensor.shape = [*tensor.shape[:-1], tensor.shape[-1] + 1]
  return inspection.pack(model)


def _add_biases(model: schema.ModelT, dense: schema.OperatorT) -> None:
  """Gives a dense layer biases of 0."""
  graph = model.subgraphs[0]
  source, kernel = (graph.tensors[i] for i in dense.inputs[:2])
  tensor, buffer, quantization = schema.TensorT(), schema.BufferT(), schema.QuantizationParametersT()
  quantization.scale = np.asarray(kernel.quantization.scale) * source.quantization.scale[0]
  quantization.zeroPoint = [0] * len(kernel.quantization.scale)
  tensor.name, tensor.type, tensor.shape, tensor.quantization = 'biases', schema.TensorType.INT32, [kernel.shape[0]], quantization
  tensor.buffer, buffer.data = len(model.buffers), np.zeros(4 * kernel.shape[0], np.uint8)
  dense.inputs = [*dense.inputs[:2], len(graph.tensors)]
  model.buffers.append(buffer)
  graph.tensors.append(tensor)


def _prepend(model: schema.ModelT, tensor: schema.TensorT, value: np.generic) -> None:
  """Puts a value, or a row of it, in front of a constant tensor."""
  values = np.frombuffer(np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes(), value.dtype).reshape(tensor.shape)
  buffer = schema.BufferT()
  buffer.data = np.frombuffer(np.concatenate([np.full_like(values[:1], value), values]).tobytes(), np.uint8)
  if sum(other.buffer == tensor.buffer for other in model.subgraphs[0].tensors) == 1:
    model.buffers[tensor.buffer] = buffer
  else:  # equal tensors share their bytes
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
  tensor.shape = [tensor.shape[0] + 1, *tensor.shape[1:]]


def validate(content: bytes) -> None:
  """Checks that the contest accepts a model and reads it as it is meant.

  Args:
    content: Bytes of a .tflite file.

  Raises:
    ValueError: Names everything that it would refuse or misread.
  """
  found = inspection.read(content)
  if len(found.inputs) != 1 or len(found.outputs) != 1:
    raise ValueError(f'OVIC takes models of one input and one output, got {len(found.inputs)} and {len(found.outputs)}')
  faults = [f'operation {name} is not builtin' for name in found.foreign_operators]
  if found.dense_scales > 1:
    faults.append(f'a dense layer of {found.dense_scales} scales, of which older runtimes know the first alone')
  source, target = found.inputs[0], found.outputs[0]
  if len(source.shape) != 4 or (source.shape[0], source.shape[3]) != (1, 3) or max(source.shape) > MAX_SIZE:
    faults.append(f'input of shape {list(source.shape)}, must be [1, height, width, 3] of at most {MAX_SIZE} pixels')
  if source.type != 'uint8':
    faults.append(f'input of {source.type}, must be uint8: the contest fills in bytes of an RGB image')
  elif not any(abs((source.scale or 0) * 255 - range_) < 1e-4 and source.zero_point in zeros for range_, zeros in _PIXELS.items()):
    faults.append(f'input of scale {source.scale} and zero point {source.zero_point}: bytes would not be the pixels that were trained on; '
                  'must be 1/255 and 0, or 2/255 and 127 or 128')
  if target.shape != (1, CLASSES + 1):
    faults.append(f'output of shape {list(target.shape)}, must be [1, {CLASSES + 1}], of which the first is the background')
  if target.type != 'uint8':
    faults.append(f'output of {target.type}, must be uint8: the contest would read int8 as unsigned')
  if faults:
    raise ValueError(f'not a model for OVIC: {"; ".join(faults)}')
