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

  def source(self, row: tf.Tensor) -> list[tf.Tensor]:
    """What `handles` needs: the table, or on a GPU the handles, of the device in whose replica it is called; for `row` see there."""
    replica = distribution.replica(len(self._replicas))
    rows, table = self._replicas[replica], self._tables[replica]
    if table is None:
      return _row_switch(len(rows), len(self._dtypes))(row[0], *(variable.handle for row in rows for variable in row))
    return [table]

  def read(self, numbers: tf.Tensor, index: tf.Tensor, parts: Sequence[tuple[int, int]]) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The numbers of a choice, and the values of its variables with the static shapes that all rows of the table share.

    Args:
      numbers: int32 [choices, numbers], of each choice its row of this table and other numbers.
      index: int32 scalar, which choice.
      parts: Columns of which only a part is read, with the place in `numbers` where its begin and then its shape stand.

    Returns:
      int32 [numbers]; values.
    """
    cut = {column for column, _ in parts}
    shapes = tuple((None,) * shape.rank if column in cut else tuple(shape) for column, shape in enumerate(self._shapes))
    source = self.source(tf.gather(numbers, index)) if self._tables[0] is None else self.source(index)
    return _reader(tuple(self._dtypes), shapes, tuple(parts), len(source))(numbers, index, *source)


def specs(sources: int, columns: int) -> list[tf.TensorSpec]:
  """The signature of what `VariableTable.source` gives: so many tensors for so many columns."""
  return [tf.TensorSpec([None, None] if sources < columns else [], tf.resource)] * sources


def handles(source: Sequence[tf.Tensor], row: tf.Tensor, columns: int) -> list[tf.Tensor]:
  """The resource handles of a row, inside a graph.

  Args:
    source: From `VariableTable.source`.
    row: int32 [numbers], whose first is the row of the table.
    columns: Columns of the table.
  """
  if source[0].shape.rank == 0:
    return list(source)
  with tf.device('CPU:0'):
    return tf.unstack(tf.gather(source[0], row[0]), columns)


@functools.cache
def _reader(dtypes: tuple[tf.DType, ...], shapes: tuple[tuple[int | None, ...], ...], parts: tuple[tuple[int, int], ...], sources: int):
  """A graph that reads variables: (numbers, index, source...) -> row, values; for arguments see `VariableTable.read`.

  It does not give the handles: TensorFlow looks into every call of a function that does, in order to place it, which takes seconds.
  """
  first_of = dict(parts)
  signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.int32), *specs(sources, len(dtypes))]

  @tf.function(input_signature=signature, autograph=False, experimental_attributes=NOT_INLINED)
  def read(numbers: tf.Tensor, index: tf.Tensor, *source: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    row, values = tf.gather(numbers, index), []
    for column, (handle, dtype, shape) in enumerate(zip(handles(source, row, len(dtypes)), dtypes, shapes)):
      value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
      if column in first_of:
        first, rank = first_of[column], len(shape)
        value = tf.slice(value, row[first:first + rank], row[first + rank:first + 2 * rank])
      values.append(tf.ensure_shape(value, shape))
    return row, values

  return read
