"""Reports of runs that are not finished, or whose files are damaged: what can be read is there, the rest is named."""

import json

import pytest

from tests.report.document import report_runs
from tf_proxyless.infra import locking
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.figures import animation
from tf_proxyless.report.figures import figures as figures_lib
from tf_proxyless.report.page import page as page_lib


@pytest.mark.parametrize('state', ['running', 'interrupted', 'failed'])
def test_a_run_that_is_not_finished(tmp_path, state):
  run = report_runs.write(tmp_path / 'run', epochs=3, state=state)
  found = report_runs.read(run, versions={'numpy': '1'})
  assert (found['state'], found['refreshing'], found['problems']) == (state, state == 'running', [])
  assert found['network'] is found['derivation'] is None and found['candidates'] == []
  assert len(found['history']['probabilities']) == 3 and found['versions'] == {'numpy': '1'}
  assert found['seconds']['left'] == (None if state == 'failed' else 11.0 * 5)  # the median, for five of eight epochs


def test_a_run_whose_process_was_killed_does_not_run(tmp_path):
  run = report_runs.write(tmp_path / 'run', epochs=3, state='running')
  with locking.take(run.path):
    assert report_runs.read(run)['state'] == 'running'
  found = report_runs.read(run)
  assert (found['state'], found['refreshing']) == ('interrupted', False) and 'has ended without saying so' in found['reason']


def test_a_run_that_has_scored_nothing_yet(tmp_path):
  found = report_runs.read(report_runs.write(tmp_path / 'run', epochs=1, state='running', batches=0))
  assert (found['samples'], found['problems'], found['history']['epoch']) == (None, [], [0])


def test_why_a_run_failed(tmp_path):
  run = report_runs.write(tmp_path / 'run', epochs=1, state='running')
  run.write_status('failed', reason='the loss became nan in epoch 1')
  found = report_runs.read(run)
  assert (found['state'], found['reason']) == ('failed', 'the loss became nan in epoch 1')


def test_an_empty_directory_and_one_with_flags_only(tmp_path):
  found = report_runs.read(document_lib.run_directory.RunDirectory(tmp_path))
  assert (found['state'], found['problems'], found['decisions']) == ('empty', [], []) and not any(found['history'].values())
  run = report_runs.write(tmp_path / 'run', epochs=0, state='running')
  for file in (run.status, run.samples, run.latency_table_proof):
    file.unlink()
  found = report_runs.read(run)
  assert (found['state'], found['problems'], len(found['decisions']), found['samples']) == ('empty', [], 4, None)


LINE = {'epoch': 3, 'phase': 'joint', 'loss': 1.0}


@pytest.mark.parametrize('line, problem', [
    (b'', 'empty, not JSON'), (b'{"epoch": 3', 'not JSON, or truncated'), (b'\xff', 'not UTF-8 text'), (b'[3]', 'not a JSON object'),
    (json.dumps(LINE).encode(), 'no 7 probabilities for decision blocks/block_1/op'),
    (b'{"epoch": 3, "loss": 1e999}', "'1e999' is beyond every number"),
    (b'{"epoch": 3, "loss": NaN}', 'NaN is not a number'), (b'{"epoch": true}', 'epoch must be a number from 0')])
def test_a_corrupt_line_of_the_history_is_named_and_passed_over(tmp_path, line, problem):
  run = report_runs.write(tmp_path / 'run')
  report_runs.damage_history(run, 4, line)
  found = report_runs.read(run)
  assert found['history']['epoch'] == [0, 1, 2, 4, 5, 6, 7]
  assert len(found['history']['loss']) == len(found['history']['probabilities']) == len(found['most_likely']['choices']) == 7
  message, = found['problems']
  assert message.startswith(f'history.jsonl:4: {problem}') and message.endswith('; passed over')


def test_an_epoch_that_comes_again_is_passed_over(tmp_path):
  run = report_runs.write(tmp_path / 'run', epochs=4)
  lines = run.history.read_bytes().splitlines()
  report_runs.damage_history(run, 3, lines[1])
  found = report_runs.read(run)
  assert found['history']['epoch'] == [0, 1, 3]
  assert found['problems'] == ['history.jsonl:3: epoch 1 after epoch 1; passed over']


def test_lines_that_hold_probabilities_alone_can_be_drawn(tmp_path):
  run = report_runs.write(tmp_path / 'run', epochs=3, state='interrupted')
  lines = [json.loads(line) for line in run.history.read_text().splitlines()]
  run.history.write_text(''.join(json.dumps({name: line[name] for name in ('epoch', 'phase', 'probabilities')}) + '\n' for line in lines))
  document = document_lib.document(run.path)
  assert document['runs'][0]['problems'] == [] and document['runs'][0]['history']['loss'] == [None] * 3
  page_lib.render(document)
  figures_lib.save_all(document, tmp_path / 'figures')
  animation.save(document, tmp_path / 'history.gif', width=480)


def test_a_history_that_is_cut_off(tmp_path):
  for state, problems in (('running', []), ('interrupted', ['history.jsonl:3: was cut off; passed over'])):
    run = report_runs.write(tmp_path / state, epochs=3, state=state)
    run.history.write_bytes(run.history.read_bytes()[:-30])
    found = report_runs.read(run)
    assert (found['history']['epoch'], found['problems']) == ([0, 1], problems)


@pytest.mark.parametrize('name, left_out', [
    ('flags.txt', 'settings'), ('search_space.json', 'decisions'), ('latency_table.json', 'table'), ('architecture.json', 'network'),
    ('derivation.json', 'derivation'), ('samples.bin', 'samples'), ('status.json', None), ('latency_table_proof.json', None),
    ('history.jsonl', None)])
@pytest.mark.parametrize('content', [b'', b'\x00\xff', b'{"schema": "tf_proxyless/other", "version": 1}', None])
def test_a_damaged_file_costs_its_part_only(finished, tmp_path, name, left_out, content):
  for file in finished.path.iterdir():
    if file.is_file():
      (tmp_path / file.name).write_bytes(file.read_bytes())
  damaged = tmp_path / name
  damaged.unlink()
  if content is None:
    damaged.mkdir()
  else:
    damaged.write_bytes(content)
  found = report_runs.read(document_lib.run_directory.RunDirectory(tmp_path))
  if not (name in ('flags.txt', 'history.jsonl') and content == b''):  # no flags, or no epochs, are allowed
    assert any(name in problem for problem in found['problems']), found['problems']
  assert str(tmp_path) not in json.dumps(found)
  assert not left_out or not found[left_out] or (name == 'flags.txt' and content == b'')
  kept = {'network', 'table', 'samples'} - {left_out}
  assert all(found[part] for part in kept)


@pytest.mark.parametrize('content, problem', [
    (b'', 'front/front.json: empty, not JSON'),
    (b'{"schema": "tf_proxyless/front", "version": 1, "by": "evidence"}', 'front/front.json: missing fields')])
def test_a_damaged_front_is_left_out(tmp_path, content, problem):
  run = report_runs.write(tmp_path, epochs=3, batches=3)
  assert report_runs.read(run)['front'] is None
  run.front.mkdir()
  (run.front / 'front.json').write_bytes(content)
  found = report_runs.read(run)
  assert found['front'] is None and found['samples'] and any(line.startswith(problem) for line in found['problems']), found['problems']
