"""Rows of a handle table are the variables themselves, also from inside a graph, packed as on CPUs or switched as on GPUs."""

import numpy as np
import pytest
import tensorflow as tf

from tests import forks
from tf_proxyless.nn import variable_table


def _rows():
  return [[tf.Variable(tf.fill([size, 2], float(size))), tf.Variable(tf.fill([size], -float(size)))] for size in (3, 5)]


def _read(table, index):
  return variable_table.read([(table, tf.constant([[0], [1]]), index, ())])[0][1]


@pytest.fixture(name='way', params=['packed', 'switched'])
def _way(request, monkeypatch):
  if request.param == 'switched':
    monkeypatch.setattr(variable_table.VariableTable, '_pack', staticmethod(lambda rows: None))


@pytest.mark.usefixtures('way')
def test_reads_the_row_of_a_tensor_and_sees_later_values():
  rows = _rows()
  table = variable_table.VariableTable(rows)
  read = tf.function(lambda index: _read(table, index), input_signature=[tf.TensorSpec([], tf.int32)])
  for repetition in range(2):
    for index, row in enumerate(rows):
      for value, variable in zip(read(tf.constant(index)), row, strict=True):
        np.testing.assert_array_equal(value, variable)
        variable.assign_add(tf.ones_like(variable) * (repetition + 1))


@pytest.mark.usefixtures('way')
def test_static_shapes_are_ranks_and_sizes_of_one():
  shapes = []
  table = variable_table.VariableTable([[*row, tf.Variable(tf.zeros([3, 1]))] for row in _rows()])

  @tf.function(input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)
  def read(index):
    shapes.extend(value.shape for value in _read(table, index))
    return index

  read(tf.constant(0))
  assert [shape.as_list() for shape in shapes] == [[None, None], [None], [None, 1]]


@pytest.mark.usefixtures('way')
def test_writes_through_a_gathered_handle_reach_the_variable():
  rows = _rows()
  row = tf.constant([1])
  handle = variable_table.handles(variable_table.VariableTable(rows).source(lambda: row), row, 2)[1]
  tf.raw_ops.AssignVariableOp(resource=handle, value=tf.zeros([5]))
  np.testing.assert_array_equal(rows[1][1], np.zeros(5))
  np.testing.assert_array_equal(rows[0][1], np.full(3, -3.0))


@pytest.mark.usefixtures('way')
def test_a_table_may_have_one_column():
  table = variable_table.VariableTable([row[:1] for row in _rows()])
  np.testing.assert_array_equal(_read(table, tf.constant(1))[0], np.full([5, 2], 5.0))


@pytest.mark.parametrize('rows', [[], [[tf.constant(0)], []]])
def test_rows_of_different_lengths_are_refused(rows):
  with pytest.raises(ValueError, match='rows must be of one length'):
    variable_table.VariableTable(rows)


_STEPS = """
import sys
import numpy as np
import tensorflow as tf
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import variable_table
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.space import proxyless
if sys.argv[1] == 'switched':
  variable_table.VariableTable._pack = staticmethod(lambda rows: None)
supernet = supernet_lib.Supernet(proxyless.proxyless(resolution=32, stage_filters=(16, 32), stage_blocks=(1, 2), stage_strides=(2, 2)))
steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
random = np.random.default_rng(0)
batch = tf.constant(random.standard_normal((4, 32, 32, 3)), tf.float32), tf.constant([0, 1, 2, 3])
for path in random.integers(6, size=(5, len(supernet.decisions))):
  loss, _ = steps.train(*batch, tf.constant(path, tf.int32), tf.constant(0.01))
  _, gradients = steps.gate_gradients(path.astype(np.int32), (path.astype(np.int32) + 1) % 6, batch)
  print(loss.numpy().tobytes().hex(), gradients.numpy().tobytes().hex())
"""


@pytest.mark.long
def test_steps_are_the_same_in_both_ways():
  # Without oneDNN, whose rewriting of graphs fails a check of its own where batch normalisation has no static shape.
  environment = {**forks.environment(), 'TF_ENABLE_ONEDNN_OPTS': '0', 'CUDA_VISIBLE_DEVICES': '-1'}
  run = lambda way: forks.run('-c', _STEPS, way, env=environment).stdout
  packed, switched = run('packed'), run('switched')
  assert packed.count('\n') == 5 and packed == switched
