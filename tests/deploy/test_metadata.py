"""Metadata as other readers find them, and a model that computes what it did.

The expected tables were read by tflite-support 0.4.4 (MetadataDisplayer.get_metadata_json) out of a file of `metadata.add`.
"""

import dataclasses
import io
import zipfile

import flatbuffers
from flatbuffers import table as table_lib
import numpy as np
import pytest

from tests.deploy import classifiers
from tests.deploy import models
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import metadata
from tf_proxyless.nn import keras_network

LABELS = ['zero', 'one', 'two', 'drei', 'четыре']


@pytest.fixture(scope='module', params=['int8', 'none'])
def content(request):
  return export.convert(classifiers.build(), request.param, classifiers.images(8) if request.param == 'int8' else None)


@pytest.fixture(scope='module')
def written(content):
  return metadata.add(content, 'small', 'A network for tests.', LABELS)


class Table:
  """A reader of FlatBuffers by number of the field; it shares nothing with the writer."""

  def __init__(self, data, position):
    self._table = table_lib.Table(data, position)

  def _place(self, field):
    place = self._table.Offset(4 + 2 * field)
    return place and place + self._table.Pos

  def byte(self, field):
    place = self._place(field)
    return self._table.Get(flatbuffers.number_types.Int8Flags, place) if place else 0

  def string(self, field):
    return self._table.String(self._place(field)).decode()

  def table(self, field):
    return Table(self._table.Bytes, self._table.Indirect(self._place(field)))

  def tables(self, field):
    start, count = self._table.Vector(self._table.Offset(4 + 2 * field)), self._table.VectorLen(self._table.Offset(4 + 2 * field))
    return [Table(self._table.Bytes, self._table.Indirect(start + 4 * i)) for i in range(count)]

  def floats(self, field):
    return self._table.GetVectorAsNumpy(flatbuffers.number_types.Float32Flags, self._table.Offset(4 + 2 * field)).tolist()


def root(content):
  model = inspection.unpack(content)
  entry, = (entry for entry in model.metadata if entry.name in (b'TFLITE_METADATA', 'TFLITE_METADATA'))
  data = bytearray(np.asarray(model.buffers[entry.buffer].data, np.uint8).tobytes())
  assert data[4:8] == b'M001'
  return Table(data, int.from_bytes(data[:4], 'little'))


def test_the_tables_are_those_of_the_schema(written):
  model = root(written)
  assert (model.string(0), model.string(1), model.string(7)) == ('small', 'A network for tests.', '1.0.0')
  graph, = model.tables(3)
  (image,), (logits,) = graph.tables(2), graph.tables(3)
  content = image.table(3)
  assert (image.string(0), content.byte(0), content.table(1).byte(0)) == ('image', 2, 1)  # ImageProperties, RGB
  unit, = image.tables(4)
  assert (unit.byte(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0.0], [255.0])  # NormalizationOptions
  most = 255.0 if inspection.read(written).inputs[0].type == 'uint8' else 1.0
  assert (image.table(5).floats(0), image.table(5).floats(1)) == ([most], [0.0])
  labels, = logits.tables(6)
  assert (logits.table(3).byte(0), labels.string(0), labels.byte(2)) == (1, 'labels.txt', 2)  # FeatureProperties, TENSOR_AXIS_LABELS


def test_an_image_of_one_channel_is_grey():
  network = dataclasses.replace(models.small('same'), input_shape=(32, 32, 1))
  written = metadata.add(export.convert(keras_network.build(network), 'none', None), 'small', '', LABELS)
  image = root(written).tables(3)[0].tables(2)[0]
  assert (image.string(1), image.table(3).table(1).byte(0)) == ('Grey image of the size that the model takes', 2)  # GRAYSCALE


def test_labels_are_in_an_archive_behind_the_model(written):
  with zipfile.ZipFile(io.BytesIO(written)) as archive:
    assert archive.namelist() == ['labels.txt'] and archive.testzip() is None
    assert archive.getinfo('labels.txt').compress_type == zipfile.ZIP_STORED
    assert archive.read('labels.txt').decode().split('\n') == [*LABELS, '']
  assert metadata.read_labels(written) == LABELS


def test_the_model_stays_as_it_is(content, written):
  assert dataclasses.replace(inspection.read(written), min_runtime=None) == dataclasses.replace(inspection.read(content), min_runtime=None)
  images = classifiers.images(8)
  np.testing.assert_array_equal(evaluation.LiteRtModel(written)(images), evaluation.LiteRtModel(content)(images))
  assert metadata.add(content, 'small', 'A network for tests.', LABELS) == written


def test_no_older_runtime_is_claimed_than_was_tried(content, written):
  assert inspection.read(content).min_runtime in ('1.6.0', '1.14.0') and inspection.read(written).min_runtime == '2.5.0'
  model = inspection.unpack(content)
  inspection.metadata_buffer(model, inspection.MIN_RUNTIME).data = np.frombuffer(b'2.10.0'.ljust(16, b'\0'), np.uint8)
  assert inspection.read(metadata.add(inspection.pack(model), 'small', '', [])).min_runtime == '2.10.0'


def test_without_labels(content):
  written = metadata.add(content, 'small', '', [])
  assert metadata.read_labels(written) == metadata.read_labels(content) == []
  assert not zipfile.is_zipfile(io.BytesIO(written))
  assert root(written).string(0) == 'small'


@pytest.mark.parametrize('labels, message', [
    (LABELS[:4], '4 labels for 5 outputs'),
    ([*LABELS[:4], 'two\nlines'], r"'two\\nlines' cannot be a label: it has a line break"),
    ([*LABELS[:4], ''], "'' cannot be a label: it is empty"),
    ([*LABELS[:4], ' five'], "' five' cannot be a label: it begins with a blank"),
    ([*LABELS[:4], 'a\tb'], 'a control character'),
])
def test_labels_that_a_reader_would_confuse(content, labels, message):
  with pytest.raises(ValueError, match=message):
    metadata.add(content, 'small', '', labels)
