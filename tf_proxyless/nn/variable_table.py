"""Tables of variables from which a graph picks a row at run time, by the variables' resource handles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import itertools
from typing import NamedTuple

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


class _Form(NamedTuple):
  """What a graph must know of a table that it reads.

  Attributes:
    dtypes: Of its columns.
    shapes: Of its columns, as far as graphs know them.
    parts: See `read`.
    packed: See `VariableTable`.
  """

  dtypes: tuple[tf.DType, ...]
  shapes: tuple[tuple[int | None, ...], ...]
  parts: tuple[tuple[int, int], ...]
  packed: bool


class VariableTable:
  """Variables as rows of equal length, where column j has one rank and dtype in all rows.

  On a CPU the handles are packed once, outside any graph: a graph captures one tensor for the table instead of one for every variable.
  Where several devices each have their own of every variable, each has its own table.

  Attributes:
    packed: Whether the handles are packed.
  """

  def __init__(self, rows: Sequence[Sequence[tf.Variable]]):
    if not rows or len({len(row) for row in rows}) != 1:
      raise ValueError(f'rows must be of one length, got {[len(row) for row in rows]}')
    self._replicas = list(zip(*([tuple(row) for row in zip(*map(distribution.variables_of, row))] for row in rows)))
    on_cpu = all('CPU' in variable.device for row in self._replicas[0] for variable in row)
    self._tables = [self._pack(each) if on_cpu else None for each in self._replicas]
    self.packed = self._tables[0] is not None
    self._shapes = [tuple(1 if set(sizes) == {1} else None for sizes in zip(*(row[j].shape for row in rows))) for j in range(len(rows[0]))]
    self._dtypes = [variable.dtype for variable in rows[0]]

  @staticmethod
  def _pack(rows: Sequence[Sequence[tf.Variable]]) -> tf.Tensor:
    with tf.init_scope(), tf.device('CPU:0'):
      return tf.stack([tf.stack([variable.handle for variable in row]) for row in rows])

  def source(self, row: Callable[[], tf.Tensor]) -> list[tf.Tensor]:
    """What `handles` needs, of the device in whose replica it is called: the table, or on a GPU the handles of a row (see there)."""
    replica = distribution.replica(len(self._replicas))
    if self.packed:
      return [self._tables[replica]]
    rows = self._replicas[replica]
    return _row_switch(len(rows), len(self._dtypes))(row()[0], *(variable.handle for each in rows for variable in each))

  def form(self, parts: Sequence[tuple[int, int]]) -> _Form:
    """What a graph must know that reads it; for `parts` see `read`."""
    cut = {column for column, _ in parts}
    shapes = tuple((None,) * len(shape) if column in cut else shape for column, shape in enumerate(self._shapes))
    return _Form(tuple(self._dtypes), shapes, tuple(parts), self.packed)


def specs(packed: bool, columns: int) -> list[tf.TensorSpec]:
  """The signature of what `VariableTable.source` gives."""
  return [tf.TensorSpec([None, None], tf.resource)] if packed else [tf.TensorSpec([], tf.resource)] * columns


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


Request = tuple[VariableTable | None, tf.Tensor, tf.Tensor, Sequence[tuple[int, int]]]


def read(requests: Sequence[Request]) -> list[tuple[tf.Tensor, list[tf.Tensor]]]:
  """The numbers of choices, and the values of their variables, of whose static shapes only sizes of 1 are kept.

  Args:
    requests: For each choice its table, if it has variables; int32 [variants, numbers], of each variant its row of the table and other
      numbers; int32 scalar, which variant; and the columns of which only a part is read, with the place in the numbers where its begin
      and then its shape stand.

  Returns:
    For each int32 [numbers], and values.
  """
  forms, arguments = [], []
  for table, numbers, index, parts in requests:
    forms.append(_Form((), (), (), packed=False) if table is None else table.form(parts))
    arguments += [numbers, index]
    if table is not None:
      arguments += table.source(functools.partial(tf.gather, numbers, index))
  return _reader(tuple(forms))(*arguments)


@functools.cache
def _reader(forms: tuple[_Form, ...]):
  """A graph that reads variables: (numbers, index, sources...) of each form -> (row, values) of each; see `read`.

  It does not give the handles: TensorFlow looks into every call of a function that does, in order to place it, which takes seconds.
  """
  signature = []
  for form in forms:
    signature += [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.int32), *specs(form.packed, len(form.dtypes))]

  @tf.function(input_signature=signature, autograph=False, experimental_attributes=NOT_INLINED)
  def read_rows(*arguments: tf.Tensor) -> list[tuple[tf.Tensor, list[tf.Tensor]]]:
    remaining = iter(arguments)
    take = lambda form: list(itertools.islice(remaining, 1 if form.packed else len(form.dtypes)))
    return [_read(form, tf.gather(next(remaining), next(remaining)), take(form)) for form in forms]

  return read_rows


def _read(form: _Form, row: tf.Tensor, source: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
  first_of, values = dict(form.parts), []
  found = handles(source, row, len(form.dtypes)) if source else ()
  for column, (handle, dtype, shape) in enumerate(zip(found, form.dtypes, form.shapes)):
    value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
    if column in first_of:
      first, rank = first_of[column], len(shape)
      value = tf.slice(value, row[first:first + rank], row[first + rank:first + 2 * rank])
    values.append(tf.ensure_shape(value, shape))
  return row, values
