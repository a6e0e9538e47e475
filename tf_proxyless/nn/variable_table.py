"""Tables of variables from which a graph picks a row at run time, by the variables' resource handles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools

import tensorflow as tf

from tf_proxyless.infra import distribution

# Of a graph that stands in a step at many places: TensorFlow optimises it once, not where it stands, which saves half of the start-up.
# All places then have the same kernels, and oneDNN's batch normalisation keeps its number of channels in the kernel: two calls at one time
# write beyond their arrays. So what normalises and may run at one time has copies of its own.
NOT_INLINED = {'_noinline': True}


@functools.cache
def _row_switch(rows: int, columns: int) -> Callable[..., list[tf.Tensor]]:
  """A graph that gives the handles of one row: index (int32 scalar), then rows * columns handles, row by row.

  GPUs have no kernels that pack or gather handles, only those of control flow. This graph is never inlined: shape inference would
  take the shape of the first row's variable for that of all, and automatic control dependencies the Switch for a part of a condition.
  """
  handle = tf.TensorSpec([], tf.resource)

  @tf.function(input_signature=[tf.TensorSpec([], tf.int32), *[handle] * (rows * columns)], autograph=False,
               experimental_attributes=NOT_INLINED)
  def switch(index: tf.Tensor, *handles: tf.Tensor) -> list[tf.Tensor]:
    is_row = [tf.equal(index, row) for row in range(rows)]
    return [tf.raw_ops.Merge(inputs=[tf.raw_ops.Switch(data=handles[row * columns + column], pred=is_row[row]).output_true
                                     for row in range(rows)]).output for column in range(columns)]

  return switch


class VariableTable:
  """Variables as rows of equal length, where column j has one rank and dtype in all rows.

  On a CPU the handles are packed once, outside any graph: a graph captures one tensor for the table instead of one for every variable.
  Where several devices each have their own of every variable, each has its own table.
  """

  def __init__(self, rows: Sequence[Sequence[tf.Variable]]):
    if not rows or len({len(row) for row in rows}) != 1:
      raise ValueError(f'rows must be of one length, got {[len(row) for row in rows]}')
    self._replicas = list(zip(*([tuple(row) for row in zip(*map(distribution.variables_of, row))] for row in rows)))
    on_cpu = all('CPU' in variable.device for row in self._replicas[0] for variable in row)
    self._tables = [self._pack(each) if on_cpu else None for each in self._replicas]
    self._shapes = [self._common_shape([row[j].shape for row in rows]) for j in range(len(rows[0]))]
    self._dtypes = [variable.dtype for variable in rows[0]]

  @staticmethod
  def _pack(rows: Sequence[Sequence[tf.Variable]]) -> tf.Tensor:
    with tf.init_scope(), tf.device('CPU:0'):
      return tf.stack([tf.stack([variable.handle for variable in row]) for row in rows])

  @staticmethod
  def _common_shape(shapes: Sequence[tf.TensorShape]) -> tf.TensorShape:
    shape = shapes[0]
    for other in shapes[1:]:
      shape = shape.most_specific_compatible_shape(other)
    return shape

  def handles(self, index: tf.Tensor) -> list[tf.Tensor]:
    """The resource handles of row `index` (int32 scalar), of the device in whose replica it is called."""
    replica = distribution.replica(len(self._replicas))
    rows, table = self._replicas[replica], self._tables[replica]
    if table is None:
      return _row_switch(len(rows), len(self._dtypes))(index, *(variable.handle for row in rows for variable in row))
    with tf.device('CPU:0'):
      return tf.unstack(tf.gather(table, index))

  def read(self, handles: Sequence[tf.Tensor], row: tf.Tensor, parts: Sequence[tuple[int, int]]) -> tuple[tf.Tensor, ...]:
    """The values of a row, with the static shapes that all rows share.

    Args:
      handles: Its handles.
      row: int32 [numbers].
      parts: Columns of which only a part is read, with the place in `row` where its begin and then its shape stand.
    """
    cut = {column for column, _ in parts}
    shapes = tuple((None,) * shape.rank if column in cut else tuple(shape) for column, shape in enumerate(self._shapes))
    return tuple(_reader(tuple(self._dtypes), shapes, tuple(parts))(row, *handles))


@functools.cache
def _reader(dtypes: tuple[tf.DType, ...], shapes: tuple[tuple[int | None, ...], ...], parts: tuple[tuple[int, int], ...]):
  """A graph that reads handles: (row, handles...) -> values; for arguments see `VariableTable.read`."""
  first_of = dict(parts)

  @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), *[tf.TensorSpec([], tf.resource)] * len(dtypes)], autograph=False,
               experimental_attributes=NOT_INLINED)
  def read(row: tf.Tensor, *handles: tf.Tensor) -> list[tf.Tensor]:
    values = []
    for column, (handle, dtype, shape) in enumerate(zip(handles, dtypes, shapes)):
      value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
      if column in first_of:
        first, rank = first_of[column], len(shape)
        value = tf.slice(value, row[first:first + rank], row[first + rank:first + 2 * rank])
      values.append(tf.ensure_shape(value, shape))
    return values

  return read
