"""TFLite metadata: what tools on phones read of a model, above all its labels.

The tables are those of TFLite's metadata schema (file identifier M001); fields that came after its version 1.0.0 are not used. The label
file is a ZIP archive behind the model, as the standard has it. TensorFlow's own writer, tflite-support, is no longer maintained and needs a
protobuf that TensorFlow cannot live with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import io
from typing import Any
import zipfile

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
import numpy as np

from tf_proxyless.deploy import inspection
from tf_proxyless.infra import class_names
from tf_proxyless.infra import safe_zip

_NAME = 'TFLITE_METADATA'  # of the buffer in the model
_IDENTIFIER, _MIN_PARSER_VERSION = b'M001', '1.0.0'
_OLDEST_TRIED = '2.5.0'  # TensorFlow Lite, tests/deploy/test_old_runtimes.py; converters claim as little as 1.6
LABELS = 'labels.txt'

# Numbers of unions' members and of enumerations.
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES, _NORMALIZATION_OPTIONS = 1, 2, 1
_COLOR_SPACES, _TENSOR_AXIS_LABELS = {3: ('RGB', 1), 1: ('Grey', 2)}, 2  # by channels
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the least that ZIP knows, so that equal models have equal bytes


@dataclasses.dataclass(frozen=True)
class _Byte:
  """A field of type byte; plain integers would be ambiguous."""

  value: int


_Table = Mapping[int, Any]  # value by number of the field


def add(content: bytes, name: str, description: str, labels: Sequence[str]) -> bytes:
  """Adds metadata of an image classifier to a model.

  Args:
    content: Bytes of a .tflite file without metadata, which takes pixels / 255, or bytes with a scale of 1/255.
    name, description: For people.
    labels: A name for each output, without line breaks; empty if they are not known.

  Returns:
    The content of the file with metadata; the model computes what it did. It claims no older runtime than was tried.

  Raises:
    ValueError: Labels and outputs differ in number, or a name cannot be a label.
  """
  found = inspection.read(content)
  outputs = found.outputs[0].shape[-1]
  if labels and len(labels) != outputs:
    raise ValueError(f'{len(labels)} labels for {outputs} outputs')
  bad = [label for label in labels if class_names.fault(label)]
  if bad:
    raise ValueError(f'{bad[0]!r} cannot be a label: {class_names.fault(bad[0])}')
  model = inspection.unpack(content)
  buffer, entry = schema.BufferT(), schema.MetadataT()
  buffer.data = np.frombuffer(_encode(found, name, description, bool(labels)), np.uint8)
  entry.name, entry.buffer = _NAME, len(model.buffers)
  model.buffers.append(buffer)
  model.metadata = [*(model.metadata or ()), entry]
  _raise_min_runtime(model)
  packed = inspection.pack(model)
  return _attach(packed, LABELS, ''.join(f'{label}\n' for label in labels)) if labels else packed


def _raise_min_runtime(model: schema.ModelT) -> None:
  buffer = inspection.metadata_buffer(model, inspection.MIN_RUNTIME)
  if buffer is not None:
    claimed = bytes(buffer.data).rstrip(b'\0').decode('ascii')
    version = max(claimed, _OLDEST_TRIED, key=lambda text: tuple(map(int, text.split('.'))))
    buffer.data = np.frombuffer(version.encode('ascii').ljust(len(buffer.data), b'\0'), np.uint8)


def read_labels(content: bytes) -> list[str]:
  """The labels in the content of a .tflite file; none if it has no metadata, or metadata without labels.

  Raises:
    ValueError: The metadata is damaged.
  """
  if not zipfile.is_zipfile(io.BytesIO(content)):
    return []
  return safe_zip.read(content).get(LABELS, b'').decode('utf-8').splitlines()


def _attach(content: bytes, name: str, text: str) -> bytes:
  """The content with a text file in a ZIP archive behind it, not compressed, so that phones can map it."""
  target = io.BytesIO(content)
  with zipfile.ZipFile(target, 'a', zipfile.ZIP_STORED) as archive:
    archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), text.encode('utf-8'))
  return target.getvalue()


def _encode(found: inspection.Content, name: str, description: str, labelled: bool) -> bytes:
  """The metadata's own flatbuffer. Numbers of fields are places in the schema's tables; a union is its type, then its value."""
  normalization = {0: _Byte(_NORMALIZATION_OPTIONS), 1: {0: [0.0], 1: [255.0]}}  # (pixel - mean) / std, before quantization
  colors, number = _COLOR_SPACES[found.inputs[0].shape[-1]]
  image = {0: 'image', 1: f'{colors} image of the size that the model takes', 3: {0: _Byte(_IMAGE_PROPERTIES), 1: {0: _Byte(number)}},
           4: [normalization], 5: _stats(found.inputs[0], 0.0, 1.0)}
  labels = {0: LABELS, 1: 'Names of the classes', 2: _Byte(_TENSOR_AXIS_LABELS)}
  logits = {0: 'logits', 1: 'One number a class, the higher the likelier; not probabilities', 3: {0: _Byte(_FEATURE_PROPERTIES), 1: {}},
            5: _stats(found.outputs[0]), **({6: [labels]} if labelled else {})}
  root = {0: name, 1: description, 3: [{2: [image], 3: [logits]}], 7: _MIN_PARSER_VERSION}
  builder = flatbuffers.Builder(1024)
  builder.Finish(_write_table(builder, root), _IDENTIFIER)
  return bytes(builder.Output())


def _stats(tensor: inspection.Tensor, low: float | None = None, high: float | None = None) -> _Table:
  """Greatest and least value of a tensor: as stored, where it is stored in bytes; else as given, if known."""
  if tensor.type in ('uint8', 'int8'):
    limits = np.iinfo(tensor.type)
    low, high = float(limits.min), float(limits.max)
  return {} if low is None or high is None else {0: [high], 1: [low]}


def _write_table(builder: flatbuffers.Builder, table: _Table) -> int:
  """Writes a table after all that it refers to; its offset."""
  offsets = {field: _write(builder, value) for field, value in table.items() if not isinstance(value, _Byte)}
  builder.StartObject(max(table, default=-1) + 1)
  for field, value in table.items():
    if isinstance(value, _Byte):
      builder.PrependByteSlot(field, value.value, 0)
    else:
      builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
  return builder.EndObject()


def _write(builder: flatbuffers.Builder, value: str | _Table | Sequence[float] | Sequence[_Table]) -> int:
  if isinstance(value, str):
    return builder.CreateString(value)
  if isinstance(value, Mapping):
    return _write_table(builder, value)
  if isinstance(value[0], float):
    return builder.CreateNumpyVector(np.asarray(value, np.float32))
  offsets = [_write_table(builder, table) for table in value]
  builder.StartVector(4, len(offsets), 4)
  for offset in reversed(offsets):
    builder.PrependUOffsetTRelative(offset)
  return builder.EndVector()
