"""The linear model by which TuNAS (Bender et al., CVPR 2020, arXiv 2008.06120) simulates a Pixel 1, as a latency table.

The milliseconds of a network of 'proxylessnas_search' are a bias and a coefficient for each operation chosen. Its authors' code has them in
`cost_model_data.py` (Apache-2.0), base64 of float32; decoded, {"bias_ms": ..., "layers": {NAME: [...]}}, they are read as well.
Differences within a block are all that coefficients tell: an operation that may be left out has its difference from that, equal operations
their mean, and what is in every network is shared out by multiply-adds. Sums are the model's but for these means.
"""

from __future__ import annotations

import ast
import base64
import binascii
from collections.abc import Sequence
import math
from typing import Any

import numpy as np

from tf_proxyless.cost import counting
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import tunas

_LARGEST = 4 * 2**20  # bytes of a file
_KERNEL, _BIAS, _TYPE = 'KERNEL_DATA', 'BIAS_DATA', 'SERIALIZATION_DTYPE'


def is_json(path: files.PathLike) -> bool:
  """Whether a file is a decoded model.

  Raises:
    OSError: It cannot be read.
  """
  return b'"bias_ms"' in files.read_bytes(path, _LARGEST)


def load(path: files.PathLike, name: str, runtime: table_lib.Runtime, provenance: str = 'published',
         source: str = '') -> table_lib.LatencyTable:
  """Reads the model as a table of `tunas.tunas('proxylessnas_search')` at 224 pixels, 1000 classes.

  Args:
    path: `cost_model_data.py`, which is not run, or a JSON file.
    name: Name of the table.
    runtime: What it stands for.
    provenance: 'measured', 'published' or 'estimated'.
    source: Where the numbers come from, in words.

  Raises:
    ValueError: The file is not such a model; one line that names it.
    OSError: The file cannot be read.
  """
  text = files.read_text(path, _LARGEST)
  try:
    bias, coefficients = _of_json(text) if text.lstrip().startswith('{') else _of_python(text)
    return table_lib.LatencyTable(name, runtime, tuple(_entries(bias, coefficients, provenance)), source)
  except (ValueError, SyntaxError) as error:
    raise ValueError(f'{path}: {files.one_line(str(error))}') from error
  except (RecursionError, MemoryError) as error:  # of the parser of Python
    raise ValueError(f'{path}: nested too deeply') from error


def _of_json(text: str) -> tuple[float, list[float]]:
  body = files.parse_json(text.encode())
  rows = body.get('layers')
  if not isinstance(rows, dict) or not all(isinstance(row, list) for row in rows.values()):
    raise ValueError('a linear model has "bias_ms" and "layers", lists of coefficients by name')
  return _numbers([body.get('bias_ms')])[0], _numbers([value for row in rows.values() for value in row])


def _numbers(values: Sequence[Any]) -> list[float]:
  wrong = [value for value in values if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)]
  if wrong:
    raise ValueError(f'bias and coefficients must be finite numbers, got {files.shorten(wrong[0])}')
  return [float(value) for value in values]


def _of_python(text: str) -> tuple[float, list[float]]:
  assigned = {target.id: statement.value for statement in ast.parse(text).body if isinstance(statement, ast.Assign)
              for target in statement.targets if isinstance(target, ast.Name)}
  found = []
  for kind in (_KERNEL, _BIAS):
    node = assigned.get(kind)
    rows = dict(zip(node.keys, node.values)) if isinstance(node, ast.Dict) else {}
    value = next((value for key, value in rows.items() if isinstance(key, ast.Constant) and key.value == tunas.PROXYLESSNAS), None)
    value = assigned.get(value.id) if isinstance(value, ast.Name) else value
    if not isinstance(value, ast.Constant) or not isinstance(value.value, bytes):
      raise ValueError(f'{kind}[{tunas.PROXYLESSNAS!r}] is not there, or no bytes')
    try:
      found.append(np.frombuffer(base64.b64decode(value.value), _type(assigned.get(_TYPE))))
    except binascii.Error as error:
      raise ValueError(f'{kind}[{tunas.PROXYLESSNAS!r}]: {error}') from error
  coefficients, bias = (_numbers(values.tolist()) for values in found)
  if len(bias) != 1:
    raise ValueError(f'{_BIAS} must hold one number, got {len(bias)}')
  return bias[0], coefficients


def _type(node: ast.expr | None) -> str:
  value = node.value if isinstance(node, ast.Constant) else None
  if value not in ('>f4', '<f4'):
    raise ValueError(f"{_TYPE} must be '>f4' or '<f4', got {value!r}")
  return value


def _entries(bias: float, coefficients: Sequence[float], provenance: str) -> list[table_lib.Entry]:
  space = tunas.tunas(tunas.PROXYLESSNAS)
  rows = []  # for each block the operations to choose from, None for leaving it out, in the model's order
  for place in network_lib.places(space):
    found = (network_lib.op_signature(variant.op, variant.input_shape, place.block.residual) for variant in place.variants.values())
    rows.append(list(dict.fromkeys(found)))
  expected = sum(len(row) for row in rows if len(row) > 1)
  if len(coefficients) != expected:
    raise ValueError(f'the model of {tunas.PROXYLESSNAS!r} has {expected} coefficients, got {len(coefficients)}')
  remaining = iter(coefficients)
  everywhere = bias  # ms of what is in every network, of which each block that must be there has a share
  above: list[tuple[int, dict[network_lib.OpSignature, float]]] = []  # its multiply-adds, and what operations take more
  for row in rows:
    values = dict(zip(row, [next(remaining) for _ in row] if len(row) > 1 else [0.0]))
    least = None if None in values else min(values, key=values.__getitem__)
    base = values[least]
    everywhere += base
    above.append((counting.macs(least), {signature: value - base for signature, value in values.items() if signature is not None}))
  if everywhere <= 0:
    raise ValueError(f'the least network of the model takes {everywhere:g} ms')
  share = everywhere / sum(macs for macs, _ in above)
  times: dict[network_lib.OpSignature, list[float]] = {}
  for macs, more in above:
    for signature, value in more.items():
      times.setdefault(signature, []).append(share * macs + value)
  return [table_lib.Entry(signature, table_lib.LatencyStats(provenance, mean_ms=math.fsum(found) / len(found)))
          for signature, found in times.items()]
