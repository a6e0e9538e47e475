"""What was measured so far: whole after a kill, checked when it is read, and one process's at a time."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import threading

import pytest

from android_benchmark import output
from android_benchmark import protocol
from android_benchmark import store
from android_benchmark import writing

ROOT = pathlib.Path(__file__).parents[2]
_IDENTITY = {'settings': {'kernels': 'builtin', 'threads': 1}, 'models': {'a': '12', 'b': '34'}}


def _record(number):
  launches = {'a': output.Launch(1.5, 1.25, 1.0, 2.0, 0.25, 1.0, 20), 'b': output.Launch(7.0)}
  return protocol.Record(number, 0, 'a', (1.25, None), launches, {'c': 'crash'}, {'b': 'hang'}, 'now', 1.5, {'load': 0.5})


@contextlib.contextmanager
def open_store(path, started='later', identity=_IDENTITY, phones=('',)):
  with store.locked(path) as file:
    yield store.Store(file, identity, started, phones)


@pytest.fixture
def filled(tmp_path):
  path = tmp_path / 'm.json.partial'
  with open_store(path, 'then') as opened:
    opened.append(_record(0))
    opened.append(_record(1))
  return path


def test_blocks_come_back_as_they_were(filled):
  with open_store(filled) as opened:
    assert opened.started == 'then'
    assert opened.records == [_record(0), _record(1)]


@pytest.mark.parametrize('meter, ways', [
    ({}, 'take that phone, or both by --device=adb:ONE,OTHER, or'), ({'meter': '2 power rails'}, 'take that phone, or')])
def test_another_phone_does_not_continue(tmp_path, meter, ways):
  identity = {**_IDENTITY, 'settings': {**_IDENTITY['settings'], **meter}}
  with open_store(tmp_path / 'm.json.partial', identity=identity, phones=['FA7 12']) as opened:
    opened.append(dataclasses.replace(_record(0), phone='FA7 12'))
  with pytest.raises(ValueError, match=f'holds what FA7 12 measured, and this is FA7 34 .*{ways} remove the file'):
    with open_store(tmp_path / 'm.json.partial', identity=identity, phones=['FA7 34']):
      pass


def test_a_kill_at_any_byte_loses_at_most_the_last_block(filled):
  content = filled.read_bytes()
  ends = [position + 1 for position, byte in enumerate(content) if byte == ord('\n')]
  for length in sorted({*range(0, len(content), 29), *ends, *(end - 1 for end in ends)}):
    filled.write_bytes(content[:length])
    with open_store(filled) as opened:
      whole = sum(end <= length for end in ends)
      assert opened.records == [_record(number) for number in range(max(0, whole - 1))]
      opened.append(_record(9))
    with open_store(filled) as opened:
      assert opened.records[-1] == _record(9)


def test_measurements_of_something_else_are_not_continued(filled):
  other = {'settings': {'kernels': 'xnnpack', 'threads': 1}, 'models': {'a': '12', 'c': '34'}}
  with pytest.raises(ValueError, match="models.b '34' instead of None; models.c None instead of '34'; "
                                       "settings.kernels 'builtin' instead of 'xnnpack'"):
    with open_store(filled, identity=other):
      pytest.fail('not reached')


def test_a_file_of_one_phone_of_before_is_continued_by_it_and_by_no_other(tmp_path):
  path = tmp_path / 'm.json.partial'
  record = {key: value for key, value in dataclasses.asdict(_record(0)).items() if key != 'phone'}
  header = {'schema': 'android_benchmark/partial', 'version': 1, 'started': 'then',
            'identity': {**_IDENTITY, 'device': {'model': 'Pixel 2', 'serial': 'FA7'}}}
  path.write_text(f'{json.dumps(header)}\n{json.dumps(record)}\n')
  identity = {**_IDENTITY, 'device': {'model': 'Pixel 2'}}
  with open_store(path, identity=identity, phones=['FA7 9774d56d']) as opened:
    assert [known.phone for known in opened.records] == ['FA7 9774d56d']
  with open_store(path, identity=identity, phones=['OTHER 12', 'FA7']) as opened:
    assert [known.phone for known in opened.records] == ['FA7']
  with pytest.raises(ValueError, match='holds what FA7 measured, and this is OTHER 12'), open_store(path, identity=identity,
                                                                                                   phones=['OTHER 12']):
    pytest.fail('not reached')
  with pytest.raises(ValueError, match="device.model 'Pixel 2' instead of 'Pixel 3'"), open_store(
      path, identity={**_IDENTITY, 'device': {'model': 'Pixel 3'}}, phones=['FA7']):
    pytest.fail('not reached')


HOLDING = """
import pathlib, sys
from android_benchmark import store
with store.locked(pathlib.Path(sys.argv[1])) as file:
  print('locked', flush=True)
  while (line := sys.stdin.readline()) == 'clear\\n':
    file.truncate(0)
"""


@pytest.fixture
def other_process(filled):
  """Has the file, until its standard input ends."""
  with subprocess.Popen([sys.executable, '-c', HOLDING, str(filled)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE) as process:
    assert process.stdout.readline() == 'locked\n'
    yield process
    process.kill()


def test_a_file_in_use_is_refused(filled, other_process, monkeypatch):
  monkeypatch.setattr(store, 'LOCK_WAIT_S', 0.2)
  with pytest.raises(ValueError, match='in use by another process'):
    with open_store(filled):
      pytest.fail('not reached')
  other_process.kill()
  other_process.wait()
  with open_store(filled) as opened:
    assert len(opened.records) == 2


@pytest.mark.parametrize('last_words, kept', [('', 2), ('clear\n', 0)])
def test_a_process_that_is_about_to_end_is_waited_for(filled, other_process, last_words, kept):
  """Which may leave its blocks, or have measured all and remove the file."""
  ending = threading.Timer(0.5, other_process.communicate, [last_words])
  ending.start()
  with open_store(filled) as opened:
    assert len(opened.records) == kept
    opened.append(_record(7))
  ending.join()
  assert len(filled.read_bytes().splitlines()) == 1 + kept + 1


def test_a_file_that_was_removed_meanwhile_is_not_written_into(filled):
  with open(filled, 'a+b') as file:
    filled.unlink()
    assert not store._lock(file, filled)
    filled.touch()
    assert not store._lock(file, filled)


def test_another_file_is_not_overwritten(tmp_path):
  path = tmp_path / 'notes'
  path.write_text('{"a": 1}\n')
  with pytest.raises(ValueError, match='not a file of measurements'), open_store(path):
    pytest.fail('not reached')
  assert path.read_text() == '{"a": 1}\n'


def test_json_is_written_whole_or_not_at_all(tmp_path):
  path = tmp_path / 'out.json'
  writing.write_json(path, {'a': 1})
  with pytest.raises(ValueError):
    writing.write_json(path, {'a': float('nan')})
  assert json.loads(path.read_text()) == {'a': 1}
  assert [file.name for file in tmp_path.iterdir()] == ['out.json']
