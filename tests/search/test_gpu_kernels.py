"""Each operation of a step has a kernel for GPUs, by TensorFlow's registry, which knows them without a GPU too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from tests.nn import spaces
from tests.space import spaces as coupled
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import template
from tf_proxyless.nn import variable_table
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer

# What stays on the host: images come from there, and go to the GPU in the resolution of the path.
ON_HOST = {'ScaleAndTranslate'}
ALL = ('train', '_correct', '_gate_gradients', '_mixture_gradients', '_sampled_gradients')
ONE_PATH = ALL[:2]  # for spaces whose decisions are no gates
HALF = 'mixed_float16'


@pytest.fixture(name='for_gpus')
def _for_gpus(monkeypatch):
  """Graphs are made as where there is a GPU."""
  if not tf.config.list_physical_devices('GPU'):
    monkeypatch.setattr(variable_table.VariableTable, '_pack', staticmethod(lambda rows: None))
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind=None: [kind])
  template._body.cache_clear()
  yield
  template._body.cache_clear()


def _nodes(function) -> Iterator:
  graph = function.graph.as_graph_def()
  yield from graph.node
  for inner in graph.library.function:
    yield from inner.node_def


def _serves(kernel, node) -> bool:
  """Whether a kernel is for GPUs and for the types of a node; one with a label is never chosen by itself."""
  types = {constraint.name: constraint.allowed_values.list.type for constraint in kernel.constraint}
  return kernel.device_type in ('GPU', 'DEFAULT') and not kernel.label and all(
      node.attr[name].type in allowed for name, allowed in types.items() if allowed and name in node.attr)


def without_kernel(function) -> set[str]:
  """Operations of a concrete function, and of all that it calls, that no GPU can run."""
  return {node.op for node in _nodes(function)
          if not any(_serves(kernel, node) for kernel in kernels.get_registered_kernels_for_op(node.op).kernel)}


@pytest.mark.usefixtures('for_gpus')
@pytest.mark.parametrize('space, precision, names', [
    (spaces.tiny, HALF, ('train',)),
    *(pytest.param(*values, marks=pytest.mark.long) for values in (
        (spaces.tiny, 'float32', ALL), (spaces.tiny, 'mixed_bfloat16', ALL), (spaces.tiny, HALF, ALL), (coupled.tree, HALF, ALL),
        (coupled.nested, HALF, ONE_PATH), (coupled.factors, HALF, ONE_PATH), (coupled.fbnet_v2, HALF, ONE_PATH)))])
def test_steps_run_on_gpus(space, precision, names):
  supernet = supernet_lib.Supernet(space(), nested=True, precision=precision)
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
  for name in names:
    function = getattr(steps, name).get_concrete_function()
    assert sum(1 for _ in _nodes(function)) > 100
    assert without_kernel(function) <= ON_HOST


def test_what_has_no_kernel_is_found():
  variables = [tf.Variable(0.0), tf.Variable(1.0)]
  pack = tf.function(lambda: tf.stack([variable.handle for variable in variables]), autograph=False)
  assert without_kernel(pack.get_concrete_function()) == {'Pack'}
