r"""Makes a Keras model of weights from the official PyTorch code.

  tf-proxyless import-torch-weights --weights=proxyless_mobile.pth --architecture=proxyless_mobile --output=proxyless_mobile.keras

Reads both forms of .pth and checkpoints around the state dict, and runs nothing that a file may hold. The network gets the official
strided padding, k // 2 on all sides. Beside the model comes its description, OUTPUT.json (architecture.json beside model.keras), which
says that images are to be normalised. Needs PyTorch: pip install 'tf_proxyless[torch]'.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import io as io_lib
import pathlib
import pickle
import pickletools
import struct
import tempfile
from typing import Any, BinaryIO
import warnings
import zipfile

import numpy as np

from tf_proxyless.app import options
from tf_proxyless.cost import counting
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.infra import versions
from tf_proxyless.nn import torch_weights
from tf_proxyless.space import io
from tf_proxyless.space import published
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  weights: str | None = options.option(None, 'The .pth file.', required=True)
  architecture: str | None = options.option(None, 'Name of a published network, or an architecture.json of the same form.', required=True)
  classes: int | None = options.option(None, 'Outputs of a published network, by default 1000.', low=1)
  resolution: int | None = options.option(None, 'Input height and width of a published network, pixels, by default 224.', low=1)
  input_normalization: str = options.option(
      'imagenet', 'What the weights expect of pixels in [0, 1]: minus mean, over standard deviation, or nothing.',
      choices=('imagenet', 'none'))
  output: str | None = options.option(None, 'The model, a .keras file.', required=True)


# What torch.load raised for thousands of truncated and altered files.
_UNREADABLE = (RuntimeError, ValueError, LookupError, EOFError, TypeError, AttributeError, AssertionError, ArithmeticError, MemoryError,
               OSError, struct.error, pickle.UnpicklingError, zipfile.BadZipFile)
_PICKLES = 5  # before PyTorch 1.6: a number, the version, the machine, the content, the names of the storages
_LONGEST = 1000  # characters of a word in a pickle
_SPARE_BYTES = 2**28  # of address space, for what reading needs beside the file's own size


def _check(config: Config) -> tuple[pathlib.Path, io.Architecture, pathlib.Path]:
  config.require()
  weights, output = pathlib.Path(config.weights), pathlib.Path(config.output)
  if not weights.is_file():
    raise ValueError(f'`weights`: there is no file {str(weights)!r}')
  if output.suffix != '.keras':
    raise ValueError(f'`output` must end in .keras, got {str(output)!r}')
  if not output.parent.is_dir():
    raise ValueError(f'`output`: there is no folder {str(output.parent)!r}')
  architecture = _find_architecture(config)
  torch_weights.entries(architecture.network)  # refuses networks of another form
  return weights, architecture, output


def _find_architecture(config: Config) -> io.Architecture:
  """The architecture with the official padding and normalisation; what was known of its latency held for another padding."""
  if config.architecture in published.NAMES:
    space, genotype = published.published(
        config.architecture, resolution=config.resolution, classes=config.classes, padding=torch_weights.PADDING)
    network = schema.resolve(space, genotype)
  else:
    if (config.classes, config.resolution) != (None, None):
      raise ValueError('`classes` and `resolution` are for published networks; an architecture file has its own')
    found = io.find_architecture(config.architecture)
    network, genotype = dataclasses.replace(found.network, padding=torch_weights.PADDING), found.genotype
  count = counting.count_network(network)
  normalization = torch_weights.NORMALIZATION if config.input_normalization == 'imagenet' else None
  return io.Architecture(network, genotype, io.Cost(count.macs, count.parameters), input_normalization=normalization)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The state dict of a file, as float32 arrays where it holds numbers of another precision.

  Raises:
    ValueError: PyTorch is not installed, or the file is not one of its files, or holds no state dict.
  """
  try:
    import torch
  except ModuleNotFoundError as error:
    raise ValueError(f"reading .pth files needs PyTorch ({error}): pip install 'tf_proxyless[torch]'") from error
  state = torch_weights.find_state_dict(_load(torch, path))
  others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
  if others:
    raise ValueError(f'{path}: {others[0]!r} is no tensor')
  if sum(tensor.numel() for tensor in state.values()) > path.stat().st_size:  # views of a few numbers, which would fill the memory
    raise ValueError(f'{path}: claims more numbers than it has bytes')
  return {name: _array(name, tensor) for name, tensor in state.items()}


