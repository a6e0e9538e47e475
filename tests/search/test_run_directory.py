"""A run's files: what may continue there, the history, and checkpoints that are damaged or gone."""

import json

import pytest
import tensorflow as tf

from tf_proxyless.search import checkpoint as checkpoint_lib
from tf_proxyless.search import run_directory


@pytest.fixture
def run(tmp_path):
  run = run_directory.RunDirectory(tmp_path / 'a' / 'run')
  run.create()
  return run


IDENTITY = {'seed': 3, 'dataset': 'digits', 'stage_filters': (8, 16), 'target': None}


def test_a_run_is_known_again(run):
  assert not run.check(IDENTITY)
  run.claim(IDENTITY)
  assert run.check(IDENTITY) and run.check({**IDENTITY, 'stage_filters': [8, 16]})
  run.create()  # what is there stays
  assert run.check(IDENTITY)


def test_every_difference_is_named_once_there_is_a_checkpoint(run):
  run.claim(IDENTITY)
  other = {'seed': 4, 'dataset': 'digits', 'stage_filters': (8,), 'new': 1, 'target': None}
  assert not run.check(other)  # nothing to lose yet
  (run.checkpoints / 'ckpt-1.index').write_bytes(b'')
  with pytest.raises(ValueError) as refused:
    run.check(other)
  message = str(refused.value)
  for difference in ('seed was 3, is now 4', r'stage_filters was [8, 16], is now [8]', 'new was None, is now 1'):
    assert difference in message
  assert 'dataset' not in message and 'target' not in message
  assert run.check(IDENTITY)


def test_an_identity_that_is_none(run):
  run.identity.write_text('{"schema": "tf_proxyless/run_identity", "version": 1}')
  with pytest.raises(ValueError, match='no object "identity"'):
    run.check(IDENTITY)


def entry(epoch):
  return {'epoch': epoch, 'loss': 0.5, 'probabilities': {'a': [0.25, 0.75]}, 'seconds': 1.5}


def test_history(run):
  assert run.read_history() == []
  for epoch in range(5):
    run.append_history(entry(epoch))
  assert run.read_history() == [entry(epoch) for epoch in range(5)]
  run.rewind_history(3)
  assert run.read_history() == [entry(epoch) for epoch in range(3)]
  run.append_history(entry(3))
  assert [json.loads(line)['epoch'] for line in run.history.read_text().splitlines()] == [0, 1, 2, 3]
  run.rewind_history(0)
  assert run.read_history() == []


def test_a_line_that_was_cut_off_is_left_out(run):
  run.append_history(entry(0))
  run.append_history(entry(1))
  run.history.write_text(run.history.read_text()[:-20])
  assert run.read_history() == [entry(0)]
  run.rewind_history(2)
  run.append_history(entry(1))
  assert run.read_history() == [entry(0), entry(1)]


@pytest.mark.parametrize('line', ['{"epoch": 1', '[1]', '{"epoch": NaN}', ''])
def test_a_damaged_line_is_named(run, line):
  run.append_history(entry(0))
  run.history.write_text(f'{run.history.read_text()}{line}\n')
  with pytest.raises(ValueError, match='history.jsonl:2: '):
    run.read_history()


def test_a_history_holds_no_nan(run):
  with pytest.raises(ValueError, match='not JSON compliant'):
    run.append_history({'loss': float('nan')})


def test_status(run):
  run.write_status('interrupted', epoch=3)
  status = json.loads(run.status.read_text())
  assert (status['state'], status['epoch']) == ('interrupted', 3)


def make_checkpoint(run):
  """All state there is, of the least size: what stands for supernet and optimizers are modules with a variable."""
  parts = [tf.Module() for _ in range(3)]
  for part in parts:
    part.variable = tf.Variable(tf.zeros([1000]))
  progress = checkpoint_lib.Progress()
  return checkpoint_lib.Checkpoint(run, *parts, progress), parts[0].variable, progress


def save_three(run):
  checkpoint, variable, progress = make_checkpoint(run)
  assert not checkpoint.restore()
  for epoch in (1, 2, 3):
    variable.assign_add(tf.ones([1000]))
    progress.start_epoch(epoch)
    checkpoint.save()


