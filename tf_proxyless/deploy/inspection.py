"""What is inside a .tflite file, read from the file itself and not from an interpreter, which adds to it."""

from __future__ import annotations

import collections
from collections.abc import Mapping
import dataclasses
import struct

from ai_edge_litert import schema_py_generated as schema
import flatbuffers

from tf_proxyless.infra import files

_IDENTIFIER = b'TFL3'
MIN_RUNTIME = 'min_runtime_version'  # of metadata, 16 bytes
# What reading beyond the end, and tables that refer to what is not there, raise.
_DAMAGE = (struct.error, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_TYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


@dataclasses.dataclass(frozen=True)
class Tensor:
  """An input or output of a model.

  Attributes:
    shape: With the batch.
    type: For instance 'uint8' or 'float32'.
    scale, zero_point: real value = scale * (stored - zero_point); None where a tensor is not quantized.
  """

  shape: tuple[int, ...]
  type: str
  scale: float | None = None
  zero_point: int | None = None


@dataclasses.dataclass(frozen=True)
class Content:
  """What a model is made of.

  Attributes:
    inputs, outputs: In order.
    operators: How often each builtin operation occurs, by name.
    foreign_operators: Names of operations that are not TFLite's own.
    tensor_types: Types that occur.
    dense_scales: The most scales that weights of a dense layer have. No version of the operation says whether a runtime knows more than
      one: TensorFlow Lite of 2021 (2.8) takes the first for all.
    min_runtime: Version of the oldest TensorFlow Lite that runs the file, as the file claims; None if it claims nothing.
  """

  inputs: tuple[Tensor, ...]
  outputs: tuple[Tensor, ...]
  operators: Mapping[str, int]
  foreign_operators: tuple[str, ...]
  tensor_types: frozenset[str]
  dense_scales: int
  min_runtime: str | None


def unpack(content: bytes) -> schema.ModelT:
  """The tables of a .tflite file, which may be changed and packed again.

  Raises:
    ValueError: The content is not a model.
  """
  if content[4:8] != _IDENTIFIER:
    raise ValueError('not a .tflite file')
  try:
    return schema.ModelT.InitFromPackedBuf(content, 0)
  except _DAMAGE as error:
    raise ValueError(f'a damaged .tflite file: {files.one_line(str(error), 200)}') from error


class _Builder(flatbuffers.Builder):
  """Aligns bytes to 16, as the schema of TFLite wants weights to be; FlatBuffers for Python knows nothing of `force_align`."""

  def StartVector(self, elemSize, numElems, alignment):  # noqa: N802, N803 (the names of the base class)
    """Begins a vector."""
    return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)


def pack(model: schema.ModelT) -> bytes:
  """The content of a .tflite file of its tables, the inverse of `unpack`."""
  builder = _Builder(1 << 20)
  builder.Finish(model.Pack(builder), _IDENTIFIER)
  return bytes(builder.Output())


def read(content: bytes) -> Content:
  """Reads what a model is made of.

  Raises:
    ValueError: The content is not a model.
  """
  try:
    return _read(unpack(content))
  except _DAMAGE as error:
    raise ValueError(f'a damaged .tflite file: {files.one_line(str(error), 200)}') from error


def _read(model: schema.ModelT) -> Content:
  main = model.subgraphs[0]
  codes = [model.operatorCodes[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators or ()]
  names = [_OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes]  # either may hold it, the other is 0
  foreign = {code.customCode.decode() for code, name in zip(codes, names) if name == 'CUSTOM'}
  types = frozenset(_TYPES[tensor.type] for graph in model.subgraphs for tensor in graph.tensors)
  inputs, outputs = (tuple(_tensor(main.tensors[index]) for index in indices) for indices in (main.inputs, main.outputs))
  if not inputs or not outputs:
    raise ValueError('it has no inputs, or no outputs')
  return Content(inputs, outputs, dict(sorted(collections.Counter(names).items())), tuple(sorted(foreign)), types, _dense_scales(model),
                 _min_runtime(model))


def _dense_scales(model: schema.ModelT) -> int:
  codes = [_OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
  weights = [graph.tensors[operator.inputs[1]].quantization for graph in model.subgraphs for operator in graph.operators or ()
             if codes[operator.opcodeIndex] == 'FULLY_CONNECTED']
  return max((len(found.scale) for found in weights if found is not None and found.scale is not None), default=0)


def _min_runtime(model: schema.ModelT) -> str | None:
  buffer = metadata_buffer(model, MIN_RUNTIME)
  return None if buffer is None else bytes(buffer.data).rstrip(b'\0').decode('ascii')


def metadata_buffer(model: schema.ModelT, name: str) -> schema.BufferT | None:
  """The buffer of a model's entry of metadata; None if it has none of that name."""
  return next((model.buffers[entry.buffer] for entry in model.metadata or () if entry.name in (name, name.encode())), None)


def _tensor(tensor: schema.TensorT) -> Tensor:
  quantization = tensor.quantization
  scales = [] if quantization is None or quantization.scale is None else quantization.scale
  place = (float(scales[0]), int(quantization.zeroPoint[0])) if len(scales) == 1 else (None, None)
  return Tensor(tuple(int(size) for size in (() if tensor.shape is None else tensor.shape)), _TYPES[tensor.type], *place)
