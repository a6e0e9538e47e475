"""Latency tables of Once-for-All's MobileNetV3 networks (Cai et al., ICLR 2020, arXiv 1908.09791), in YAML.

As `official_yaml`, with other keys: blocks have their width inside, squeeze-excite and h-swish (`expand:96-...-se:1-hs:0`), and what
follows `Conv_1` is three entries, `AvgPool2D`, `Conv_2` and `Logits`, which are one operation here; and with `std` instead of `var`.
"""

from __future__ import annotations

import itertools
import math
import re

from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.infra import files
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import official
from tf_proxyless.space import ops

_NUMBERS = ('count', 'mean', 'std')
_MBCONV = re.compile(r'(expanded_conv-input:\d+x\d+x(\d+)-output:\S+-)expand:(\d+)(-kernel:\d+-stride:\d+-idskip:[01])-se:([01])-hs:([01])')
_PART = re.compile(r'(AvgPool2D|Conv_2|Logits)-input:(\d+)x(\d+)x(\d+)-output:(?:1x1x)?(\d+)')

_Part = tuple[str, int, int, int, int]  # 'AvgPool2D', 'Conv_2' or 'Logits'; height, width, channels in and out


def is_one(path: files.PathLike) -> bool:
  """Whether a file has such keys.

  Raises:
    ValueError: It is no text.
    OSError: It cannot be read.
  """
  return '-hs:' in files.read_text(path, official_yaml.MAX_BYTES)


def parse_key(text: str) -> network_lib.OpSignature | _Part:
  """The operation of a key, or the part of the classifier that it is.

  Raises:
    ValueError: It is not such a key, or its numbers do not fit each other.
  """
  if match := _PART.fullmatch(text):
    height, width, channels, units = map(int, match.groups()[1:])
    return match[1], height, width, channels, units
  if match := _MBCONV.fullmatch(text):
    channels, inside = int(match[2]), int(match[3])
    signature = official_yaml.parse_key(f'{match[1]}expand:1{match[4]}')
    op = signature.op
    found = ops.MBConv(op.filters, op.kernel_size, op.strides, activation='hard_swish' if match[6] == '1' else 'relu',
                       se_ratio=official.SE_RATIO if match[5] == '1' else 0.0, **official.width_inside(channels, inside))
    return network_lib.OpSignature(found, signature.input_shape, signature.residual)
  signature = official_yaml.parse_key(text)
  if not isinstance(signature.op, ops.ConvBn):
    raise ValueError(f'not a key of an operation of Once-for-All: {files.shorten(text, 120)}')
  op = ops.ConvBn(signature.op.filters, signature.op.kernel_size, signature.op.strides, 'hard_swish')
  return network_lib.OpSignature(op, signature.input_shape)


def load(path: files.PathLike, name: str, runtime: table_lib.Runtime, provenance: str = 'published',
         source: str = '') -> table_lib.LatencyTable:
  """Reads a table; arguments and errors are those of `official_yaml.load`."""
  found = official_yaml.read(path, parse_key, _NUMBERS)
  parts: dict[str, list[_Part]] = {'AvgPool2D': [], 'Conv_2': [], 'Logits': []}
  entries = []
  for key, (number, numbers) in found.items():
    if isinstance(key, network_lib.OpSignature):
      with official_yaml.located(f'{path}:{number}'):
        entries.append(table_lib.Entry(key, _stats([numbers], provenance)))
    else:
      parts[key[0]].append(key)
  with official_yaml.located(path):
    alone = {key for keys in parts.values() for key in keys}
    for pool, mix, logits in itertools.product(*parts.values()):
      if (pool[4], mix[4]) == (mix[3], logits[3]):
        alone -= {pool, mix, logits}
        signature = network_lib.OpSignature(ops.Classifier(logits[4], hidden=mix[4]), pool[1:4])
        entries.append(table_lib.Entry(signature, _stats([found[part][1] for part in (pool, mix, logits)], provenance)))
    if alone:
      lines = sorted(found[key][0] for key in alone)
      raise ValueError('AvgPool2D, Conv_2 and Logits make one operation; without the others stand those of line '
                       f'{", ".join(map(str, lines[:5]))}')
    return table_lib.LatencyTable(name, runtime, tuple(entries), source)


def _stats(parts: list[dict[str, float]], provenance: str) -> table_lib.LatencyStats:
  """Of parts that run one after the other."""
  std_ms = math.hypot(*(part['std'] for part in parts)) if all('std' in part for part in parts) else None
  runs = int(min(part['count'] for part in parts)) if all('count' in part for part in parts) else None
  return table_lib.LatencyStats(provenance, mean_ms=math.fsum(part['mean'] for part in parts), std_ms=std_ms, runs=runs)
