import json

import pytest

from android_benchmark import output
from android_benchmark import protocol
from android_benchmark import store
from android_benchmark import writing

_IDENTITY = {'settings': {'kernels': 'builtin', 'threads': 1}, 'models': {'a': '12', 'b': '34'}}


def _record(number):
  launches = {'a': output.Launch(1.5, 1.25, 1.0, 2.0, 0.25, 1.0, 20), 'b': output.Launch(7.0)}
  return protocol.Record(number, 0, 'a', (1.25, None), launches, {'c': 'crash'}, {'b': 'hang'}, 'now', 1.5, {'load': 0.5})


@pytest.fixture
def filled(tmp_path):
  path = tmp_path / 'm.json.partial'
  with store.Store(path, _IDENTITY, 'then') as opened:
    opened.append(_record(0))
    opened.append(_record(1))
  return path


def test_blocks_come_back_as_they_were(filled):
  with store.Store(filled, _IDENTITY, 'later') as opened:
    assert opened.started == 'then'
    assert opened.records == [_record(0), _record(1)]


def test_a_kill_at_any_byte_loses_at_most_the_last_block(filled):
  content = filled.read_bytes()
  ends = [position + 1 for position, byte in enumerate(content) if byte == ord('\n')]
  for length in sorted({*range(0, len(content), 29), *ends, *(end - 1 for end in ends)}):
    filled.write_bytes(content[:length])
    with store.Store(filled, _IDENTITY, 'later') as opened:
      whole = sum(end <= length for end in ends)
      assert opened.records == [_record(number) for number in range(max(0, whole - 1))]
      opened.append(_record(9))
    with store.Store(filled, _IDENTITY, 'later') as opened:
      assert opened.records[-1] == _record(9)


def test_measurements_of_something_else_are_not_continued(filled):
  other = {'settings': {'kernels': 'xnnpack', 'threads': 1}, 'models': {'a': '12', 'c': '34'}}
  with pytest.raises(ValueError, match="models.b '34' instead of None; models.c None instead of '34'; "
                                       "settings.kernels 'builtin' instead of 'xnnpack'"):
    store.Store(filled, other, 'later')


def test_two_processes_do_not_write_into_one_file(filled):
  with store.Store(filled, _IDENTITY, 'later'):
    with pytest.raises(ValueError, match='in use'):
      store.Store(filled, _IDENTITY, 'later')
  store.Store(filled, _IDENTITY, 'later').close()


@pytest.mark.parametrize('line, message', [
    ('{"round": 0}', ':4: not a measured block'), ('[]', ':4: not a JSON object'), ('{"round": ', ':4: not JSON')])
def test_damage_is_told_with_its_place(filled, line, message):
  with open(filled, 'a') as file:
    file.write(line + '\n')
  with pytest.raises(ValueError, match=message):
    store.Store(filled, _IDENTITY, 'later')


def test_another_file_is_not_overwritten(tmp_path):
  path = tmp_path / 'notes'
  path.write_text('{"a": 1}\n')
  with pytest.raises(ValueError, match='not a file of measurements'):
    store.Store(path, _IDENTITY, 'later')
  assert path.read_text() == '{"a": 1}\n'


def test_json_is_written_whole_or_not_at_all(tmp_path):
  path = tmp_path / 'out.json'
  writing.write_json(path, {'a': 1})
  with pytest.raises(ValueError):
    writing.write_json(path, {'a': float('nan')})
  assert json.loads(path.read_text()) == {'a': 1}
  assert [file.name for file in tmp_path.iterdir()] == ['out.json']
