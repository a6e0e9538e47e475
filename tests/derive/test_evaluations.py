"""Scored samples: what is appended comes back, torn ends are mended, and damage raises one typed error."""

import json

import numpy as np
import pytest

from tf_proxyless.derive import evaluations as evaluations_lib

COUNTS = (7, 6, 2)
DECISIONS = ('blocks/block_1/op', 'blocks/block_2/op', 'blocks/block_3/op')


def make(networks, seed=0, first_batch=0):
  rng = np.random.default_rng(seed)
  return evaluations_lib.Evaluations(COUNTS, rng.integers(0, COUNTS, (networks, 3)), rng.uniform(size=networks),
                                   rng.uniform(30, 190, networks), first_batch + np.arange(networks) // 10)


def assert_equal(a, b):
  assert a.choice_counts == b.choice_counts
  for name in ('paths', 'accuracy', 'cost', 'batch'):
    assert getattr(a, name).dtype == getattr(b, name).dtype
    np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.fixture
def file(tmp_path):
  file = evaluations_lib.EvaluationLog(str(tmp_path / 'samples.bin'), DECISIONS, COUNTS)
  file.create()
  return file


def test_what_is_appended_comes_back(file):
  assert len(evaluations_lib.load(file.path)[1]) == 0
  everything = make(100)
  for start in range(0, 100, 20):
    file.append(everything[start:start + 20])
  loaded_file, loaded = evaluations_lib.load(file.path)
  assert loaded_file == file
  assert_equal(loaded, everything)


def test_a_network_takes_a_byte_a_decision_and_twenty(file, tmp_path):
  before = (tmp_path / 'samples.bin').stat().st_size
  file.append(make(50))
  assert (tmp_path / 'samples.bin').stat().st_size - before == 50 * (3 + 4 + 8 + 8)


def test_resume_after_a_torn_record_equals_an_uninterrupted_run(file, tmp_path):
  everything = make(60)
  file.append(everything[:40])
  with open(file.path, 'ab') as torn:
    torn.write(b'\x01\x02')
  assert_equal(evaluations_lib.load(file.path)[1], everything[:40])
  with pytest.raises(evaluations_lib.DamagedEvaluationsError, match='ends within a record'):
    file.append(everything[40:])
  file.truncate(20)
  file.append(everything[20:])
  whole = evaluations_lib.EvaluationLog(str(tmp_path / 'whole.bin'), DECISIONS, COUNTS)
  whole.create()
  whole.append(everything)
  assert (tmp_path / 'samples.bin').read_bytes() == (tmp_path / 'whole.bin').read_bytes()


def test_truncate_refuses_to_invent_samples(file):
  file.append(make(5))
  with pytest.raises(evaluations_lib.DamagedEvaluationsError, match='fewer than the 6 samples'):
    file.truncate(6)
  with pytest.raises(ValueError, match='-1'):
    file.truncate(-1)


def test_files_of_other_decisions_are_refused(file):
  other = evaluations_lib.EvaluationLog(file.path, DECISIONS, (7, 6, 3))
  with pytest.raises(evaluations_lib.DamagedEvaluationsError, match='not the scored samples'):
    other.truncate(0)
  with pytest.raises(ValueError, match='choice counts'):
    other.append(make(3))


HEADER = {'schema': 'tf_proxyless/scored_samples', 'version': 1, 'decisions': ['a'], 'choice_counts': [2]}
DAMAGED = {
    'empty': b'',
    'no newline': json.dumps(HEADER).encode(),
    'not utf-8': b'\xff\xfe\x00\n',
    'not json': b'{"schema"\n',
    'deeply nested': b'[' * 100_000 + b'\n',
    'endless line': b'"' + b'a' * 2_000_000,
    'a list': b'[]\n',
    'missing key': json.dumps({**HEADER, 'decisions': None}).encode() + b'\n',
    'other schema': json.dumps({**HEADER, 'schema': 'tf_proxyless/latency_table'}).encode() + b'\n',
    'other version': json.dumps({**HEADER, 'version': 2}).encode() + b'\n',
    'version true': json.dumps({**HEADER, 'version': True}).encode() + b'\n',
    'counts of text': json.dumps({**HEADER, 'choice_counts': ['2']}).encode() + b'\n',
    'counts of lists': json.dumps({**HEADER, 'choice_counts': [[2]]}).encode() + b'\n',
    'count of 0': json.dumps({**HEADER, 'choice_counts': [0]}).encode() + b'\n',
    'count of 1e30': json.dumps({**HEADER, 'choice_counts': [10**30]}).encode() + b'\n',
    'too few counts': json.dumps({**HEADER, 'decisions': ['a', 'b']}).encode() + b'\n',
    'choice out of range': json.dumps(HEADER).encode() + b'\n' + b'\x02' + bytes(20),
    'accuracy nan': json.dumps(HEADER).encode() + b'\n' + b'\x01' + b'\xff' * 4 + bytes(16),
}


@pytest.mark.parametrize('name', DAMAGED)
def test_damage_raises_one_typed_error_of_one_line(name, tmp_path):
  path = tmp_path / 'samples.bin'
  path.write_bytes(DAMAGED[name])
  with pytest.raises(evaluations_lib.DamagedEvaluationsError) as caught:
    evaluations_lib.load(path)
  assert str(caught.value).startswith(str(path)) and '\n' not in str(caught.value)


@pytest.mark.parametrize('seed', range(3))
def test_any_flipped_byte_loads_or_raises_the_typed_error(seed, file, tmp_path):
  file.append(make(30))
  content = bytearray((tmp_path / 'samples.bin').read_bytes())
  rng = np.random.default_rng(seed)
  for _ in range(200):
    damaged = bytearray(content)
    damaged[rng.integers(len(content))] = rng.integers(256)
    (tmp_path / 'damaged.bin').write_bytes(damaged[:rng.integers(len(content) + 1)])
    try:
      evaluations_lib.load(tmp_path / 'damaged.bin')
    except evaluations_lib.DamagedEvaluationsError:
      pass


def test_a_missing_file_is_not_damage(tmp_path):
  with pytest.raises(FileNotFoundError):
    evaluations_lib.load(tmp_path / 'none.bin')


@pytest.mark.parametrize('change, message', [
    (dict(paths=np.array([[7, 0, 0]])), 'below'),
    (dict(paths=np.array([[-1, 0, 0]])), 'below'),
    (dict(paths=np.zeros((1, 2))), 'shape'),
    (dict(accuracy=np.array([np.nan])), 'finite'),
    (dict(cost=np.array([np.inf])), 'finite'),
    (dict(choice_counts=(300, 6, 2)), '1..256'),
])
def test_samples_are_checked(change, message):
  good = dict(choice_counts=COUNTS, paths=np.zeros((1, 3), int), accuracy=np.ones(1), cost=np.ones(1), batch=np.zeros(1, int))
  evaluations_lib.Evaluations(**good)
  with pytest.raises(ValueError, match=message):
    evaluations_lib.Evaluations(**{**good, **change})


def test_batches_keep_their_order():
  with pytest.raises(ValueError, match='never fall'):
    evaluations_lib.Evaluations((2,), np.zeros((2, 1)), np.ones(2), np.ones(2), np.array([1, 0]))
