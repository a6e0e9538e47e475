"""Latency tables in the YAML form of the official ProxylessNAS code (Cai et al., ICLR 2019).

An entry is a key and up to three numbers, in ms:

  expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:3-stride:1-idskip:1:
    count: 157
    mean: 6.273
    var: 0.05

The form says nothing of the runtime, of padding or of a calibration: a reader states the runtime, and paddings are taken to be 'same'.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
import contextlib
import math
import re
from typing import TypeVar

from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

MAX_BYTES = 16 * 2**20

_SHAPE = r'(\d+)x(\d+)x(\d+)'
_CONVOLUTION = re.compile(rf'(Conv|Conv_1)-input:{_SHAPE}-output:{_SHAPE}')
_CLASSIFIER = re.compile(rf'Logits-input:{_SHAPE}-output:(\d+)')
_MBCONV = re.compile(rf'expanded_conv-input:{_SHAPE}-output:{_SHAPE}-expand:(\d+)-kernel:(\d+)-stride:(\d+)-idskip:([01])')

NUMBERS = ('count', 'mean', 'var')
_NUMBER = re.compile(r'\d+(\.\d*)?([eE][+-]?\d+)?')
_MOST_ERRORS = 5  # that are named

Key = TypeVar('Key', bound=Hashable)


def key(signature: network_lib.OpSignature) -> str:
  """The official key of an operation.

  Raises:
    ValueError: The form has no key for it.
  """
  height, width, channels = signature.input_shape
  place, op = f'input:{height}x{width}x{channels}', signature.op
  output = f'output:{"x".join(map(str, signature.output_shape))}'
  match op:
    case ops.Classifier():
      text = f'Logits-{place}-output:{op.units}'
    case ops.ConvBn():
      text = f'{"Conv_1" if op.kernel_size == 1 else "Conv"}-{place}-{output}'
    case ops.MBConv():
      text = (f'expanded_conv-{place}-{output}-expand:{op.expand_ratio}-kernel:{op.kernel_size}'
              f'-stride:{op.strides}-idskip:{int(signature.residual)}')
    case _:
      raise ValueError(f'the official YAML form has no key for {signature}')
  if parse_key(text) != signature:
    raise ValueError(f'the official YAML form has no key for {signature}')
  return text


def parse_key(text: str) -> network_lib.OpSignature:
  """The operation of an official key.

  `Conv` is the 3x3 stem and `Conv_1` the 1x1 convolution before pooling; their strides follow from the shapes.

  Raises:
    ValueError: It is not such a key, or its numbers do not fit each other.
  """
  if match := _CLASSIFIER.fullmatch(text):
    height, width, channels, units = map(int, match.groups())
    return network_lib.OpSignature(ops.Classifier(units), (height, width, channels))
  if match := _CONVOLUTION.fullmatch(text):
    height, width, channels, *output = map(int, match.groups()[1:])
    kernel_size = 3 if match[1] == 'Conv' else 1
    op: ops.Op = ops.ConvBn(output[2], kernel_size, _strides(height, output[0]))
    signature = network_lib.OpSignature(op, (height, width, channels))
  elif match := _MBCONV.fullmatch(text):
    height, width, channels, *output, expand_ratio, kernel_size, strides, residual = map(int, match.groups())
    op = ops.MBConv(output[2], kernel_size, strides, expand_ratio)
    signature = network_lib.OpSignature(op, (height, width, channels), bool(residual))
  else:
    raise ValueError(f'not a key of an operation: {files.shorten(text, 120)}')
  if output[:2] != list(signature.output_shape[:2]):
    raise ValueError(f'input, stride and output do not fit each other: {text}')
  return signature


def _strides(size: int, output: int) -> int:
  return -(-size // output) if output else 0


def load(path: files.PathLike, name: str, runtime: table_lib.Runtime, provenance: str = 'published',
         source: str = '') -> table_lib.LatencyTable:
  """Reads a table.

  Args:
    path: The file.
    name: Name of the table.
    runtime: What it was measured on, which the file does not say.
    provenance: 'measured', 'published' or 'estimated'.
    source: Where the numbers come from, in words.

  Returns:
    A table with `mean` as mean_ms, `count` as runs, and the square root of `var` as std_ms.

  Raises:
    ValueError: The file is not such a table; one line that names the file and the line in it.
    OSError: The file cannot be read.
  """
  entries = []
  for signature, (number, numbers) in read(path, parse_key, NUMBERS).items():
    with located(f'{path}:{number}'):
      entries.append(table_lib.Entry(signature, _stats(numbers, provenance)))
  with located(path):
    return table_lib.LatencyTable(name, runtime, tuple(entries), source)


def save(table: table_lib.LatencyTable, path: files.PathLike) -> None:
  """Writes a table atomically.

  `mean` is the number that costs are made of, so the median where there is one. What the form cannot say stands in a comment.

  Raises:
    ValueError: The form has no key for an operation, or the table is in mJ.
  """
  table.check_unit('ms')
  runtime, calibration = table.runtime, table.calibration
  comment = (f'{table.name}: {runtime.device}, {runtime.precision}, kernels {runtime.kernels}; {table.provenance}; ms of a network = '
             f'{calibration.offset_ms:g} + {calibration.scale:g} * (sum of its entries)')
  lines = [f'# {" ".join(comment.split())}']
  for entry in table.entries:
    latency = entry.latency
    lines.append(f'{key(entry.signature)}:')
    lines += [] if latency.runs is None else [f'  count: {latency.runs}']
    lines.append(f'  mean: {_format(latency.latency_ms)}')
    lines += [] if latency.std_ms is None else [f'  var: {_format(latency.std_ms**2)}']
  files.write_atomically(path, '\n'.join(lines) + '\n')


@contextlib.contextmanager
def located(where: files.PathLike) -> Iterator[None]:
  """Puts the place before the message of a ValueError."""
  try:
    yield
  except ValueError as error:
    raise ValueError(f'{where}: {error}') from error


def read(path: files.PathLike, parse: Callable[[str], Key], names: tuple[str, ...]) -> dict[Key, tuple[int, dict[str, float]]]:
  """Reads keys and the numbers below them.

  Args:
    path: The file.
    parse: From a key to what it means; raises ValueError.
    names: The numbers that may stand below a key.

  Returns:
    By what a key means: the line of the key, and numbers by name, of which 'mean' is one.

  Raises:
    ValueError: The file has another form, with all lines that are wrong up to a few; or two keys mean the same.
    OSError: The file cannot be read.
  """
  text = files.read_text(path, MAX_BYTES)
  if not text.strip():
    raise ValueError(f'{path}: empty, or truncated')
  found: dict[Key, tuple[int, dict[str, float]]] = {}
  below: dict[str, float] = {}  # the numbers of the last key
  errors: list[tuple[int, str]] = []
  for number, line in enumerate(text.splitlines(), 1):
    try:
      if not line.strip() or line.lstrip().startswith('#'):
        continue
      name, colon, value = line.rpartition(':')
      if not colon:
        raise ValueError(f'neither a key nor a number: {files.shorten(line)}')
      if line.startswith(' '):
        _read_number(name.strip(), value.strip(), below if found or errors else None, names)
        continue
      below = {}
      key = parse(name if not value.strip() else line)
      if key in found:
        raise ValueError(f'a second entry for {key}, after that of line {found[key][0]}')
      found[key] = number, below
    except ValueError as error:
      errors.append((number, str(error)))
  if not errors:
    errors = [(number, 'the entry has no mean; truncated?') for number, numbers in found.values() if 'mean' not in numbers]
    if found and not errors and not text.endswith('\n'):
      errors = _cut(text, list(found.values()))
  if errors:
    more = f'; and {len(errors) - _MOST_ERRORS} more' if len(errors) > _MOST_ERRORS else ''
    rest = ''.join(f'; line {number}: {message}' for number, message in errors[1:_MOST_ERRORS])
    raise ValueError(f'{path}:{errors[0][0]}: {errors[0][1]}{rest}{more}')
  return found


def _cut(text: str, entries: list[tuple[int, dict[str, float]]]) -> list[tuple[int, str]]:
  """What looks as if a file whose last line does not end were cut: an entry that lacks numbers, or a number shorter than all others.

  An editor may have left out the last line break; a file that was cut elsewhere is not a table, or has an entry without a mean.
  """
  number, last = entries[-1]
  if any(numbers.keys() - last for _, numbers in entries[:-1]):
    return [(number, 'the last line does not end and its entry lacks numbers; truncated?')]
  name, _, value = text.rsplit('\n', 1)[-1].partition(':')
  others = re.findall(rf'^ +{re.escape(name.strip())}: *(\S+)', text.rsplit('\n', 1)[0], re.MULTILINE)
  if others and len(value.strip()) < min(map(len, others)):
    return [(number, f'the last line does not end and its number is the shortest of all; truncated? If not, end it: {value.strip()}')]
  return []


def _read_number(name: str, text: str, below: dict[str, float] | None, names: tuple[str, ...]) -> None:
  if below is None or name not in names or name in below:
    raise ValueError(f'expected a key, or one each of {", ".join(names)} below a key, got {files.shorten(f"{name}: {text}")}')
  if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
    raise ValueError(f'{name} must be a finite number, at least 0, got {files.shorten(text)}')
  if name == 'count' and not float(text).is_integer():
    raise ValueError(f'count must be a whole number, got {text}')
  below[name] = float(text)


def _stats(numbers: dict[str, float], provenance: str) -> table_lib.LatencyStats:
  std_ms = math.sqrt(numbers['var']) if 'var' in numbers else None
  runs = int(numbers['count']) if 'count' in numbers else None
  return table_lib.LatencyStats(provenance, mean_ms=numbers['mean'], std_ms=std_ms, runs=runs)


def _format(value: float) -> str:
  """A number that YAML 1.1 reads as one: it needs the point that Python leaves out of 1e-05."""
  text = repr(float(value))
  return text if '.' in text else text.replace('e', '.0e')
