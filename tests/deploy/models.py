"""Networks to convert, and what is inside a .tflite file."""

from __future__ import annotations

from ai_edge_litert import interpreter as litert
import numpy as np

from tf_proxyless.deploy import inspection
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema


def small(padding: str = 'same') -> network_lib.Network:
  """Every kind of block: k7e6 down, skipped, k3e6 with a shortcut, k5e3 down, k3e3 with a shortcut."""
  space = proxyless.proxyless(stage_filters=(8, 16), stage_blocks=(3, 2), stage_strides=(2, 2), stem_filters=8, first_block_filters=8,
                              head_filters=32, resolution=32, classes=5, padding=padding, name='small')
  choices = {path: index for (path, _), index in zip(schema.walk(space), (5, 6, 1, 2, 0), strict=True)}
  return schema.resolve(space, choices)


def one(op: ops.Op, shape: ops.Shape, residual: bool = False, padding: str = 'same') -> network_lib.Network:
  return network_lib.network_of_signature(network_lib.op_signature(op, shape, residual, padding))


def interpreter(model) -> litert.Interpreter:
  """Of a file or its content, on the builtin kernels."""
  source = {'model_content': model} if isinstance(model, bytes) else {'model_path': str(model)}
  result = litert.Interpreter(**source, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
  result.allocate_tensors()
  return result


def with_dense_scales(content: bytes, count: int) -> bytes:
  """The file with so many scales of a dense layer, as converters make them that are not told otherwise."""
  model = inspection.unpack(content)
  codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
  graph = model.subgraphs[0]
  for operator in graph.operators:
    if codes[operator.opcodeIndex] == inspection.schema.BuiltinOperator.FULLY_CONNECTED:
      weights = graph.tensors[operator.inputs[1]].quantization
      weights.scale, weights.zeroPoint = [float(weights.scale[0])] * count, [0] * count
  return inspection.pack(model)


def op_names(model) -> list[str]:
  return [op['op_name'] for op in interpreter(model)._get_ops_details()]


def dtypes(model) -> set[str]:
  return {np.dtype(detail['dtype']).name for detail in interpreter(model).get_tensor_details()}


def io_dtypes(model) -> tuple[str, str]:
  runner = interpreter(model)
  return tuple(np.dtype(details()[0]['dtype']).name for details in (runner.get_input_details, runner.get_output_details))


def run(model, images: np.ndarray) -> np.ndarray:
  """Real outputs [batch, ...] for real images [batch, height, width, channels], whatever the type of inputs and outputs."""
  runner = interpreter(model)
  source, target = runner.get_input_details()[0], runner.get_output_details()[0]
  outputs = []
  for image in images:
    runner.set_tensor(source['index'], _quantize(image[np.newaxis], source))
    runner.invoke()
    outputs.append(_dequantize(runner.get_tensor(target['index']), target))
  return np.concatenate(outputs)


def _quantize(values, detail):
  scale, zero_point = detail['quantization']
  if not scale:
    return values.astype(detail['dtype'])
  limits = np.iinfo(detail['dtype'])
  return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail['dtype'])


def _dequantize(values, detail):
  scale, zero_point = detail['quantization']
  return scale * (values.astype(np.float32) - zero_point) if scale else values
