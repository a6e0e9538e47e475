"""Exported files on the runtimes that they claim: what today's LiteRT computes, each operation to a step, and the same classes.

OLD_RUNTIMES names Pythons with tflite_runtime or tensorflow, `:` between them; `tests/deploy/old_runtimes.sh FOLDER 2.5 2.8 2.14` makes
them and prints the variable. CI has the one of 2.14. The int8 kernels of a network may differ by a step in every layer, and over many
layers that adds up; so each operation is run by itself too, on the inputs that it has today.
"""

import copy
import functools
import os
import pathlib
import subprocess
import tempfile

from ai_edge_litert import interpreter as litert
import numpy as np
import pytest

from tests.deploy import models
from tests.deploy import quantized as quantized_lib
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import metadata
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema as schema_lib

Block = network_lib.Block
_RUNNER = pathlib.Path(__file__).with_name('old_runtime.py')


@functools.cache
def old_runtimes():
  """Pythons that OLD_RUNTIMES names, with the versions of their runtimes."""
  names = [path for path in os.environ.get('OLD_RUNTIMES', '').split(os.pathsep) if path]
  if not names:
    message = 'OLD_RUNTIMES is not set; see tests/deploy/old_runtimes.sh'
    pytest.fail(message) if os.environ.get('CI') else pytest.skip(message)
  with tempfile.TemporaryDirectory() as folder:
    versions = [_run(name, pathlib.Path(folder), [], [])[1] for name in names]
  return [(name, tuple(map(int, version.split('.')[:2]))) for name, version in zip(names, versions)]


def _mobile(size=32):
  """Squeeze-excite and h-swish, as MobileNetV3 has them."""
  return network_lib.Network('mobile', (size, size, 3), (
      Block('stem', ops.ConvBn(8, 3, 2, activation='hard_swish')),
      Block('block_1', ops.MBConv(8, 3, 1, 3, se_ratio=0.25), residual=True),
      Block('block_2', ops.MBConv(16, 5, 2, 3, se_ratio=0.25, activation='hard_swish')),
      Block('block_3', ops.Sequence((ops.Pool('average', 3, 1), ops.Pool('max', 3, 1)))),
      Block('head', ops.ConvBn(32, 1, activation='hard_swish')),
      Block('classifier', ops.Classifier(5))))


def _grouped():
  """Grouped convolutions with a shuffle."""
  return network_lib.Network('grouped', (32, 32, 3), (
      Block('stem', ops.ConvBn(8, 3, 2)),
      Block('block_1', ops.MBConv(8, 3, 1, 3, groups=2), residual=True),
      Block('classifier', ops.Classifier(5))))


def _tree():
  space = cifar_tree.cifar_tree(stage_blocks=(1, 1), widening=8, resolution=16)
  return schema_lib.resolve(space, {path: 1 for path, _ in schema_lib.walk(space)})


NETWORKS = {'plain': lambda: models.small('symmetric'), 'mobile': _mobile, 'grouped': _grouped, 'tree': _tree}


def _files(network):
  """Every way to export a network, as it is written, and the images it is run on."""
  images = quantized_lib.digits(network.input_shape[0])
  model = quantized_lib.network_like_trained(network, images, calm=True)
  made = {'none': export.convert(model, 'none'), 'float16': export.convert(model, 'float16'), 'ptq': export.convert(model, 'int8', images),
          'qat': export.convert(quantized_lib.quantize(model, images), 'int8')}
  return {how: metadata.add(content, 'network', '', []) for how, content in made.items()}, images


def _today(content, images):
  """Images as a file takes them, its outputs, and for each of its operations a file of its own, with its inputs and outputs."""
  model = inspection.unpack(content)
  runner = litert.Interpreter(model_content=content, experimental_preserve_all_tensors=True,
                              experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
  runner.allocate_tensors()
  source, graph = runner.get_input_details()[0], model.subgraphs[0]
  pixels = images[:, np.newaxis] if source['dtype'] == np.float32 else np.rint(images[:, np.newaxis] * 255).astype(np.uint8)
  varying = [[i for i in operator.inputs if i >= 0 and model.buffers[graph.tensors[i].buffer].data is None] for operator in graph.operators]
  values = []
  for image in pixels:
    runner.set_tensor(source['index'], image)
    runner.invoke()
    values.append({int(i): runner.get_tensor(i) for operator, inputs in zip(graph.operators, varying)
                   for i in (*inputs, *operator.outputs)})
  stack = lambda tensor: np.stack([found[tensor] for found in values])
  single = [(_alone(model, operator, inputs), [stack(i) for i in inputs], stack(operator.outputs[0]))
            for operator, inputs in zip(graph.operators, varying) if inputs]  # float16 weights have operations of their own
  return pixels, stack(graph.outputs[0]), single


def _alone(model, operator, inputs):
  alone = copy.copy(model)
  alone.subgraphs = [copy.copy(model.subgraphs[0])]
  alone.subgraphs[0].operators, alone.subgraphs[0].inputs, alone.subgraphs[0].outputs = [operator], inputs, operator.outputs
  return inspection.pack(alone)


def _run(python, folder, contents, inputs):
  """Outputs of files on the runtime of a Python, and its version."""
  paths = []
  for k, content in enumerate(contents):
    paths.append(folder / f'{k}.tflite')
    paths[-1].write_bytes(content)
  np.savez(folder / 'inputs.npz', **{f'{k}_{i}': value for k, values in enumerate(inputs) for i, value in enumerate(values)})
  clean = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
  done = subprocess.run([python, _RUNNER, folder / 'inputs.npz', folder / 'outputs.npz', *paths], env=clean, check=True,
                        stdout=subprocess.PIPE, text=True)
  found = np.load(folder / 'outputs.npz')
  return [found[str(k)] for k in range(len(contents))], done.stdout.strip()


def _steps(found, expected):
  """Largest difference: of integers in steps, of floats in 1e-5 of the largest."""
  difference = np.abs(found.astype(float) - expected.astype(float)).max()
  return difference if found.dtype.kind in 'iu' else difference / (1e-5 * np.abs(expected).max())


def _claim(content):
  return tuple(map(int, inspection.read(content).min_runtime.split('.')[:2]))


@pytest.mark.long
@pytest.mark.parametrize('name, oldest', [('plain', (2, 5)), ('mobile', (2, 5)), ('grouped', (2, 9)), ('tree', (2, 9))])
def test_files_compute_the_same_on_runtimes_that_they_claim(name, oldest, tmp_path):
  files, images = _files(NETWORKS[name]())
  assert {_claim(content) for content in files.values()} == {oldest}
  pythons = [python for python, version in old_runtimes() if version >= oldest]
  today = {how: _today(content, images) for how, content in files.items()}
  contents = [content for how, (_, _, single) in today.items() for content in (files[how], *(file for file, *_ in single))]
  inputs = [values for pixels, _, single in today.values() for values in ([pixels], *(taken for _, taken, _ in single))]
  for python in pythons:
    outputs, version = _run(python, tmp_path, contents, inputs)
    remaining = iter(outputs)
    for how, (_, expected, single) in today.items():
      whole = next(remaining)
      for file, _, alone in single:
        assert _steps(next(remaining), alone) <= 1, (version, how, dict(inspection.read(file).operators))
      agree = np.mean(whole.argmax(-1) == expected.argmax(-1))
      assert agree > 0.95 and (how in ('ptq', 'qat') or _steps(whole, expected) <= 1), (version, how)
