"""Layouts of folders: what is understood, what is counted, and what is refused in one line."""

import os

from PIL import Image
import pytest
import tensorflow as tf

from tests.data import image_folders
from tf_proxyless.data import image_folder
from tf_proxyless.data import sources


def rows(root):
  return dict(sources.open_dataset(f'folder:{root}').rows)


@pytest.mark.parametrize('train, test', [('train', 'test'), ('Training', 'Testing'), ('TRAIN', 'Test'), ('training_set', 'testSet')])
def test_parts_in_any_spelling(tmp_path, train, test):
  image_folders.put(tmp_path, {f'{train}/a': 3, f'{train}/b': 3, f'{test}/a': 1, f'{test}/b': 1})
  found = image_folder.scan(str(tmp_path))
  assert (found.class_names, len(found.train.ids), len(found.test.ids), found.validation) == (('a', 'b'), 6, 2, None)


@pytest.mark.parametrize('name', ['val', 'valid', 'Validation'])
def test_validation_part_is_the_test_set_or_beside_one_the_validation_set(tmp_path, name):
  image_folders.put(tmp_path, {'train/a': 5, 'train/b': 5, f'{name}/a': 2, f'{name}/b': 2})
  source = sources.open_dataset(f'folder:{tmp_path}')
  assert (source.num_train, source.num_validation, source.num_test) == (10, 0, 4)
  assert dict(source.rows)['test images'] == f'4, those in {name!r}'
  image_folders.put(tmp_path, {'test/a': 1, 'test/b': 1})
  source = sources.open_dataset(f'folder:{tmp_path}')
  assert (source.num_train, source.num_validation, source.num_test) == (10, 4, 2)
  assert dict(source.rows)['validation images'] == f'4, those in {name!r}, whatever `validation_images` says'
  assert [record['id'] for record in source.records('validation').as_numpy_iterator()] == [
      f'{name}/{image}.png'.encode() for image in ('a/00', 'a/01', 'b/00', 'b/01')]


def test_imagenet_as_everybody_has_it(tmp_path):
  for part, count in (('train', 3), ('val', 1)):
    for wnid in ('n01440764', 'n01443537'):
      (tmp_path / part / wnid).mkdir(parents=True)
      for number in range(count):
        Image.new('RGB', (9, 7), (number, 0, 0)).save(tmp_path / part / wnid / f'ILSVRC2012_{number:08d}.JPEG', 'jpeg')
  (tmp_path / 'ILSVRC2012_devkit').mkdir()
  source = sources.open_dataset(f'folder:{tmp_path}')
  assert (source.num_train, source.num_test) == (6, 2)
  assert dict(source.rows) == {
      'folder': str(tmp_path), 'training images': '6 of 2 classes: n01440764 3, n01443537 3', 'test images': "2, those in 'val'",
      'passed over': "1 folder 'ILSVRC2012_devkit' beside 'train'"}