def _array(name: str, tensor: Any) -> np.ndarray:
  try:
    return tensor.detach().float().numpy()
  except (TypeError, RuntimeError) as error:  # sparse, quantised or without content
    raise ValueError(f'{name} holds no plain numbers: {tensor.dtype}, {tensor.layout}') from error


def _load(torch: Any, path: pathlib.Path) -> Any:
  content = path.read_bytes()  # an OSError here is no word against it
  try:
    for pickled in _pickles(content):
      _check_instructions(pickled)
    with warnings.catch_warnings(), _bounded_memory(_SPARE_BYTES + 4 * len(content)):
      warnings.simplefilter('ignore')  # what they say of damaged files
      return torch.load(io_lib.BytesIO(content), map_location='cpu', weights_only=True)  # from a file it would also unpack tar archives
  except _UNREADABLE as error:
    if isinstance(error, MemoryError) or 'DefaultCPUAllocator' in str(error):
      reason = 'it claims more numbers than it has bytes'
    else:
      reason = ' '.join(str(error).split('. ')[0].split())[:300] or 'it ends too early'
    raise ValueError(f'{path}: corrupt, or not a file of PyTorch weights ({type(error).__name__}: {reason})') from error


@contextlib.contextmanager
def _bounded_memory(more: int) -> Iterator[None]:
  """Lets this process take no more than so many bytes beside what it has; a file may claim any size. Without effect outside Linux."""
  try:
    import resource
    size = int(pathlib.Path('/proc/self/statm').read_text(encoding='ascii').split()[0]) * resource.getpagesize()
  except (ImportError, OSError):
    yield
    return
  before = soft, hard = resource.getrlimit(resource.RLIMIT_AS)
  unlimited = soft == resource.RLIM_INFINITY
  resource.setrlimit(resource.RLIMIT_AS, (size + more if unlimited else min(soft, size + more), hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_AS, before)


def _pickles(content: bytes) -> list[BinaryIO]:
  """Files that stand at the pickles of a weight file.

  Checksums are compared, which PyTorch does not, and sizes: it compresses nothing, so that a small file cannot fill the memory.
  """
  if not zipfile.is_zipfile(io_lib.BytesIO(content)):
    return [io_lib.BytesIO(content)] * _PICKLES
  with zipfile.ZipFile(io_lib.BytesIO(content)) as archived:
    if any(info.compress_type != zipfile.ZIP_STORED for info in archived.infolist()):
      raise zipfile.BadZipFile('compressed, which PyTorch never does')
    if (damaged := archived.testzip()) is not None:
      raise zipfile.BadZipFile(f'wrong checksum of {damaged}')
    return [io_lib.BytesIO(archived.read(name)) for name in archived.namelist() if name.endswith('.pkl')]


def _check_instructions(pickled: BinaryIO) -> None:
  """Refuses of the next pickle what lets PyTorch make much of little, or hang: it searches its message in a word's length squared."""
  for instruction, argument, _ in pickletools.genops(pickled):
    if instruction.name == 'GLOBAL' and argument in {'__builtin__ bytearray', 'builtins bytearray'}:
      raise pickle.UnpicklingError('a bytearray, which may be of any length')
    if isinstance(argument, (str, bytes)) and (longest := max(map(len, argument.split()), default=0)) > _LONGEST:
      raise pickle.UnpicklingError(f'a word of {longest} characters')


def main(config: Config) -> None:
  with errors.user_errors():
    weights, architecture, output = _check(config)
    state = _read(weights)
    torch_weights.check(architecture.network, state)
  stderr_lib.load_tensorflow()
  from tf_proxyless.nn import keras_network

  model = keras_network.build(architecture.network)
  with errors.user_errors():
    torch_weights.assign(model, architecture.network, state)
    description = output.with_name('architecture.json' if output.stem == 'model' else f'{output.stem}.json')
    io.save_architecture(dataclasses.replace(architecture, versions=versions.installed()), description)
    with tempfile.TemporaryDirectory() as folder:
      model.save(pathlib.Path(folder, 'model.keras'))
      files.write_atomically(output, pathlib.Path(folder, 'model.keras').read_bytes())
  print(f'network                {architecture.network.name}: {architecture.cost.parameters:,} parameters, '
        f'{architecture.cost.macs / 1e6:.2f} M MACs\nmodel                  {output}\ndescription            {description}')
  if architecture.input_normalization is not None:
    print('images                 (x / 255 - mean) / std, see input_normalization in the description')