def test_the_two_newest_checkpoints_are_kept(run):
  save_three(run)
  assert sorted(file.name for file in run.checkpoints.iterdir()) == [
      'ckpt-2.data-00000-of-00001', 'ckpt-2.index', 'ckpt-2.sha256', 'ckpt-3.data-00000-of-00001', 'ckpt-3.index', 'ckpt-3.sha256']
  assert run.newest_checkpoint() == str(run.checkpoints / 'ckpt-3')
  checkpoint, variable, progress = make_checkpoint(run)
  assert checkpoint.restore()
  assert (variable.numpy()[0], int(progress.epoch)) == (3.0, 3)


def test_what_a_killed_process_was_writing_is_no_checkpoint(run):
  staging = run.checkpoints / 'writing'
  staging.mkdir()
  (staging / 'ckpt-1.index').write_bytes(b'half')
  assert run.newest_checkpoint() is None
  save_three(run)
  assert run.newest_checkpoint() == str(run.checkpoints / 'ckpt-3') and not staging.exists()


def test_numbers_are_not_words(run):
  for number in (9, 10, 2):
    (run.checkpoints / f'ckpt-{number}.index').write_bytes(b'')
  assert run.newest_checkpoint() == str(run.checkpoints / 'ckpt-10')


DAMAGES = [('data-00000-of-00001', 3000), ('data-00000-of-00001', 0), ('data-00000-of-00001', None), ('index', 100), ('index', 0),
           ('sha256', 0), ('sha256', 100)]


def damage(run, number, suffix, keep):
  """Cuts a file of a checkpoint off, or deletes it."""
  damaged = run.checkpoints / f'ckpt-{number}.{suffix}'
  if keep is None:
    damaged.unlink()
  else:
    damaged.write_bytes(damaged.read_bytes()[:keep])


@pytest.mark.parametrize('suffix, keep', DAMAGES)
def test_the_last_good_checkpoint_is_used_and_one_line_says_so(run, caplog, suffix, keep):
  save_three(run)
  damage(run, 3, suffix, keep)
  again = run_directory.RunDirectory(run.path)
  checkpoint, variable, progress = make_checkpoint(again)
  assert checkpoint.restore()
  assert (variable.numpy()[0], int(progress.epoch)) == (2.0, 2)
  message, = (record.getMessage() for record in caplog.records)
  assert message.startswith(f'checkpoint {run.checkpoints / "ckpt-3"} is damaged (') and message.endswith('; the one before is used')
  checkpoint.save()  # the damaged one goes, the good one stays
  assert again.newest_checkpoint() == str(run.checkpoints / 'ckpt-4')
  assert {file.name.split('.')[0] for file in run.checkpoints.iterdir()} == {'ckpt-2', 'ckpt-4'}


def test_a_changed_bit_anywhere_in_a_checkpoint_counts(run):
  """Also those that TensorFlow's own checksums do not cover, and those that it never reads."""
  save_three(run)
  for file in sorted(run.checkpoints.glob('ckpt-3.[di]*')):
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
      file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1:])
      assert run_directory.RunDirectory(run.path).newest_checkpoint().endswith('ckpt-2'), (file, place)
    file.write_bytes(whole)
  assert run_directory.RunDirectory(run.path).newest_checkpoint().endswith('ckpt-3')


def test_where_all_are_damaged_nothing_is_begun_anew(run):
  save_three(run)
  for number in (2, 3):
    damage(run, number, 'data-00000-of-00001', 3000)
  with pytest.raises(ValueError, match='all checkpoints in .* are damaged; restore them from a copy, or delete the folder to start again'):
    make_checkpoint(run_directory.RunDirectory(run.path))[0].restore()


def test_checkpoints_of_versions_without_checksums(run):
  save_three(run)
  for file in run.checkpoints.glob('*.sha256'):
    file.unlink()
  checkpoint, variable, _ = make_checkpoint(run_directory.RunDirectory(run.path))
  assert checkpoint.restore() and variable.numpy()[0] == 3.0


def test_a_checkpoint_of_another_search(run):
  save_three(run)
  checkpoint, _, progress = make_checkpoint(run)
  progress.more = tf.Variable(0.0)
  with pytest.raises(ValueError, match='cannot be restored'):
    checkpoint.restore()