@pytest.mark.parametrize('layout, message', [
    ({'Train/a': 1, 'Train/b': 1, 'tset/a': 1, 'tset/b': 1}, "'Train' was taken for the training images; beside it 'tset' holds 'a', 'b',"),
    ({'train/a': 1, 'train/b': 1, 'tests/a': 1, 'tests/b': 1}, "'tests' holds 'a', 'b', .* rename it, or move it away"),
    ({'train/red': 1, 'train/blue': 1, 'bus/big': 1, 'car': 1}, "beside it 'bus' holds 'big', but is not"),
    ({'train/a': 1, 'train/b': 1, 'test/a': 1, 'tset/b': 1}, "beside it 'tset' holds 'b', but is not"),
    ({'train/a': 1, 'train/b': 1, 'Train/a': 1}, "'Train' and 'train', which mean the same part"),
    ({'train/a': 1, 'train/b': 1, 'val/a': 1, 'valid/a': 1}, "'val' and 'valid', which mean the same part"),
    ({'a': 1, 'b': 1, 'test/a': 1, 'test/b': 1}, "holds 'test', but no training part"),
    ({'train': 3, 'test': 3}, "holds 'test', 'train', but no training part"),
    ({'train_images': 3, 'val_images': 3}, "holds 'train_images', 'val_images', but no training part"),
    ({'training_set/training_set/a': 1, 'training_set/training_set/b': 1, 'test_set/test_set/a': 1}, "if 'training_set' holds the class"),
    ({'fold1/a': 1, 'fold1/b': 1, 'fold2/a': 1, 'fold2/b': 1}, "'fold1', 'fold2' all hold folders of the same names: "
     "'a', 'b'.*call them train, val and test"),
    ({'cat/train': 1, 'cat/test': 1, 'dog/train': 1, 'dog/test': 1}, "'cat', 'dog' all hold .* 'test', 'train'.*PATH/train/CLASS"),
    ({'photos/a': 1, 'photos/b': 1}, "holds 1 class folders; at least 2 .*; if 'photos' holds the class folders, give it as the folder"),
    ({'train/photos/a': 1, 'train/photos/b': 1}, "/train holds 1 class folders; .*; if 'photos' holds"),
    ({'train/a': 1, 'train/b': 1, 'test/A': 1, 'test/b': 1}, "/test that the training images do not have: 'A'; is it 'a'. Rename it"),
    ({'train/a': 1, 'train/b': 1, 'test/a': 1, 'test/c': 1}, "do not have: 'c'; rename or move what is no class"),
    ({'train/a': 1, 'train/b': 0, 'test/a': 1}, "no images .* in 1 of 2 class folders of .*/train, for instance in 'b'"),
    ({'train/a': 1, 'train/b': 1, 'val/a': 0, 'val/b': 0}, 'no images .* in the class folders of .*/val'),
    ({'caf\u00e9': 1, 'cafe\u0301': 1}, "2 class folders called 'caf\u00e9', which differ only in how Unicode writes them"),
    ({'cat ': 1, 'dog': 1}, "'cat ' in .* cannot be a label: it ends with a blank; rename it"),
    ({'c\nt': 1, 'dog': 1}, r"'c\\nt' .* a line break or a control character"),
    ({'c\x7ft': 1, 'dog': 1}, 'a line break or a control character'),
    ({os.fsdecode(b'caf\xe9'): 1, 'dog': 1}, 'it is not UTF-8 text; rename it'),
])
def test_layouts_that_are_refused(tmp_path, layout, message):
  image_folders.put(tmp_path, layout)
  with pytest.raises(ValueError, match=message) as error:
    image_folder.scan(str(tmp_path))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('layout, classes', [
    ({'bus': 1, 'car': 1, 'train': 1}, ('bus', 'car', 'train')),  # a class of that name
    ({'invalid': 1, 'valid': 1}, ('invalid', 'valid')),
    ({'train/bus/images': 1, 'train/car/images': 1, 'test/bus': 1}, ('bus', 'car')),
    ({'cat/persian': 1, 'cat/other': 1, 'dog/poodle': 1, 'dog/other': 1}, ('cat', 'dog')),
    ({'cat/indoor': 1, 'cat/outdoor': 1, 'cat': 1, 'dog/indoor': 1, 'dog/outdoor': 1}, ('cat', 'dog')),
    ({'train/a': 1, 'train/b': 1, 'test/a': 1}, ('a', 'b')),  # a class without test images
    ({'caf\u00e9': 1, 'a\u200db': 1}, ('a\u200db', 'caf\u00e9')),
])
def test_layouts_that_are_understood(tmp_path, layout, classes):
  assert image_folder.scan(str(image_folders.put(tmp_path, layout))).class_names == classes


def test_names_of_classes_are_compared_as_they_read(tmp_path):
  image_folders.put(tmp_path, {'train/caf\u00e9': 2, 'train/tea': 2, 'test/cafe\u0301': 1, 'test/tea': 1})
  found = image_folder.scan(str(tmp_path))
  assert found.class_names == ('caf\u00e9', 'tea') and found.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize('layout', [{'test': 3}, {'test/images': 3}])
def test_test_images_without_classes_are_not_used(tmp_path, layout):
  image_folders.put(tmp_path, {'train/a': 5, 'train/b': 5, **layout})
  found = rows(tmp_path)
  assert found['test images'].startswith('2, a stratified fifth of all')
  assert "1 folder 'test' without classes" in found['passed over']


