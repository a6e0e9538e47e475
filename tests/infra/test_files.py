"""Atomic writes, and strict JSON."""

import json
import os
import stat

import pytest

from tf_proxyless.infra import files


def test_write_replaces_and_leaves_nothing_else(tmp_path):
  path = tmp_path / 'a.txt'
  files.write_atomically(path, b'\x00one')
  files.write_atomically(path, 'zwölf')
  assert path.read_bytes() == 'zwölf'.encode()
  assert os.listdir(tmp_path) == ['a.txt']


def test_mode_is_that_of_an_ordinary_file(tmp_path):
  (tmp_path / 'ordinary').write_text('')
  files.write_atomically(tmp_path / 'ours', '')
  assert stat.S_IMODE((tmp_path / 'ours').stat().st_mode) == stat.S_IMODE((tmp_path / 'ordinary').stat().st_mode)


def test_a_failed_write_keeps_the_old_content(tmp_path):
  path = tmp_path / 'a.json'
  files.write_json(path, 'kind', {'x': 1})
  before = path.read_bytes()
  with pytest.raises(ValueError):
    files.write_json(path, 'kind', {'x': float('nan')})
  with pytest.raises(UnicodeEncodeError):
    files.write_atomically(path, '\ud800')
  folder = tmp_path / 'folder'
  folder.mkdir()
  with pytest.raises(IsADirectoryError):
    files.write_atomically(folder, 'x')
  assert path.read_bytes() == before
  assert sorted(os.listdir(tmp_path)) == ['a.json', 'folder']


def test_a_missing_folder_is_an_os_error(tmp_path):
  with pytest.raises(FileNotFoundError):
    files.write_atomically(tmp_path / 'no' / 'a.txt', 'x')


@pytest.mark.parametrize('body', [
    {}, {'x': []}, {'a': {'b': [1, 2.5, None, True, 'ü\n"']}, 'wide': list(range(100)), 'deep': {'e': {'f': ['g' * 200]}}}])
def test_json_round_trip(tmp_path, body):
  path = tmp_path / 'a.json'
  files.write_json(path, 'kind', body, version=3)
  assert files.read_json(path, 'kind', version=3) == body
  assert json.loads(path.read_text()) == {'schema': 'tf_proxyless/kind', 'version': 3, **body}


def test_what_a_windows_editor_saved(tmp_path):
  path = tmp_path / 'a.json'
  files.write_json(path, 'kind', {'x': 'ü'})
  path.write_text(path.read_text(encoding='utf-8').replace('\n', '\r\n'), encoding='utf-8-sig', newline='')
  assert files.read_json(path, 'kind') == {'x': 'ü'}
  assert files.read_text(path, 1000).startswith('{')
  for encoding in ('utf-16-le', 'utf-16-be'):  # PowerShell's >
    path.write_bytes('\ufeff{"x": "ü"}\r\n'.encode(encoding))
    assert files.read_object(path) == {'x': 'ü'} and files.read_text(path, 1000) == '{"x": "ü"}\r\n'
  path.write_bytes(b'\xff\xfe\x00')
  with pytest.raises(ValueError, match='not UTF-8 text'):
    files.read_object(path)


@pytest.mark.parametrize('content, message', [
    (b'', 'empty, not JSON'),
    (b' \n', 'empty, not JSON'),
    (b'{"a": 1', 'not JSON, or truncated'),
    (b'\xff\xfe{', 'not UTF-8 text'),
    (b'[1]', 'not a JSON object'),
    (b'{"schema": "tf_proxyless/other", "version": 1}', "must be 'tf_proxyless/kind' and 1, got 'tf_proxyless/other' and 1"),
    (b'{"schema": "tf_proxyless/kind", "version": true}', 'and True'),
    (b'{"schema": ["tf_proxyless/kind"], "version": 1}', 'schema and version must be'),
    (b'{}', 'got None and None'),
    (b'{"a": NaN}', 'NaN is not a number'),
    (b'{"a": -Infinity}', '-Infinity is not a number'),
    (b'{"a": 1, "a": 2}', r"keys appear twice: \['a'\]"),
    (b'[' * 33 + b']' * 33, 'nested deeper than 32 levels'),
    (b'{"a":' * 100_000 + b'1' + b'}' * 100_000, 'nested deeper than 32 levels'),
    (b'[' * 1_000_000, 'nested deeper than 32 levels'),
    (b'{"a": ' + b'9' * 5000 + b'}', 'digits'),
])
def test_json_that_is_refused(tmp_path, content, message):
  path = tmp_path / 'a.json'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=message) as error:
    files.read_json(path, 'kind')
  assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


def test_files_without_end_are_refused():
  with pytest.raises(ValueError, match=f'/dev/zero: larger than {files.MAX_JSON_BYTES} bytes'):
    files.read_json('/dev/zero', 'kind')
