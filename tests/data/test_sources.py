"""Datasets by name, each through the real builder of tensorflow-datasets or from real files."""

import types

from PIL import Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data import cifar_archive
from tests.data import train_only
from tf_proxyless.data import records
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.data import tfds_records


def _contents(source, part):
  return list(source.records(part).as_numpy_iterator())


def test_records_have_ids_encoded_images_and_labels(data_dir):
  source = sources.open_dataset('digits', data_dir)
  spec = source.records('train').element_spec
  assert {key: (value.dtype, value.shape.as_list()) for key, value in spec.items()} == {
      'id': (tf.string, []), 'image': (tf.string, []), 'label': (tf.int64, [])}
  found = _contents(source, 'train')
  ids = [record['id'] for record in found]
  assert ids == sorted(set(ids)) and len(ids) == source.num_train
  assert all(record['image'].startswith(b'\x89PNG') for record in found)
  with pytest.raises(ValueError, match="has the parts train, test, got 'validation'"):
    source.records('validation')


def test_random_access_in_tfrecord_files_equals_reading_in_memory(imagenet_data_dir, monkeypatch):
  for part in ('train', 'test'):
    small, large = (sources.open_dataset('imagenet2012', imagenet_data_dir) for _ in range(2))
    assert isinstance(small.load(part), records.InMemory)
    with monkeypatch.context() as patch:
      patch.setattr(tfds_records, 'IN_MEMORY_BYTES', 1000)
      assert isinstance(large.load(part), records.TfRecords)
    assert _contents(large, part) == _contents(small, part)


def test_other_formats_than_tfrecord_are_read_by_tensorflow_datasets(data_dir):
  builder = tfds_records.open_builder('digits', data_dir, False)
  info = types.SimpleNamespace(file_format=tfds.core.FileFormat.ARRAY_RECORD, splits=builder.info.splits, features=builder.info.features)
  first, second = (tfds_records.load(each, 'test') for each in (builder, types.SimpleNamespace(info=info, as_dataset=builder.as_dataset)))
  assert first.ids.tolist() == second.ids.tolist() and first.labels.tolist() == second.labels.tolist()
  assert first.images.numpy().tolist() == second.images.numpy().tolist()


def test_ids_are_those_of_tensorflow_datasets_over_several_files(tmp_path, monkeypatch):
  builder = train_only.TrainOnly(data_dir=str(tmp_path))
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=4))
  assert builder.info.splits['train'].num_shards == 4
  dataset = builder.as_dataset(split='train', read_config=tfds.ReadConfig(add_tfds_id=True))
  expected = {record['tfds_id']: (record['image'][0, 0, 0], record['label']) for record in dataset.as_numpy_iterator()}
  for limit in (0, 2**30):
    monkeypatch.setattr(tfds_records, 'IN_MEMORY_BYTES', limit)
    source = sources.open_dataset('train_only', str(tmp_path))
    found = {record['id']: (tf.io.decode_png(record['image'])[0, 0, 0].numpy(), record['label'])
             for part in ('train', 'test') for record in _contents(source, part)}
    assert found == expected


def test_imagenet_is_tested_on_its_validation_split(imagenet_data_dir):
  source = sources.open_dataset('imagenet2012', imagenet_data_dir)
  assert (source.num_train, source.num_test, source.classes) == (96, 8, 1000)
  assert source.class_names[:2] == ('n01440764', 'n01443537')
  assert source.image_shape == (None, None, 3)
  train = _contents(source, 'train')
  assert len({record['label'] for record in train}) == 8
  assert all(tf.io.is_jpeg(record['image']).numpy() for record in train)  # the one PNG of ImageNet is converted
  assert {record['label'] for record in _contents(source, 'test')} <= {record['label'] for record in train}


def test_cifar10_through_its_builder(tmp_path):
  cifar_archive.place(str(tmp_path), images_per_file=20)
  with pytest.raises(ValueError, match="'cifar10' is not prepared: looked in .*cifar10.*; pass `download`"):
    sources.open_dataset('cifar10', str(tmp_path))
  source = sources.open_dataset('cifar10', str(tmp_path), download=True)
  assert (source.num_train, source.num_test, source.class_names) == (100, 20, cifar_archive.NAMES)
  pixels, labels = cifar_archive.images(5, 20)
  found = {tf.io.decode_png(record['image']).numpy().tobytes(): record['label'] for record in _contents(source, 'test')}
  assert found == {image.tobytes(): label for image, label in zip(pixels, labels)}
  for name in ('cifar10:3.0.2', 'cifar10'):
    assert sources.open_dataset(name, str(tmp_path)).num_train == 100  # once prepared, nothing is asked for


def test_dataset_without_test_split_gives_a_stratified_fifth(tmp_path):
  train_only.TrainOnly(data_dir=str(tmp_path)).download_and_prepare()
  source = sources.open_dataset('train_only', str(tmp_path))
  assert (source.num_train, source.num_test) == (40, 10)
  train, test = ([tf.io.decode_png(record['image'])[0, 0, 0].numpy() for record in _contents(source, part)]
                 for part in ('train', 'test'))
  assert sorted(train + test) == list(range(train_only.EXAMPLES))
  assert sum(index % 5 < 3 for index in test) == 6