def test_what_is_no_image_is_counted(tmp_path):
  image_folders.put(tmp_path, {'a': 3, 'b/deep/er': 2, '.thumbnails': 2, '__MACOSX/a': 2, 'a/.ipynb_checkpoints': 2})
  for name in ('a/1.tif', 'a/2.TIF', 'a/x.heic', 'b/notes', 'a/Thumbs.db', 'a/.DS_Store', 'a/._00.png', 'top.jpg', f'b/{"g" * 200}.PNG'):
    (tmp_path / name).touch()
  (tmp_path / 'a' / 'folder.jpg').mkdir()
  (tmp_path / 'a' / 'gone.png').symlink_to('/nowhere')
  os.mkfifo(tmp_path / 'a' / 'pipe.png')
  found = image_folder.scan(str(tmp_path))
  assert len(found.train.ids) == 6
  assert found.passed_over == {'.tif': 2, '.heic': 1, 'file without extension': 1, '.db': 1, 'folder called like an image': 1,
                               'broken link': 1, 'device or pipe': 1, 'image beside class folders': 1}
  assert rows(tmp_path)['passed over'].startswith('2 .tif, 1 .db, 1 .heic, 1 broken link')


def test_linked_folders_are_followed_once(tmp_path):
  image_folders.put(tmp_path / 'data', {'a': 2, 'b': 2})
  image_folders.put(tmp_path, {'elsewhere': 3})
  os.symlink(tmp_path / 'elsewhere', tmp_path / 'data' / 'a' / 'more')
  os.symlink(tmp_path / 'elsewhere', tmp_path / 'data' / 'a' / 'again')
  os.symlink('..', tmp_path / 'data' / 'a' / 'loop')
  os.symlink('.', tmp_path / 'elsewhere' / 'self')
  os.symlink('itself', tmp_path / 'data' / 'a' / 'itself')
  os.symlink('/nowhere', tmp_path / 'data' / 'nowhere')
  os.symlink(tmp_path / 'data' / 'b', tmp_path / 'data' / 'c')
  found = image_folder.scan(str(tmp_path / 'data'))
  assert [len(found.train.ids), found.class_names, found.train.labels.tolist()] == [9, ('a', 'b', 'c'), [0] * 5 + [1] * 2 + [2] * 2]
  assert found.passed_over == {'link to a folder that is seen already': 3, 'broken link': 2}


def test_names_that_are_not_utf_8_and_webp_are_read(tmp_path):
  image_folders.put(tmp_path, {'a': 1, 'b': 1})
  with open(os.fsencode(tmp_path) + b'/a/caf\xe9.png', 'wb') as file:
    Image.new('RGB', (9, 7), (250, 0, 0)).save(file, 'png')
  Image.new('RGB', (9, 7), (0, 250, 0)).save(tmp_path / 'b' / 'x.WEBP', lossless=True)
  found = image_folder.scan(str(tmp_path)).train
  assert found.ids.tolist() == [b'a/00.png', b'a/caf\xe9.png', b'b/00.png', b'b/x.WEBP']
  images = found.attach_images(tf.data.Dataset.from_tensor_slices({'position': [1, 3]}))
  pixels = [tf.io.decode_image(each['image'], 3, expand_animations=False)[0, 0].numpy().tolist() for each in images]
  assert pixels == [[250, 0, 0], [0, 250, 0]]


def test_many_classes_take_one_line(tmp_path):
  image_folders.put(tmp_path, {f'train/{index:02d}': 1 + index % 2 for index in range(12)} | {'test/00': 1})
  assert rows(tmp_path)['training images'] == '18 of 12 classes: 1 to 2 each'


def test_any_spelling_of_a_folder_is_one_dataset(tmp_path, monkeypatch):
  image_folders.put(tmp_path / 'photos', {'a': 2, 'b': 2})
  monkeypatch.chdir(tmp_path)
  names = {sources.open_dataset(f'folder:{path}').name for path in ('photos', 'photos/', './photos', tmp_path / 'photos')}
  assert names == {f'folder:{tmp_path}/photos'}
