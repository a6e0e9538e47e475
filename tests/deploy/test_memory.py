"""The memory and the file of int8 networks, against TFLite's interpreter and its converter."""

import itertools

from ai_edge_litert import interpreter as litert
import numpy as np
import pytest

from tests import suites
from tests.space import spaces
from tf_proxyless.cost import memory
from tf_proxyless.cost import model as model_lib
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.nn import keras_network
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema

IN_CI = ('cifar_tree', 'chamnet', 'fbnet')
_GAP = 512  # bytes between what is in the arena and what is not


def exported(network):
  """An int8 file of a network with random weights, and biases that differ, since the converter keeps one of equal ones."""
  model, rng = keras_network.build(network), np.random.default_rng(0)
  for weight in model.trainable_weights:
    if 'kernel' not in weight.name:
      weight.assign(weight + rng.normal(0, 0.1, weight.shape))
  return export.convert(model, 'int8', rng.random((2, *network.input_shape), np.float32))


def arena(content):
  """Bytes of the arena in LiteRT's interpreter on builtin kernels, by the addresses of its tensors."""
  types = litert.OpResolverType
  interpreter = litert.Interpreter(model_content=content, experimental_op_resolver_type=types.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
  interpreter.allocate_tensors()
  images = interpreter.get_input_details()[0]
  interpreter.set_tensor(images['index'], np.zeros(images['shape'], images['dtype']))
  interpreter.invoke()
  model = inspection.unpack(content)
  spans = []
  for detail in interpreter.get_tensor_details():
    index = detail['index']
    tensors = model.subgraphs[0].tensors
    if index < len(tensors) and model.buffers[tensors[index].buffer].data is not None and len(model.buffers[tensors[index].buffer].data):
      continue  # a constant
    try:
      view = interpreter.tensor(index)()
    except ValueError:
      continue  # folded away
    spans.append((view.ctypes.data, view.ctypes.data + view.nbytes))
  start = end = interpreter.tensor(images['index'])().ctypes.data
  for first, last in sorted(spans):
    if first >= start and first <= end + _GAP:
      end = max(end, last)
  return end - start


def network_of(space, seed=0):
  """A random network of a space."""
  rng = np.random.default_rng(seed)
  path = schema.canonical(schema.decisions(space), [rng.integers(len(decision.choices)) for decision in schema.decisions(space)])
  return schema.resolve(space, schema.genotype(space, path))


def check(network):
  content = exported(network)
  # Something else may lie right behind the arena: 160 bytes were seen once.
  assert memory.plan(network).bytes == pytest.approx(arena(content), rel=0.01, abs=256)
  return model_lib.from_file_bytes(network).fixed / len(content)


@pytest.mark.parametrize('name', suites.few(['tree', 'factors', 'fbnet_v2', 'nested', 'parts', 'resolutions', 'widths'], 1))
def test_memory_of_small_networks(name):
  check(network_of(spaces.COUPLED[name]()))


@pytest.mark.parametrize('size, padding', [(21, 'same'), (21, 'symmetric'), (22, 'symmetric')])
def test_memory_of_grey_images(size, padding):
  blocks = (network_lib.Block('stem', ops.ConvBn(8, 3, 2)), network_lib.Block('block', ops.MBConv(16, 5, 2, 3)),
            network_lib.Block('classifier', ops.Classifier(10)))
  check(network_lib.Network('grey', (size, size, 1), blocks, padding))


@pytest.mark.parametrize('name', [pytest.param(name, marks=pytest.mark.long if name in IN_CI else pytest.mark.by_hand)
                                  for name in published.SPACES])
def test_memory_and_file_of_each_space(name):
  small = {'resolution': 64} if name not in ('cifar_tree', 'chamnet') else {'stage_blocks': (1, 1, 1)} if name == 'cifar_tree' else {}
  ratio = check(network_of(published.SPACES[name](classes=10, **small)))
  assert 0.98 < ratio < 1.05


@pytest.mark.by_hand
@pytest.mark.parametrize('name, resolution', [('proxyless_mobile', 96), ('mobilenet_v3_large', 96), ('fbnet_96', 96), ('chamnet_f', 128)])
def test_memory_and_file_of_published_networks(name, resolution):
  assert 0.98 < check(published.network(name, classes=10, resolution=resolution)) < 1.05


def test_tensors_that_live_at_one_time_do_not_overlap():
  tensors = memory.plan(network_of(spaces.tree(), 3)).tensors
  pairs = [(a, b) for a, b in itertools.combinations(tensors, 2) if a.meets(b)]
  assert pairs and all(a.end <= b.offset or b.end <= a.offset for a, b in pairs)
