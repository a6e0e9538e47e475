"""Every image is read before anything is made of it, once; those that cannot be are named."""

import io
import os

from PIL import Image
import pytest

from tests import suites
from tests.data import image_folders
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.data import verification


def jpeg(color=(200, 30, 40)):
  content = io.BytesIO()
  Image.effect_noise((64, 64), 50).convert('RGB').save(content, 'jpeg')
  return content.getvalue()


BAD = {'empty.jpg': b'', 'cut.jpg': jpeg()[:500], 'page.png': b'<html>404</html>', 'text.gif': b'GIF89a'}


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return image_folders.put(tmp_path / 'data', {'train/a': 4, 'train/b': 4, 'test/a': 2, 'test/b': 2})


def _decoded(monkeypatch):
  """A list that gets the number of files that are decoded at each time."""
  counts, decode = [], verification._decode
  monkeypatch.setattr(verification, '_decode', lambda directory, ids: counts.append(len(ids)) or decode(directory, ids))
  return counts


def open_folder(folder):
  return sources.open_dataset(f'folder:{folder}')


@pytest.mark.parametrize('name', BAD)
@pytest.mark.parametrize('part', suites.few(['train', 'test'], 1))
def test_bad_files_are_named_wherever_they_lie(folder, name, part):
  (folder / part / 'a' / name).write_bytes(BAD[name])
  with pytest.raises(ValueError, match=f'1 of 13 images in {folder} cannot be read: {part}/a/{name} .*; mend or remove them') as error:
    verification.verify(open_folder(folder))
  assert '\n' not in str(error.value) and not {'{{', 'name:'} & set(str(error.value).split()) and len(str(error.value)) < 400


def test_ten_are_listed(folder):
  for index in range(12):
    (folder / 'train' / 'a' / f'bad{index:02d}.jpg').write_bytes(b'')
  with pytest.raises(ValueError, match=r'12 of 24 .*bad00.jpg \(is empty\), .*bad09.jpg \(is empty\), \.\.\.; mend') as error:
    verification.verify(open_folder(folder))
  assert 'bad10' not in str(error.value)


def test_bad_files_can_be_left_out_and_are_then_as_if_they_were_not_there(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  folder = image_folders.put(tmp_path / 'data', {'a': 10, 'b': 10})
  clean = splits.make(open_folder(folder), 4, seed=0)
  for name, content in BAD.items():
    (folder / 'a' / name).write_bytes(content)
  found = verification.verify(open_folder(folder), skip=True)
  assert sorted(found.skipped) == sorted(f'a/{name}'.encode() for name in BAD)
  assert (found.source.num_train, found.source.num_test) == (16, 4)
  split = splits.make(found.source, 4, seed=0)
  assert split.records.ids.tolist() == clean.records.ids.tolist() and split.validation.tolist() == clean.validation.tolist()


def test_a_class_needs_images_that_can_be_read(folder):
  for image in (folder / 'train' / 'b').iterdir():
    image.write_bytes(b'')
  with pytest.raises(ValueError, match="no images .* in 1 of 2 class folders of .*train, for instance in 'b'"):
    verification.verify(open_folder(folder), skip=True)


def test_files_are_read_once_until_they_change(folder, monkeypatch):
  counts = _decoded(monkeypatch)
  for _ in range(2):
    verification.verify(open_folder(folder))
  assert counts == [12]
  image = folder / 'train' / 'a' / '00.png'
  content, times = image.read_bytes(), (image.stat().st_atime_ns, image.stat().st_mtime_ns)
  image.write_bytes(content[:-30])
  with pytest.raises(ValueError, match='1 of 12'):
    verification.verify(open_folder(folder))
  image.write_bytes(content)
  os.utime(image, ns=times)
  verification.verify(open_folder(folder))
  assert counts == [12, 1, 1]  # what is bad is not kept, and read again


@pytest.mark.parametrize('damage', suites.few([b'not an archive', b'', None], 1))
def test_a_damaged_cache_is_made_again(folder, monkeypatch, damage):
  counts = _decoded(monkeypatch)
  verification.verify(open_folder(folder))
  file, = (folder.parent / 'cache' / 'tf_proxyless').iterdir()
  file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
  verification.verify(open_folder(folder))
  verification.verify(open_folder(folder))
  assert counts == [12, 12]


def test_a_cache_that_cannot_be_written_does_no_harm(folder, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(folder / 'train' / 'a' / '00.png'))
  assert verification.verify(open_folder(folder)).skipped == ()


def test_equal_files_in_train_and_test_are_counted(folder):
  assert verification.verify(open_folder(folder)).duplicates == 0
  (folder / 'test' / 'b' / 'copy.png').write_bytes((folder / 'train' / 'a' / '01.png').read_bytes())
  found = verification.verify(open_folder(folder))
  assert (found.duplicates, found.example) == (1, 'test/b/copy.png and train/a/01.png')


def test_other_datasets_are_taken_as_they_are(data_dir):
  source = sources.open_dataset('digits', data_dir)
  assert verification.verify(source).source is source