def test_validation_split_is_the_validation_set_or_stands_in_for_hidden_labels(tmp_path):
  for builder in (train_only.HiddenLabels, train_only.ThreeParts):
    builder(data_dir=str(tmp_path)).download_and_prepare()
  hidden, whole = (sources.open_dataset(name, str(tmp_path)) for name in ('hidden_labels', 'three_parts'))
  assert [(each.num_train, each.num_validation, each.num_test) for each in (hidden, whole)] == [(50, 0, 50), (50, 50, 50)]
  assert dict(hidden.rows) == {'test images': "50, its split 'validation': hidden_labels has no test images with labels"}
  assert dict(whole.rows) == {'validation images': "50 of the dataset's own, whatever `validation_images` says"}
  assert [record['label'] for record in _contents(hidden, 'test')].count(0) == 30
  split = splits.make(whole, 0.1, seed=0)
  assert len(split.training) == len(split.validation) == 50
  assert {name.split(b'.')[0].rpartition(b'-')[2] for name in split.records.ids[split.validation]} == {b'validation'}


@pytest.mark.parametrize('name, message', [
    ('cifar10:9.9.9', "'cifar10:9.9.9' cannot be opened: .*only: 3.0.2"),
    ('cifar100', "'cifar100' is not prepared: looked in .*cifar100.*; pass `download` to prepare it$"),
    ('imagenet2012', 'not prepared: .*; place its archives in .*downloads/manual and pass `download`'),
    ('unlabelled', r'not made of labelled images: .*\{image: Image, label: Tensor\}$')])
def test_datasets_that_cannot_be_used_are_one_line(name, message, tmp_path):
  with pytest.raises(ValueError, match=message) as error:
    sources.open_dataset(name, str(tmp_path))
  assert '\n' not in str(error.value)


def test_imagenet_without_archives_says_what_is_missing(tmp_path):
  with pytest.raises(ValueError, match='cannot be prepared in .*ILSVRC2012_img_train.tar') as error:
    sources.open_dataset('imagenet2012', str(tmp_path), download=True)
  assert '\n' not in str(error.value)


def _image(path, color, size=(9, 7)):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new('RGB', size, color).save(path)


@pytest.fixture
def folder(tmp_path):
  for index in range(10):
    _image(tmp_path / 'cat' / f'{index}.{("jpg", "PNG", "jpeg", "bmp", "gif")[index % 5]}', (index, 0, 0))
    _image(tmp_path / 'dog' / 'puppies' / f'{index}.png', (0, index, 0))
  (tmp_path / 'cat' / 'notes.txt').write_text('not an image')
  (tmp_path / '.thumbnails').mkdir()
  return tmp_path


def test_folder_of_classes(folder):
  source = sources.open_dataset(f'folder:{folder}')
  assert (source.num_train, source.num_test, source.class_names) == (16, 4, ('cat', 'dog'))
  train, test = _contents(source, 'train'), _contents(source, 'test')
  images = [path for path in folder.rglob('*.*') if path.is_file() and path.suffix != '.txt']
  paths = sorted(path.relative_to(folder).as_posix() for path in images)
  assert sorted(record['id'].decode() for record in train + test) == paths
  assert [record['label'] for record in test].count(0) == 2
  for record in train:
    assert record['image'] == (folder / record['id'].decode()).read_bytes()
    assert record['label'] == (0 if record['id'].startswith(b'cat/') else 1)


def test_folder_with_train_and_test(tmp_path):
  for part, count in (('train', 3), ('test', 2)):
    for name in ('b', 'a'):
      for index in range(count):
        _image(tmp_path / part / name / f'{index}.png', (index, 0, 0))
  source = sources.open_dataset(f'folder:{tmp_path}')
  assert (source.num_train, source.num_test, source.class_names) == (6, 4, ('a', 'b'))
  ids = [record['id'].decode() for record in _contents(source, 'test')]
  assert ids == ['test/a/0.png', 'test/a/1.png', 'test/b/0.png', 'test/b/1.png']
  _image(tmp_path / 'test' / 'c' / '0.png', (0, 0, 0))
  with pytest.raises(ValueError, match='classes of .*test that the training images do not have: \'c\''):
    sources.open_dataset(f'folder:{tmp_path}')


def test_folders_that_are_none(tmp_path):
  with pytest.raises(ValueError, match='is not a folder'):
    sources.open_dataset(f'folder:{tmp_path / "absent"}')
  with pytest.raises(ValueError, match='holds 0 class folders; at least 2 are needed'):
    sources.open_dataset(f'folder:{tmp_path}')
  _image(tmp_path / 'cat' / '0.png', (0, 0, 0))
  (tmp_path / 'dog').mkdir()
  with pytest.raises(ValueError, match="no images .* in 1 of 2 class folders of .*, for instance in 'dog'"):
    sources.open_dataset(f'folder:{tmp_path}')
