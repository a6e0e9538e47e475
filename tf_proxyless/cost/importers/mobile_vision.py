r"""The table of single operators that FBNet and ChamNet were searched with (arXiv 1812.03443, 1812.08934): mobile-vision's `runtime_lut`.

Each line is JSON, of an operator of Caffe2, by the argument texts of its protocol buffer, and shapes in NHWC, filters first in kernels:

  {"op_type": "Int8ConvRelu", "op_args": ["name: \"stride\"\ni: 2\n"], "input_shapes": [[1, 224, 224, 3], [32, 3, 3, 3], [32]],
   "runtime_us_p50": 960.0, "device": "SM-G950U-7.0-24"}

As in the authors' code an operation takes the sum of its operators, a convolution without ReLU may take what one with it does, several
measurements are averaged, and changing the layout and precision of the input and of the output comes on top. Padding is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import itertools
import json
import math
import re
import statistics
from typing import Any

from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.infra import files
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib

Operator = tuple[str, tuple[tuple[int, ...], ...], int]  # op_type, input_shapes, stride

_MAX_LINE = 2**16  # characters
_ARGUMENT = re.compile(r'name: "(\w+)"((?:\s+(?:i|ints): \d+)*)\s*')
_PRODUCTS = (layers_lib.Conv, layers_lib.DepthwiseConv, layers_lib.Dense)


def is_one(path: files.PathLike) -> bool:
  """Whether the first line of a file is of such a table.

  Raises:
    OSError: It cannot be read.
  """
  with open(path, 'rb') as file:
    return b'"runtime_us_p50"' in file.readline(_MAX_LINE)


def load(path: files.PathLike, space: network_lib.Network, name: str, runtime: table_lib.Runtime, provenance: str = 'published',
         source: str = '') -> tuple[table_lib.LatencyTable, dict[network_lib.OpSignature, list[str]]]:
  """Reads a table for the operations of a space.

  Args:
    path: The file.
    space: A network, or a space.
    name, runtime, provenance, source: As for `official_yaml.load`.

  Returns:
    The table, and the operations that it lacks, each with the operators that the file lacks for it.

  Raises:
    ValueError: A line is no operator, or no operation of the space can be priced; in one line.
    OSError: The file cannot be read.
  """
  known = _read(path)
  entries, missing = [], {}
  for signature in network_lib.op_signatures(space):
    operators = list(_operators(signature))
    times = [next((known[form] for form in forms if form in known), math.nan) for forms in operators]
    if lacking := [_describe(forms[0]) for forms, us in zip(operators, times) if math.isnan(us)]:
      missing[signature] = lacking
    else:
      entries.append(table_lib.Entry(signature, table_lib.LatencyStats(provenance, median_ms=math.fsum(times) / 1000)))
  with official_yaml.located(path):
    if not entries:
      signature, lacking = next(iter(missing.items()))
      raise ValueError(f'prices none of the {len(missing)} operations of {space.name!r}; of {signature} it lacks {lacking[0]}')
    offset = table_lib.Calibration(offset_ms=math.fsum(known.get(operator, 0.0) for operator in _around(space)) / 1000)
    return table_lib.LatencyTable(name, runtime, tuple(entries), source, calibration=offset), missing


def _read(path: files.PathLike) -> dict[Operator, float]:
  """Operators and their mean in microseconds."""
  found: dict[Operator, list[float]] = {}
  devices = set()
  with open(path, encoding='utf-8-sig', errors='replace') as file:
    for number in itertools.count(1):
      line = file.readline(_MAX_LINE)
      if not line:
        break
      if line.strip():
        with official_yaml.located(f'{path}:{number}'):
          operator, value, device = _parse(line)
        if operator is not None:
          found.setdefault(operator, []).append(value)
        devices.add(device)
  if len(devices) > 1:
    raise ValueError(f'{path}: of several devices, {", ".join(map(files.shorten, sorted(devices)[:5]))}; keep the lines of one')
  return {operator: statistics.fmean(values) for operator, values in found.items()}


def _parse(line: str) -> tuple[Operator | None, float, str]:
  """A line's operator, its microseconds, and the device; None for one with dilations or two strides, which no space has.

  Raises:
    ValueError: It is no operator.
  """
  try:
    body: Any = json.loads(line)
    shapes = tuple(tuple(int(size) for size in shape) for shape in body['input_shapes'])
    arguments = dict(_argument(text) for text in body['op_args'])
    kind, value, device = str(body['op_type']), float(body['runtime_us_p50']), str(body.get('device', ''))
  except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
    raise ValueError(f'not an operator with op_type, op_args, input_shapes and runtime_us_p50: {files.shorten(line)}') from error
  if not 0 < value < math.inf:
    raise ValueError(f'runtime_us_p50 must be a positive number, got {files.shorten(body["runtime_us_p50"])}')
  strides = {number for name in ('stride', 'strides', 'stride_h', 'stride_w') for number in arguments.get(name, ())} or {1}
  odd = len(strides) > 1 or any(number > 1 for name in ('dilation', 'dilations') for number in arguments.get(name, ()))
  return None if odd else (kind, shapes, min(strides)), value, device


def _argument(text: Any) -> tuple[str, tuple[int, ...]]:
  """Name and integers of an argument; none where it holds other things, such as scales."""
  match = _ARGUMENT.fullmatch(text)
  return (match[1], tuple(map(int, re.findall(r'\d+', match[2])))) if match else (text, ())


def _describe(operator: Operator) -> str:
  kind, shapes, stride = operator
  return kind + (f' with input {[list(shape) for shape in shapes]}' if shapes else '') + (f' and stride {stride}' if stride > 1 else '')


def _operators(signature: network_lib.OpSignature) -> Iterator[list[Operator]]:
  """The operators of an operation, each in the forms that a file may have it in, the best first.

  A layer that is no single operator of Caffe2 in int8 is one that no file has, named by its class.
  """
  yield from [[_addition(signature.input_shape)]] * (signature.terms - 1)
  layers = list(_fold(signature.layers))
  for above, traced, below in zip([None, *layers], layers, [*layers[1:], None]):
    match traced.layer:
      case layers_lib.Conv() | layers_lib.DepthwiseConv() | layers_lib.Dense():
        yield _product(traced, relu=below is not None and _is_relu(below.layer))
      case layers_lib.Activation() if _is_relu(traced.layer) and above is not None and isinstance(above.layer, _PRODUCTS):
        pass
      case layers_lib.GlobalPool():
        yield [('Int8AveragePool', (_batch(traced.input_shape),), stride) for stride in (1, traced.input_shape[0])]
      case layers_lib.ChannelShuffle():
        yield [('Int8ChannelShuffle', (_batch(traced.input_shape),), 1)]
      case _:
        yield [(f'{type(traced.layer).__name__} as an operator', (), 1)]
  if signature.residual:
    yield [_addition(layers[-1].output_shape)]


def _fold(layers: Sequence[layers_lib.TracedLayer]) -> Iterator[layers_lib.TracedLayer]:
  """The layers that are left when batch normalisations are part of the convolutions before them."""
  for above, traced in zip([None, *layers], layers):
    folded = isinstance(traced.layer, layers_lib.BatchNorm) and above is not None and isinstance(above.layer, _PRODUCTS)
    if not folded and not isinstance(traced.layer, layers_lib.Dropout):
      yield traced


def _is_relu(layer: layers_lib.Layer) -> bool:
  return isinstance(layer, layers_lib.Activation) and layer.kind in ('relu', 'relu6')


def _product(traced: layers_lib.TracedLayer, relu: bool) -> list[Operator]:
  """A convolution, or a dense layer on pooled maps, whose input has two dimensions or four."""
  layer, inputs, outputs = traced.layer, traced.input_shape[2], traced.output_shape[2]
  if isinstance(layer, layers_lib.Dense):
    kind = 'Int8FCRelu' if relu else 'Int8FC'
    return [(kind, (shape, (outputs, inputs), (outputs,)), 1) for shape in ((1, inputs), _batch(traced.input_shape))]
  assert isinstance(layer, layers_lib.Conv | layers_lib.DepthwiseConv)
  kernel = (outputs, layer.kernel_size, layer.kernel_size, inputs // layer.groups if isinstance(layer, layers_lib.Conv) else 1)
  kinds = ('Int8ConvRelu',) if relu else ('Int8Conv', 'Int8ConvRelu')
  return [(kind, (_batch(traced.input_shape), kernel, (outputs,)), layer.strides) for kind in kinds]


def _addition(shape: layers_lib.Shape) -> Operator:
  return 'Int8Add', (_batch(shape), _batch(shape)), 1


def _batch(shape: layers_lib.Shape) -> tuple[int, ...]:
  return (1, *shape)


def _around(space: network_lib.Network) -> Iterator[Operator]:
  """What stands before the first and after the last operation of a network."""
  height, width, channels = space.input_shape
  yield 'NCHW2NHWC', ((1, channels, height, width),), 1
  yield 'Int8Quantize', (_batch(space.input_shape),), 1
  yield 'Int8Dequantize', ((1, space.classes),), 1
