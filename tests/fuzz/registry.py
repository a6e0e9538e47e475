"""Every module that reads what nobody vouches for: by which parser it is fuzzed, or why by none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import pathlib

from tests.fuzz import binary_parsers
from tests.fuzz import device_parsers
from tests.fuzz import json_parsers
from tests.fuzz import report_parsers
from tests.fuzz import run_parsers
from tests.fuzz import text_parsers
from tests.fuzz import torch_parsers

ROOT = pathlib.Path(__file__).parents[2]

PARSERS = (*json_parsers.PARSERS, *run_parsers.PARSERS, *text_parsers.PARSERS, *device_parsers.PARSERS, *report_parsers.PARSERS,
           *binary_parsers.PARSERS)
TENSORFLOW_PARSERS = (*text_parsers.TENSORFLOW_PARSERS, *binary_parsers.TENSORFLOW_PARSERS)
TORCH_PARSERS = torch_parsers.TORCH_PARSERS

_OURS = 'reads only what ships with the package'
_CHILD = 'reads what a process prints that it has started itself, a main of this project'
_KERNEL = 'reads what the kernel of this machine shows'
_AS_BYTES = 'reads bytes that are copied or hashed, not parsed'

# Modules that read something else, or leave the reading to others.
REASONS = {
    'tf_proxyless.app.build_search': _AS_BYTES,
    'tf_proxyless.infra.checkpoints': 'compares checksums; what they belong to is read by TensorFlow, and only if they are right',
    'tf_proxyless.cost.pixel2': _OURS,
    'tf_proxyless.report.figures.figures.animation': _AS_BYTES,
    'tf_proxyless.report.page.page': _OURS,
    'tf_proxyless.app.tables': _KERNEL,
    'tf_proxyless.data.crops': "images are decoded by TensorFlow's own decoders, inside the input pipeline; what they refuse ends the run",
    'tf_proxyless.data.tfds_records': 'prepared datasets are read by tensorflow-datasets, which is trusted with its own folder',
    'tf_proxyless.deploy.evaluation': 'the interpreter of LiteRT reads the model, which has been inspected or just been made',
    'tf_proxyless.deploy.litert_benchmark.benchmark': 'the interpreter of LiteRT reads the model, in a process of its own that may crash',
    'tf_proxyless.deploy.litert_benchmark.__main__': 'reads a list of paths that android_benchmark has just written',
    'tf_proxyless.deploy.ovic': 'reads the weights of a model that has just been made',
    'tools.benchmark_search_step': _CHILD,
    'tools.measure': _AS_BYTES,
    'android_benchmark.hashing': _AS_BYTES,
    'android_benchmark.host': _KERNEL,
    'android_benchmark.processes': _KERNEL,
    'android_benchmark.staging': _AS_BYTES,
}

# Calls that get content from somewhere else, by the last part of their name.
_READING = {'read_text', 'read_bytes', 'read_json', 'parse_json', 'parse_object', 'loads', 'frombuffer', 'fromfile', 'memmap', 'load_model',
            'ZipFile', 'TarFile', 'is_zipfile', 'InitFromPackedBuf', 'Interpreter', 'genfromtxt', 'loadtxt', 'decode_image'}
_READING_OF = {'np.load', 'torch.load', 'json.load', 'tfds.builder', 'records.decode'}


def _called(path: pathlib.Path) -> Iterator[tuple[str, ast.Call]]:
  """Every call of a module, by the last two parts of its name."""
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
      yield node.func.id, node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      owner = node.func.value
      yield f'{owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")}.{node.func.attr}', node


def names_called(path: pathlib.Path) -> set[str]:
  """The last two parts of the names of all calls of a module."""
  return {name for name, _ in _called(path)}


def calls(path: pathlib.Path) -> set[str]:
  """The calls of a module that get content from somewhere else."""
  return {name for name, node in _called(path)
          if name.rpartition('.')[2] in _READING or name in _READING_OF or name == 'open' and _reads(node)}


def _reads(node: ast.Call) -> bool:
  """Whether a call of open() is for reading."""
  mode = node.args[1] if len(node.args) > 1 else next((word.value for word in node.keywords if word.arg == 'mode'), None)
  return not isinstance(mode, ast.Constant) or 'r' in mode.value or '+' in mode.value


def modules() -> dict[str, pathlib.Path]:
  """Every module of ours by dotted name."""
  paths = [path for folder in ('tf_proxyless', 'tools', 'android_benchmark') for path in sorted((ROOT / folder).rglob('*.py'))]
  return {'.'.join(path.relative_to(ROOT).with_suffix('').parts): path for path in paths}
