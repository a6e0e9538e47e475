"""Tables of FBNet's space in HW-NAS-Bench (Li et al., ICLR 2021, arXiv 2103.10584): Pixel 3, Raspberry Pi 4, Jetson TX2, Eyeriss, an FPGA.

Its file is a pickle, which may hold a program and is not read here. The authors' code writes one of its tables as JSON:

  json.dump(HWNASBenchAPI('HW-NAS-Bench-v1_0.pickle', search_space='fbnet').get_op_lookup_tables()['pixel3_latency'], file)

Keys are `ConvNorm_H224_W224_Cin3_Cout16_kernel3_stride2_group1`, `ConvBlock_..._exp6_kernel5_...`, `Skip_...`, `AvgP_...`, `FC_...`;
latencies are in ms, energies in mJ. Pooling and dense layer are one operation here, and identities none.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
import re
from typing import Any

from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.infra import files
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

_KEY = re.compile(r'(ConvNorm|ConvBlock|Skip|AvgP|FC)((?:_(?:H|W|Cin|Cout|exp|kernel|stride|group)\d{1,6})+)')
_NUMBERS = {'ConvNorm': ('H', 'W', 'Cin', 'Cout', 'kernel', 'stride', 'group'),
            'ConvBlock': ('H', 'W', 'Cin', 'Cout', 'exp', 'kernel', 'stride', 'group'),
            'Skip': ('H', 'W', 'Cin', 'Cout', 'stride'), 'AvgP': ('H', 'W', 'Cin', 'Cout', 'kernel', 'stride'), 'FC': ('Cin', 'Cout')}
_MOST_ERRORS = 5  # that are named


def is_one(path: files.PathLike) -> bool:
  """Whether a file has such keys.

  Raises:
    OSError: It cannot be read.
  """
  return b'"ConvBlock_H' in files.read_bytes(path, files.MAX_JSON_BYTES)


def load(path: files.PathLike, name: str, runtime: table_lib.Runtime, provenance: str = 'published',
         source: str = '') -> table_lib.LatencyTable:
  """Reads a table; arguments are those of `official_yaml.load`.

  Raises:
    ValueError: The file is not such a table; one line that names the keys that are wrong, up to a few.
    OSError: The file cannot be read.
  """
  body = files.read_object(path)
  pools: dict[tuple[int, int, int], float] = {}
  dense: dict[tuple[int, int], float] = {}
  values: dict[network_lib.OpSignature, float] = {}
  errors = []
  for key, value in body.items():
    try:
      if isinstance(value, Mapping):
        raise ValueError('is a table of many; the file must hold one alone')
      kind, numbers = _parse(key)
      value = _number(value)
      if kind == 'AvgP':
        pools[numbers['H'], numbers['W'], numbers['Cin']] = value
      elif kind == 'FC':
        dense[numbers['Cin'], numbers['Cout']] = value
      elif (signature := _signature(kind, numbers)) is not None:
        values[signature] = value
    except ValueError as error:
      errors.append(f'{files.shorten(key, 80)}: {error}')
  values |= {network_lib.OpSignature(ops.Classifier(units), shape): pool + value for shape, pool in pools.items()
             for (inputs, units), value in dense.items() if inputs == shape[2]}
  if errors:
    more = f'; and {len(errors) - _MOST_ERRORS} more' if len(errors) > _MOST_ERRORS else ''
    raise ValueError(f'{path}: {"; ".join(errors[:_MOST_ERRORS])}{more}')
  entries = [table_lib.Entry(signature, table_lib.LatencyStats(provenance, mean_ms=value)) for signature, value in values.items()]
  with official_yaml.located(path):
    return table_lib.LatencyTable(name, runtime, tuple(entries), source)


def _parse(key: str) -> tuple[str, dict[str, int]]:
  match = _KEY.fullmatch(key)
  if match:
    numbers = {name: int(number) for name, number in re.findall(r'_([A-Za-z]+)(\d+)', match[2])}
    if tuple(numbers) == _NUMBERS[match[1]]:
      return match[1], numbers
  raise ValueError('not a key of an operation of FBNet')


def _number(value: Any) -> float:
  if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
    raise ValueError(f'must be a number, at least 0, got {files.shorten(value)}')
  return float(value)


def _signature(kind: str, numbers: Mapping[str, int]) -> network_lib.OpSignature | None:
  """The operation of a key; None for an identity."""
  shape, filters, strides = (numbers['H'], numbers['W'], numbers['Cin']), numbers['Cout'], numbers['stride']
  same = strides == 1 and filters == numbers['Cin']
  if kind == 'Skip':
    return None if same else network_lib.OpSignature(ops.ConvBn(filters, 1, strides, 'relu'), shape)
  if kind == 'ConvNorm':
    if numbers['group'] != 1:
      raise ValueError('FBNet has no such convolution in groups')
    return network_lib.OpSignature(ops.ConvBn(filters, numbers['kernel'], strides, 'relu'), shape)
  op = ops.MBConv(filters, numbers['kernel'], strides, numbers['exp'], 'relu', groups=numbers['group'], always_expand=numbers['exp'] == 1)
  return network_lib.OpSignature(op, shape, same)
