"""Rows of a handle table are the variables themselves, also from inside a graph."""

import numpy as np
import pytest
import tensorflow as tf

from tf_proxyless.nn import variable_table


def _rows():
  return [[tf.Variable(tf.fill([size, 2], float(size))), tf.Variable(tf.fill([size], -float(size)))] for size in (3, 5)]


def test_reads_the_row_of_a_tensor_and_sees_later_values():
  rows = _rows()
  table = variable_table.VariableTable(rows)
  read = tf.function(table.read, input_signature=[tf.TensorSpec([], tf.int32)])
  for repetition in range(2):
    for index, row in enumerate(rows):
      for value, variable in zip(read(tf.constant(index)), row, strict=True):
        np.testing.assert_array_equal(value, variable)
        variable.assign_add(tf.ones_like(variable) * (repetition + 1))


def test_static_shapes_are_those_that_rows_share():
  shapes = []
  table = variable_table.VariableTable(_rows())

  @tf.function(input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)
  def read(index):
    shapes.extend(value.shape for value in table.read(index))
    return index

  read(tf.constant(0))
  assert [shape.as_list() for shape in shapes] == [[None, 2], [None]]


def test_writes_through_a_gathered_handle_reach_the_variable():
  rows = _rows()
  handle = variable_table.VariableTable(rows).handles(tf.constant(1))[1]
  tf.raw_ops.AssignVariableOp(resource=handle, value=tf.zeros([5]))
  np.testing.assert_array_equal(rows[1][1], np.zeros(5))
  np.testing.assert_array_equal(rows[0][1], np.full(3, -3.0))


@pytest.mark.parametrize('rows', [[], [[tf.constant(0)], []]])
def test_rows_of_different_lengths_are_refused(rows):
  with pytest.raises(ValueError, match='rows must be of one length'):
    variable_table.VariableTable(rows)
