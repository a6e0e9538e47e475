"""Tables of variables from which a graph picks a row at run time, by the variables' resource handles."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


class VariableTable:
  """Variables as rows of equal length, where column j has one rank and dtype in all rows.

  The handles are packed once, outside any graph: a graph captures one tensor for the table instead of one for every variable.
  """

  def __init__(self, rows: Sequence[Sequence[tf.Variable]]):
    if not rows or len({len(row) for row in rows}) != 1:
      raise ValueError(f'rows must be of one length, got {[len(row) for row in rows]}')
    with tf.init_scope(), tf.device('CPU:0'):  # handles lie in host memory on every device
      self._table = tf.stack([tf.stack([variable.handle for variable in row]) for row in rows])
    self._rows = rows  # keeps the variables alive
    self._shapes = [self._common_shape([row[j].shape for row in rows]) for j in range(len(rows[0]))]
    self._dtypes = [variable.dtype for variable in rows[0]]

  @staticmethod
  def _common_shape(shapes: Sequence[tf.TensorShape]) -> tf.TensorShape:
    shape = shapes[0]
    for other in shapes[1:]:
      shape = shape.most_specific_compatible_shape(other)
    return shape

  def handles(self, index: tf.Tensor) -> list[tf.Tensor]:
    """The resource handles of row `index` (int32 scalar)."""
    with tf.device('CPU:0'):
      return tf.unstack(tf.gather(self._table, index))

  def read(self, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """The values of row `index` (int32 scalar), with the static shapes that all rows share."""
    values = []
    for handle, dtype, shape in zip(self.handles(index), self._dtypes, self._shapes):
      value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
      value.set_shape(shape)
      values.append(value)
    return tuple(values)
